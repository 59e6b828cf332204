"""What llama.cpp's clients send to OpenAI's chat: no model, since they know of one only, and limits of their own.

A body is theirs if it holds a field of llama.cpp's server; to any other one OpenAI's rules apply.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from ghostd.engine import Engine
from ghostd.errors import InvalidRequest
from ghostd.routing.call import Call, Job
from ghostd.types import ChatRequest

FIELDS = frozenset(
    ("cache_prompt", "id_slot", "n_keep", "n_predict", "samplers", "t_max_predict_ms", "t_max_prompt_ms",
     "timings_per_token", "return_progress")
)  # fmt: skip
"""Of llama.cpp's server, and of no service that speaks OpenAI's dialect otherwise."""
_ABSENT = (None, b"null", b'""')
_encode = msgspec.json.Encoder().encode


def settle(engine: Engine, call: Call, jobs: Callable[[bytes], Sequence[Job]]) -> None:
    """Put a body of llama.cpp's clients into OpenAI's words; refuse one of others' that names no model."""
    if FIELDS.isdisjoint(call.fields):
        if call.fields.get("model") in _ABSENT:
            error = InvalidRequest("Missing required parameter: 'model'.", "model")
            engine.refused(call, error)
            raise error
        return
    fields = {**call.fields, "model": _encode(call.model)}
    if fields.get("max_tokens") in (None, b"null"):
        fields["max_tokens"] = fields.get("n_predict", b"null")
    nothing = fields["max_tokens"] == b"0"
    if fields["max_tokens"] in (b"-1", b"0", b"null"):  # as many as the model likes; or none, which warms its cache
        del fields["max_tokens"]
    call.fields = fields
    call.body = body = b"{" + b",".join(_encode(name) + b":" + value for name, value in fields.items()) + b"}"
    call.decode = lambda: _silenced(jobs(body)) if nothing else jobs(body)


def _silenced(jobs: Sequence[Job]) -> Sequence[Job]:
    silent: list[Job] = []
    for job in jobs:
        assert isinstance(job.request, ChatRequest)
        silent.append(replace(job, request=replace(job.request, max_tokens=0)))
    return silent
