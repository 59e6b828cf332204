"""Turns as models of many families write them, whole and in pieces: nothing leaks, nothing is lost."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pytest
from chat_templates import TEMPLATES

from ghostd.workers.turns.contract import Called, Event, Said, Thought, ToolSpec
from ghostd.workers.turns.families import HERMES, Family, family_of
from ghostd.workers.turns.harmony import MARKERS, HarmonyParser
from ghostd.workers.turns.parser import TurnParser, TurnReader

TOOLS = {
    "weather": ToolSpec(
        "weather",
        "The weather.",
        {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "units": {"type": "string", "enum": ["C", "F"]},
                "hourly": {"type": "boolean"},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["city"],
        },
    ),
    "now": ToolSpec("now", "The time.", {"type": "object", "properties": {}}),
}


@dataclass
class Heard:
    """What came of a turn."""

    text: str = ""
    thoughts: str = ""
    calls: list[list[str]] = field(default_factory=list)

    def add(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Said):
                self.text += event.text
            elif isinstance(event, Thought):
                self.thoughts += event.text
            else:
                self._call(event)

    def _call(self, event: Called) -> None:
        if event.name is not None:
            assert event.index == len(self.calls)
            self.calls.append([event.name, ""])
        assert event.index == len(self.calls) - 1
        self.calls[-1][1] += event.arguments

    @property
    def parsed(self) -> list[tuple[str, object]]:
        return [(name, json.loads(arguments)) for name, arguments in self.calls]


def reader(family: str, *, thinking: bool = False, single: bool = False) -> TurnReader:
    if family == "generic":
        return TurnParser(Family(None), HERMES, TOOLS, thinking=False, single=single)
    found = family_of(TEMPLATES[family])
    if found.harmony:
        return HarmonyParser(TOOLS, header="", single=single)
    assert found.syntax is not None
    return TurnParser(found, found.syntax, TOOLS, thinking=thinking, single=single)


def heard(parser: TurnReader, pieces: Sequence[str]) -> Heard:
    all_of_it = Heard()
    for piece in pieces:
        all_of_it.add(parser.feed(piece))
    all_of_it.add(parser.finish())
    return all_of_it


ONE: tuple[str, dict[str, object]] = ("weather", {"city": 'Paris "é" <b>\n', "days": 2})
TWO: tuple[str, dict[str, object]] = ("now", {})


def _hermes(name: str, arguments: object) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments}, ensure_ascii=False)}\n</tool_call>"


def _json(name: str, arguments: object, key: str = "arguments", name_key: str = "name") -> str:
    return json.dumps({name_key: name, key: arguments}, ensure_ascii=False)


def _args(arguments: object) -> str:
    return json.dumps(arguments, ensure_ascii=False)


_CODER = (
    '<tool_call>\n<function=weather>\n<parameter=city>\nParis "é" <b>\n\n</parameter>\n<parameter=days>\n2\n'
    "</parameter>\n</function>\n</tool_call>"
)
_DS = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>"

WRITTEN: dict[str, tuple[str, str]] = {
    # family → the calls ONE and TWO together, and what comes before them with thoughts and text where it has them
    "hermes": (f"{_hermes(*ONE)}\n{_hermes(*TWO)}", ""),
    "generic": (f"{_hermes(*ONE)}\n{_hermes(*TWO)}", ""),
    "qwen3": (f"{_hermes(*ONE)}\n{_hermes(*TWO)}", ""),
    "qwen-coder": (f"{_CODER}\n<tool_call>\n<function=now>\n</function>\n</tool_call>", ""),
    "llama3": (f"{_json(*ONE, key='parameters')}; {_json(*TWO, key='parameters')}", ""),
    "mistral": (f"[TOOL_CALLS][{_json(*ONE)}, {_json(*TWO)}]", ""),
    "mistral-new": (f"[TOOL_CALLS]weather[ARGS]{_args(ONE[1])}[TOOL_CALLS]now[ARGS]{{}}", ""),
    "deepseek-r1": (
        f"{_DS}function<｜tool▁sep｜>weather\n```json\n{_args(ONE[1])}\n```<｜tool▁call▁end｜>\n"
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "",
    ),
    "deepseek-v31": (
        f"{_DS}weather<｜tool▁sep｜>{_args(ONE[1])}<｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{{}}"
        "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "",
    ),
    "kimi": (
        f"<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>{_args(ONE[1])}"
        "<|tool_call_end|><|tool_call_begin|>functions.now:1<|tool_call_argument_begin|>{}<|tool_call_end|>"
        "<|tool_calls_section_end|>",
        "",
    ),
    "command-r7b": (
        "<|START_ACTION|>[\n    "
        + json.dumps({"tool_call_id": "0", "tool_name": ONE[0], "parameters": ONE[1]}, ensure_ascii=False)
        + ",\n    "
        + json.dumps({"tool_call_id": "1", "tool_name": TWO[0], "parameters": TWO[1]})
        + "\n]<|END_ACTION|>",
        "",
    ),
    "granite": (f"<|tool_call|>[{_json(*ONE)}, {_json(*TWO)}]", ""),
    "phi4-mini": (f"<|tool_call|>[{_json(*ONE)}, {_json(*TWO)}]<|/tool_call|>", ""),
    "nemotron": (f"<TOOLCALL>[{_json(*ONE)}, {_json(*TWO)}]</TOOLCALL>", ""),
    "glm": (
        '<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Paris "é" <b>\n</arg_value>\n<arg_key>days</arg_key>\n'
        "<arg_value>2</arg_value>\n</tool_call>\n<tool_call>now\n</tool_call>",
        "",
    ),
    "minimax": (
        '<minimax:tool_call>\n<invoke name="weather">\n<parameter name="city">Paris "é" <b>\n</parameter>\n'
        '<parameter name="days">2</parameter>\n</invoke>\n<invoke name="now">\n</invoke>\n</minimax:tool_call>',
        "",
    ),
    "gemma4": (
        '<|tool_call>call:weather{city:<|"|>Paris "é" <b>\n<|"|>,days:2}<tool_call|><|tool_call>call:now{}<tool_call|>',
        "",
    ),
    "lfm2": ("<|tool_call_start|>[weather(city='Paris \"é\" <b>\\n', days=2), now()]<|tool_call_end|>", ""),
    "functionary": (f"<function=weather>{_args(ONE[1])}</function><function=now>{{}}</function>", ""),
}
FAMILIES = sorted(WRITTEN)


def splits(text: str, seed: int) -> list[str]:
    """The text in pieces of random length."""
    noise = random.Random(seed)
    pieces, start = [], 0
    while start < len(text):
        end = start + noise.choice((1, 1, 2, 3, 5, 8, 40))
        pieces.append(text[start:end])
        start = end
    return pieces


@pytest.mark.parametrize("family", FAMILIES)
def test_calls_are_read_whole_in_characters_and_in_any_pieces(family: str) -> None:
    text, _ = WRITTEN[family]
    for pieces in ([text], list(text), *(splits(text, seed) for seed in range(20))):
        result = heard(reader(family), pieces)
        assert (result.text, result.thoughts, result.parsed) == ("", "", [ONE, TWO])


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "llama3"])
def test_text_before_a_call_is_shown_and_the_space_between_is_not(family: str) -> None:
    text = f"Let me look <it> up [ok] {{1}}.\n\n{WRITTEN[family][0]}"
    for pieces in ([text], list(text), splits(text, 1)):
        result = heard(reader(family), pieces)
        assert (result.text, result.parsed) == ("Let me look <it> up [ok] {1}.", [ONE, TWO])


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_first_call_counts_where_one_is_allowed(family: str) -> None:
    text = WRITTEN[family][0]
    parser = reader(family, single=True)
    result = heard(parser, list(text))
    assert result.parsed == [ONE]
    assert parser.done


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reply_cut_off_anywhere_loses_no_text_and_invents_no_call(family: str) -> None:
    text = "Yes. " + WRITTEN[family][0]
    for end in range(len(text)):
        result = heard(reader(family), list(text[:end]))
        if not result.calls:
            assert result.text == text[:end] or text[:end].strip().startswith(result.text)
        else:
            assert [name for name, _ in result.calls] in (["weather"], ["weather", "now"])
            whole = json.dumps(ONE[1], ensure_ascii=False)
            assert whole.startswith(result.calls[0][1]) or result.parsed[0] == ONE


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "text",
    [
        "Plain words.",
        "a < b, c <t, <tool, <tool_call, [TOOL, <|tool",
        '{"answer": 42, "name": "weather"}',
        '[{"name": "weather"}',
        "```json\n{}\n```",
        "<｜tool",
        "line\n\n  indented\n",
        'tool_call> </tool_call> ] } "',
        "",
        " ",
    ],
)
def test_text_that_only_looks_like_a_call_stays_text(family: str, text: str) -> None:
    for pieces in ([text], list(text)):
        result = heard(reader(family), pieces)
        assert (result.text, result.calls) == (text, [])


MALFORMED = {
    "hermes": [
        "<tool_call>no JSON</tool_call>",
        '<tool_call>\n{"nothing": 1}\n</tool_call>',
        "<tool_call>[]</tool_call>",
        '<tool_call>{"name": 5}</tool_call>',
        '<tool_call>{"name": "weather", "arguments": [1]}',
    ],
    "qwen-coder": ["<tool_call>\nhello</tool_call>", "<function=two words>", "<tool_call><function=\n\n></function>"],
    "mistral": ["[TOOL_CALLS]", "[TOOL_CALLS] [1]", "[TOOL_CALLS]{}"],
    "mistral-new": ["[TOOL_CALLS]weather", "[TOOL_CALLS]weather[ARGS]5"],
    "deepseek-v31": [f"{_DS}weather", f"{_DS}weather<｜tool▁sep｜>5", "<｜tool▁calls▁begin｜>words"],
    "kimi": ["<|tool_calls_section_begin|>words"],
    "glm": ["<tool_call>two words\n</tool_call>"],
    "command-r7b": ["<|START_ACTION|>words<|END_ACTION|>"],
    "gemma4": ["<|tool_call>words<tool_call|>", "<|tool_call>call:two words{}<tool_call|>"],
    "lfm2": ["<|tool_call_start|>words", "<|tool_call_start|>[]<|tool_call_end|>", "<|tool_call_start|>[two words()]"],
}


@pytest.mark.parametrize(("family", "text"), [(family, text) for family, texts in MALFORMED.items() for text in texts])
def test_a_malformed_call_is_given_as_text(family: str, text: str) -> None:
    for pieces in ([text], list(text), splits(text, 3)):
        result = heard(reader(family), pieces)
        assert (result.text, result.calls) == (text, [])


def test_a_marker_that_leads_to_nothing_does_not_hide_the_call_behind_it() -> None:
    text = f"The tag <tool_call> starts one: {_hermes(*ONE)}"
    for pieces in ([text], list(text)):
        result = heard(reader("hermes"), pieces)
        assert (result.text, result.parsed) == ("The tag <tool_call> starts one:", [ONE])


def test_arguments_that_break_after_their_call_was_announced_stay_as_the_model_wrote_them() -> None:
    text = '<tool_call>{"name": "weather", "arguments": {"city": oops}}</tool_call> Done.'
    for pieces in ([text], list(text)):
        result = heard(reader("hermes"), pieces)
        assert result.calls == [["weather", '{"city": oops}}']]
        assert result.text == "Done."


@pytest.mark.parametrize(
    "written",
    [
        '{"arguments": {"city": "Rome"}, "name": "weather"}',
        '{"name": "weather", "id": "x", "arguments": {"city": "Rome"}, "type": "function"}',
        '{"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}',
        '{"name": "weather", "arguments": "{\\"city\\": \\"Rome\\"}"}',
        '{"name": "weather", "parameters": {"city": "Rome"}}',
    ],
)
def test_objects_are_read_in_any_order_and_shape(written: str) -> None:
    text = f"<tool_call>{written}</tool_call>"
    for pieces in ([text], list(text)):
        assert heard(reader("hermes"), pieces).parsed == [("weather", {"city": "Rome"})]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    assert heard(reader("hermes"), ['<tool_call>{"name": "now"}</tool_call>']).calls == [["now", "{}"]]


def test_arguments_stream_as_they_come() -> None:
    parser = reader("hermes")
    text = _hermes("weather", {"city": "A rather long name of a place"})
    seen = []
    for character in text:
        for event in parser.feed(character):
            assert isinstance(event, Called)
            seen.append(event)
    assert len(seen) > 30
    assert [event.name for event in seen if event.name is not None] == ["weather"]


def test_values_of_tags_follow_the_schema() -> None:
    text = (
        "<tool_call>\n<function=weather>\n<parameter=city>\n5\n</parameter>\n<parameter=days>\n5\n</parameter>\n"
        '<parameter=hourly>\nTrue\n</parameter>\n<parameter=tags>\n["a", "b"]\n</parameter>\n<parameter=other>\n'
        '{"x": null}\n</parameter>\n<parameter=more>\nwords\n</parameter>\n</function>\n</tool_call>'
    )
    for pieces in ([text], list(text)):
        assert heard(reader("qwen-coder"), pieces).parsed == [
            ("weather", {"city": "5", "days": 5, "hourly": True, "tags": ["a", "b"], "other": {"x": None},
                         "more": "words"})
        ]  # fmt: skip


def test_values_in_python_become_json() -> None:
    text = (
        "<|tool_call_start|>[weather(city='a\\'b, (c)', hourly=True, tags=[\"x\", None, 1.5], other={'k': (1,)}, "
        'odd=words), {"name": "now", "arguments": {}}]<|tool_call_end|>'
    )
    for pieces in ([text], list(text)):
        assert heard(reader("lfm2"), pieces).parsed == [
            ("weather", {"city": "a'b, (c)", "hourly": True, "tags": ["x", None, 1.5], "other": {"k": [1]},
                         "odd": "words"}),
            ("now", {}),
        ]  # fmt: skip


def test_values_in_gemmas_form_become_json() -> None:
    text = (
        '<|tool_call>call:weather{city:<|"|>a "b"\n{c}<|"|>,deep:{x:[1,-2.5e3,true,null,{y:<|"|>z<|"|>}],e:{},l:[]}}'
        "<tool_call|>"
    )
    for pieces in ([text], list(text), splits(text, 7)):
        assert heard(reader("gemma4"), pieces).parsed == [
            ("weather", {"city": 'a "b"\n{c}', "deep": {"x": [1, -2500.0, True, None, {"y": "z"}], "e": {}, "l": []}})
        ]


def test_half_a_surrogate_pair_that_a_model_writes_is_escaped() -> None:
    text = '<tool_call>{"name": "weather", "arguments": "{\\"city\\": \\"\\\\ud800\\"}"}</tool_call>'
    ((_, arguments),) = heard(reader("hermes"), [text]).calls
    assert arguments.encode() == b'{"city": "\\ud800"}'


def test_text_values_of_tags_keep_their_lines_but_the_first_and_last_break() -> None:
    value = "\n  def f():\n    return '</para'\n\n"
    text = f"<function=weather>\n<parameter=city>\n{value}\n</parameter>\n</function>\n</tool_call>"
    for pieces in ([text], list(text), splits(text, 5)):
        result = heard(reader("qwen-coder"), pieces)
        assert (result.text, result.parsed) == ("", [("weather", {"city": value})])


# --- thoughts -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "opener", "closer"),
    [
        ("qwen3", "<think>", "</think>"),
        ("command-r7b", "<|START_THINKING|>", "<|END_THINKING|>"),
        ("gemma4", "<|channel>thought", "<channel|>"),
    ],
)
def test_thoughts_answer_and_calls_come_apart(family: str, opener: str, closer: str) -> None:
    calls = WRITTEN[family][0]
    for text, thinking in (
        (f"{opener}\nHm, <b>.\n{closer}\n\nOK.\n{calls}", False),
        (f"\nHm, <b>.\n{closer}OK. {calls}", True),
    ):
        for pieces in ([text], list(text), splits(text, 2)):
            result = heard(reader(family, thinking=thinking), pieces)
            assert (result.thoughts, result.text, result.parsed) == ("Hm, <b>.", "OK.", [ONE, TWO])


def test_calls_within_thoughts_are_thoughts() -> None:
    text = f"<think>I could write {_hermes(*ONE)} here.</think>No."
    for pieces in ([text], list(text)):
        result = heard(reader("qwen3"), pieces)
        assert (result.text, result.calls) == ("No.", [])
        assert result.thoughts == text[len("<think>") : -len("</think>No.")]


def test_a_thinking_tag_inside_an_answer_is_text() -> None:
    text = "The tag `<think>` opens thoughts, `</think>` ends them."
    for pieces in ([text], list(text)):
        assert heard(reader("qwen3"), pieces) == Heard(text)


def test_thoughts_that_never_end_are_thoughts() -> None:
    assert heard(reader("qwen3", thinking=True), list("Hm </thin")) == Heard(thoughts="Hm </thin")


def test_the_frame_of_an_answer_is_no_part_of_it() -> None:
    text = "<|START_THINKING|>Hm<|END_THINKING|><|START_RESPONSE|>Hello.<|END_RESPONSE|>"
    for pieces in ([text], list(text)):
        assert heard(reader("command-r7b"), pieces) == Heard("Hello.", "Hm")


# --- gpt-oss -------------------------------------------------------------------

HARMONY = (
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary<|message|>I look.<|end|>"
    '<|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"city": "Paris"}'
)


def test_channels_tell_thoughts_answers_and_calls() -> None:
    for pieces in ([HARMONY], list(HARMONY), *(splits(HARMONY, seed) for seed in range(10))):
        result = heard(reader("gpt-oss"), pieces)
        assert (result.thoughts, result.text, result.parsed) == ("Hm.", "I look.", [("weather", {"city": "Paris"})])


def test_the_final_channel_is_the_answer() -> None:
    text = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello <there>."
    for pieces in ([text], list(text)):
        assert heard(reader("gpt-oss"), pieces) == Heard("Hello <there>.", "Hm.")


def test_a_recipient_may_stand_before_the_channel() -> None:
    text = " to=functions.now<|channel|>commentary json<|message|>{}<|call|>"
    for pieces in ([text], list(text)):
        assert heard(reader("gpt-oss"), pieces).parsed == [("now", {})]


def test_a_turn_without_channels_is_the_answer() -> None:
    assert heard(reader("gpt-oss"), list("Plain words.")) == Heard("Plain words.")


# --- soup -----------------------------------------------------------------------

CRUMBS = (
    "{", "}", "[", "]", '"', ":", ",", "(", ")", "=", "<", ">", "\\", "\n", " ", "5", "nul", "true",
    '"name"', '"arguments"',
    '{"name": "now", "arguments": ', '{"city": "x"}', "now", "weather", "call:", "```json\n", "```", "function",
    "functions.now:0",     "city", "to=functions.now", "analysis", "final", "commentary", "json", "é😀", "Words. ",
)  # fmt: skip


@pytest.mark.parametrize("family", sorted(TEMPLATES))
def test_any_soup_of_markers_reads_alike_in_any_pieces_and_loses_nothing(family: str) -> None:
    found = family_of(TEMPLATES[family])
    syntax = found.syntax or HERMES
    thoughts = (found.thoughts.opener, found.thoughts.closer) if found.thoughts is not None else ()
    markers = MARKERS if found.harmony else (*syntax.markers, *found.frames, *thoughts)
    noise = random.Random(family)
    for _ in range(150):
        crumbs = (noise.choice(markers if noise.random() < 0.4 else CRUMBS) for _ in range(noise.randint(1, 25)))
        text = "".join(crumbs)
        thinking, single = bool(thoughts) and noise.random() < 0.3, noise.random() < 0.2

        def read(pieces: Sequence[str], thinking: bool = thinking, single: bool = single) -> Heard:
            if found.harmony:
                return heard(HarmonyParser(TOOLS, header="", single=single), pieces)
            return heard(TurnParser(found, syntax, TOOLS, thinking=thinking, single=single), pieces)

        whole = read([text])
        assert read(list(text)) == read(splits(text, noise.randint(0, 99))) == whole
        if not (whole.calls or found.thinks or found.frames):
            assert whole.text == text
