"""Entry points: ghostd's own are found without a look at other distributions, and are the same ones."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution, entry_points
from pathlib import Path
from typing import get_args

import pytest

from ghostd import plugins

GROUPS: tuple[plugins.Group, ...] = get_args(plugins.Group)


@pytest.mark.parametrize("group", GROUPS)
def test_every_entry_point_is_known_and_is_what_it_names(group: plugins.Group) -> None:
    entries = entry_points(group=group)
    assert plugins.known(group) == tuple(sorted(entries.names))
    assert entries
    for entry in entries:
        assert plugins.is_known(group, entry.name)
        assert plugins.find(group, entry.name) is entry.load()


def test_ghostd_s_own_are_found_without_importlib_metadata() -> None:
    own = [entry for entry in distribution("ghostd").entry_points if entry.group == "ghostd.frontends"]
    assert own
    command = f"""
import sys
from ghostd import plugins
assert plugins.find("ghostd.frontends", {own[0].name!r}) is not None
assert "importlib.metadata" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", command], check=True)


def test_another_distribution_s_is_found_and_an_unknown_one_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other_thing.py").write_text("made = object()\n")
    installed = tmp_path / "other_thing-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: other-thing\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[ghostd.providers]\nother-thing = other_thing:made\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.known.cache_clear()
    try:
        import other_thing  # type: ignore[import-not-found]

        assert plugins.find("ghostd.providers", "other-thing") is other_thing.made
        assert plugins.is_known("ghostd.providers", "other-thing")
        assert plugins.find("ghostd.providers", "no-such") is None
        assert not plugins.is_known("ghostd.providers", "no-such")
    finally:
        plugins.known.cache_clear()
