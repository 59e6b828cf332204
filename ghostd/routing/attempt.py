"""One try of one deployment, from its first byte to its last."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from itertools import count
from typing import cast

from ghostd.alarms import Alarms
from ghostd.asked import asked
from ghostd.errors import (
    AdapterFailed,
    GhostdError,
    UpstreamMalformed,
    UpstreamModelMissing,
    UpstreamTimeout,
    WorkerFailed,
)
from ghostd.ports import UpstreamProvider
from ghostd.routing.call import Call, Item, Job
from ghostd.routing.deployment import Deployment
from ghostd.routing.kinds import kind_of, relays
from ghostd.routing.lacking import may_lack, relayed_or_translated
from ghostd.types import Delta, Embeddings, Relayed, RelayRequest, Timeouts, Usage

log = logging.getLogger(__name__)

Translate = Callable[[Deployment, Sequence[Job], Timeouts], AsyncGenerator[Delta | Embeddings, None]]
"""The engine's way to ask a deployment whose dialect is not the caller's; deltas carry their choice."""

Probe = Callable[[Deployment, Callable[[], None]], None]
"""Asks a deployment for a sign of life, and calls back if there is none."""

_keys = count()
_NOTHING = Usage(0, 0)
_DEFAULTS = frozenset(("openai.chat", "openai.completions", "anthropic.messages", "mistral.fim"))
"""Operations whose bodies call a model's defaults `temperature` and `max_tokens`."""


class Attempt:
    """A try. `first` waits for the first item, `next` for each further one; `close` must follow, however it went.

    A reply that is not streamed is waited for whole by `first`: nothing of it has reached the caller before its end,
    so that until then another deployment may still answer.
    """

    __slots__ = (
        "_again",
        "_call",
        "_closed",
        "_complete",
        "_given_up",
        "_items",
        "_jobs",
        "_kept",
        "_key",
        "_kind",
        "_loop",
        "_probe",
        "_task",
        "_usage",
        "began",
        "deployment",
        "due",
        "first_at",
        "first_ms",
        "last",
    )

    def __init__(
        self,
        deployment: Deployment,
        call: Call,
        jobs: Callable[[], Sequence[Job]],
        translate: Translate,
        timeouts: Timeouts,
        loop: asyncio.AbstractEventLoop,
        *,
        again: bool = False,
    ) -> None:
        """Takes its place in the deployment's load; raises RequestError when the body cannot be translated.

        `again`: the same call has failed there before, so that one more failure says no more of the deployment.
        """
        self.deployment = deployment
        self._again = again
        self._call = call
        self._jobs: Sequence[Job] = ()
        self._kept: deque[Item] = deque()
        self._complete = False
        self._usage: Usage | None = None
        self._loop = loop
        self._closed = False
        self._task: asyncio.Task[object] | None = None  # while it waits for the first item
        self._given_up = False
        self._probe: Probe
        self._items: AsyncGenerator[Item, None]
        self.due: float
        """Of silence, while it waits for the first item."""
        self.last = False
        """Whether the last item has been given out."""
        self.first_ms = 0.0
        """Milliseconds from the call's beginning to the first item."""
        operation = call.operation
        relayed = relays(deployment, call)
        if relayed:
            provider = cast("UpstreamProvider", deployment.provider)
            self._items = provider.relay(_relay_request(call, deployment, timeouts))
            if may_lack(call):
                otherwise = partial(self._translated, jobs, translate, timeouts)
                self._items = relayed_or_translated(deployment, operation, self._items, otherwise)
        else:
            self._items = self._translated(jobs, translate, timeouts)
        self._key = next(_keys)
        self.began = self.first_at = self._loop.time()
        self._kind = kind_of(call, relayed=relayed)
        deployment.health.begin(self._key, self.began, stream=call.stream, kind=self._kind)
        for limit in deployment.limits:
            limit.take(call.prompt_tokens, self.began)

    def _translated(
        self, jobs: Callable[[], Sequence[Job]], translate: Translate, timeouts: Timeouts
    ) -> AsyncGenerator[Item, None]:
        self._jobs = jobs()
        return cast("AsyncGenerator[Item, None]", translate(self.deployment, self._jobs, timeouts))

    async def first(self, alarms: Alarms, probe_after_s: float, probe: Probe) -> Item:
        """The first item; raises GhostdError, having closed itself.

        After `probe_after_s` of silence `probe` is called, with what ends the wait.
        """
        upstream = self.deployment.upstream
        if upstream:
            self._task = asyncio.current_task(self._loop)
            self._probe = probe
            self.due = self.began + probe_after_s
            alarms.set(self)
            asked.set(False)
        try:
            try:
                item = await anext(self._items)
            finally:
                # Not asyncio.timeout: that costs as much as everything else here.
                task, self._task = self._task, None
                if upstream:
                    alarms.take_back(self)
            self.first_at = self._loop.time()
            self.first_ms = self._call.age_ms
            self.deployment.health.answered(self._key)
            self.last = self._look_at(item)
            if not self.last and not self._call.stream:
                await self._collect()
        except asyncio.CancelledError:
            if not self._given_up or task is None or task.uncancel() > 0:  # somebody else wants the task to end, too
                task = None  # which keeps this error, and so this frame, and all that the call holds
                await self.close()
                raise
            silence = f"answered neither the request within {probe_after_s:g} s nor a check whether it lives"
            error = self._failed(UpstreamTimeout(silence, "first byte", self.deployment.name))
            await self.close()
            raise error from None
        except Exception as caught:
            error = self._failed(self._as_ours(caught, asking=not asked.get()))
            await self.close()
            raise error from None
        except BaseException:
            await self.close()
            raise
        return item

    async def _collect(self) -> None:
        while not self._complete:
            item = await anext(self._items)
            self._look_at(item)
            self._kept.append(item)

    def ring(self) -> None:
        """It has been silent for long."""
        self._probe(self.deployment, self._give_up)

    def _give_up(self) -> None:
        """End the wait for the first item."""
        if self._task is not None and not self._given_up:
            self._given_up = True
            self._task.cancel()

    async def next(self) -> Item:
        """The next item; raises GhostdError, also when the reply stops without its end."""
        if self._kept:
            item = self._kept.popleft()
            self.last = not self._kept
            return item
        try:
            item = await anext(self._items)
        except Exception as caught:
            raise self._failed(self._as_ours(caught)) from None
        self.last = self._look_at(item)
        return item

    async def close(self) -> None:
        """End the work behind it, and give its place back."""
        if self._closed:
            return
        self._closed = True
        self.deployment.health.end(self._key)
        estimated, usage = self._call.prompt_tokens, self._usage
        used = estimated if usage is None else usage.prompt_tokens + usage.completion_tokens
        for limit in self.deployment.limits:
            limit.give_back(estimated, used)
        await self._items.aclose()

    def _as_ours(self, error: Exception, *, asking: bool = False) -> Exception:
        """What an adapter may raise; a mistake in one is told in the log, and is no reason not to ask another.

        While it is still `asking`, it is none of the service's.
        """
        if isinstance(error, GhostdError):
            return error
        if isinstance(error, StopAsyncIteration):
            return self._broken_off()
        if not self.deployment.upstream:
            return error
        if asking:
            log.error("%s: the request could not be put into its words", self.deployment.name, exc_info=error)
            told = (
                f"ghostd failed to put the request into the words of {self.deployment.name}; its log has the details."
            )
            return AdapterFailed(told)
        log.error("%s: reading a reply failed", self.deployment.name, exc_info=error)
        return UpstreamMalformed("ghostd could not read its reply; the log has the details", self.deployment.name)

    def _broken_off(self) -> GhostdError:
        if self.deployment.upstream:
            return UpstreamMalformed("the reply broke off", self.deployment.name)
        return WorkerFailed("The model's reply broke off.")

    def _failed(self, error: Exception) -> Exception:
        if isinstance(error, GhostdError):
            if not self._may_lack_the_call(error):
                self.deployment.health.failed(error, self._loop.time(), again=self._again, kind=self._kind)
            return error.with_traceback(None)  # its frames hold the request's body
        return error

    def _may_lack_the_call(self, error: GhostdError) -> bool:
        """Whether it may be the call that the service does not have: it can still have the model for conversations."""
        asked_otherwise = self._call.passed_only or self._call.capability != "chat"
        return asked_otherwise and isinstance(error, UpstreamModelMissing)

    def _look_at(self, item: Item) -> bool:
        """Note usage and the end; says whether this is it."""
        if isinstance(item, Relayed):
            if item.last:
                self._finish(item.usage)
        elif isinstance(item, Delta):
            if item.finish_reason is not None:
                if item.usage is not None:
                    self._usage = _added(self._usage, item.usage, self._jobs[item.choice].counts_prompt)
                if item.choice == len(self._jobs) - 1:
                    self._finish(self._usage)
        else:
            self._finish(item.usage)
        return self._complete

    def _finish(self, usage: Usage | None) -> None:
        self._complete = True
        self._usage = self._call.trace.usage = usage
        health, now = self.deployment.health, self._loop.time()
        health.succeeded(self.began, self._kind)
        if usage is not None and len(self._jobs) <= 1 and not self._call.features:
            health.counted(self._call.prompt_tokens, usage.prompt_tokens)
        if not self._call.stream:
            health.plain.add((now - self.began) * 1000)
            return
        health.first_byte.add((self.first_at - self.began) * 1000)
        if usage is not None and usage.completion_tokens > 1:
            health.token_ms.add((now - self.first_at) * 1000 / usage.completion_tokens)


