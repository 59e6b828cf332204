"""What every provider does with its service: find a key, send, and turn refusals into ghostd's errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from ghostd import __version__
from ghostd.config.providers import ProviderConfig, UpstreamConfig
from ghostd.errors import (
    KeyRefused,
    NoUsableKey,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRejected,
)
from ghostd.ports import UpstreamProvider
from ghostd.providers.http.client import HttpClient, HttpResponse
from ghostd.providers.http.failures import headed
from ghostd.providers.http.request import Head, sendable
from ghostd.providers.keys import Key, KeyPool
from ghostd.redaction import REDACTED, redact
from ghostd.types import Timeouts

Format = Literal["json", "sse", "ndjson", "any"]

_TYPES: dict[Format, tuple[str, ...]] = {
    "json": ("application/json", "text/plain"),  # some send JSON as text; what it is shows when it is read
    "sse": ("text/event-stream",),
    "ndjson": ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"),
    "any": (),
}
_ACCEPT: dict[Format, dict[str, str]] = {
    "json": {"accept": "application/json", "accept-encoding": "gzip"},
    "sse": {"accept": "text/event-stream"},  # uncompressed: a compressor would hold events back
    "ndjson": {"accept": "application/x-ndjson"},
    "any": {"accept": "*/*"},
}

_JSON = "application/json"
_MAX_HEADS = 64
_ERROR_BODY_BYTES = 64 * 1024
_ERROR_BODY_S = 5.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One base URL of one configured provider, and what it takes to speak to it."""

    name: str
    """The provider's name in the configuration."""
    base_url: str
    """Without a slash at its end."""
    settings: ProviderConfig
    limits: UpstreamConfig
    keys: KeyPool
    http: HttpClient


ProviderFactory = Callable[[Endpoint], UpstreamProvider]
"""Entry point group `ghostd.providers`: the preset's name → what makes its provider. Must neither block nor connect."""


class Upstream:
    """Requests to one endpoint."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        authorize: Callable[[Key], Mapping[str, str]],
        refusal: Callable[[int, Mapping[str, str], bytes], UpstreamError],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`authorize` gives the headers that carry a key; `refusal` reads the dialect's error object of a status
        of 400 or more. `headers` go with every request; the configuration's win over them."""
        self._endpoint = endpoint
        self._authorize = authorize
        self._refusal = refusal
        self._headers = {"user-agent": f"ghostd/{__version__}", **_lower(headers), **_lower(endpoint.settings.headers)}
        self._heads: dict[tuple[str, str, Format, str, str | None], Head] = {}
        """Those that do not depend on one request, the key in them included."""

    async def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        timeouts: Timeouts,
        expect: Format = "json",
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        base_url: str | None = None,
    ) -> HttpResponse:
        """Send to `base_url + path` with a usable key; the response has a 2xx status and the expected content type.

        `headers` win over the configured ones, but never carry the key. A JSON reply is let through whatever is
        expected, since an error object may stand in it; so is one without a content type. KeyRefused, QuotaExhausted
        and RateLimited rest the key, and the next usable key is tried at once, each at most once. Raises
        UpstreamError, its message headed by the provider's name (UpstreamRejected's is the upstream's own).
        """
        endpoint = self._endpoint
        url = (base_url or endpoint.base_url) + path
        refused: UpstreamError | None = None
        tried: set[tuple[str, str]] = set()
        while True:
            key = endpoint.keys.undoubted or await self._lease(refused)
            if key is not None and (key.reference, key.value) in tried:
                assert refused is not None
                raise refused
            try:
                head = self._head(method, url, expect, content_type if body else "", headers, key)
                response = await endpoint.http.send_with(head, body, timeouts, endpoint.name)
                if not 200 <= response.status < 300:
                    raise headed(await self._refused(response, key), endpoint.name)
                break
            except (KeyRefused, QuotaExhausted, RateLimited) as error:
                if key is None:
                    raise
                endpoint.keys.rest(key, error)
                tried.add((key.reference, key.value))
                refused = error
        if key is not None:
            endpoint.keys.succeeded(key)
        if problem := content_type_problem(expect, response.headers.get("content-type", "")):
            response.close()
            raise UpstreamMalformed(problem, endpoint.name)
        return response

    async def _lease(self, refused: UpstreamError | None) -> Key | None:
        """The next key; when none is left, the last refusal says more than that."""
        try:
            return await self._endpoint.keys.lease()
        except NoUsableKey as error:
            raise refused or error from None

    def _head(
        self,
        method: str,
        url: str,
        expect: Format,
        content_type: str,
        headers: Mapping[str, str] | None,
        key: Key | None,
    ) -> Head:
        """The request's head; the content type is "" where there is no body."""
        known = (method, url, expect, content_type, None if key is None else key.value)
        lasting = not headers and content_type in {"", _JSON}
        if lasting and (head := self._heads.get(known)) is not None:
            return head
        sent = {**self._headers, **_ACCEPT[expect]}
        if content_type:
            sent["content-type"] = content_type
        if headers:
            sent.update(_lower(headers))
        if key is not None:
            sent.update(self._credentials(key))
        head = self._endpoint.http.head(method, url, sent, self._endpoint.name)
        if lasting:
            if len(self._heads) >= _MAX_HEADS:
                self._heads.clear()
            self._heads[known] = head
        return head

    def _credentials(self, key: Key) -> Mapping[str, str]:
        carried = _lower(self._authorize(key))
        if not all(map(sendable, carried.values())):
            raise KeyRefused(
                "the API key holds a line break or another character that cannot be sent", self._endpoint.name
            )
        return carried

    async def _refused(self, response: HttpResponse, key: Key | None) -> UpstreamError:
        status, headers = response.status, response.headers
        if 300 <= status < 400:
            response.close()
            host = urlsplit(headers.get("location", "")).hostname or "the same server"
            return UpstreamMalformed(
                f"it answers with a redirect ({status}) to {host}; base_url should name the server"
            )
        body = await _error_body(response)
        return _without(key, self._refusal(status, headers, body))


async def _error_body(response: HttpResponse) -> bytes:
    """What there is of it: the status alone says enough, and nobody shall wait for the rest."""
    blocks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_ERROR_BODY_S):
            async for block in response.blocks():
                blocks.append(block)
                size += len(block)
                if size > _ERROR_BODY_BYTES:
                    break
    except (UpstreamError, TimeoutError):
        pass
    finally:
        response.close()
    return b"".join(blocks)[:_ERROR_BODY_BYTES]


def _without(key: Key | None, error: UpstreamError) -> UpstreamError:
    """The error without the key; some services repeat it when they refuse it."""
    message = str(error)
    clean = redact(message.replace(key.value, REDACTED) if key is not None and key.value else message)
    if clean != message:
        error.args = (clean,)
    if isinstance(error, UpstreamRejected) and error.body is not None and key is not None and key.value:
        error.body = error.body.replace(key.value.encode(), REDACTED.encode())
    return error


def content_type_problem(expect: Format, header: str) -> str:
    """What is wrong with a reply's Content-Type; "" if nothing is, or if its body has to tell."""
    if header in _TYPES[expect]:
        return ""
    kind = header.partition(";")[0].strip().lower()
    if kind in {"text/html", "application/xhtml+xml"}:
        return f"it answers with a web page ({kind}); base_url may lack a part of the path, or a proxy stands between"
    if not kind or expect == "any" or kind == "application/json" or kind.endswith("+json") or kind in _TYPES[expect]:
        return ""
    return f"it answers with {kind[:100]!r} instead of {_TYPES[expect][0]}"


def _lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()} if headers else {}
