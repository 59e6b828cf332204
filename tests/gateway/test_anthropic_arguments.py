"""What a model writes as a tool's arguments reaches Anthropic's clients as JSON at every moment."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jiter import from_json

from ghostd.gateway.dialects.anthropic.arguments import Arguments

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SIZES = st.lists(st.integers(1, 7), max_size=60)


def pieces(text: str, sizes: list[int]) -> list[str]:
    found, at = [], 0
    for size in sizes:
        found.append(text[at : at + size])
        at += size
    return [*found, text[at:]]


def given_out(text: str, sizes: list[int]) -> str:
    """All of it; the official SDK's reader is content with each beginning."""
    arguments, out = Arguments(), ""
    for piece in pieces(text, sizes):
        out += arguments.feed(piece)
        if out.strip():
            from_json(out.encode(), partial_mode=True)
    out += arguments.finish()
    if out.strip():
        from_json(out.encode(), partial_mode=True)
    return out


@given(st.dictionaries(st.text(), JSON, max_size=5), SIZES, st.booleans())
def test_an_object_goes_out_as_it_came(value: dict[str, Any], sizes: list[int], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert given_out(text, sizes) == text


BAD: list[tuple[str, dict[str, Any]]] = [
    ("[1]", {"INVALID_JSON": "[1]"}),
    ("hello", {"INVALID_JSON": "hello"}),
    ("{", {"INVALID_JSON": ""}),
    ("{city: 1}", {"INVALID_JSON": "city: 1}"}),
    ('{"ci', {"ci": None, "INVALID_JSON": ""}),
    ('{"city"', {"city": None, "INVALID_JSON": ""}),
    ('{"city": Paris}', {"city": None, "INVALID_JSON": "Paris}"}),
    ('{"city": "Par', {"city": "Par", "INVALID_JSON": ""}),
    ('{"a": "x\ny"}', {"a": "x", "INVALID_JSON": '\ny"}'}),
    ('{"a": "\\q"}', {"a": "", "INVALID_JSON": '\\q"}'}),
    ('{"a": "\\ud800x"}', {"a": "", "INVALID_JSON": '\\ud800x"}'}),
    ('{"a": 01}', {"a": None, "INVALID_JSON": "01}"}),
    ('{"a": 1', {"a": None, "INVALID_JSON": "1"}),
    ('{"a": NaN}', {"a": None, "INVALID_JSON": "NaN}"}),
    ('{"a": [1, {"b": 2,}]}', {"a": [1, {"b": 2, "": None}], "INVALID_JSON": "}]}"}),
    ('{"a": [1,]}', {"a": [1, None], "INVALID_JSON": "]}"}),
    ('{"a": [', {"a": [], "INVALID_JSON": ""}),
    ('{"a": 1,}', {"a": 1, "INVALID_JSON": "}"}),
    ('{"a": 1]', {"a": 1, "INVALID_JSON": "]"}),
]


@pytest.mark.parametrize(("text", "read"), BAD)
def test_what_is_no_json_is_told_behind_what_was(text: str, read: dict[str, Any]) -> None:
    for sizes in ([], [1] * len(text), [3] * len(text)):
        assert json.loads(given_out(text, sizes)) == read


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"city": "Par', ""),
        ('{"a": [1, ', ""),
        ('{"a": "\\u00', ""),
        ("{", ""),
        ('{"a": Paris}', '"INVALID_JSON"'),
        ("", ""),
    ],
)
def test_what_the_limit_of_tokens_cut_off_stays_so(text: str, left: str) -> None:
    arguments = Arguments()
    arguments.feed(text)
    found = arguments.finish(cut=True)
    assert left in found
    assert bool(found) == bool(left)


@pytest.mark.parametrize("text", ["", "null", " "])
def test_nothing_stays_nothing(text: str) -> None:
    assert given_out(text, [1, 1]).strip() == ""


@given(st.text(st.sampled_from('{}[]",:\\u0d8c1a-.e \n')), SIZES)
def test_any_soup_becomes_an_object(text: str, sizes: list[int]) -> None:
    out = given_out(text, sizes)
    assert isinstance(json.loads(out if out.strip() else "{}"), dict)


def test_the_depth_is_bounded() -> None:
    found = json.loads(given_out('{"a":' * 5000, []))
    assert found["INVALID_JSON"].startswith('{"a":')
