"""Intervals hold what they promise, also for requests that come in clusters."""

import numpy as np
import pytest

from ghostd.ledger.statistics import Estimate, difference, mean, quantile, share, t_value

ALONE = np.arange(10_000)


def test_a_shares_interval_is_wilsons() -> None:
    """Newcombe (1998, Statistics in Medicine 17:857), table I, method 3: 81 of 263, and 15 of 148."""
    for hits, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)):
        found = share(np.array([1.0] * hits + [0.0] * (count - hits)), ALONE[:count])
        assert found is not None
        assert (found.value, found.requests, found.subjects) == (hits / count, count, count)
        assert [found.low, found.high] == pytest.approx([low, high], abs=5e-5)


def test_a_difference_of_shares_has_newcombes_interval() -> None:
    """Newcombe (1998, Statistics in Medicine 17:873), table II, method 10: 56/70 less 48/80."""
    first = share(np.array([1.0] * 48 + [0.0] * 32), ALONE[:80])
    second = share(np.array([1.0] * 56 + [0.0] * 14), ALONE[:70])
    found = difference(first, second)
    assert found is not None
    assert [found.value, found.low, found.high] == pytest.approx([0.2, 0.0524, 0.3339], abs=5e-5)
    assert found.shown


def test_students_t() -> None:
    """Abramowitz and Stegun, table 26.10."""
    for freedom, value in ((1, 12.706), (2, 4.303), (4, 2.776), (10, 2.228), (30, 2.042), (120, 1.980)):
        assert t_value(0.95, freedom) == pytest.approx(value, abs=2e-3)


def test_nothing_gives_no_estimate_and_one_subject_no_interval() -> None:
    assert share(np.array([]), ALONE[:0]) is None
    assert quantile(np.array([]), ALONE[:0], 0.5) is None
    assert mean(np.array([]), ALONE[:0]) is None
    one = np.zeros(50, np.int64)
    assert share(np.ones(50), one) == Estimate(1.0, None, None, 50, 1)
    assert quantile(np.arange(50.0), one, 0.5) == Estimate(24.0, None, None, 50, 1)
    assert difference(mean(np.ones(50), one), mean(np.ones(50), one)) is None


def test_a_quantiles_bound_that_the_data_do_not_give_is_none() -> None:
    few = quantile(np.arange(30.0), ALONE[:30], 0.95)
    assert few is not None
    assert (few.value, few.low is None, few.high) == (28.0, False, None)
    tiny = quantile(np.arange(3.0), ALONE[:3], 0.5)
    assert tiny == Estimate(1.0, None, None, 3, 3)


def clustered(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """40 subjects, each with a level of his own and 5 to 30 requests around it: mean and median 10."""
    sizes = random.integers(5, 31, 40)
    subjects = np.repeat(np.arange(40), sizes)
    return 10 + random.normal(0, 1, 40)[subjects] + random.normal(0, 1, len(subjects)), subjects


def test_intervals_of_clustered_requests_hold_the_truth_as_often_as_they_say() -> None:
    """500 samples; 95 % must not be below 91 % (three standard errors), where taking requests for independent gives
    far less."""
    random = np.random.default_rng(3)
    held = {"mean": 0, "median": 0, "share": 0, "naive": 0}
    for _ in range(500):
        figures, subjects = clustered(random)
        for name, found, truth in (
            ("mean", mean(figures, subjects), 10.0),
            ("median", quantile(figures, subjects, 0.5), 10.0),
            ("share", share((figures > 10).astype(float), subjects), 0.5),
            ("naive", mean(figures, ALONE[: len(figures)]), 10.0),
        ):
            assert found is not None
            assert found.low is not None
            assert found.high is not None
            held[name] += found.low <= truth <= found.high
    assert min(held["mean"], held["median"], held["share"]) >= 0.91 * 500, held
    assert held["naive"] < 0.6 * 500


def test_equal_figures_differ_by_exactly_nothing() -> None:
    first, second = mean(np.full(300, 0.00036), ALONE[:300]), mean(np.full(400, 0.00036), ALONE[:400])
    found = difference(first, second)
    assert found is not None
    assert (found.value, found.shown) == (0.0, False)
