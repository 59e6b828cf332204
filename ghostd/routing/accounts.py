"""What the ledger keeps of a call."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from ghostd.errors import (
    AdapterFailed,
    BodyTooLarge,
    EngineMissing,
    GhostdError,
    InstanceError,
    ModelFileInvalid,
    ModelNotFound,
    ModelTooLarge,
    ModelUnavailable,
    NoUsableKey,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    RequestEnded,
    RequestError,
    RequestExpired,
    RootError,
    RouteExhausted,
    StorageFull,
    UpstreamFailed,
    UpstreamModelMissing,
    UpstreamRejected,
    UpstreamTimeout,
)
from ghostd.records import LedgerRow
from ghostd.routing.call import Call, Trace, ending
from ghostd.routing.features import features_of

Status = Literal["ok", "partial", "error", "cancelled", "refused"]

_OVERLOADED = 529
"""Anthropic's status for too many requests of everybody's at once."""
_ENDINGS = (GeneratorExit, asyncio.CancelledError)
_encoder = msgspec.json.Encoder()


def row_of(call: Call, error: BaseException | None) -> LedgerRow:
    """The row of a call that has ended with this error, or well."""
    if isinstance(error, _ENDINGS) and (found := ending.get()) is not None:
        error = found.reason or error  # it was not the client who left
    trace = call.trace
    status = status_of(error, begun=call.stream and trace.first_byte_ms is not None)
    usage = trace.usage
    return LedgerRow(
        id=call.id,
        time_s=trace.time_s,
        operation=call.operation,
        client=call.hints.client,
        project=call.hints.project,
        model=call.model,
        route=trace.route,
        deployment=trace.deployment,
        provider=trace.provider,
        status=status,
        http_status=200 if error is None else http_status_of(error),
        error="" if error is None or status == "cancelled" else type(error).__name__,
        attempts=trace.attempts,
        stream=call.stream,
        latency_ms=round(call.age_ms, 3),
        first_byte_ms=None if trace.first_byte_ms is None else round(trace.first_byte_ms, 3),
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        cached_tokens=usage.cached_tokens if usage else None,
        cache_write_tokens=usage.cache_write_tokens if usage else None,
        reasoning_tokens=usage.reasoning_tokens if usage else None,
        cost_usd=trace.cost_usd,
        reason=_reason(trace),
        experiment=trace.experiment,
        session=trace.subject,
        features=_encoder.encode(features_of(call)).decode("ascii", "replace"),
    )


def _reason(trace: Trace) -> str:
    """Why it went where it went; of a call that nobody answered, what was tried."""
    if trace.deployment or not trace.failures:
        return trace.reason
    told = ", ".join(f"after {name} ({type(error).__name__})" for name, error in trace.failures)
    return f"{trace.reason}nobody answered, {told}"


def status_of(error: BaseException | None, *, begun: bool) -> Status:
    """How a call ended; `begun`: whether something had been given out."""
    if error is None:
        return "ok"
    if isinstance(error, _ENDINGS):
        return "cancelled"
    if begun:
        return "partial"
    return "refused" if isinstance(error, RequestError | UpstreamRejected) else "error"


_STATUSES: dict[type[GhostdError], int] = {
    RequestEnded: 503,
    RequestExpired: 504,
    RequestError: 400,
    ModelNotFound: 404,
    BodyTooLarge: 413,
    RootError: 400,
    InstanceError: 409,
    StorageFull: 507,
    ProviderError: 502,
    ModelFileInvalid: 500,
    ModelTooLarge: 503,
    EngineMissing: 501,
    ModelUnavailable: 503,
    Overloaded: 503,
    AdapterFailed: 500,
    UpstreamTimeout: 504,
    UpstreamModelMissing: 404,
    RateLimited: 429,
    QuotaExhausted: 429,
}
"""As the HTTP front-end's table, which the core does not know; a test compares them."""


def http_status_of(error: BaseException) -> int:
    """The status that an HTTP client sees, or would see; 499 is nginx's for a client that left."""
    if isinstance(error, _ENDINGS):
        return 499
    if isinstance(error, UpstreamRejected):
        return error.status
    if isinstance(error, RouteExhausted):
        statuses = {http_status_of(failure) for failure in error.failures}
        return statuses.pop() if len(statuses) == 1 else 502
    if isinstance(error, NoUsableKey) and error.limited:
        return _STATUSES[RateLimited]
    if isinstance(error, UpstreamFailed) and error.status == _OVERLOADED:
        return _STATUSES[Overloaded]
    return next((_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), 500)
