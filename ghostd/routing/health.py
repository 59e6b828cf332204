"""How one deployment fares: a circuit breaker, its load, and how fast it answers.

The breaker opens after failures in a row or at a share of failures, rests for a time that doubles while it goes on
failing, then lets one request through as a trial (half-open), and the next one once that has been answered. A time-out
opens it at once, since it costs its caller the most. What the caller did wrong is no failure, nor is what no pause
would mend, such as a broken model file.

What a service says of one call, a 5xx or a reply that makes no sense, counts for calls of its kind only
(routing.kinds): each kind but the first that is asked has a breaker of its own. Connections, time-outs, keys and limits
are everybody's.
"""

from __future__ import annotations

import random
from collections import deque

from ghostd.config.routing import RoutingConfig
from ghostd.errors import (
    AdapterFailed,
    GhostdError,
    Overloaded,
    ProviderError,
    UpstreamFailed,
    UpstreamMalformed,
    UpstreamTimeout,
)
from ghostd.redaction import redact
from ghostd.routing.latency import Latency
from ghostd.routing.rests import KEY_ERRORS, rest_s

_OF_ONE_KIND = (UpstreamFailed, UpstreamMalformed)

_SMOOTHING = 0.2
_TELLING_TOKENS = 64
_MAX_RATIO = 4.0


