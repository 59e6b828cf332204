"""One base URL of a service that speaks OpenAI's dialect: its models and health, and how its streams are read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from ghostd.errors import UpstreamError, UpstreamMalformed, UpstreamModelMissing, UpstreamRejected
from ghostd.models import KeyState, ModelInfo
from ghostd.providers.http.client import HttpResponse
from ghostd.providers.http.failures import headed
from ghostd.providers.keys import Key
from ghostd.providers.native_stream import TextCheck
from ghostd.providers.offered import OfferedModels
from ghostd.providers.openai.chat_request import ENCODER
from ghostd.providers.openai.errors import refusal, told_error
from ghostd.providers.openai.models import guesser, listed
from ghostd.providers.openai.quirks import Quirks
from ghostd.providers.openai.relay import EventCheck, event_data, to_end
from ghostd.providers.sse import EventSplitter, payloads
from ghostd.providers.unsupported import Unsupported
from ghostd.providers.upstream import Endpoint, Format, Upstream
from ghostd.types import Delta, Operation, Timeouts

log = logging.getLogger(__name__)

Event_co = TypeVar("Event_co", covariant=True)


class Check(EventCheck, Protocol[Event_co]):
    """An EventCheck that gives what it has read."""

    def take(self, data: bytes) -> Event_co | None:
        """The next event; None where it only marks the end."""
        ...


class OpenAIService:
    """What providers of the dialect and of those close to it share."""

    def __init__(self, endpoint: Endpoint, quirks: Quirks) -> None:
        self.name = endpoint.name
        self.endpoint = endpoint.base_url
        self.quirks = quirks
        self.root = endpoint.base_url.removesuffix(quirks.root_suffix)
        self.version = quirks.root_suffix
        """What stands between the root and the paths of OpenAI's API."""
        self.limits = endpoint.limits
        self._keys = endpoint.keys
        self.unsupported = Unsupported(endpoint.name, drop=endpoint.settings.drop_unsupported)
        self._guess = guesser(endpoint.name, endpoint.base_url, quirks)
        self._models = OfferedModels(endpoint.settings, self._guess)
        self.open_ended = self._models.open_ended
        authorize = _bearer if quirks.key_header == "authorization" else _api_key
        self._upstream = Upstream(endpoint, authorize=authorize, refusal=self.refusal)

    # --- models, keys, health -----------------------------------------------------

    def models(self) -> Sequence[ModelInfo]:
        """Those configured, else those listed at the last check."""
        return self._models.models()

    def model(self, name: str) -> ModelInfo:
        """What is known of a model of this name."""
        return self._models.model(name)

    def keys(self) -> Sequence[KeyState]:
        """The keys and how they fare."""
        return self._keys.states()

    async def check(self, timeout_s: float) -> None:
        """Ask for the list of models, and remember it.

        A server that has no such list, will not tell it, or tells it in another form, is alive all the same.
        """
        path = self.quirks.models_path or f"{self.version}/models"
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        timeouts = Timeouts(timeout_s, timeout_s, timeout_s, deadline_s)
        try:
            response = await self.send("GET", path, b"", timeouts, "json")
        except (UpstreamRejected, UpstreamModelMissing):
            return
        try:
            body = await response.read()
        except UpstreamError as error:
            raise headed(error, self.name) from None
        finally:
            response.close()
        if self.quirks.models_path is not None:
            try:
                self._models.listed(await asyncio.to_thread(listed, body, self._guess))
            except UpstreamMalformed as error:
                log.debug("%s: %s", self.name, error)

    # --- asking -------------------------------------------------------------------

    async def stream_text(
        self, path: str, body: dict[str, Any], timeouts: Timeouts, check: TextCheck
    ) -> AsyncGenerator[Delta, None]:
        """The reply to a call of the service's own, below the server's root."""
        async with aclosing(self.events(path, body, timeouts, check)) as events:
            async for event in events:
                if event.text or event.logprobs:
                    yield Delta(event.text, logprobs=event.logprobs)
        yield Delta(finish_reason=check.finish(), usage=check.counted())

    async def events(
        self, path: str, body: dict[str, Any], timeouts: Timeouts, check: Check[Event_co]
    ) -> AsyncGenerator[Event_co, None]:
        """The events of a whole and well-formed stream."""
        response = await self.send("POST", path, ENCODER.encode(body), timeouts, "sse")
        if response.headers.get("content-type", "").startswith("application/json"):
            await self.raise_told(response, "openai.chat")
        splitter = EventSplitter(self.limits, self.name)
        blocks = response.blocks()
        try:
            async for block in blocks:
                for data in event_data(splitter.feed(block)):
                    if (event := check.take(data)) is not None:
                        yield event
                if check.done:
                    await to_end(response, blocks, splitter, check)
                    return
            for data in payloads(splitter.finish()):
                if (event := check.take(data)) is not None:
                    yield event
            check.end()
        except UpstreamError as error:
            raise headed(error, self.name) from None
        finally:
            response.close()

    async def raise_told(self, response: HttpResponse, operation: Operation) -> None:
        """Raise the error that a JSON reply tells where something else was asked for."""
        try:
            body = await response.read()
        except UpstreamError as error:
            raise headed(error, self.name) from None
        finally:
            response.close()
        if b'"error"' in body:
            raise told_error(body, self.name, operation)
        raise UpstreamMalformed("it does not answer with the stream that was asked for", self.name)

    async def send(self, method: str, path: str, body: bytes, timeouts: Timeouts, expect: Format) -> HttpResponse:
        """Send below the server's root."""
        return await self._upstream.send(method, path, body, timeouts=timeouts, expect=expect, base_url=self.root)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """The error that a status of 300 or more stands for; dialects close to this one read more."""
        return refusal(status, headers, body)


def _bearer(key: Key) -> Mapping[str, str]:
    return {"authorization": f"Bearer {key.value}"}


def _api_key(key: Key) -> Mapping[str, str]:
    return {"api-key": key.value}
