"""Where ghostd's files lie."""

import os
import stat
from pathlib import Path

import pytest

from ghostd.errors import ConfigError
from ghostd.local.paths import find_paths


def test_ghostd_home_moves_everything(tmp_path: Path) -> None:
    paths = find_paths({"GHOSTD_HOME": str(tmp_path / "h")})
    for folder in (paths.config, paths.data, paths.cache):
        assert folder.is_relative_to(tmp_path / "h")


def test_a_home_with_a_long_path_still_gets_sockets_that_can_be_bound(tmp_path: Path) -> None:
    paths = find_paths({"GHOSTD_HOME": str(tmp_path / ("x" * 200))})
    assert len(os.fsencode(paths.http_socket)) < 104
    assert paths.runtime == find_paths({"GHOSTD_HOME": str(tmp_path / ("x" * 200))}).runtime
    assert paths.runtime != find_paths({"GHOSTD_HOME": str(tmp_path / ("y" * 200))}).runtime


def test_folders_are_made_for_this_user_only(tmp_path: Path) -> None:
    paths = find_paths({"GHOSTD_HOME": str(tmp_path / "h")})
    (tmp_path / "h" / "data").mkdir(parents=True, mode=0o755)
    paths.create()
    for folder in (paths.config, paths.data, paths.runtime, paths.models):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_runtime_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    paths = find_paths({"GHOSTD_HOME": str(tmp_path / "h")})
    (tmp_path / "h").mkdir()
    (tmp_path / "elsewhere").mkdir()
    paths.runtime.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="is not a folder"):
        paths.create()


def test_folders_above_are_made_for_this_user_only_too(tmp_path: Path) -> None:
    find_paths({"GHOSTD_HOME": str(tmp_path / "a" / "h")}).create()
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


@pytest.mark.parametrize(("home", "problem"), [("~nobody-of-this-name/h", "no home folder"), ("/tmp/\udcff", "UTF-8")])
def test_a_home_that_cannot_be_one_is_told(home: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        find_paths({"GHOSTD_HOME": home})
