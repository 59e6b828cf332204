"""Grammars of tools: what they let through, and which schemas they refuse."""

from __future__ import annotations

import json
import random
import re

import pytest

from ghostd.workers.engines.contract import RequestInvalid
from ghostd.workers.turns.families import HERMES
from ghostd.workers.turns.gbnf import Rules, literal, until
from ghostd.workers.turns.number_grammar import integers
from ghostd.workers.turns.tool_grammar import calls_grammar, tool_specs


def as_regex(body: str) -> str:
    """A rule of literals, classes, groups and repetitions as a regular expression."""
    return re.sub(r'"([^"]*)"', lambda match: re.escape(match[1]), body).replace(" ", "")


def test_integers_keep_their_bounds() -> None:
    noise = random.Random(1)
    bounds: list[tuple[int | None, int | None]] = [(None, None), (0, None), (None, 0), (5, 5), (-3, 2000), (10, 99)]
    for _ in range(60):
        low = noise.randint(-1200, 1200)
        bounds.append((low, low + noise.randint(0, 900)))
        bounds.append((low, None) if noise.random() < 0.5 else (None, low))
    for least, most in bounds:
        body = integers(least, most)
        assert body is not None
        pattern = re.compile(as_regex(body))
        for number in range(-1500, 2200):
            inside = (least is None or least <= number) and (most is None or number <= most)
            assert (pattern.fullmatch(str(number)) is not None) == inside, (least, most, number)
    assert integers(3, 2) is None


def test_text_up_to_a_marker_ends_with_the_first_one() -> None:
    """The rule is a table of states; it is walked here as the engine walks it."""
    rules = Rules()
    for marker in ("</parameter>", "aab", "abab", "<<"):
        start = until(rules, marker)
        table = dict(line.split(" ::= ", 1) for line in rules.grammar('""').splitlines())

        def ends(text: str, start: str = start, table: dict[str, str] = table) -> int | None:
            state = start
            for position, letter in enumerate(text):
                ways = re.findall(r'(?:"(.)"|\[\^(.*?)\])(?: ([\w-]+))?', table[state])
                state = next(
                    next_state
                    for exact, others, next_state in ways
                    if letter == exact or (others and letter not in others)
                )
                if not state:
                    return position + 1
            return None

        for text in (marker, "x" + marker, marker[:-1] + marker, marker[0] * 3 + marker, "a<aaab</para" + marker):
            assert ends(text) == text.index(marker) + len(marker)
        assert ends(marker[:-1]) is None


def test_literals_are_escaped() -> None:
    assert literal('a"\\\n\t\x01') == '"a\\"\\\\\\n\\t\\x01"'


def test_a_rule_is_shared_however_often_it_is_needed() -> None:
    properties = {f"p{number}": {"type": "string"} for number in range(50)}
    schema = json.dumps({"type": "object", "properties": properties})
    text = calls_grammar(HERMES, tool_specs([["f", "", schema, False]]), several=True)
    assert text.count("\nstring ::= ") == 1
    assert len(text) < 20_000


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"properties": {"x": {"type": "number", "minimum": 1}}}, "'minimum'"),
        ({"properties": {"x": {"type": "string", "pattern": "^a$"}}}, "'pattern'"),
        ({"properties": {"x": {"type": "integer", "minimum": 2, "maximum": 1}}}, "no integer"),
        ({"properties": {"x": {"$ref": "#/$defs/none"}}}, "leads nowhere"),
        ({"properties": {"x": {"$ref": "other.json"}}}, "into the schema itself"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "refers to itself"),
        ({"properties": {"x": {"type": "nothing"}}}, "does not exist"),
    ],
)
def test_a_strict_tool_whose_schema_cannot_be_enforced_is_refused(schema: object, problem: str) -> None:
    specs = tool_specs([["f", "", json.dumps(schema), True]])
    with pytest.raises(RequestInvalid, match=re.escape(problem)) as caught:
        calls_grammar(HERMES, specs, several=False)
    assert caught.value.param == "tools"


@pytest.mark.parametrize(
    "schema", [{"properties": {"x": {"type": "array", "items": {}, "prefixItems": [7]}}, "required": [{}]},
               {"properties": {"x": {"allOf": [{"enum": {}}], "type": {}}}}]
)  # fmt: skip
def test_what_is_no_schema_is_refused_in_words_for_people(schema: object) -> None:
    with pytest.raises(RequestInvalid) as caught:
        calls_grammar(HERMES, tool_specs([["f", "", json.dumps(schema), True]]), several=False)
    assert not re.search("unhashable|attribute|NoneType|Error", str(caught.value))


def test_a_schema_that_is_too_large_is_refused() -> None:
    properties = {f"p{number}": {"type": "boolean"} for number in range(30_000)}
    specs = tool_specs([["f", "", json.dumps({"properties": properties}), True]])
    with pytest.raises(RequestInvalid, match="grammar rules"):
        calls_grammar(HERMES, specs, several=False)
