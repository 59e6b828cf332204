"""Embeddings in OpenAI's dialect: vectors as lists of numbers or as base64 of little-endian 32-bit floats.

Source: the OpenAI API reference, "Create embeddings".
"""

from __future__ import annotations

import array
import asyncio
import binascii
import math
import sys
from collections.abc import Sequence

import msgspec

from ghostd.errors import InvalidRequest, UpstreamMalformed
from ghostd.providers.openai.completions import wire_prompt
from ghostd.providers.openai.types import WireUsage
from ghostd.types import Embeddings, EmbedRequest, Prompt, Usage

_BYTES_ON_LOOP = 256 * 1024
"""Larger replies are decoded in a thread."""
_UNIT = 1e-6
"""A vector whose length is this close to 1 is passed on as it is."""


class _Vector(msgspec.Struct, gc=False):
    embedding: list[float] | str
    index: int | None = None


class _Reply(msgspec.Struct):
    data: list[_Vector]
    usage: WireUsage | None = None


_REPLY = msgspec.json.Decoder(_Reply)


def wire_inputs(inputs: Sequence[Prompt]) -> list[str] | list[list[int]]:
    """The member `input`; raises InvalidRequest where texts and token arrays are mixed."""
    prompts = [wire_prompt(prompt, "input") for prompt in inputs]
    texts = [prompt for prompt in prompts if isinstance(prompt, str)]
    tokens = [prompt for prompt in prompts if not isinstance(prompt, str)]
    if texts and tokens:
        raise InvalidRequest("Invalid value for 'input': texts and token arrays cannot be mixed.", "input")
    return texts or tokens


def embed_body(request: EmbedRequest, dimensions: str = "dimensions") -> bytes:
    """The body; `dimensions` is the member for their number."""
    body: dict[str, object] = {"model": request.model, "input": wire_inputs(request.inputs)}
    if request.dimensions is not None:
        body[dimensions] = request.dimensions
    return msgspec.json.encode(body)


async def embeddings(body: bytes, count: int, upstream: str) -> Embeddings:
    """The vectors of a reply, in the inputs' order and of unit length; raises UpstreamMalformed."""
    if len(body) > _BYTES_ON_LOOP:
        return await asyncio.to_thread(_embeddings, body, count, upstream)
    return _embeddings(body, count, upstream)


def _embeddings(body: bytes, count: int, upstream: str) -> Embeddings:
    try:
        reply = _REPLY.decode(body)
        found = {vector.index if vector.index is not None else at: vector for at, vector in enumerate(reply.data)}
        vectors = tuple(unit(_floats(found[at].embedding)) for at in range(count))
    except (msgspec.DecodeError, KeyError, ValueError):
        raise UpstreamMalformed("its embeddings are not valid", upstream) from None
    if len(reply.data) != count or len({len(vector) for vector in vectors}) > 1:
        raise UpstreamMalformed("its embeddings do not fit the inputs", upstream)
    usage = reply.usage.counted() if reply.usage else None
    return Embeddings(vectors, usage or Usage(0, 0))


def _floats(value: list[float] | str) -> Sequence[float]:
    if not isinstance(value, str):
        return value
    numbers = array.array("f", binascii.a2b_base64(value, strict_mode=True))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def unit(vector: Sequence[float]) -> tuple[float, ...]:
    """The vector of length 1 that points the same way; raises ValueError for one that points nowhere."""
    length = math.sqrt(math.fsum(x * x for x in vector))
    if not length or not math.isfinite(length):
        raise ValueError
    return tuple(vector) if abs(length - 1) < _UNIT else tuple(x / length for x in vector)
