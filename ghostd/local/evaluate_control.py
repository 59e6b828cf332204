"""The control API's part about how good retrieval is: `ghostctl index eval`, with its progress."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import msgspec

from ghostd.context.service import ContextService
from ghostd.context_reports import EvaluationOrder
from ghostd.errors import InvalidRequest, Overloaded
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.routes import Route

_ORDER = msgspec.json.Decoder(EvaluationOrder)
_ENCODER = msgspec.json.Encoder()


def evaluation_routes(service: ContextService) -> list[Route]:
    """The route, for the gateway to serve behind its guard on the Unix socket."""
    running = asyncio.Lock()

    async def evaluate(exchange: Exchange) -> None:
        """Reports as server-sent events; it ends with the client."""
        from ghostd.context.scored import check, score_project

        order = await exchange.read(_ORDER)
        check(order)
        if Path(order.root) not in [status.root for status in service.index.roots()]:
            raise InvalidRequest(f"`root` is not one of the indexed folders: {order.root:.200}.", "root")
        if running.locked():
            raise Overloaded("Retrieval is being evaluated already; ask again when that has ended.")
        async with running:
            retriever = service.fresh_retriever()  # what it reads does not push out what editors need
            try:
                steps = score_project(retriever, service.history, order)
                async with exchange.open_stream() as events, aclosing(steps):
                    async for report in steps:
                        event = b"data: " + _ENCODER.encode(report) + b"\n\n"
                        await (events.close(event) if report.finished else events.send(event))
                        await asyncio.sleep(0)
            finally:
                retriever.close()

    return [Route("POST", "/ghostd/v1/index/eval", evaluate, timed=False)]
