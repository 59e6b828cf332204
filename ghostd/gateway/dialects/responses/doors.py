"""The doors of the Responses API and of its conversations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from ghostd.config.responses import ResponsesConfig
from ghostd.engine import Engine
from ghostd.gateway.dialects.responses.background import Background
from ghostd.gateway.routes import Later, Route
from ghostd.ports import ResponseStore

_PATHS = (
    "/v1/responses",
    "/v1/responses/",
    "/v1/responses/input_tokens",
    "/v1/responses/compact",
    "/v1/conversations",
    "/v1/conversations/",
)


@asynccontextmanager
async def responses_doors(
    engine: Engine, store: ResponseStore | None, config: ResponsesConfig
) -> AsyncIterator[Sequence[Later]]:
    """The doors, while the block runs; what is made in the background ends with it.

    Without a store nothing is kept.
    """
    kept = store if config.enabled else None
    async with Background(kept, config.max_background) as background:

        def load() -> Iterable[Route]:
            from ghostd.gateway.dialects.responses.routes import routes

            return routes(engine, kept, config, background)

        yield (Later(_PATHS, load),)
