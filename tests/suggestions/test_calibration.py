"""How sure a model has to be is learned from what became of its suggestions."""

from __future__ import annotations

from pathlib import Path

import pytest
from suggestions.models import READY, Models, ask, service, texts

from ghostd.suggestions.calibration import Calibration

HEAD = "def load(path):\n    "


def test_without_observations_a_model_is_taken_at_its_word() -> None:
    assert Calibration().probability("m", 0.7) == 0.7


def test_the_estimate_moves_to_what_was_seen_and_only_for_that_confidence_and_model() -> None:
    calibration = Calibration()
    for _ in range(200):
        calibration.observe("m", 0.75, right=False)
    assert calibration.probability("m", 0.75) < 0.25
    assert calibration.probability("m", 0.95) == 0.95
    assert calibration.probability("other", 0.75) == 0.75
    for _ in range(400):
        calibration.observe("m", 0.75, right=True)
    assert calibration.probability("m", 0.75) > 0.85


def test_it_is_kept_over_a_restart_for_the_user_only(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    calibration = Calibration(file)
    for _ in range(50):
        calibration.observe("m", 0.5, right=True)
    calibration.save()
    assert file.stat().st_mode & 0o777 == 0o600
    assert Calibration(file).probability("m", 0.5) == calibration.probability("m", 0.5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 2, "counts": {}}',
        '{"version": 1, "counts": {"m": [[3, 1]]}}',
        '{"version": 1}',
        "\xff",
    ],
)
def test_a_damaged_or_foreign_file_counts_as_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "calibration.json"
    file.write_text(text, "latin-1")
    assert Calibration(file).probability("m", 0.5) == 0.5


async def test_suggestions_that_the_user_writes_otherwise_are_no_longer_shown_by_themselves() -> None:
    models = Models(READY)
    suggestions = service(models)
    for number in range(120):
        head = f"def load_{number}(path):\n    "
        models.ready[head] = ("return path", 0.5)
        await texts(suggestions, ask(head))
        await texts(suggestions, ask(head + "with"))
    models.ready[HEAD] = ("return path", 0.5)
    assert await texts(suggestions, ask(HEAD)) == []
    assert await texts(suggestions, ask(HEAD, trigger="manual")) == ["return path"]
    assert await texts(service(models, calibrate=False), ask(HEAD)) == ["return path"]


async def test_suggestions_that_are_typed_out_gain_trust() -> None:
    models = Models(READY)
    suggestions = service(models)
    for number in range(30):
        head = f"def load_{number}(path):\n    "
        models.ready[head] = ("return path", 0.5)
        for typed in ("", "return", "return pat", "return path"):
            await texts(suggestions, ask(head + typed))
    assert suggestions.calibration.probability("ready", 0.5) > 0.6
