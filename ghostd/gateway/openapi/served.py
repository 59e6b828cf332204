"""`GET /openapi.json`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.openapi.document import document
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route


class Described:
    """The document of these routes and of itself; made when it is first asked for."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.route = Route("GET", "/openapi.json", self._serve, doc=Doc("This document, of OpenAPI 3.1", "ghostd"))
        self._routes = (*routes, self.route)
        self._made: bytes | None = None

    async def _serve(self, exchange: Exchange) -> Response | None:
        if self._made is None:
            self._made = await asyncio.to_thread(document, self._routes)
        return exchange.json(self._made)
