"""Ollama's API: its routes, and what needs no model.

By https://github.com/ollama/ollama/blob/main/docs/api.md and the server's own routes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ghostd.engine import Engine
from ghostd.gateway.dialects.ollama.chat import chat
from ghostd.gateway.dialects.ollama.docs import DOCS
from ghostd.gateway.dialects.ollama.embed import embed, embeddings
from ghostd.gateway.dialects.ollama.errors import OLLAMA
from ghostd.gateway.dialects.ollama.generate import generate
from ghostd.gateway.dialects.ollama.manage import copy, delete, missing, pull
from ghostd.gateway.dialects.ollama.models import ps, show, tags
from ghostd.gateway.dialects.ollama.store import NO_MODELS
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Handler, Route
from ghostd.ports import ModelStore

API_VERSION = "0.13.0"
"""The version of Ollama whose API this is; clients ask for a least one."""
_NO_MODELFILES = "ghostd builds no models from Modelfiles; put GGUF files into its models folder (docs/models.md)."
_NO_UPLOADS = "ghostd publishes no models."
_NO_BLOBS = "ghostd takes no uploads; put GGUF files into its models folder (docs/models.md)."


def routes(engine: Engine, store: ModelStore = NO_MODELS) -> Sequence[Route]:
    """All routes. `store` are the model files that may be loaded, fetched and removed."""

    def route(method: str, path: str, handler: Handler, *, timed: bool = True, prefix: bool = False) -> Route:
        return Route(method, path, handler, timed=timed, prefix=prefix, dialect=OLLAMA, doc=DOCS[method, path])

    return (
        Route("GET", "/", _alive, doc=DOCS["GET", "/"]),
        route("GET", "/api/version", _version),
        route("GET", "/api/tags", partial(tags, engine)),
        route("GET", "/api/ps", partial(ps, store)),
        route("POST", "/api/show", partial(show, engine, store)),
        route("POST", "/api/chat", partial(chat, engine, store)),
        route("POST", "/api/generate", partial(generate, engine, store)),
        route("POST", "/api/embed", partial(embed, engine, store)),
        route("POST", "/api/embeddings", partial(embeddings, engine, store)),
        route("POST", "/api/pull", partial(pull, engine, store), timed=False),
        route("POST", "/api/copy", partial(copy, engine, store)),
        route("DELETE", "/api/delete", partial(delete, engine, store)),
        route("POST", "/api/create", partial(missing, _NO_MODELFILES)),
        route("POST", "/api/push", partial(missing, _NO_UPLOADS)),
        route("POST", "/api/blobs/", partial(missing, _NO_BLOBS), prefix=True),
        route("GET", "/api/blobs/", partial(missing, _NO_BLOBS), prefix=True),
    )


async def _alive(exchange: Exchange) -> Response:
    """What Ollama's clients look for, and a sign of life for others."""
    headers = exchange.headers()
    headers["Content-Type"] = "text/plain; charset=utf-8"
    return Response(200, headers, b"Ollama is running")


async def _version(exchange: Exchange) -> Response:
    return exchange.json(b'{"version":"%s"}' % API_VERSION.encode())
