"""`parallel_tool_calls: false` for services that cannot keep a model from calling several tools in one message."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

from ghostd.types import Delta


async def first_call_only(deltas: AsyncGenerator[Delta, None]) -> AsyncGenerator[Delta, None]:
    """The deltas without the calls behind the first one; the model asks for those again if it still wants them."""
    async for delta in deltas:
        if any(call.index > 0 for call in delta.tool_calls):
            kept = replace(delta, tool_calls=tuple(call for call in delta.tool_calls if call.index == 0))
            if kept != Delta():
                yield kept
        else:
            yield delta
