"""What the providers share whose services speak a dialect of their own."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from ghostd.errors import InvalidRequest, UnsupportedParameter, UpstreamError, UpstreamMalformed, UpstreamRejected
from ghostd.models import KeyState, ModelInfo
from ghostd.providers.http.client import HttpResponse
from ghostd.providers.http.failures import headed
from ghostd.providers.streaming import refusing
from ghostd.providers.unsupported import Unsupported
from ghostd.providers.upstream import Endpoint, Format, Upstream
from ghostd.types import CompletionRequest, Delta, FillRequest, RelayRequest, Timeouts, Usage

T = TypeVar("T")


class Catalog(Protocol):
    """The models that are known of a service."""

    @property
    def open_ended(self) -> bool:
        """Whether it may have models that are not listed."""
        ...

    def models(self) -> Sequence[ModelInfo]:
        """Those configured, else those listed."""
        ...

    def model(self, name: str) -> ModelInfo:
        """What is known of a model of this name."""
        ...


class WholeReader(Protocol):
    """Reads a reply's events; here it gets a whole one."""

    @property
    def stop_reason(self) -> str | None:
        """In the service's words."""
        ...

    def watch(self, data: bytes) -> Any:
        """See `streaming.Reader`."""
        ...

    def end(self) -> Any:
        """See `streaming.Reader`."""
        ...

    def usage(self) -> Usage | None:
        """See `streaming.Reader`."""
        ...


class OwnDialectProvider:
    """One base URL of such a service."""

    def __init__(self, endpoint: Endpoint, catalog: Catalog, upstream: Upstream) -> None:
        self.name = endpoint.name
        self.endpoint = endpoint.base_url
        self.open_ended = catalog.open_ended
        self._endpoint = endpoint
        self._unsupported = Unsupported(endpoint.name, drop=endpoint.settings.drop_unsupported)
        self._catalog = catalog
        self._upstream = upstream

    def models(self) -> Sequence[ModelInfo]:
        """Those configured, else those listed at the last check."""
        return self._catalog.models()

    def model(self, name: str) -> ModelInfo:
        """What is known of a model of this name."""
        return self._catalog.model(name)

    def keys(self) -> Sequence[KeyState]:
        """The keys and how they fare."""
        return self._endpoint.keys.states()

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        timeouts: Timeouts,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """A whole reply."""
        response = await self._upstream.send(method, path, body, timeouts=timeouts, headers=headers)
        try:
            return await response.read()
        except UpstreamError as error:
            raise headed(error, self.name) from None
        finally:
            response.close()

    def _decoded(self, decoder: msgspec.json.Decoder[T], body: bytes, what: str) -> T:
        """The reply; raises UpstreamMalformed where it is not `what` was asked for."""
        try:
            return decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamMalformed(f"the reply {what}", self.name) from None

    async def _relayed(
        self,
        request: RelayRequest,
        path: str | None,
        body: bytes,
        *,
        streamed_as: Format,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """The reply to a request that is passed on; `path` None: its operation is not known here."""
        if path is None or not request.fields:
            raise InvalidRequest(f"{self.name} cannot take a request of the kind '{request.operation}' as it is.")
        expect = streamed_as if request.stream else "json"
        try:
            return await self._upstream.send(
                "POST", path, body, timeouts=request.timeouts, expect=expect, headers=headers
            )
        except UpstreamRejected as error:
            error.operation = request.operation
            raise


class ConversationsOnly(OwnDialectProvider):
    """A service that neither continues texts nor fills holes."""

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Not offered: the API knows conversations only."""
        return refusing(only_conversations(request.model))

    def fill(self, request: FillRequest) -> AsyncGenerator[Delta, None]:
        """Not offered."""
        return refusing(only_conversations(request.model))


def only_conversations(model: str) -> UnsupportedParameter:
    """The refusal of anything else."""
    return UnsupportedParameter(f"The model '{model}' holds conversations only.", "model")


def whole_read(body: bytes, reader: WholeReader) -> tuple[Usage | None, str | None]:
    """The usage of a whole reply, and why it ended; raises what the reader raises."""
    reader.watch(body)
    reader.end()
    return reader.usage(), reader.stop_reason


def unit(vector: Sequence[float]) -> tuple[float, ...]:
    """A vector of length 1; some services shorten vectors and leave them as they were cut."""
    length = math.sqrt(math.fsum(value * value for value in vector))
    return tuple(value / length for value in vector) if length else tuple(vector)
