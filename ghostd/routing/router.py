"""From a call to its answer: the one loop that fails over, retries, falls back and gives up.

Until the first item everything may still be tried elsewhere; after it, what breaks is an error in the caller's stream.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from functools import partial

from ghostd.alarms import Alarms
from ghostd.errors import (
    ContextTooLong,
    GhostdError,
    ModelNotFound,
    NoCandidate,
    Overloaded,
    ProviderError,
    RateLimited,
    UnsupportedParameter,
    UpstreamFailed,
    UpstreamMalformed,
    UpstreamRejected,
    UpstreamUnreachable,
)
from ghostd.left_out import left_out
from ghostd.ports import Ledger
from ghostd.routing import experiments
from ghostd.routing.accounts import row_of
from ghostd.routing.attempt import Attempt, Translate
from ghostd.routing.call import Call, Item
from ghostd.routing.deployment import Deployment
from ghostd.routing.errand import Errand
from ghostd.routing.fallbacks import Fallbacks
from ghostd.routing.kinds import admits, keeper
from ghostd.routing.life import SignsOfLife
from ghostd.routing.plan import Plan
from ghostd.routing.prices import cost_usd
from ghostd.routing.registry import Registry
from ghostd.routing.retries import RetryBudget, pause_s
from ghostd.routing.selection import Selection, is_gamble, last_chance, limits_wait_s, next_choice, select
from ghostd.routing.verdict import verdict
from ghostd.types import Timeouts

log = logging.getLogger(__name__)

_REPEATABLE = (UpstreamUnreachable, UpstreamFailed, UpstreamMalformed, RateLimited, Overloaded)
"""Failures after which the same deployment may be asked again; time-outs have cost enough."""
_BELIEVED = 2
"""Deployments that must refuse a request before that is taken for the request's fault; asking costs no tokens."""
_GAMBLE_PATIENCE_S = 0.1
"""How long a crowd waits for the first answer of deployments of which nobody knows yet whether they answer."""
_HEDGE_SAMPLES = 20
_LEFT_S = 1.0
"""Of a background call's time, when it stops to wait for room: so that it is told that limits stood in its way."""


