"""What an A/B split has shown: each arm's figures with intervals, and what can be said of their differences."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ghostd.ledger.statistics import Codes, Difference, Estimate, difference, mean, quantile, share

Metric = Literal["success", "latency_p50_ms", "latency_p95_ms", "cost_usd", "accepted", "thumbs_up"]
LEVEL = 0.95

_NAMES: dict[Metric, str] = {
    "success": "success rate",
    "latency_p50_ms": "median latency",
    "latency_p95_ms": "95th percentile of latency",
    "cost_usd": "mean cost",
    "accepted": "accept rate",
    "thumbs_up": "share of thumbs up",
}
_JUDGED = frozenset(("ok", "partial", "error"))
"""What counts for success: neither the caller's mistakes nor requests that he gave up."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm's figures; an estimate is None where there is nothing to take it over."""

    name: str
    subjects: int
    requests: int
    """All of them; `success` is over those that were neither refused nor cancelled."""
    unpriced: int
    """Requests that went well and whose price is unknown; `cost_usd` is over the others."""
    estimates: dict[Metric, Estimate | None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms in one figure."""

    metric: Metric
    first: str
    second: str
    difference: Difference | None
    """The second's less the first's; None where the data are too few."""
    conclusion: str
    """In plain words."""


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """One experiment."""

    name: str
    level: float
    """Probability of the arms' intervals. Where several arms are held against the first, a comparison's is higher, so
    that it holds for all of them together in one figure (Bonferroni)."""
    arms: list[Arm]
    comparisons: list[Comparison]


@dataclass(frozen=True, slots=True)
class _Request:
    subject: str
    status: str
    latency_ms: float
    cost_usd: float | None
    shown: float | None
    accepted: float | None
    thumb: float | None


def experiments(db: sqlite3.Connection, name: str | None = None) -> list[ExperimentReport]:
    """Every experiment that has requests, or the one of this name, by name; see `open_reader`."""
    outcomes = _outcomes(db)
    nothing: dict[str, float] = {}
    found: dict[str, dict[str, list[_Request]]] = {}
    for experiment, id_, session, status, latency_ms, cost_usd in db.execute(
        "SELECT experiment, id, session, status, latency_ms, cost_usd FROM requests WHERE experiment != ''"
    ):
        of, _, arm = experiment.rpartition("/")
        if name is None or of == name:
            said = outcomes.get(id_, nothing)
            request = _Request(
                session or f"/{id_}",  # without a subject, it is one of its own
                *(status, latency_ms, cost_usd, said.get("shown"), said.get("accepted"), said.get("thumb")),
            )
            found.setdefault(of, {}).setdefault(arm, []).append(request)
    return [_report(experiment, found[experiment]) for experiment in sorted(found)]


def _outcomes(db: sqlite3.Connection) -> dict[str, dict[str, float]]:
    """By request and kind; the last of a kind counts."""
    found: dict[str, dict[str, float]] = {}
    for request, kind, value in db.execute(
        "SELECT request_id, kind, value FROM outcomes CROSS JOIN requests ON requests.id = request_id"
        " WHERE experiment != '' ORDER BY outcomes.time_s"
    ):
        found.setdefault(request, {})[kind] = value
    return found


def _report(name: str, requests: dict[str, list[_Request]]) -> ExperimentReport:
    names = sorted(requests)
    level = 1 - (1 - LEVEL) / max(len(names) - 1, 1)
    arms = [_arm(arm, requests[arm], LEVEL) for arm in names]
    strict = arms if level == LEVEL else [_arm(arm, requests[arm], level) for arm in names]
    comparisons = [
        _compare(metric, strict[0], other)
        for other in strict[1:]
        for metric in _NAMES
        if strict[0].estimates[metric] is not None or other.estimates[metric] is not None
    ]
    return ExperimentReport(name, LEVEL, arms, comparisons)


def _arm(name: str, requests: list[_Request], level: float) -> Arm:
    judged = [request for request in requests if request.status in _JUDGED]
    well = [request for request in requests if request.status == "ok"]
    priced = [request for request in well if request.cost_usd is not None]
    shown = [request for request in requests if request.shown or request.accepted]
    rated = [request for request in requests if request.thumb]
    latencies = np.array([request.latency_ms for request in well], np.float64)
    estimates: dict[Metric, Estimate | None] = {
        "success": _share([request.status == "ok" for request in judged], judged, level),
        "latency_p50_ms": quantile(latencies, _codes(well), 0.5, level),
        "latency_p95_ms": quantile(latencies, _codes(well), 0.95, level),
        "cost_usd": mean(np.array([request.cost_usd for request in priced], np.float64), _codes(priced), level),
        "accepted": _share([bool(request.accepted) for request in shown], shown, level),
        "thumbs_up": _share([(request.thumb or 0) > 0 for request in rated], rated, level),
    }
    return Arm(name, len({r.subject for r in requests}), len(requests), len(well) - len(priced), estimates)


def _share(hits: list[bool], requests: list[_Request], level: float) -> Estimate | None:
    return share(np.array(hits, np.float64), _codes(requests), level)


def _codes(requests: list[_Request]) -> Codes:
    """The requests' subjects as numbers from 0."""
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(request.subject, len(numbers)) for request in requests]
    return np.array(codes, np.int64)


def _compare(metric: Metric, first: Arm, second: Arm) -> Comparison:
    found = difference(first.estimates[metric], second.estimates[metric])
    what = _NAMES[metric]
    if found is None:
        said = f"{what}: too few requests or subjects to compare {first.name} and {second.name}"
    elif not found.shown:
        said = f"{what}: no difference shown between {first.name} and {second.name} ({_range(metric, found)})"
    else:
        word = "higher" if found.value > 0 else "lower"
        said = f"{what}: {second.name} is {word} than {first.name} ({_range(metric, found)})"
    return Comparison(metric, first.name, second.name, found, said)


def _range(metric: Metric, found: Difference) -> str:
    figures = (found.value, found.low, found.high)
    if metric == "cost_usd":
        value, low, high = (f"{figure:+.6f}" for figure in figures)
        return f"{value} USD, between {low} and {high}"
    if metric in ("latency_p50_ms", "latency_p95_ms"):
        value, low, high = (f"{figure:+.1f}" for figure in figures)
        return f"{value} ms, between {low} and {high}"
    value, low, high = (f"{100 * figure:+.1f}" for figure in figures)
    return f"{value} percentage points, between {low} and {high}"
