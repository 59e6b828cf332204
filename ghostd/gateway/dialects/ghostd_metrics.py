"""`GET /metrics`: figures for Prometheus, in its text format."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.suggestions.service import SuggestionService

DOC = Doc("Figures for Prometheus", "ghostd", media="text/plain")


def routes(suggestions: SuggestionService) -> Iterable[Route]:
    """The one route."""
    yield Route("GET", "/metrics", partial(metrics, suggestions), doc=DOC, timed=False)


async def metrics(suggestions: SuggestionService, exchange: Exchange) -> Response:
    """All figures as they are now. Prometheus' library takes 2 MB: only those who ask for figures have it loaded."""
    from ghostd.gateway.prometheus import CONTENT_TYPE, figures

    headers = exchange.headers()
    headers["Content-Type"] = CONTENT_TYPE
    return Response(200, headers, figures(suggestions))
