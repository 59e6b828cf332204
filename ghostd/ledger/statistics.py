"""Estimates with intervals, for requests that come in clusters: many of one subject, who is like himself.

Sources: Wilson (1927) for shares; Rao and Scott (1992, Biometrics 48:577) for the effective number of requests in
clusters, by the ratio estimator's variance (Cochran, Sampling Techniques, 3rd ed., 9A); Woodruff (1952, JASA 47:635)
for quantiles; Zou and Donner (2008, Statistics in Medicine 27:1693) for differences, which for shares is Newcombe's
method 10 (1998, Statistics in Medicine 17:873); Student's t by Abramowitz and Stegun 26.7.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
"""The subject of each request, as numbers from 0."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and where it lies with the level's probability; a bound is None where the data do not give one."""

    value: float
    low: float | None
    high: float | None
    requests: int
    """What it was taken over."""
    subjects: int


@dataclass(frozen=True, slots=True)
class Difference:
    """The second arm's figure less the first's."""

    value: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def share(hits: Floats, subjects: Codes, level: float = 0.95) -> Estimate | None:
    """The share of ones among zeros and ones; None without any."""
    count = len(hits)
    if not count:
        return None
    value = float(hits.mean())
    clusters = int(subjects.max()) + 1
    if clusters < 2:
        return Estimate(value, None, None, count, clusters)
    low, high = _wilson(value, _effective(hits, value, subjects), _critical(level, count, clusters))
    return Estimate(value, low, high, count, clusters)


def quantile(figures: Floats, subjects: Codes, at: float, level: float = 0.95) -> Estimate | None:
    """The smallest figure that a share `at` of all does not exceed; None without any."""
    count = len(figures)
    if not count:
        return None
    ordered = np.sort(figures)
    value = float(ordered[max(math.ceil(at * count) - 1, 0)])
    clusters = int(subjects.max()) + 1
    if clusters < 2:
        return Estimate(value, None, None, count, clusters)
    below = (figures <= value).astype(np.float64)
    effective = _effective(below, float(below.mean()), subjects)
    low, high = _wilson(at, effective, _critical(level, count, clusters))
    tail = (1 - level) / 2
    return Estimate(
        value,
        # With fewer, even the smallest (largest) figure is too often above (below) the quantile.
        float(ordered[min(int(low * count), count - 1)]) if (1 - at) ** effective <= tail else None,
        float(ordered[min(math.ceil(high * count), count) - 1]) if at**effective <= tail else None,
        count,
        clusters,
    )


def mean(figures: Floats, subjects: Codes, level: float = 0.95) -> Estimate | None:
    """The mean of figures that are not negative; None without any."""
    count = len(figures)
    if not count:
        return None
    value = float(figures.mean())
    clusters = int(subjects.max()) + 1
    if clusters < 2:
        return Estimate(value, None, None, count, clusters)
    half = t_value(level, clusters - 1) * math.sqrt(_variance(figures, value, subjects))
    return Estimate(value, max(value - half, 0.0), value + half, count, clusters)


def difference(first: Estimate | None, second: Estimate | None) -> Difference | None:
    """`second` less `first`; None where an estimate or one of its bounds is missing."""
    if first is None or second is None:
        return None
    bounds = (first.low, first.high, second.low, second.high)
    if None in bounds:
        return None
    low1, high1, low2, high2 = (float(bound) for bound in bounds if bound is not None)
    same = math.isclose(first.value, second.value, rel_tol=1e-12)  # but for the order of the sums
    value = 0.0 if same else second.value - first.value
    return Difference(
        value,
        value - math.hypot(second.value - low2, high1 - first.value),
        value + math.hypot(high2 - second.value, first.value - low1),
    )


def t_value(level: float, freedom: int) -> float:
    """Student's t that is exceeded on both sides together with probability 1 - level."""
    p = (1 + level) / 2
    if freedom == 1:
        return math.tan(math.pi * (p - 0.5))
    if freedom == 2:
        return (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
    z = NormalDist().inv_cdf(p)
    n = freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * n**4)
    )


def _critical(level: float, count: int, clusters: int) -> float:
    """The normal distribution's where every subject has one request, else Student's, since subjects are few."""
    return NormalDist().inv_cdf((1 + level) / 2) if clusters == count else t_value(level, clusters - 1)


def _variance(figures: Floats, value: float, subjects: Codes) -> float:
    """Of the mean, by how much subjects differ."""
    residuals = np.bincount(subjects, figures - value)
    clusters = len(residuals)
    return float(clusters / (clusters - 1) * np.square(residuals).sum() / len(figures) ** 2)


def _effective(hits: Floats, value: float, subjects: Codes) -> float:
    """As many requests of as many subjects would tell as much."""
    count = len(hits)
    simple = value * (1 - value) / count
    clusters = int(subjects.max()) + 1
    if simple == 0 or clusters == count:
        return count
    return count / max(1.0, _variance(hits, value, subjects) / simple)


def _wilson(value: float, count: float, z: float) -> tuple[float, float]:
    centre = (value + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(value * (1 - value) / count + z * z / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)
