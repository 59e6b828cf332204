"""Reading and writing forms, whatever comes (RFC 7578)."""

from __future__ import annotations

import email
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ghostd.errors import RequestError
from ghostd.gateway.multipart import FormParser, Part, PartHead, read_form, write_form
from ghostd.providers.openai.relay import multipart_body

TYPE = "multipart/form-data; boundary=b"
NAMES = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=9)
CONTENTS = st.one_of(
    st.binary(max_size=200), st.sampled_from([b"", b"\r\n", b"--b", b"\r\n--b", b"\r\n--b--\r\n", b"\r"])
)


JUNK = (
    b"--b",
    b"--b--",
    b"\r\n",
    b"\r\n\r\n",
    b'Content-Disposition: form-data; name="a"',
    b"Content-Length: 3",
    b'; filename="x"',
    b"Content-Type: text/plain",
    b" folded",
    b": ",
    b"\0",
    b"\xff",
)


def part(name: str, data: bytes, filename: str | None) -> Part:
    more = "" if filename is None else f'; filename="{filename}"'
    return Part(PartHead(name, filename, f'form-data; name="{name}"{more}', "x/y" if filename else None), data)


PARTS = st.lists(st.builds(part, NAMES, CONTENTS, st.none() | NAMES), max_size=8)


@given(PARTS)
def test_what_is_written_is_read_again(parts: list[Part]) -> None:
    body, content_type = write_form([("model", "m")], parts)
    first, *others = read_form(body, content_type)
    assert (first.head.name, first.data) == ("model", b"m")
    assert others == parts


@given(PARTS)
def test_the_provider_and_the_standard_library_read_the_same(parts: list[Part]) -> None:
    """The provider finds the model in the first part, whatever the other ones hold."""
    body, content_type = write_form([("model", "")], parts)
    named = multipart_body(body, content_type, "theirs")
    message = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + named)
    found: Any = message.get_payload()
    names = [str(each.get_param("name", header="content-disposition")) for each in found]
    assert names == ["model", *(each.head.name for each in parts)]
    assert found[0].get_payload(decode=True) == b"theirs"


@given(PARTS, st.lists(st.integers(1, 50), min_size=1, max_size=50))
def test_how_a_body_is_cut_does_not_matter(parts: list[Part], sizes: list[int]) -> None:
    body, content_type = write_form([], [*parts, part("last", b"1", None)])
    parser = FormParser(content_type)
    heads: list[PartHead] = []
    contents: list[bytes] = []
    at = 0
    for number in range(len(body)):
        size = sizes[number % len(sizes)]
        for event in parser.feed(body[at : at + size]):
            if isinstance(event, PartHead):
                heads.append(event)
                contents.append(b"")
            elif event is not None:
                contents[-1] += event
        at += size
        if at >= len(body):
            break
    parser.end()
    assert heads == [*(each.head for each in parts), part("last", b"", None).head]
    assert contents == [*(each.data for each in parts), b"1"]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from(JUNK),
        ),
        max_size=30,
    )
)
def test_junk_is_refused_and_nothing_else_happens(pieces: list[bytes]) -> None:
    try:
        parts = read_form(b"--b\r\n" + b"".join(pieces), TYPE)
    except RequestError:
        return
    assert all(isinstance(each.data, bytes) and each.head.name for each in parts)


@given(st.text(max_size=100))
def test_any_content_type_is_read_or_refused(text: str) -> None:
    try:
        FormParser(f"multipart/form-data; {text}")
    except RequestError as error:
        assert "boundary" in str(error)
