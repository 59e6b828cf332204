"""Cutting streams into events and lines, however the bytes arrive."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ghostd.config.providers import UpstreamConfig
from ghostd.errors import UpstreamMalformed
from ghostd.providers.ndjson import LineSplitter
from ghostd.providers.sse import Event, EventSplitter, parse, payloads

LIMITS = UpstreamConfig()
BOM = b"\xef\xbb\xbf"


def split(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in pairwise(edges)]


def read(blocks: list[bytes], limits: UpstreamConfig = LIMITS) -> tuple[list[Event], bytes]:
    """The events of a body, and the bytes that were given out."""
    splitter = EventSplitter(limits)
    pieces = [splitter.feed(block) for block in blocks]
    pieces.append(splitter.finish())
    events = [event for piece in pieces for event in parse(piece)]
    assert [event.data for event in events] == [data for piece in pieces for data in payloads(piece)]
    return events, b"".join(pieces)


def by_the_book(body: bytes) -> list[Event]:
    """WHATWG HTML 9.2.6, line by line, and the event at the end that lacks its empty line."""
    events: list[Event] = []
    data: list[bytes] = []
    name = b""
    for line in [*re.split(rb"\r\n|\r|\n", body.removeprefix(BOM)), b""]:
        if line:
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                data.append(value)
            elif field == b"event":
                name = value
        else:
            if joined := b"\n".join(data):
                events.append(Event(name.decode(), joined))
            data, name = [], b""
    return events


END = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINE = st.one_of(
    st.sampled_from([b"data: {}", b"data:{}", b"data:  x", b"data:", b"data", b"data: \xc3\xa9", b"event: a"]),
    st.sampled_from([b": comment", b"event", b"event:b", b"id: 1", b"data : 1", BOM, BOM + b"data: 1", b"", b""]),
)  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(st.tuples(LINE, END), max_size=12))
    if draw(st.booleans()):  # one kind of line end throughout, as servers do
        end = draw(END)
        lines = [(line, end) for line, _ in lines]
    body = draw(st.sampled_from([b"", BOM])) + b"".join(line + end for line, end in lines)
    return body + draw(st.sampled_from([b"", b"data: cut", b"dat", b": x", b"event: z"]))


@given(bodies(), st.lists(st.integers(0, 200), max_size=40))
@example(b"data: 1\r\n\r\ndata: 2\r\n\r\n", [10, 11])
@example(b"data: 1\r\rdata: 2\n\n", [9])
@example(b"data: 1\n\r\n\ndata: 2\n\n", list(range(30)))
@example(BOM + b"data: 1\n\n", [1, 2])
def test_any_split_of_the_bytes_gives_the_events_of_the_specification(body: bytes, cuts: list[int]) -> None:
    events, raw = read(split(body, cuts))
    assert events == by_the_book(body)
    assert by_the_book(BOM + raw) == events  # the mark at the start, if there was one, is not passed on
    given_in = body.removeprefix(BOM)
    if not given_in.startswith(raw):  # the last event got the empty line that it lacked
        assert raw in {given_in + b"\n", given_in + b"\n\n"}


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=20))
def test_no_bytes_at_all_make_it_fail_otherwise_than_by_its_own_error(body: bytes, cuts: list[int]) -> None:
    for blocks in (split(body, cuts), [body] if body else []):
        try:
            read(blocks)
        except UpstreamMalformed:
            assert not is_utf8(body)


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_an_event_is_given_out_with_the_byte_that_completes_it() -> None:
    for end in (b"\n\n", b"\r\n\r", b"\r\r", b"\n\r"):  # the LF that may still come belongs to nothing
        splitter = EventSplitter(LIMITS)
        body = b"data: 1" + end
        assert [splitter.feed(bytes([byte])) for byte in body] == [b""] * (len(body) - 1) + [body]


def test_comments_are_passed_on_but_are_no_events() -> None:
    assert read([b": waiting\n\n", b"data: 1\n\n"]) == ([Event("", b"1")], b": waiting\n\ndata: 1\n\n")


def test_lines_of_data_are_joined() -> None:
    assert read([b"event: e\nid: 7\ndata: a\ndata\ndata:b\n\n"])[0] == [Event("e", b"a\n\nb")]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r"])
def test_the_last_event_may_lack_its_empty_line(end: bytes) -> None:
    events, raw = read([b"data: 1\n\ndata: [DONE]" + end])
    assert events == [Event("", b"1"), Event("", b"[DONE]")]
    assert parse(raw) == events


@pytest.mark.parametrize("rest", [b"dat", b"event: message_stop\n", b": bye", b"id: 1", b"data:"])
def test_what_is_left_without_data_is_dropped(rest: bytes) -> None:
    assert read([b"data: 1\n\n" + rest]) == ([Event("", b"1")], b"data: 1\n\n")


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_bytes_that_are_not_utf_8_are_malformed(bad: bytes) -> None:
    with pytest.raises(UpstreamMalformed, match=r"^acme: .*not UTF-8"):
        EventSplitter(LIMITS, "acme").feed(b"data: " + bad + b"\n\n")
    with pytest.raises(UpstreamMalformed, match="not UTF-8"):
        read([b"data: " + bad])
    with pytest.raises(UpstreamMalformed, match="not UTF-8"):
        LineSplitter(LIMITS).feed(b'{"a":"' + bad + b'"}\n')


def test_a_character_may_be_split_between_two_reads() -> None:
    assert read([b"data: \xc3", b"\xa9\n\n"])[0] == [Event("", b"\xc3\xa9")]


@pytest.mark.parametrize("block_bytes", [1, 7, 1000])
def test_an_event_over_the_limit_is_malformed(block_bytes: int) -> None:
    limits = UpstreamConfig(max_event_bytes=100)
    body = b"data: " + b"x" * 90 + b"\n\n" + b"data: " + b"x" * 95 + b"\n\n"
    with pytest.raises(UpstreamMalformed, match=r"exceeds upstream\.max_event_bytes"):
        read([body[start : start + block_bytes] for start in range(0, len(body), block_bytes)], limits)
    assert len(read([b"data: " + b"x" * 90 + b"\n\n"] * 5, limits)[0]) == 5


def test_an_event_without_end_is_given_up_at_the_limit() -> None:
    splitter = EventSplitter(UpstreamConfig(max_event_bytes=10_000))
    with pytest.raises(UpstreamMalformed, match="max_event_bytes"):
        for _ in range(11):
            splitter.feed(b"data: " + b"x" * 1000)


def test_too_many_events_are_malformed() -> None:
    limits = UpstreamConfig(max_events=3)
    assert len(read([b"data: x\n\n" * 3], limits)[0]) == 3
    with pytest.raises(UpstreamMalformed, match="max_events"):
        read([b"data: x\r\n\r\n"] * 4, limits)


# --- lines of JSON --------------------------------------------------------------------


@given(st.lists(st.sampled_from([b"{}", b'{"a":1}', b"", b" ", b"[1]\r"])), st.booleans(), st.lists(st.integers(0, 99)))
def test_any_split_of_the_bytes_gives_the_same_lines(lines: list[bytes], ended: bool, cuts: list[int]) -> None:
    body = b"\n".join(lines) + (b"\n" if ended else b"")
    splitter = LineSplitter(LIMITS)
    found = [line for block in split(body, cuts) for line in splitter.feed(block)]
    assert found + splitter.finish() == [stripped for line in lines if (stripped := line.strip())]


def test_lines_have_limits() -> None:
    with pytest.raises(UpstreamMalformed, match="max_event_bytes"):
        LineSplitter(UpstreamConfig(max_event_bytes=10)).feed(b'"' + b"x" * 10)
    with pytest.raises(UpstreamMalformed, match="max_event_bytes"):
        LineSplitter(UpstreamConfig(max_event_bytes=10)).feed(b'"' + b"x" * 10 + b'"\n')
    with pytest.raises(UpstreamMalformed, match="max_events"):
        LineSplitter(UpstreamConfig(max_events=2)).feed(b"1\n2\n3\n")
