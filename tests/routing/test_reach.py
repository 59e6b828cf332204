"""Whether a request for a name may leave this machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from routing_harness import World

from ghostd.errors import ModelNotFound
from ghostd.models import ModelInfo
from ghostd.routing.reach import may_leave
from ghostd.testing.scripted import ALL, ScriptedProvider, ScriptedUpstreamProvider

NEAR = ModelInfo("", "near", ALL)


def leaves(name: str, settings: str = "", **options: Any) -> bool:
    far = ScriptedUpstreamProvider(name="far", endpoint="http://far.test")
    near = ScriptedUpstreamProvider(name="near", endpoint="http://near.test", info=NEAR)
    return may_leave(World(settings, far, near, local=[ScriptedProvider()], **options).engine.registry, name)


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("scripted-model", "", False),
        ("near/m", "", False),
        ("far/m", "", True),
        ("local", "", False),
        ("auto", "", True),
        ("smart", "", True),
        ("r", '[routes.r]\ndeployments = ["near/m"]', False),
        ("r", '[routes.r]\ndeployments = ["near/m", {model = "far/m", order = 2}]', True),
        ("r", '[routes.r]\ndeployments = ["near/m"]\nfallbacks = ["scripted-model"]', False),
        ("r", '[routes.r]\ndeployments = ["near/m"]\nfallbacks = ["scripted-model", "far/m"]', True),
        ("r", '[routes.r]\ndeployments = ["near/m"]\nfallbacks = ["s"]\n[routes.s]\ndeployments = ["far/m"]', True),
        ("r", '[routes.r]\ndeployments = ["near/m"]\nfallbacks = ["r", "gone"]', False),
        ("a", '[aliases]\na = "far/m"', True),
        (
            "near/m",
            '[experiments.e]\nmodel = "near/m"\narms = {one = {model = "near/m"}, other = {model = "far/m"}}',
            True,
        ),
        ("x", '[experiments.e]\nmodel = "x"\narms = {one = {model = "near/m"}, other = {model = "far/m"}}', True),
        (
            "x",
            '[experiments.e]\nmodel = "x"\narms = {one = {model = "near/m"}, other = {model = "scripted-model"}}',
            False,
        ),
    ],
)
def test_everything_that_may_answer_counts(name: str, settings: str, expected: bool) -> None:
    assert leaves(name, settings) is expected


def test_a_name_that_nobody_has_is_refused() -> None:
    with pytest.raises(ModelNotFound):
        leaves("gone")


def test_the_virtual_models_stay_here_where_everything_is_here() -> None:
    near = ScriptedUpstreamProvider(name="near", endpoint="http://near.test", info=replace(NEAR, owned_by="near"))
    registry = World("", near, local=[ScriptedProvider()]).engine.registry
    assert [may_leave(registry, name) for name in ("auto", "smart", "local")] == [False, False, False]
