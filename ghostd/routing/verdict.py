"""Why nobody has answered a call, in the class of error that tells its caller most."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from ghostd.errors import (
    GhostdError,
    KeyRefused,
    ModelUnavailable,
    NoUsableKey,
    QuotaExhausted,
    RateLimited,
    RequestError,
    RouteExhausted,
    UpstreamModelMissing,
    UpstreamRejected,
    UpstreamTimeout,
)
from ghostd.routing.call import Call
from ghostd.routing.deployment import Deployment
from ghostd.routing.health import Health
from ghostd.routing.kinds import admits, keeper
from ghostd.routing.plan import Plan
from ghostd.routing.selection import Selection, limits_wait_s


def verdict(
    plan: Plan, selection: Selection, call: Call, failures: Mapping[Deployment, GhostdError], deadline_s: float
) -> GhostdError:
    """The error for a call that none of the selection has answered; `deadline_s` is the call's, on the loop's clock."""
    now = asyncio.get_running_loop().time()
    deployments = selection.deployments()
    kept_out = [d for d in deployments if not admits(d, call, now)]
    rests = [max(0.0, (keeper(d, call).rests_until or now) - now) for d in kept_out]
    retry_after_s = min(rests) if len(rests) == len(deployments) else None
    if failures:
        return _failed(plan, len(deployments), failures, retry_after_s)
    if now >= deadline_s:
        return UpstreamTimeout("none of its deployments could be asked in time", "total", plan.name)
    if len(rests) == len(deployments):
        return _at_rest(plan, [keeper(d, call) for d in deployments], retry_after_s)
    waits = {d: limits_wait_s(d, call, now) for d in deployments if d not in kept_out}
    soonest = min(waits, key=lambda d: waits[d])
    call.trace.limits = soonest.limits
    return RateLimited(
        f"The limits that the configuration sets for '{plan.name}' are reached (rpm, tpm or max_concurrency).",
        retry_after_s=waits[soonest],
    )


def _failed(
    plan: Plan, deployments: int, failures: Mapping[Deployment, GhostdError], retry_after_s: float | None
) -> GhostdError:
    errors = list(failures.values())
    if len(errors) == 1 == deployments:
        return errors[0]
    for error in errors:
        if isinstance(error, UpstreamRejected):
            return error  # what the caller can mend
    if all(isinstance(error, RequestError) for error in errors):
        return errors[0]
    told = [(deployment.name, error) for deployment, error in failures.items()]
    return RouteExhausted(plan.name, told, retry_after_s)


def _at_rest(plan: Plan, keepers: Sequence[Health], retry_after_s: float | None) -> GhostdError:
    """Nobody was asked, since all rest: where all do so for one reason, that once more."""
    kinds = {health.last_kind for health in keepers}
    last = next((health.last_error for health in keepers if health.last_error), "")
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is RateLimited or kind is NoUsableKey:
        return kind(last, retry_after_s=retry_after_s)
    if kind is KeyRefused or kind is QuotaExhausted or kind is UpstreamModelMissing:
        return kind(last)
    message = f"Every deployment of '{plan.name}' rests after failures. The last one: {last}"
    return ModelUnavailable(message, retry_after_s)