class Router:
    """Answers calls over the registry's deployments. `registry` may be replaced at any time."""

    def __init__(self, registry: Registry, translate: Translate, ledger: Ledger | None = None) -> None:
        self.registry = registry
        self._translate = translate
        self._ledger = ledger
        self.requests = 0
        """Calls so far."""
        self._budget = RetryBudget()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The one that it serves; to ask for it is a system call (Python 3.11)."""
        self._freed: asyncio.Future[None] | None = None
        self._alarms = Alarms()
        self.life = SignsOfLife()
        self._impatient, self._patient = (partial(self.life.probe, patient=patient) for patient in (False, True))

    async def run(self, call: Call) -> AsyncGenerator[Item, None]:
        """Stream what answers the call; closing the generator ends the work behind it. Raises GhostdError.

        The ledger's row is written before the last item is given out.
        """
        trace = call.trace
        attempt: Attempt | None = None
        error: BaseException | None = None
        try:
            attempt, item = await self._open(call)
            trace.first_byte_ms = attempt.first_ms
            while not attempt.last:
                yield item
                item = await attempt.next()
            trace.cost_usd = None if trace.usage is None else cost_usd(attempt.deployment.price, trace.usage)
            self.record(call, None)
            yield item
        except BaseException as caught:
            error = caught
            if isinstance(caught, GhostdError) and attempt is not None:
                trace.failures.append((attempt.deployment.name, caught))
            raise
        finally:
            try:
                if attempt is not None:
                    await self._close(attempt)
            finally:
                if error is not None:
                    self.record(call, error)
                    if not isinstance(error, GeneratorExit):  # the caller has what it wants, perhaps all
                        call.drop_body()
                    error = None  # this frame is one of its own

    def record(self, call: Call, error: BaseException | None) -> None:
        """Write the call's row down, once; None is success."""
        if self._ledger is not None and not call.trace.recorded:
            call.trace.recorded = True
            self._ledger.record(row_of(call, error))

    # --- until the first item ---------------------------------------------------------

    async def _open(self, call: Call) -> tuple[Attempt, Item]:
        """A live attempt and its first item, from the route or one of its fallbacks."""
        self.requests += 1
        left_out.set(call.trace.left_out)
        self._budget.request(self.registry.config.routing.retry_budget)
        try:
            return await self._answered(call)
        except (ModelNotFound, NoCandidate):
            if call.trace.attempts or not await self.registry.look_again():
                raise
        call.trace.reason = ""
        return await self._answered(call)

    async def _answered(self, call: Call) -> tuple[Attempt, Item]:
        """As `_open`, with the models that are known now."""
        settings = self.registry.config.routing
        plan = self._plan(call)
        call.trace.route = plan.name
        limit_s = (plan.route.timeout_s if plan.route else None) or settings.timeout_s
        fallbacks = Fallbacks(plan)
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        errand = Errand(call, loop, loop.time() + limit_s, fallbacks)
        while True:
            try:
                return await self._along(plan, errand)
            except (ProviderError, NoCandidate, ContextTooLong, UnsupportedParameter) as error:
                following = fallbacks.after(error, self.registry)
                if following is None:
                    raise fallbacks.worst() from None
                call.trace.reason = f"{call.trace.reason}fell back from {plan.name} ({type(error).__name__}); "
                plan = following

    def _plan(self, call: Call) -> Plan:
        registry = self.registry
        split = registry.experiment(call.model)
        if split is None:
            return registry.plan(call.model)
        found = experiments.assign(split[0], split[1], call)
        call.trace.experiment = f"{found.experiment}/{found.arm}"
        call.trace.subject = found.subject
        call.trace.reason = f"experiment {found.experiment}, arm {found.arm}; "
        return registry.plan(found.model)

    async def _along(self, plan: Plan, errand: Errand) -> tuple[Attempt, Item]:
        """The first deployment of a plan that answers; raises the reason why none does."""
        loop, call, settings = errand.loop, errand.call, self.registry.config.routing
        selection = select(plan, call, errand.get_features)
        tried: set[Deployment] = set()
        errand.failures = {}
        attempts = repeats = rejections = 0
        room_until = loop.time() + settings.max_backoff_s if call.interactive else errand.deadline - _LEFT_S
        patient = False
        while attempts < settings.max_attempts and loop.time() < errand.deadline:
            deployment = next_choice(selection.tiers, tried, call, loop.time())
            if deployment is not None and not patient and is_gamble(deployment, selection.tiers, tried):
                patient = True
                await self._news(_GAMBLE_PATIENCE_S)
                continue
            if deployment is None:
                if await self._wait_for_room(selection, tried, errand, room_until):
                    continue
                if errand.failures:
                    deployment = last_chance(selection.tiers, tried, call, loop.time())
            if deployment is None:
                if not await self._pause(selection, errand, repeats):
                    break
                repeats += 1
                tried = {d for d, error in errand.failures.items() if not isinstance(error, _REPEATABLE)}
                continue
            if deployment in errand.failures and not self._budget.take():
                break
            tried.add(deployment)
            attempts += 1
            try:
                return await self._try(deployment, plan, selection, tried, errand)
            except (ProviderError, ContextTooLong, UnsupportedParameter) as error:
                errand.failed(deployment, error)
                if isinstance(error, UpstreamRejected):
                    rejections += 1
                    if rejections == _BELIEVED or error.reason == "content_filter":
                        break
        raise verdict(plan, selection, call, errand.failures, errand.deadline)

    async def _try(
        self, deployment: Deployment, plan: Plan, selection: Selection, tried: set[Deployment], errand: Errand
    ) -> tuple[Attempt, Item]:
        attempt = self._begin(deployment, plan, errand)
        hedge_ms = None
        if plan.route is not None and plan.route.hedge and errand.call.interactive:
            health = deployment.health
            latency = health.first_byte if errand.call.stream else health.plain
            hedge_ms = latency.percentile(0.95, _HEDGE_SAMPLES)
        if hedge_ms is None:
            item = await self._first(attempt, selection, errand)
        else:
            attempt, item = await self._race(attempt, hedge_ms / 1000, plan, selection, tried, errand)
        self._note(attempt, plan, errand)
        return attempt, item

    def _begin(self, deployment: Deployment, plan: Plan, errand: Errand) -> Attempt:
        call, settings, route = errand.call, self.registry.config.routing, plan.route
        if call.stream:
            first_s = (route.first_byte_s if route else None) or settings.first_byte_s
        else:
            first_s = (route.reply_s if route else None) or settings.reply_s
        idle_s = (route.idle_s if route else None) or settings.idle_s
        timeouts = Timeouts(settings.connect_s, first_s, idle_s, errand.deadline)
        again = deployment in errand.failures
        call.trace.left_out.clear()
        attempt = Attempt(deployment, call, errand.get_jobs, self._translate, timeouts, errand.loop, again=again)
        call.trace.attempts += 1
        return attempt

    async def _first(self, attempt: Attempt, selection: Selection, errand: Errand) -> Item:
        probe = self._impatient if selection.several or errand.fallbacks.left else self._patient
        try:
            return await attempt.first(self._alarms, self.registry.config.routing.probe_after_s, probe)
        finally:
            if self._freed is not None:
                self._free()

    def _note(self, attempt: Attempt, plan: Plan, errand: Errand) -> None:
        """Who answers, and why."""
        trace, deployment = errand.call.trace, attempt.deployment
        trace.deployment = deployment.name
        trace.provider = deployment.provider.name
        trace.limits = deployment.limits
        how = f"{plan.policy} of {plan.name}" if plan.virtual or plan.route is not None else "asked for by name"
        trace.reason += how
        for name, error in trace.failures:
            trace.reason += f", after {name} ({type(error).__name__})"
        if trace.left_out:
            trace.reason += f", without {', '.join(trace.left_out)}"

    async def _race(
        self,
        first: Attempt,
        patience_s: float,
        plan: Plan,
        selection: Selection,
        tried: set[Deployment],
        errand: Errand,
    ) -> tuple[Attempt, Item]:
        """The first attempt, or after `patience_s` whichever of two answers first; the other one is ended.

        Dean and Barroso, "The tail at scale", CACM 56(2), 2013: hedged requests.
        """
        racing = {asyncio.create_task(self._first(first, selection, errand), name="attempt"): first}
        try:
            done, _ = await asyncio.wait(racing, timeout=patience_s)
            if not done:
                other = next_choice(selection.tiers, tried, errand.call, asyncio.get_running_loop().time())
                if other is not None and self._budget.take():
                    tried.add(other)
                    second = self._begin(other, plan, errand)
                    racing[asyncio.create_task(self._first(second, selection, errand), name="hedge")] = second
            while True:
                done, _ = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    attempt = racing[task]
                    if (failure := task.exception()) is None:
                        del racing[task]
                        return attempt, task.result()
                    if isinstance(failure, GhostdError):
                        errand.failed(attempt.deployment, failure)
                    if len(racing) == 1 or not isinstance(failure, ProviderError):
                        raise failure
                    del racing[task]
        finally:
            for task in racing:
                task.cancel()
            await asyncio.gather(*racing, return_exceptions=True)
            for attempt in racing.values():
                await attempt.close()

    # --- waiting and giving up -----------------------------------------------------------

    async def _wait_for_room(self, selection: Selection, tried: set[Deployment], errand: Errand, until: float) -> bool:
        """Wait where only limits stand in the way; False when nothing will be free in time."""
        now = asyncio.get_running_loop().time()
        waits = [
            wait
            for deployment in selection.deployments()
            if deployment not in tried
            and admits(deployment, errand.call, now)
            and (wait := limits_wait_s(deployment, errand.call, now)) > 0
        ]
        if not waits or now + min(waits) > min(until, errand.deadline):
            return False
        await self._news(max(min(waits), 0.001))
        return True

    async def _news(self, patience_s: float) -> None:
        """Wait until another request has had its first byte or has ended, or for so long."""
        if self._freed is None:
            self._freed = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._freed], timeout=patience_s)

    def _free(self) -> None:
        if self._freed is not None and not self._freed.done():
            self._freed.set_result(None)
        self._freed = None

    async def _pause(self, selection: Selection, errand: Errand, repeats: int) -> bool:
        """Wait before all are tried once more; False where that is of no use, or not allowed."""
        loop = asyncio.get_running_loop()
        settings = self.registry.config.routing
        now = loop.time()
        pauses = [
            pause
            for deployment, error in errand.failures.items()
            if isinstance(error, _REPEATABLE)
            and (admits(deployment, errand.call, now) or isinstance(error, RateLimited))
            and (pause := pause_s(settings, repeats, error)) is not None
            and (pause := max(pause, (keeper(deployment, errand.call).rests_until or now) - now))
            <= settings.max_backoff_s
        ]
        if not pauses or now + min(pauses) > errand.deadline or not self._budget.allows():
            return False
        await asyncio.sleep(min(pauses))
        now = loop.time()
        return any(admits(deployment, errand.call, now) for deployment in selection.deployments())

    async def _close(self, attempt: Attempt) -> None:
        await attempt.close()
        if self._freed is not None:
            self._free()

    async def close(self) -> None:
        """End what goes on beside the calls."""
        self._alarms.close()
        await self.life.close()
