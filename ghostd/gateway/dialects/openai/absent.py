"""Calls of OpenAI's API that ghostd knows and does not offer: a 501 that says what to do instead.

Source: the OpenAI API reference. Without this they would look like misspelt paths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from ghostd.gateway.doc import Doc
from ghostd.gateway.errors import HttpError
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route

_ITSELF = "Ask the service itself, with its own base URL and key."
_RESPONSES = "Use POST /v1/responses or POST /v1/chat/completions."
_METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH")

ABSENT: Mapping[str, tuple[str, str]] = {
    "/v1/agents": ("agents that a service runs", _RESPONSES),
    "/v1/assistants": ("assistants", _RESPONSES),
    "/v1/audio/voice_consents": ("voices of one's own", _ITSELF),
    "/v1/audio/voices": ("voices of one's own", _ITSELF),
    "/v1/chatkit": ("ChatKit", _ITSELF),
    "/v1/containers": ("containers for code", _ITSELF),
    "/v1/content_provenance_checks": ("checks of where content comes from", _ITSELF),
    "/v1/decisions": ("decisions", _ITSELF),
    "/v1/edits": ("edits", "Use POST /v1/chat/completions."),
    "/v1/engines": ("engines", "Use GET /v1/models."),
    "/v1/evals": ("evals", _ITSELF),
    "/v1/fine-tunes": ("fine-tuning", _ITSELF),
    "/v1/fine_tuning": ("fine-tuning", _ITSELF),
    "/v1/live": ("live sessions", _ITSELF),
    "/v1/organization": ("the administration of a service's account", _ITSELF),
    "/v1/projects": ("the administration of a service's account", _ITSELF),
    "/v1/realtime": ("realtime sessions", _ITSELF),
    "/v1/safety": ("safety cases", _ITSELF),
    "/v1/skills": ("skills", _ITSELF),
    "/v1/threads": ("threads and runs", _RESPONSES),
    "/v1/vaults": ("vaults", _ITSELF),
    "/v1/vector_stores": ("vector stores", _ITSELF),
    "/v1/videos": ("videos", _ITSELF),
    "/v1/webhook_endpoints": ("webhooks", _ITSELF),
    "/v1/webhook_event_types": ("webhooks", _ITSELF),
}
"""Path, of all that lies below it, too → what it is about, and what to do instead."""


def routes() -> Sequence[Route]:
    """Routes for all of it; what is served after all replaces them."""
    found: list[Route] = []
    for path, (what, instead) in ABSENT.items():
        handler = partial(_refuse, what, instead)
        doc = Doc(f"Not offered: {what}", "Not offered", instead, absent=True)
        for method in _METHODS:
            found.append(Route(method, path, handler, multipart=True, doc=doc))
            found.append(Route(method, f"{path}/", handler, prefix=True, doc=doc))
    return found


async def _refuse(what: str, instead: str, exchange: Exchange) -> Response:
    raise HttpError(501, "not_offered", f"ghostd does not offer {what} ({exchange.path[:100]}). {instead}")
