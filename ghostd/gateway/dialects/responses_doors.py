"""The routes of the Responses API and of its conversations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from ghostd.config_responses import ResponsesConfig
from ghostd.engine import Engine
from ghostd.gateway.dialects.responses import Responses
from ghostd.gateway.dialects.responses_background import Background
from ghostd.gateway.dialects.responses_compact import Compaction
from ghostd.gateway.dialects.responses_conversations import Conversations
from ghostd.gateway.dialects.responses_stored import StoredResponses
from ghostd.gateway.dialects.responses_tokens import ResponseTokens
from ghostd.gateway.routes import Route
from ghostd.ports import ResponseStore


@asynccontextmanager
async def responses_doors(
    engine: Engine, store: ResponseStore | None, config: ResponsesConfig
) -> AsyncIterator[Sequence[Route]]:
    """The routes, while the block runs; what is made in the background ends with it.

    Without a store nothing is kept.
    """
    kept = store if config.enabled else None
    async with Background(kept, config.max_background) as background:
        responses = Responses(engine, kept, config, background)
        stored = StoredResponses(kept, background)
        conversations = Conversations(kept)
        tokens = ResponseTokens(engine, kept, config)
        yield (
            Route("POST", "/v1/responses", responses.create),
            Route("POST", "/v1/responses/input_tokens", tokens.count),
            Route("POST", "/v1/responses/compact", Compaction(engine, kept, config).compact),
            *(Route(method, "/v1/responses/", stored.serve, prefix=True) for method in ("GET", "POST", "DELETE")),
            Route("POST", "/v1/conversations", conversations.create),
            *(
                Route(method, "/v1/conversations/", conversations.serve, prefix=True)
                for method in ("GET", "POST", "DELETE")
            ),
        )
