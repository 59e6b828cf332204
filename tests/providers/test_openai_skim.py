"""Events that are passed on without being decoded are those, and only those, that decoding would pass, too."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostd.errors import UpstreamError, UpstreamFailed, UpstreamMalformed
from ghostd.providers.openai.relay import _taken
from ghostd.providers.openai.stream import StreamCheck


def failed(data: bytes) -> UpstreamError:
    return UpstreamFailed("an error event", 500)


def check() -> StreamCheck:
    return StreamCheck("upstream", failed)


def event(delta: str, finish: str = "null", more: str = "") -> bytes:
    choice = f'{{"index":0,"delta":{delta},"finish_reason":{finish}}}'
    head = '"id":"c","object":"chat.completion.chunk","created":1,"model":"m"'
    return f'data: {{{head},"choices":[{choice}]{more}}}\n\n'.encode()


def text(words: str) -> bytes:
    return event(json.dumps({"content": words}, separators=(",", ":"), ensure_ascii=False))


ROLE = event('{"role":"assistant","content":""}')
FINISH = event("{}", '"stop"')
DONE = b"data: [DONE]\n\n"
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'


def skimmed(block: bytes, looker: StreamCheck) -> int:
    """How many events at a block's beginning need not be decoded."""
    return block.count(b"\n\n", 0, looker.skim(block, 0))


def test_pieces_of_text_like_the_first_are_not_decoded() -> None:
    looker = check()
    _taken(ROLE + text("a"), looker, True)
    block = text("b") + text("größer ✓") + text(" {x: [1]}") + text('"quoted"\n\ttext \\') + text("/") * 5000
    assert skimmed(block, looker) == 5004
    assert skimmed(block + FINISH + text("c"), looker) == 5003  # the one before something else is decoded, too
    assert skimmed(ROLE + block, looker) == 0


@pytest.mark.parametrize(
    "other",
    [
        text("x").replace(b"x", b"\\u0041"),
        text("x").replace(b"x", b"\\"),
        text("x").replace(b"x", b"\\a"),
        text("x").replace(b"x", b'"'),
        text("x").replace(b"x", b"\t"),
        text(""),
        FINISH,
        USAGE,
        DONE,
        event('{"content":"x"}', "null", ',"usage":{"prompt_tokens":1,"completion_tokens":1}'),
        event('{"content":"x","refusal":"y"}'),
        text("x").replace(b'"index":0', b'"index":1'),
        b'data: {"error":{"message":"content"}}\n\n',
        b"data: garbage\n\n",
        b": comment\n\n",
        text("x").replace(b"data: ", b"data:"),
        text("x")[:-3] + b"\n\n",
    ],
)
def test_everything_else_is_decoded(other: bytes) -> None:
    looker = check()
    _taken(ROLE + text("a"), looker, True)
    assert skimmed(other + text("b"), looker) == 0
    assert skimmed(text("b") * 2 + other + text("b"), looker) in (1, 2)


def test_text_behind_the_finish_is_found_also_when_it_looks_like_the_text_before() -> None:
    looker = check()
    with pytest.raises(UpstreamMalformed, match="goes on after"):
        _taken(ROLE + text("a") + text("b") + FINISH + text("c"), looker, True)


@pytest.mark.parametrize("bad", [b'a"b', b"a\x01b", b"a\\xb", b"\\", b"\\ud800"])
def test_a_broken_text_is_found(bad: bytes) -> None:
    looker = check()
    with pytest.raises(UpstreamMalformed, match="not a valid chunk"):
        _taken(ROLE + text("a") + text("b").replace(b'"content":"b"', b'"content":"' + bad + b'"'), looker, True)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=12), st.booleans())
def test_a_stream_passes_on_unchanged_whatever_it_says(words: list[str], drop_usage: bool) -> None:
    stream = ROLE + b"".join(map(text, words)) + FINISH
    looker = check()
    passed = _taken(stream + USAGE + DONE, looker, drop_usage)
    assert passed == stream + (b"" if drop_usage else USAGE) + DONE
    assert looker.done and looker.reason == "stop"
    assert looker.usage is not None and looker.usage.completion_tokens == 2
