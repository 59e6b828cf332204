"""What a call turns to when every deployment of its route has failed it."""

from __future__ import annotations

from ghostd.config.routing import RouteConfig
from ghostd.errors import ContextTooLong, GhostdError, ModelNotFound, ProviderError, UpstreamRejected
from ghostd.routing.plan import Plan
from ghostd.routing.registry import Registry


class Fallbacks:
    """The models and routes that a call may still turn to, and why it had to.

    A fallback that is a route brings its own fallbacks with it.
    """

    def __init__(self, plan: Plan) -> None:
        self._waiting: list[tuple[str, RouteConfig]] = []
        self._seen = [plan.name]
        self._errors: list[GhostdError] = []
        self._add(plan)

    @property
    def left(self) -> bool:
        """Whether there may be another one."""
        return bool(self._waiting)

    def after(self, error: GhostdError, registry: Registry) -> Plan | None:
        """The next one that this error allows; None when there is none left."""
        self._errors.append(error)
        reason = _reason(error)
        while self._waiting:
            name, route = self._waiting.pop(0)
            if reason not in route.fallback_on:
                continue
            try:
                plan = registry.plan(name)
            except ModelNotFound:
                continue
            if plan.name not in self._seen:
                self._seen.append(plan.name)
                self._add(plan)
                return plan
        return None

    def worst(self) -> GhostdError:
        """What the caller is told: the first failure, rather than that a fallback cannot do the request either."""
        failures = (error for error in self._errors if isinstance(error, ProviderError) and error.retryable)
        return next(failures, self._errors[0])

    def _add(self, plan: Plan) -> None:
        route = plan.route
        if route is not None and (route.fallbacks or route.local_last_resort):
            names = [*route.fallbacks, *(["local"] if route.local_last_resort else [])]
            self._waiting = [*((name, route) for name in names), *self._waiting]


def _reason(error: GhostdError) -> str:
    """In the words of the setting `fallback_on`; "" for what no other model would mend."""
    if isinstance(error, ContextTooLong):
        return "context"
    if isinstance(error, UpstreamRejected):
        return error.reason or ""
    return "error"
