"""The circuit breaker of one deployment, on a clock that the test holds."""

from __future__ import annotations

import pytest

from ghostd.config.routing import RoutingConfig
from ghostd.errors import (
    ContextTooLong,
    GhostdError,
    KeyRefused,
    ModelFileInvalid,
    ModelUnavailable,
    NoUsableKey,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    UpstreamFailed,
    UpstreamModelMissing,
    UpstreamRejected,
    UpstreamTimeout,
)
from ghostd.routing.health import Health
from ghostd.routing.latency import Latency

FAILED = UpstreamFailed("out of order", 500)


def health(**settings: float) -> Health:
    return Health(RoutingConfig(**{"rest_s": 10, "max_rest_s": 100, **settings}))  # type: ignore[arg-type]


def trial(h: Health, now: float, error: GhostdError | None) -> None:
    """One request from its begin to its end."""
    assert h.admits(now)
    h.begin(1, now, stream=True)
    if error is None:
        h.answered(1)
        h.succeeded(now)
    else:
        h.failed(error, now)
    h.end(1)


def test_it_opens_after_failures_in_a_row() -> None:
    h = health(breaker_failures=3)
    for now in (1.0, 2.0):
        trial(h, now, FAILED)
        assert h.state(now) == "closed"
    trial(h, 2.5, None)
    for now in (3.0, 4.0, 5.0):
        assert h.admits(now)
        trial(h, now, FAILED)
    assert h.state(5.0) == "open"
    assert not h.admits(5.0 + 8.9)
    assert (h.last_kind, h.last_error) == (UpstreamFailed, "out of order")


def test_it_opens_at_a_share_of_failures() -> None:
    h = health(breaker_failures=100, breaker_window=10, breaker_rate=0.5)
    for number in range(9):
        trial(h, number, FAILED if number % 2 else None)
    assert h.state(9) == "closed"  # the window is not full yet
    trial(h, 9, FAILED)
    assert h.state(9) == "open"


def test_a_time_out_opens_it_at_once() -> None:
    h = health()
    trial(h, 1, UpstreamTimeout("silence", "first byte"))
    assert h.state(1) == "open"


def test_its_rest_doubles_while_it_keeps_failing_up_to_the_longest() -> None:
    h = health(breaker_failures=1)
    now = 0.0
    for rest_s in (10, 20, 40, 80, 100, 100):
        trial(h, now, FAILED)
        assert h.rests_until is not None
        assert h.rests_until - now == pytest.approx(rest_s, rel=0.1)
        now = h.rests_until
    trial(h, now, None)
    assert h.state(now) == "closed"
    trial(h, now, FAILED)
    assert h.rests_until == pytest.approx(now + 10, abs=1)


def test_half_open_lets_one_request_through_until_its_first_byte() -> None:
    h = health(breaker_failures=1)
    trial(h, 0, FAILED)
    assert h.state(20) == "half-open"
    h.begin(1, 20, stream=True)
    assert not h.admits(20)
    h.answered(1)
    assert h.admits(20)
    h.begin(2, 20, stream=True)
    assert not h.admits(20)
    h.end(1)  # another one's end is not the trial's
    assert not h.admits(20)
    h.end(2)  # its caller left: nobody knows yet
    assert h.admits(20) and h.state(20) == "half-open"


def test_requests_from_before_the_rest_neither_prolong_nor_end_it() -> None:
    h = health(breaker_failures=1)
    for key in (1, 2, 3):
        h.begin(key, 0, stream=True)
    h.failed(FAILED, 1)
    until = h.rests_until
    h.failed(FAILED, 2)
    assert h.rests_until == until
    h.succeeded(began=0)
    assert h.rests_until == until


@pytest.mark.parametrize(
    ("error", "rest_s"),
    [
        (RateLimited("slow down"), 5),
        (RateLimited("slow down", retry_after_s=33), 33),
        (RateLimited("slow down", retry_after_s=1e12), 100),
        (RateLimited("slow down", retry_after_s=-7), 0),
        (KeyRefused("no"), 60),
        (NoUsableKey("none", retry_after_s=7), 7),
        (QuotaExhausted("no money"), 100),
        (UpstreamModelMissing("what?"), 60),
        (ModelUnavailable("crashed", retry_after_s=4), 4),
    ],
    ids=str,
)
def test_what_asks_for_a_rest_gets_it_at_once(error: GhostdError, rest_s: float) -> None:
    h = health()
    trial(h, 1000, error)
    assert h.rests_until == 1000 + rest_s


@pytest.mark.parametrize(
    "error",
    [
        UpstreamRejected("wrong", 400),
        ContextTooLong(2, 1),
        Overloaded("a full queue"),
        ModelFileInvalid("no GGUF"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_no_pause_mends_does_not_open_it(error: GhostdError) -> None:
    h = health(breaker_failures=1)
    trial(h, 1, error)
    assert (h.state(1), h.success_rate, h.last_error) == ("closed", 1.0, "")


def test_a_check_that_finds_it_well_shortens_a_rest_but_not_what_the_upstream_asked_for() -> None:
    h = health(breaker_failures=1)
    trial(h, 0, FAILED)
    h.found_well(3)
    assert h.checked and h.admits(3)
    trial(h, 3, RateLimited("slow down", retry_after_s=30))
    h.found_well(10)
    assert not h.admits(32) and h.admits(33)


def test_a_failed_check_opens_it() -> None:
    h = health()
    h.ejected(FAILED, 1)
    assert h.state(1) == "open" and not h.checked


def test_another_key_ends_a_rest_for_the_old_ones_sake_only() -> None:
    h = health(breaker_failures=1)
    trial(h, 0, KeyRefused("no"))
    h.keys_replaced()
    assert h.state(0) == "closed"
    trial(h, 0, FAILED)
    h.keys_replaced()
    assert h.state(0) == "open"


def test_other_settings_take_effect_at_once() -> None:
    h = health(breaker_failures=3)
    trial(h, 0, FAILED)
    h.configure(RoutingConfig(breaker_failures=2, breaker_window=5))
    trial(h, 1, FAILED)
    assert h.state(1) == "open"


def test_it_knows_how_long_its_oldest_unanswered_requests_wait() -> None:
    h = health()
    h.begin(1, 1, stream=True)
    h.begin(2, 2, stream=False)
    h.begin(3, 3, stream=True)
    assert (h.waiting_since(stream=True), h.waiting_since(stream=False), h.in_flight) == (1, 2, 3)
    h.answered(1)
    h.end(2)
    assert (h.waiting_since(stream=True), h.waiting_since(stream=False), h.in_flight) == (3, None, 2)


def test_checks_of_one_that_rests_are_spaced() -> None:
    h = health()
    assert h.check_due(0, 30)
    assert not h.check_due(9, 30)
    assert h.check_due(10, 30)


def test_latencies_are_those_of_the_last_answers() -> None:
    times = Latency()
    assert times.percentile(0.5) is None and times.mean is None
    for milliseconds in range(1, 101):
        times.add(milliseconds)
    assert times.percentile(0.0) == 37  # the last 64
    assert times.percentile(0.5) == 69
    assert times.percentile(1.0) == 100
    assert times.percentile(0.5, least=65) is None