def _relay_request(call: Call, deployment: Deployment, timeouts: Timeouts) -> RelayRequest:
    fields = call.fields
    settings = deployment.settings
    if call.operation in _DEFAULTS and (settings.temperature is not None or settings.max_tokens is not None):
        fields = dict(fields)
        if settings.temperature is not None and "temperature" not in fields:
            fields["temperature"] = str(settings.temperature).encode()
        if settings.max_tokens is not None and not fields.keys() & {"max_tokens", "max_completion_tokens"}:
            # OpenAI's reasoning models refuse the older name; services that know only that get it from their provider.
            name = "max_completion_tokens" if call.operation == "openai.chat" else "max_tokens"
            fields[name] = str(settings.max_tokens).encode()
    return RelayRequest(
        call.operation,
        deployment.model,
        call.body,
        fields,
        call.stream,
        call.with_usage,
        call.headers,
        call.content_type,
        timeouts,
    )


def _added(total: Usage | None, usage: Usage, counts_prompt: bool) -> Usage:
    if total is None and counts_prompt:
        return usage
    total = total or _NOTHING
    prompt = usage if counts_prompt else _NOTHING
    return Usage(
        total.prompt_tokens + prompt.prompt_tokens,
        total.completion_tokens + usage.completion_tokens,
        total.cached_tokens + prompt.cached_tokens,
        total.cache_write_tokens + prompt.cache_write_tokens,
        total.reasoning_tokens + usage.reasoning_tokens,
    )
