"""`GET /openapi.json`."""

from __future__ import annotations

import asyncio

from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route, Routes


class Described:
    """The document of these routes, which this one is to be among; made when it is first asked for."""

    def __init__(self, routes: Routes) -> None:
        self.route = Route("GET", "/openapi.json", self._serve, doc=Doc("This document, of OpenAPI 3.1", "ghostd"))
        self._routes = routes
        self._made: bytes | None = None

    async def _serve(self, exchange: Exchange) -> Response | None:
        if self._made is None:
            from ghostd.gateway.openapi.document import document

            self._made = await asyncio.to_thread(document, self._routes.all())
        return exchange.json(self._made)
