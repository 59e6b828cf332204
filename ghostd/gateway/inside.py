"""Requests that come from inside the daemon: the same handlers as for HTTP, without a connection."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn, cast

import msgspec
from multidict import CIMultiDict

from ghostd.batch import BackgroundReply, BackgroundRequest
from ghostd.config.http import HttpConfig
from ghostd.errors import GhostdError, InvalidRequest
from ghostd.gateway.attachments import Attachments
from ghostd.gateway.errors import INTERNAL, HttpError
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.request import Request
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Later, Route, Routes
from ghostd.telemetry import request_id

if TYPE_CHECKING:
    from ghostd.gateway.connection import Connection

log = logging.getLogger(__name__)


class _Nobody:
    """In the place of a connection: there is nobody to send anything to."""

    closed = False

    def write(self, data: bytes, more: bytes = b"") -> NoReturn:
        raise AssertionError("a request from inside has no connection to write to")


class _Streaming(msgspec.Struct):
    stream: bool | None = None


class _Told(msgspec.Struct):
    code: str | None = None


class _Error(msgspec.Struct):
    error: _Told | None = None


_NOBODY = cast("Connection", _Nobody())
_STREAMING = msgspec.json.Decoder(_Streaming)
_ERROR = msgspec.json.Decoder(_Error)


class Inside:
    """Asks the POST routes of the gateway, of which a later one of the same path replaces an earlier one."""

    def __init__(
        self, routes: Iterable[Route | Later], config: HttpConfig, attachments: Attachments | None = None
    ) -> None:
        self._routes = Routes()
        self._routes.add(routes)
        self._config = config
        self._attachments = attachments

    async def ask(self, request: BackgroundRequest) -> BackgroundReply:
        """The whole reply, an error's included; only cancellation leaves. Nothing is streamed."""
        headers = CIMultiDict({**request.hints, "Content-Type": "application/json"})
        size = len(request.body)
        asked = Request(_NOBODY, "POST", request.path, headers, size, http_1_0=False, keep_alive=False)
        asked.feed(request.body)
        asked.end()
        exchange = Exchange(asked, self._config, self._attachments)
        exchange.path, exchange.interactive = request.path, False
        request_id.set(exchange.request_id)
        return _reply(exchange, await self._answer(exchange, request))

    async def _answer(self, exchange: Exchange, request: BackgroundRequest) -> Response:
        try:
            route = self._routes.find("POST", request.path)
            if route.prefix:
                raise HttpError(404, "unknown_url", f"Unknown request URL: POST {request.path[:200]}.")
            exchange.dialect = route.dialect
            _refuse_streams(request.body)
            response = await route.handler(exchange)
            assert response is not None, "nothing is streamed"
        except GhostdError as error:
            return exchange.error(error)
        except Exception:
            log.exception("a request from inside failed")
            return exchange.error(INTERNAL)
        return response


def _refuse_streams(body: bytes) -> None:
    try:
        streaming = _STREAMING.decode(body).stream
    except (msgspec.DecodeError, RecursionError):
        return  # whoever reads it says what is wrong
    if streaming:
        raise InvalidRequest("Invalid value for 'stream': nobody is there to be streamed to.", "stream")


def _reply(exchange: Exchange, response: Response) -> BackgroundReply:
    code: str | None = None
    if response.status >= 400:
        try:
            told = _ERROR.decode(response.body).error
            code = told.code if told is not None else None
        except (msgspec.DecodeError, RecursionError):
            pass  # an upstream's own words
    headers = response.headers
    wait_ms = headers.get("retry-after-ms", "")
    return BackgroundReply(
        response.status,
        exchange.request_id,
        response.body,
        code,
        int(wait_ms) / 1000 if wait_ms.isdigit() else None,
        headers.get("x-should-retry") == "false",
    )
