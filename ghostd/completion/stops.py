"""Stop texts that are watched for here, so that it is known which one has ended a reply."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from ghostd.text_stream import TextStream
from ghostd.types import Delta


async def stopped_at(deltas: AsyncGenerator[Delta, None], stops: Sequence[str]) -> AsyncGenerator[Delta, None]:
    """The stream up to the first of these texts; the generation behind it ends there, before its usage is told.

    Text that may begin a stop text waits for what follows it.
    """
    stream = TextStream(stops)
    async with aclosing(deltas):
        async for delta in deltas:
            text = stream.feed_text(delta.text) if delta.text else ""
            if stream.stopped:
                # What it says beside its text was said of the text that is cut.
                yield Delta(text, "stop", delta.usage or delta.counted, stop_sequence=stream.stopped_by)
                return
            if delta.finish_reason is not None or delta.tool_calls:
                text += stream.finish()  # nothing can follow the text, or something else does
            if text != delta.text:
                delta = replace(delta, text=text)  # noqa: PLW2901
            yield delta
