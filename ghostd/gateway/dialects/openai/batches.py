"""`/v1/batches`. Source: the OpenAI API reference, "Batch"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NoReturn
from urllib.parse import unquote

import msgspec

from ghostd.batch import ENDED, Batch, NewBatch
from ghostd.errors import InvalidRequest
from ghostd.gateway.dialects.openai.files import EXPIRY_S, limit_of, page
from ghostd.gateway.doc import Doc
from ghostd.gateway.errors import HttpError, printable
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.ports import Batches

ENDPOINTS = (
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
)
MAX_LISTED = 100
_LISTED = 20
_PATH = "/v1/batches"
_CANCEL = "/cancel"
_METADATA = (16, 64, 512)
"""Pairs, characters of a key, characters of a value."""
_HINTS = ("x-client", "x-project")


class OutputExpiry(msgspec.Struct):
    """When the files of a batch expire."""

    anchor: str
    seconds: int


class BatchBody(msgspec.Struct):
    """A batch as it is asked for."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_expires_after: OutputExpiry | None = None


_DECODER = msgspec.json.Decoder(BatchBody)


def routes(batches: Batches) -> Sequence[Route]:
    """The doors of these calls."""
    below = f"{_PATH}/"
    made = Doc("Begin a batch of requests", body=BatchBody, words={"endpoint": ENDPOINTS})
    query = {"after": "The id behind which the page begins.", "limit": f"1 to {MAX_LISTED}; {_LISTED} by default."}
    stop = Doc("Cancel a batch", path={"id": "The batch's id, and `/cancel` behind it."})
    return [
        Route("POST", _PATH, partial(create, batches), doc=made),
        Route("GET", _PATH, partial(list_batches, batches), doc=Doc("List the batches", query=query)),
        Route("GET", below, partial(retrieve, batches), prefix=True, doc=Doc("One batch")),
        Route("POST", below, partial(cancel, batches), prefix=True, doc=stop),
    ]


async def create(batches: Batches, exchange: Exchange) -> Response:
    """Begin a batch."""
    body = await exchange.read(_DECODER)
    if body.endpoint not in ENDPOINTS:
        shown = printable(body.endpoint, 100)
        raise InvalidRequest(f"Invalid value for 'endpoint': {shown!r}; supported: {', '.join(ENDPOINTS)}.", "endpoint")
    headers = exchange.request.headers
    hints = {name: printable(headers[name], 200) for name in _HINTS if name in headers}
    hints.setdefault("x-client", exchange.user_agent or "batch")
    batch = await batches.create(
        NewBatch(
            endpoint=body.endpoint,
            input_file_id=body.input_file_id,
            completion_window=body.completion_window,
            metadata=_metadata(body.metadata),
            output_expires_after_s=_expiry(body.output_expires_after),
            hints=hints,
        )
    )
    return exchange.json(msgspec.json.encode(_batch(batch)))


async def list_batches(batches: Batches, exchange: Exchange) -> Response:
    """The batches, the newest first."""
    found, more = await batches.list(
        after=exchange.parameter("after") or None, limit=limit_of(exchange, _LISTED, MAX_LISTED)
    )
    return exchange.json(msgspec.json.encode(page([_batch(batch) for batch in found], more)))


async def retrieve(batches: Batches, exchange: Exchange) -> Response:
    """How a batch fares."""
    batch_id = exchange.path.removeprefix(f"{_PATH}/")
    if "/" in batch_id:
        raise _unknown(exchange)
    batch = await batches.get(unquote(batch_id))
    return exchange.json(msgspec.json.encode(_batch(batch or _missing(batch_id))))


async def cancel(batches: Batches, exchange: Exchange) -> Response:
    """End a batch before its time; its answers so far are kept."""
    if not exchange.path.endswith(_CANCEL):
        raise _unknown(exchange)
    batch_id = exchange.path.removeprefix(f"{_PATH}/").removesuffix(_CANCEL)
    if "/" in batch_id:
        raise _unknown(exchange)
    batch = await batches.cancel(unquote(batch_id)) or _missing(batch_id)
    if batch.status in ENDED or batch.status == "finalizing":
        told = f"Cannot cancel a batch with status '{batch.status}'."
        raise HttpError(409, "batch_not_cancellable", told, {"x-should-retry": "false"})  # SDKs repeat a 409
    return exchange.json(msgspec.json.encode(_batch(batch)))


def _metadata(given: dict[str, str] | None) -> dict[str, str]:
    pairs, key_chars, value_chars = _METADATA
    found = given or {}
    if len(found) > pairs:
        raise InvalidRequest(f"Invalid value for 'metadata': at most {pairs} pairs.", "metadata")
    for key, value in found.items():
        if not key or len(key) > key_chars:
            raise InvalidRequest(f"Invalid value for 'metadata': a key has 1 to {key_chars} characters.", "metadata")
        if len(value) > value_chars:
            raise InvalidRequest(
                f"Invalid value for 'metadata': a value has at most {value_chars} characters.", "metadata"
            )
    return found


def _expiry(given: OutputExpiry | None) -> int | None:
    if given is None:
        return None
    if given.anchor != "created_at":
        raise InvalidRequest(
            "Invalid value for 'output_expires_after.anchor': supported: created_at.", "output_expires_after.anchor"
        )
    low, high = EXPIRY_S
    if not low <= given.seconds <= high:
        raise InvalidRequest(
            f"Invalid value for 'output_expires_after.seconds': it must be from {low} to {high}.",
            "output_expires_after.seconds",
        )
    return given.seconds


def _batch(batch: Batch) -> dict[str, object]:
    problems = [
        {"code": problem.code, "message": problem.message, "param": problem.param, "line": problem.line}
        for problem in batch.problems
    ]
    usage = batch.usage
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.wanted.endpoint,
        "model": batch.model,
        "errors": {"object": "list", "data": problems} if problems else None,
        "input_file_id": batch.wanted.input_file_id,
        "completion_window": batch.wanted.completion_window,
        "status": batch.status,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": batch.created_s,
        "in_progress_at": batch.in_progress_s,
        "expires_at": batch.expires_s,
        "finalizing_at": batch.finalizing_s,
        "completed_at": batch.completed_s,
        "failed_at": batch.failed_s,
        "expired_at": batch.expired_s,
        "cancelling_at": batch.cancelling_s,
        "cancelled_at": batch.cancelled_s,
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "usage": {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            "total_tokens": usage.input_tokens + usage.output_tokens,
        },
        "metadata": batch.wanted.metadata or None,
    }


def _missing(batch_id: str) -> NoReturn:
    raise HttpError(404, "not_found", f"No batch found with id '{printable(unquote(batch_id), 100)}'.")


def _unknown(exchange: Exchange) -> HttpError:
    shown = printable(f"{exchange.request.method} {exchange.path}", 200)
    return HttpError(404, "unknown_url", f"Unknown request URL: {shown}. docs/http-api.md lists what there is.")