class Health:
    """The state of one deployment. Times are seconds of a monotonic clock."""

    __slots__ = (
        "_asked_at",
        "_asked_until",
        "_check_at",
        "_failures",
        "_forgiven",
        "_kind",
        "_of_one_kind",
        "_outcomes",
        "_rests",
        "_settings",
        "_sides",
        "_trial",
        "_waiting_streams",
        "_waiting_whole",
        "asked",
        "checked",
        "first_byte",
        "in_flight",
        "last_error",
        "last_kind",
        "plain",
        "prompt_ratio",
        "proven",
        "rests_until",
        "token_ms",
        "well_at",
    )

    def __init__(self, settings: RoutingConfig) -> None:
        self._settings = settings
        self._kind = ""  # of the first call: its breaker is this one
        self._sides: dict[str, Health] = {}
        """The breakers of the other kinds of calls; of these only what belongs to a breaker counts."""
        self._of_one_kind = False
        """Whether it rests for calls of its own kind only."""
        self._failures = 0
        self._outcomes: deque[bool] = deque(maxlen=settings.breaker_window)
        self._rests = 0
        self._trial: int | None = None  # the key of the request that is on trial
        self._waiting_streams: dict[int, float] = {}
        self._waiting_whole: dict[int, float] = {}
        self._asked_at = float("-inf")
        self._forgiven = False
        """Whether a health check has found it well since its last failure, while nobody asked it."""
        self._check_at = float("-inf")
        self._asked_until = float("-inf")
        """The upstream's own wish, which no health check cuts short."""
        self.rests_until: float | None = None
        """None: closed. Else when a trial may be made."""
        self.checked = False
        """Whether a health check has found it well since the breaker opened."""
        self.in_flight = 0
        self.asked = False
        """Whether any request has gone there."""
        self.first_byte = Latency()
        """Of streams, to the first byte."""
        self.plain = Latency()
        """Of replies that are not streamed, whole."""
        self.token_ms = Latency()
        """Between the first byte and the end of a stream, for each token."""
        self.prompt_ratio = 1.0
        """Prompt tokens that it counts for each estimated one: its tokenizer's measure, learned from its replies."""
        self.proven = False
        """Whether it has answered a request since it was last in doubt."""
        self.well_at = float("-inf")
        """When it last gave a sign of life."""
        self.last_kind: type[GhostdError] | None = None
        """Of the last failure; None once a request has been answered to its end. The error itself holds its frames."""
        self.last_error = ""
        """What the last failure says, on one line."""

    def configure(self, settings: RoutingConfig) -> None:
        """Go on under other settings."""
        if settings.breaker_window != self._settings.breaker_window:
            self._outcomes = deque(self._outcomes, maxlen=settings.breaker_window)
        self._settings = settings
        for side in self._sides.values():
            side.configure(settings)

    # --- may it be asked? ---

    @property
    def well(self) -> bool:
        """Whether no call at all is kept away."""
        if self.rests_until is not None:
            return False
        return not self._sides or all(side.rests_until is None for side in self._sides.values())

    @property
    def kinds(self) -> dict[str, Health]:
        """The breaker of each kind of calls that was asked; only this one where there was no more than one."""
        return {self._kind: self, **self._sides}

    def keeper(self, kind: str) -> Health:
        """The breaker that keeps calls of a kind away, if one does."""
        if self._is_ours(kind):
            return self
        side = self._side(kind)
        if self._of_one_kind or self.rests_until is None:
            return side
        return side if side.rests_until is not None and side.rests_until > self.rests_until else self

    def state(self, now: float) -> str:
        """ "closed", "open" or "half-open"."""
        if self.rests_until is None:
            return "closed"
        return "open" if now < self.rests_until else "half-open"

    def admits(self, now: float, kind: str = "") -> bool:
        """Whether a request may go there: not while it rests, and only one at a time while it is on trial."""
        if not self._is_ours(kind):
            return self._side(kind).admits(now) and (self._of_one_kind or self.admits(now))
        if self.rests_until is None:
            return True
        return now >= self.rests_until and self._trial is None

    def may_be_well(self, now: float) -> bool:
        """Whether a request with nowhere else to go may try it even now: it neither asked for its rest nor hung."""
        timed_out = self.last_kind is not None and issubclass(self.last_kind, UpstreamTimeout)
        return now >= self._asked_until and not timed_out

    def waiting_since(self, *, stream: bool) -> float | None:
        """When the oldest stream, or the oldest other request, that has had no answer yet was sent."""
        waiting = self._waiting_streams if stream else self._waiting_whole
        return next(iter(waiting.values()), None) if waiting else None

    @property
    def success_rate(self) -> float:
        """Share of the last requests that succeeded; 1 before the first, and once a check has found it well again.

        Else what has failed would be ranked last for ever: nobody would ask it while others answer.
        """
        if self._forgiven:
            return 1.0
        return (sum(self._outcomes) + 1) / (len(self._outcomes) + 1) if self._outcomes else 1.0

    # --- what happened ---

    def begin(self, key: int, now: float, *, stream: bool, kind: str = "") -> None:
        """A request of a kind goes there; `key` tells it from others."""
        self.in_flight += 1
        self.asked = True
        self._asked_at = now
        (self._waiting_streams if stream else self._waiting_whole)[key] = now
        if kind == self._kind or self._is_ours(kind):
            self._kind = self._kind or kind
            self.try_out(key)
            return
        self._side(kind).try_out(key)
        if not self._of_one_kind:
            self.try_out(key)

    def try_out(self, key: int) -> None:
        """The request is the trial, if one is due."""
        if self.rests_until is not None and self._trial is None:
            self._trial = key

    def tried_out(self, key: int) -> None:
        """The request is a trial no longer."""
        if self._trial == key:
            self._trial = None
        for side in self._sides.values():
            side.tried_out(key)

    def answered(self, key: int) -> None:
        """The first byte of a request's good reply has come."""
        self._no_more_waits(key)
        self.proven = True
        if self._trial is not None or self._sides:
            self.tried_out(key)

    def end(self, key: int) -> None:
        """A request is over, however it went."""
        self.in_flight -= 1
        self._no_more_waits(key)
        if self._trial is not None or self._sides:
            self.tried_out(key)

    def counted(self, estimated: int, prompt_tokens: int) -> None:
        """A prompt of so many estimated tokens had so many; short ones say more of the template than of the text."""
        if estimated >= _TELLING_TOKENS:
            ratio = min(max(prompt_tokens / estimated, 1 / _MAX_RATIO), _MAX_RATIO)
            self.prompt_ratio += _SMOOTHING * (ratio - self.prompt_ratio)

    def succeeded(self, began: float, kind: str = "") -> None:
        """A request that began then was answered to its end; one from before the rest does not end the rest."""
        if kind != self._kind and not self._is_ours(kind):
            self._side(kind).succeeded(began)
            if self._of_one_kind or self.rests_until is None:
                return  # what ours had failed for is still so
        self._failures = 0
        self._outcomes.append(True)
        if self.rests_until is not None and began >= self.rests_until:
            self._close()
            self._outcomes.clear()
        self._forget()

    def failed(self, error: GhostdError, now: float, *, again: bool = False, kind: str = "") -> None:
        """A request failed; only what another deployment may mend counts.

        `again`: it had failed here before, and counts once: a request that no server survives must not take a
        deployment from everybody.
        """
        if not isinstance(error, ProviderError) or not error.retryable or isinstance(error, AdapterFailed):
            return
        of_one_kind = isinstance(error, _OF_ONE_KIND)
        if of_one_kind and not self._is_ours(kind):
            self._side(kind).failed(error, now, again=again)
            return
        if (seconds := rest_s(error)) is not None:
            self._remember(error)
            self.rest(now, seconds)
            return
        if isinstance(error, Overloaded):
            return  # by its other requests: they end, and that is no illness
        self._remember(error)
        if again and self.rests_until is None and not isinstance(error, UpstreamTimeout):
            return
        self._forgiven = False
        self._outcomes.append(False)
        self._failures += self._settings.breaker_failures if isinstance(error, UpstreamTimeout) else 1
        window = len(self._outcomes) == self._settings.breaker_window
        rate = 1 - sum(self._outcomes) / len(self._outcomes)
        broken = self._failures >= self._settings.breaker_failures or (window and rate >= self._settings.breaker_rate)
        if broken or self.rests_until is not None:
            self._of_one_kind = of_one_kind and (self._of_one_kind or self.rests_until is None)
            self._rest_longer(now)

    def rest(self, now: float, seconds: float) -> None:
        """Ask nothing of it for so long, at most routing.max_rest_s."""
        self._of_one_kind = False
        until = now + min(max(seconds, 0.0), self._settings.max_rest_s)
        self._asked_until = max(self._asked_until, until)
        self.rests_until = max(self.rests_until or until, until)
        self.checked = self.proven = False

    def ejected(self, error: GhostdError, now: float) -> None:
        """A health check failed."""
        self._remember(error)
        self._of_one_kind = False
        self._rest_longer(now)

    def check_due(self, now: float, period_s: float) -> bool:
        """Whether it is time for a health check; counts as one."""
        if now - self._check_at < min(period_s, self._settings.rest_s):
            return False
        self._check_at = now
        return True

    def neglected(self, now: float, period_s: float) -> bool:
        """Whether it has failed and, though it does not rest, has not been asked for so long."""
        idle = self.in_flight == 0 and now - self._asked_at >= period_s
        return idle and self.rests_until is None and self.success_rate < 1

    def found_well(self, now: float) -> None:
        """A health check succeeded: the next request is its trial, but not before the upstream wants one."""
        self.well_at = now
        self.checked = True
        self._forgiven = self._forgiven or self.in_flight == 0
        if self.rests_until is not None:
            self.rests_until = min(self.rests_until, max(now, self._asked_until))
        for side in self._sides.values():
            side.found_well(now)

    def keys_replaced(self) -> None:
        """There is another API key: a rest for the old one's sake is over."""
        if self.last_kind is not None and issubclass(self.last_kind, KEY_ERRORS):
            self._asked_until = float("-inf")
            self._close()
            self._forget()

    def _is_ours(self, kind: str) -> bool:
        return not kind or kind == self._kind or not self._kind

    def _side(self, kind: str) -> Health:
        side = self._sides.get(kind)
        if side is None:
            side = self._sides[kind] = Health(self._settings)
        return side

    def _no_more_waits(self, key: int) -> None:
        if self._waiting_whole.pop(key, None) is None:
            self._waiting_streams.pop(key, None)

    def _remember(self, error: GhostdError) -> None:
        self.last_kind = type(error)
        self.last_error = redact(" ".join(str(error).split()))[:300]

    def _forget(self) -> None:
        self.last_kind = None
        self.last_error = ""

    def _close(self) -> None:
        self.rests_until = None
        self._of_one_kind = False
        self._rests = 0

    def _rest_longer(self, now: float) -> None:
        if self.rests_until is not None and now < self.rests_until:
            return  # requests that were under way when it opened
        longest = self._settings.max_rest_s
        seconds = min(longest, self._settings.rest_s * 2 ** min(self._rests, 16))
        self._rests += 1
        self.rests_until = now + seconds * random.uniform(0.9, 1.1)  # noqa: S311 - so that many do not wake together
        self.checked = self.proven = False
