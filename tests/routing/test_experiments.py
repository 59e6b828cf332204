"""A/B splits: who gets which arm, and who keeps it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from routing_harness import chat, deltas, upstream, whole, world

from ghostd.completion.fill import collect
from ghostd.config.routing import ExperimentArm, ExperimentConfig
from ghostd.routing.call import Hints
from ghostd.routing.experiments import assign, by_model
from ghostd.types import FillRequest

SPLIT = ExperimentConfig(
    model="r", arms={"old": ExperimentArm(model="a/m", weight=3), "new": ExperimentArm(model="b/m")}
)


def arms(experiment: ExperimentConfig, count: int = 4000) -> dict[str, str]:
    return {f"u{n}": assign("x", experiment, chat(user=f"u{n}")).arm for n in range(count)}


def test_subjects_are_shared_by_weight() -> None:
    found = Counter(arms(SPLIT).values())
    assert found["new"] / 4000 == pytest.approx(0.25, abs=0.03)  # four standard deviations


def test_a_subject_keeps_its_arm() -> None:
    assert arms(SPLIT) == arms(SPLIT)


def test_another_experiment_splits_the_same_subjects_anew() -> None:
    other = {f"u{n}": assign("y", SPLIT, chat(user=f"u{n}")).arm for n in range(4000)}
    both = sum(arm == "new" == other[user] for user, arm in arms(SPLIT).items())
    assert both / 4000 == pytest.approx(1 / 16, abs=0.02)


def test_another_weight_moves_no_more_subjects_than_it_must() -> None:
    equal = ExperimentConfig(model="r", arms={**SPLIT.arms, "new": ExperimentArm(model="b/m", weight=3)})
    before, after = arms(SPLIT), arms(equal)
    assert all(after[user] == "new" for user, arm in before.items() if arm == "new")
    assert sum(before[user] != after[user] for user in before) / 4000 == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("subject", "one", "other"),
    [
        ("user", {"user": "ann"}, {"user": "bob"}),
        ("client", {"hints": Hints(client="vim")}, {"hints": Hints(client="zed")}),
        ("session", {"hints": Hints(session="s1")}, {"hints": Hints(session="s2")}),
    ],
)
def test_what_sticks_is_the_configurations_to_say(subject: str, one: Any, other: Any) -> None:
    experiment = ExperimentConfig(model="r", arms=SPLIT.arms, subject=subject)  # type: ignore[arg-type]
    first, again, another = (assign("x", experiment, chat(**fields)) for fields in (one, one, other))
    assert first == again
    assert first.subject != another.subject
    assert all(value not in first.subject for value in ("ann", "vim", "s1"))


def test_requests_of_nobody_are_assigned_one_by_one() -> None:
    found = Counter(assign("x", SPLIT, chat()).arm for _ in range(4000))
    assert found["new"] / 4000 == pytest.approx(0.25, abs=0.04)
    assert assign("x", SPLIT, chat()).subject == ""


def test_an_experiment_that_is_off_splits_nothing() -> None:
    assert by_model({"x": ExperimentConfig(model="r", arms=SPLIT.arms, enabled=False)}) == {}


SETTINGS = """
routes.r.deployments = ["a/m"]
aliases.nick = "r"
[experiments.trial]
model = "r"
arms.new.model = "b/m"
"""


async def test_a_split_route_goes_to_its_arms_also_by_an_alias() -> None:
    async with world(SETTINGS, upstream("a", whole("a")), upstream("b", whole("b"))) as w:
        assert await w.ask(model="r", user="ann") == "b"
        assert (w.row.experiment, w.row.model, w.row.route, w.row.deployment) == ("trial/new", "r", "b/m", "b/m")
        assert w.row.session not in ("", "ann")
        assert w.row.reason.startswith("experiment trial, arm new; ")
        assert await w.ask(model="nick") == "b"
        assert await w.ask(model="a/m") == "a"
        assert w.row.experiment == ""


async def test_the_completions_of_an_editors_session_belong_to_one_arm() -> None:
    settings = SETTINGS + 'subject = "session"\narms.old.model = "a/m"\n'
    async with world(settings, upstream("a", *[deltas("a")] * 20), upstream("b", *[deltas("b")] * 20)) as w:
        said: dict[str, set[str]] = {}
        for session in ("lsp-1", "lsp-2", "lsp-3", "lsp-4", "lsp-5"):
            for _ in range(4):
                w.calls += 1
                text = (await collect(w.engine.fill(FillRequest("r", "a = ", "\n", session=session)))).text
                said.setdefault(session, set()).add(text)
        assert all(len(texts) == 1 for texts in said.values())
        assert w.row.session not in ("", "lsp-5")


async def test_an_arm_may_name_the_model_that_is_split() -> None:
    settings = SETTINGS.replace('"b/m"', '"r"')
    async with world(settings, upstream("a", whole("a"))) as w:
        assert await w.ask(model="r") == "a"
        assert w.row.experiment == "trial/new"


async def test_a_split_may_have_a_name_of_its_own_and_is_listed() -> None:
    settings = '[experiments.trial]\nmodel = "mine"\narms.new.model = "a/m"\n'
    async with world(settings, upstream("a", whole("a"))) as w:
        assert await w.ask(model="mine") == "a"
        assert w.engine.model("mine").detail == "experiment: a/m"
