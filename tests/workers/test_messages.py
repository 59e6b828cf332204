"""The wire between pool and child."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostd.workers.messages import (
    MAX_FRAME_BYTES,
    Cancel,
    Decoder,
    Embed,
    Ended,
    Failed,
    FrameError,
    Generate,
    Message,
    Piece,
    Vectors,
    encode,
    pack_vector,
    unpack_vector,
)

MESSAGES: list[Message] = [
    Generate(1, ["é\n", 5, "\ud800"], [], None, ["x"], {"temperature": 0.0, "logit_bias": [[1, -100.0]]}),
    Embed(2, [["a"], [1, 2]]),
    Cancel(2),
    Piece(1, "😀", [[7, "\xff\xc3", -0.5, [["a", -1.0]]]]),
    Ended(1, None, 10, 0, 9),
    Vectors(2, [pack_vector([0.5, -1.0])], 3),
    Failed(0, "model_invalid", "truncated"),
]


@given(cuts=st.lists(st.integers(0, 700), max_size=12))
def test_messages_survive_any_split_of_the_stream(cuts: list[int]) -> None:
    data = b"".join(encode(message) for message in MESSAGES)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    decoder = Decoder()
    received = [message for a, b in itertools.pairwise(edges) for message in decoder.feed(data[a:b])]
    assert received == MESSAGES


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'["Nope"]', b'["Cancel"]', b'["Cancel",1,2]', b"\xff", b"[" * 100_000, b"null"]
)
def test_what_is_no_message_is_an_error(body: bytes) -> None:
    with pytest.raises(FrameError):
        Decoder().feed(len(body).to_bytes(4, "big") + body)


def test_a_frame_over_the_limit_is_refused_by_its_length_alone() -> None:
    with pytest.raises(FrameError, match="exceeds the limit"):
        Decoder().feed((MAX_FRAME_BYTES + 1).to_bytes(4, "big"))


def test_vectors_keep_their_values_at_single_precision() -> None:
    assert unpack_vector(pack_vector([0.5, -1.25, 0.0])) == (0.5, -1.25, 0.0)
