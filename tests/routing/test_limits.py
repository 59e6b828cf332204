"""Requests and tokens a minute, and requests at once, on a clock that the test holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostd.routing.limits import Limits


def test_without_limits_nothing_waits() -> None:
    limits = Limits()
    assert not limits.bounded
    limits.take(10**9, 0)
    assert limits.wait_s(10**9, 0) == 0


def test_a_minutes_requests_may_come_at_once_and_then_one_by_one() -> None:
    limits = Limits(rpm=6)
    for _ in range(6):
        assert limits.wait_s(0, 100) == 0
        limits.take(0, 100)
    assert limits.wait_s(0, 100) == pytest.approx(10)
    assert limits.wait_s(0, 105) == pytest.approx(5)
    assert limits.wait_s(0, 110) == 0


def test_tokens_are_charged_by_estimate_and_settled_at_the_end() -> None:
    limits = Limits(tpm=600)
    limits.take(500, 0)
    assert limits.wait_s(200, 0) == pytest.approx(10)
    limits.give_back(500, 50)
    assert limits.wait_s(550, 0) == 0


def test_a_request_larger_than_a_minutes_tokens_waits_for_a_full_bucket() -> None:
    limits = Limits(tpm=600)
    assert limits.wait_s(5000, 0) == 0
    limits.take(5000, 0)
    assert limits.wait_s(5000, 0) > 60


def test_only_so_many_run_at_once() -> None:
    limits = Limits(max_concurrency=2)
    limits.take(0, 0)
    limits.take(0, 0)
    assert limits.wait_s(0, 0) == 1
    limits.give_back(0, 0)
    assert limits.wait_s(0, 0) == 0


def test_what_was_used_stays_used_under_other_limits() -> None:
    limits = Limits(rpm=10, tpm=100)
    limits.take(60, 0)
    limits.configure(20, 50, None)
    assert limits.wait_s(0, 0) > 0  # 60 of now 50 tokens
    limits.configure(None, None, 1)
    assert limits.wait_s(0, 0) == 1
    limits.configure(3, None, None)
    for _ in range(3):
        assert limits.wait_s(0, 0) == 0
        limits.take(0, 0)
    assert limits.wait_s(0, 0) > 0


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 2000)), max_size=50),
)
def test_after_the_wait_that_it_names_a_request_fits(rpm: int, steps: list[tuple[float, int]]) -> None:
    limits = Limits(rpm=rpm, tpm=1000)
    now = 1_000.0
    for pause_s, tokens in steps:
        now += pause_s
        wait_s = limits.wait_s(tokens, now)
        assert wait_s >= 0
        now += wait_s
        assert limits.wait_s(tokens, now) == 0
        limits.take(tokens, now)
        limits.give_back(tokens, tokens // 2)
    assert limits.in_flight == 0
