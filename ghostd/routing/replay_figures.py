"""The figures of a replay: means over past requests, with how much they rest on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Outcome:
    """A deployment chosen for a past request, beside what really happened to the request."""

    chosen: str
    """"" where none was known to be able."""
    kind: tuple[str, str]
    """The request's capability and complexity."""
    same: bool
    """Whether it was really asked first."""
    success: float
    """1 if the deployment that was really asked first answered to the end, else 0."""
    cost_usd: float | None
    """What the request really cost; None where it is not known, or it was not answered."""
    latency_ms: float | None
    """What it really took, failover included; None where it was not answered."""


@dataclass(slots=True)
class Mean:
    """Of values added one by one."""

    count: int = 0
    total: float = 0.0

    def add(self, value: float) -> None:
        """Take one in."""
        self.count += 1
        self.total += value

    @property
    def value(self) -> float | None:
        """None before the first."""
        return self.total / self.count if self.count else None


@dataclass(slots=True)
class Tally:
    """What one deployment did with requests of one kind."""

    success: Mean = field(default_factory=Mean)
    """Of 1 for each try that was answered to its end, and 0 for the others."""
    cost_usd: Mean = field(default_factory=Mean)
    latency_ms: Mean = field(default_factory=Mean)
    """Of those that were asked first."""


Tallies = dict[tuple[str, str, str], Tally]
"""By deployment, capability and complexity."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean under a policy, and the real one over the same requests."""

    mean: float | None
    """None where it is known for no request."""
    went: float | None
    requests: int
    """How many it is taken over: those for which both are known."""
    estimated: int
    """How many of these are estimates."""
    fewest: int | None
    """The smallest sample behind an estimate; None without one."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One deployment under a policy."""

    deployment: str
    requests: int
    same: int
    """Of these, how many really went there first."""
    samples: int
    """Tries of it, with requests of the same kinds, that estimates rest on."""


@dataclass(frozen=True, slots=True)
class PolicyScore:
    """How one policy would have done."""

    name: str
    requests: int
    same: int
    """Choices that equal the real first one."""
    unable: int
    """Requests that no deployment was known to be able to do."""
    success: Figure
    """Of the first try alone; failover would have helped the others."""
    cost_usd: Figure
    """Per request."""
    latency_ms: Figure
    """Until the last byte."""
    choices: tuple[Chosen, ...]
    """The most used first."""


def score_of(name: str, outcomes: Sequence[Outcome], tallies: Tallies) -> PolicyScore:
    """The figures of all of a policy's choices."""
    return PolicyScore(
        name,
        len(outcomes),
        sum(outcome.same for outcome in outcomes),
        sum(not outcome.chosen for outcome in outcomes),
        _figure(outcomes, tallies, lambda outcome: outcome.success, lambda tally: tally.success),
        _figure(outcomes, tallies, lambda outcome: outcome.cost_usd, lambda tally: tally.cost_usd),
        _figure(outcomes, tallies, lambda outcome: outcome.latency_ms, lambda tally: tally.latency_ms),
        _choices(outcomes, tallies),
    )


def _figure(
    outcomes: Sequence[Outcome],
    tallies: Mapping[tuple[str, str, str], Tally],
    real: Callable[[Outcome], float | None],
    of: Callable[[Tally], Mean],
) -> Figure:
    mean, went = Mean(), Mean()
    estimated, fewest = 0, None
    for outcome in outcomes:
        happened = value = real(outcome)
        if happened is None:
            continue
        if not outcome.same:
            tally = tallies.get((outcome.chosen, *outcome.kind))
            known = of(tally) if tally is not None else Mean()
            value = known.value
            if value is None:
                continue
            estimated += 1
            fewest = known.count if fewest is None else min(fewest, known.count)
        assert value is not None
        mean.add(value)
        went.add(happened)
    return Figure(mean.value, went.value, mean.count, estimated, fewest)


def _choices(outcomes: Sequence[Outcome], tallies: Tallies) -> tuple[Chosen, ...]:
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.chosen:
            found.setdefault(outcome.chosen, []).append(outcome)
    choices = []
    for name, chosen in found.items():
        kinds = {outcome.kind for outcome in chosen}
        samples = sum(tallies[name, *kind].success.count for kind in kinds if (name, *kind) in tallies)
        choices.append(Chosen(name, len(chosen), sum(outcome.same for outcome in chosen), samples))
    return tuple(sorted(choices, key=lambda choice: (-choice.requests, choice.deployment)))
