"""Text is released when it is final: whole characters, nothing that may begin a stop string."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ghostd.text_stream import TextStream


def released(chunks: list[bytes], stop: list[str]) -> tuple[list[str], bool]:
    stream = TextStream(stop)
    parts = []
    for chunk in chunks:
        parts.append(stream.feed(chunk))
        if stream.stopped:
            return parts, True
    parts.append(stream.finish())
    return parts, stream.stopped


def test_half_a_character_waits_for_its_rest() -> None:
    assert released([b"\xf0\x9f", b"\x98\x80!"], []) == (["", "😀!", ""], False)


def test_half_a_character_at_the_end_becomes_the_replacement_character() -> None:
    assert released([b"a\xc3"], []) == (["a", "�"], False)


def test_the_earliest_of_several_stop_strings_wins() -> None:
    assert released([b"one two three"], ["three", "two"]) == (["one "], True)


def test_a_stop_string_may_begin_inside_a_failed_one() -> None:
    assert released([b"aa", b"aab"], ["aab"]) == (["", "aa"], True)


@given(
    text=st.text(alphabet="abé😀", max_size=40),
    stop=st.lists(st.text(alphabet="abé", min_size=1, max_size=4), max_size=3),
    cuts=st.lists(st.integers(0, 160), max_size=10),
)
def test_any_split_gives_the_text_up_to_the_first_stop_string(text: str, stop: list[str], cuts: list[int]) -> None:
    data = text.encode()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    chunks = [data[a:b] for a, b in pairwise(edges)]
    parts, stopped = released(chunks, stop)
    found = [text.find(s) for s in stop if s in text]
    assert stopped == bool(found)
    shown = "".join(parts)
    assert shown == (text[: len(shown)] if found else text)
    # Where stop strings overlap, the one completed first ends the text.
    assert not any(s in shown for s in stop)
