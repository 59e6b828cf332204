"""Which syntax a model writes: told by its chat template, or where that writes no calls by ghostd's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ghostd.workers.turns.bare import Bare
from ghostd.workers.turns.contract import Syntax
from ghostd.workers.turns.gemma import Gemma
from ghostd.workers.turns.named import DeepSeek, FunctionTag, Kimi, Mistral
from ghostd.workers.turns.objects import Objects
from ghostd.workers.turns.pythonic import Pythonic
from ghostd.workers.turns.tagged import Tagged
from ghostd.workers.turns.thoughts import Thoughts, is_harmony, thoughts_of

HERMES = Objects(("<tool_call>",), "</tool_call>", repeats=True)
"""Hermes and Qwen 2.5, 3; also what templates without tools are given, with a description of it."""
_QWEN_CODER = Tagged(
    ("<tool_call>", "<function="), "<function=", ">", "<parameter=", ">", "", "</parameter>", "</function>",
    "</tool_call>", line_breaks=True,
)  # fmt: skip
_SEED = Tagged(
    ("<seed:tool_call>",), "<function=", ">", "<parameter=", ">", "", "</parameter>", "</function>",
    "</seed:tool_call>", line_breaks=False,
)  # fmt: skip
_GLM = Tagged(
    ("<tool_call>",), "", "", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "</tool_call>",
    "</tool_call>", line_breaks=False,
)  # fmt: skip
_MINIMAX = Tagged(
    ("<minimax:tool_call>",), '<invoke name="', '">', '<parameter name="', '">', "", "</parameter>", "</invoke>",
    "</minimax:tool_call>", line_breaks=False, shared_section=True,
)  # fmt: skip
_COMMAND = Objects(
    ("<|START_ACTION|>",), "<|END_ACTION|>", listed=True, name_key="tool_name", arguments_key="parameters",
)  # fmt: skip
_FRAME = ("<|START_RESPONSE|>", "<|END_RESPONSE|>")
"""Around Command R's answers."""

_FAMILIES: tuple[tuple[tuple[str, ...], Syntax], ...] = (
    # Texts that the template must all have → syntax; the first that fits.
    (("[TOOL_CALLS]", "[ARGS]"), Mistral(listed=False)),
    (("[TOOL_CALLS]",), Mistral(listed=True)),
    (("<｜tool▁calls▁begin｜>", "```json"), DeepSeek(fenced=True)),
    (("<｜tool▁calls▁begin｜>",), DeepSeek(fenced=False)),
    (("<|tool_call_argument_begin|>",), Kimi()),
    (("<|tool_call>", "<tool_call|>"), Gemma()),
    (("<|tool_call_start|>",), Pythonic()),
    (("<|tool_list_start|>",), Pythonic()),
    (("<|START_ACTION|>",), _COMMAND),
    (("<minimax:tool_call>",), _MINIMAX),
    (("<seed:tool_call>", "<parameter="), _SEED),
    (("<arg_key>",), _GLM),
    (("<tool_call>", "<function=", "<parameter="), _QWEN_CODER),
    (("<TOOLCALL>",), Objects(("<TOOLCALL>",), "</TOOLCALL>", listed=True)),
    (("<|tool_call|>{", "<|/tool_call|>"), Objects(("<|tool_call|>",), "<|/tool_call|>", repeats=True)),
    (("<|tool_call|>", "<|/tool_call|>"), Objects(("<|tool_call|>",), "<|/tool_call|>", listed=True)),
    (("<|tool_call|>",), Objects(("<|tool_call|>",), listed=True)),
    (("<tool_call>",), HERMES),
    (("<function=",), FunctionTag()),
    ((" functools[",), Objects((" functools",), listed=True)),
    (("<|python_tag|>",), Bare()),
    (("<|start_header_id|>", '"parameters"'), Bare()),
)


@dataclass(frozen=True, slots=True)
class Family:
    """What a template tells of the replies."""

    syntax: Syntax | None
    """How it writes tool calls; None where it does not say."""
    thoughts: Thoughts | None = None
    frames: tuple[str, ...] = ()
    """Markers around the answer, which are no part of it."""
    harmony: bool = False
    """gpt-oss: each message has a header that says what it is."""

    @property
    def thinks(self) -> bool:
        """Whether replies may begin with thoughts."""
        return self.harmony or self.thoughts is not None


@lru_cache(maxsize=256)
def family_of(template: str) -> Family:
    """The family of a chat template, by the markers that it writes or looks for."""
    if is_harmony(template):
        return Family(None, harmony=True)
    syntax = next((syntax for texts, syntax in _FAMILIES if all(text in template for text in texts)), None)
    return Family(syntax, thoughts_of(template), _FRAME if _FRAME[0] in template else ())
