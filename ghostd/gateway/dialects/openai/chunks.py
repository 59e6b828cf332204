"""What the chunks of a stream have in common, encoded once, in chat completions and in the older ones."""

from __future__ import annotations

import time

import msgspec

from ghostd.gateway.dialects.generation import new_id, usage_details
from ghostd.routing.call import Call

_encode = msgspec.json.Encoder().encode


def framing(call: Call, model: str, kind: str, id_prefix: str) -> tuple[bytes, bytes]:
    """What stands before each chunk's only choice, and behind it but for the choice's own members."""
    head = b'data: {"id":"%s","object":"%s","created":%d,"model":%s,"choices":[' % (
        new_id(id_prefix).encode(),
        kind.encode(),
        int(time.time()),
        _encode(model),
    )
    return head, b'}],"usage":null}\n\n' if call.with_usage else b"}]}\n\n"


def ending(call: Call, head: bytes) -> bytes:
    """The usage, if it was asked for, and the end marker."""
    if not call.with_usage or call.trace.usage is None:
        return b"data: [DONE]\n\n"
    return b'%s],"usage":%s}\n\ndata: [DONE]\n\n' % (head, _encode(usage_details(call.trace.usage)))
