"""What one chat request needs: its prompt, how its reply is read, and what a grammar holds it to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ghostd.workers.chat_template import ChatTemplate, Segment
from ghostd.workers.engines.contract import LateGrammar, RequestInvalid
from ghostd.workers.turns import harmony
from ghostd.workers.turns.contract import Syntax, ToolSpec
from ghostd.workers.turns.families import HERMES, Family, family_of
from ghostd.workers.turns.layout import Layout
from ghostd.workers.turns.parser import TurnParser, TurnReader
from ghostd.workers.turns.tool_grammar import calls_grammar, tool_specs

_HARMONY_CALL = f"{harmony.CHANNEL}commentary "
_EFFORTS = {"minimal": "low", "xhigh": "high", "none": "low"}
"""For templates that know low, medium and high only."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How one assistant's turn is asked for and read."""

    segments: list[Segment]
    reader: TurnReader | None = None
    """None where the reply is plain text."""
    grammar: str | None = None
    """Binds the reply from its first token."""
    late: LateGrammar | None = None
    markers: tuple[str, ...] = ()
    """Texts of control tokens that the reader must see."""


class Turns:
    """Turns of one model."""

    def __init__(self, template: ChatTemplate, tool_template: ChatTemplate | None = None) -> None:
        """`tool_template` is for conversations with tools, where the model has one of its own."""
        self._plain = Layout(template), family_of(template.source)
        self._tools = self._plain
        if tool_template is not None:
            self._tools = Layout(tool_template), family_of(tool_template.source)

    def turn(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Mapping[str, Any] | None,
        effort: str | None,
        bound: str | None,
    ) -> Turn:
        """The turn that a request asks for.

        `tools` is what Generate carries; `bound` is the parameter whose grammar or schema binds the whole reply.
        Raises RequestInvalid and EngineFailed.
        """
        wish = _Wish.of(tools)
        layout, family = self._tools if wish.tools else self._plain
        if bound is not None and wish.tools:
            raise RequestInvalid(
                f"'{bound}' cannot be combined with tools on a local model: a reply is either a call or bound text. "
                'Send tool_choice "none" for the bound reply.',
                bound,
            )
        described = bool(wish.tools) and not ((family.syntax is not None or family.harmony) and layout.writes_tools())
        syntax = HERMES if described else family.syntax
        if described and family.harmony:
            family = Family(None)
        segments = layout.segments(messages, wish.tools, _variables(effort), described=described)
        closed = bound is not None or wish.required or effort == "none"
        if family.harmony:
            return self._harmony(segments, wish, plain=bound is not None)
        thinking = False
        if family.thoughts is not None and _ends_with(segments, family.thoughts.opener):
            # The template has begun the thoughts; what must not think ends them at once.
            thinking = not closed
            if closed:
                segments = [*segments, (f"\n{family.thoughts.closer}\n\n", True)]
        if bound is not None or not (wish.tools or family.thinks or family.frames):
            return Turn(segments)
        return self._marked(segments, family, syntax if wish.tools else None, wish, thinking=thinking)

    def _marked(
        self, segments: list[Segment], family: Family, syntax: Syntax | None, wish: _Wish, *, thinking: bool
    ) -> Turn:
        specs = {tool.name: tool for tool in wish.callable}
        reader = TurnParser(family, syntax, specs, thinking=thinking, single=not wish.several)
        markers = list(family.frames)
        if family.thoughts is not None:
            markers += family.thoughts.markers
        if syntax is None:
            return Turn(segments, reader, markers=tuple(markers))
        markers += syntax.markers
        make = _once(lambda: calls_grammar(syntax, wish.callable, several=wish.several))
        if wish.required:
            return Turn(segments, reader, grammar=make(), markers=tuple(markers))
        # An engine that looks for the beginning itself would find it in thoughts, too, unless they are over.
        over = family.thoughts is None or _ends_with(segments, family.thoughts.closer)
        late = LateGrammar(make, reader.opened, syntax.openers if over else ())
        return Turn(segments, reader, late=late, markers=tuple(markers))

    def _harmony(self, segments: list[Segment], wish: _Wish, *, plain: bool) -> Turn:
        if plain:
            return Turn([*segments, (harmony.FINAL, True)])
        specs = {tool.name: tool for tool in wish.callable}
        header = _HARMONY_CALL if wish.required else ""
        reader = harmony.HarmonyParser(specs, header=header, single=not wish.several)
        make = _once(lambda: calls_grammar(None, wish.callable, several=False))
        if wish.required:
            return Turn([*segments, (header, True)], reader, grammar=make(), markers=harmony.MARKERS)
        late = LateGrammar(make, reader.opened, ()) if specs else None
        return Turn(segments, reader, late=late, markers=harmony.MARKERS)


@dataclass(frozen=True, slots=True)
class _Wish:
    """The tools of a request."""

    tools: tuple[ToolSpec, ...] = ()
    callable: tuple[ToolSpec, ...] = ()
    """Those that may be called: one where it is named."""
    required: bool = False
    several: bool = True

    @classmethod
    def of(cls, tools: Mapping[str, Any] | None) -> _Wish:
        """From what Generate carries. Raises RequestInvalid."""
        if tools is None or not tools["tools"]:
            return cls()
        specs = tuple(tool_specs(tools["tools"]))
        choice, named = tools["choice"], tools["named"]
        wanted = tuple(tool for tool in specs if tool.name == named) if named is not None else specs
        if not wanted:
            raise RequestInvalid(f"There is no tool named '{str(named)[:64]}' in 'tools'.", "tool_choice")
        for tool in specs:
            if tool.strict:
                calls_grammar(HERMES, (tool,), several=False)  # so that a schema that cannot be enforced is told now
        required, parallel = named is not None or choice == "required", tools["parallel"]
        # A call that must come is one, unless several are wanted: weak models would go on and on.
        return cls(specs, wanted, required, parallel is True or (parallel is None and not required))


def _variables(effort: str | None) -> dict[str, Any]:
    """What templates ask about thinking; nothing where the request says nothing, so that their defaults hold."""
    if effort is None:
        return {}
    thinks = effort != "none"
    variables: dict[str, Any] = {"enable_thinking": thinks, "thinking": thinks}
    if effort != "on":
        variables["reasoning_effort"] = _EFFORTS.get(effort, effort)
    return variables


def _ends_with(segments: Sequence[Segment], marker: str) -> bool:
    return bool(segments) and segments[-1][1] and segments[-1][0].rstrip().endswith(marker)


def _once(make: Callable[[], str]) -> Callable[[], str]:
    made: list[str] = []

    def get() -> str:
        if not made:
            made.append(make())
        return made[0]

    return get
