"""The retry budget and the pauses before repeats."""

from __future__ import annotations

from ghostd.config.routing import RoutingConfig
from ghostd.errors import RateLimited, UpstreamFailed
from ghostd.routing.retries import RetryBudget, pause_s


def test_the_budget_is_a_share_of_the_requests_and_a_small_reserve() -> None:
    budget = RetryBudget()
    taken = 0
    for _ in range(1000):
        budget.request(0.25)
        taken += budget.take()
    assert 250 <= taken <= 260


def test_quiet_times_do_not_save_up_a_storm() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.request(1.0)
    assert [budget.take() for _ in range(12)] == [True] * 10 + [False] * 2
    assert not budget.allows()


def test_a_share_of_nothing_allows_nothing() -> None:
    budget = RetryBudget()
    budget.request(0.0)
    assert not budget.allows() and not budget.take()


def test_pauses_grow_with_full_jitter_up_to_the_longest() -> None:
    settings = RoutingConfig(backoff_ms=100, max_backoff_s=5)
    error = UpstreamFailed("out of order", 500)
    for repeat, longest_s in [(0, 0.1), (1, 0.2), (3, 0.8), (20, 5.0)]:
        pauses = [pause for _ in range(300) if (pause := pause_s(settings, repeat, error)) is not None]
        assert len(pauses) == 300
        assert 0 <= min(pauses) < 0.2 * longest_s
        assert 0.8 * longest_s < max(pauses) <= longest_s


def test_no_pause_ends_before_retry_after_and_a_long_one_is_not_waited_for() -> None:
    settings = RoutingConfig(backoff_ms=100, max_backoff_s=5)
    assert pause_s(settings, 0, RateLimited("slow down", retry_after_s=2)) == 2
    assert pause_s(settings, 0, RateLimited("slow down", retry_after_s=5.1)) is None
    assert pause_s(settings, 10_000, UpstreamFailed("out of order", 500, retry_after_s=1)) is not None
