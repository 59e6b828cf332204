"""One daemon for each user and home."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from ghostd.errors import InstanceError
from ghostd.local.instance import Instance, hold, running
from ghostd.local.paths import Paths, find_paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = find_paths({"GHOSTD_HOME": str(tmp_path / "h")})
    paths.create()
    return paths


def test_nobody_runs_in_a_fresh_home(paths: Paths) -> None:
    assert running(paths) is None


def test_a_second_start_is_told_who_holds_the_home(paths: Paths) -> None:
    with hold(paths, Instance(4711, "1.2.3", 1.0)) as lock:
        lock.describe(Instance(4711, "1.2.3", 1.0, "http://127.0.0.1:8080"))
        assert running(paths) == Instance(4711, "1.2.3", 1.0, "http://127.0.0.1:8080")
        with (
            pytest.raises(InstanceError, match=r"pid 4711, version 1\.2\.3\) at http://127\.0\.0\.1:8080"),
            hold(paths, Instance(1, "1", 1.0)),
        ):
            pass
    assert running(paths) is None
    with hold(paths, Instance(2, "2", 2.0)):
        assert running(paths) == Instance(2, "2", 2.0)


def _hold_for_ever(paths: Paths, held: Event) -> None:
    with hold(paths, Instance(os.getpid(), "1", 1.0)):
        held.set()
        signal.pause()


def test_a_killed_holder_leaves_the_home_free(paths: Paths) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=_hold_for_ever, args=(paths, held))
    process.start()
    assert held.wait(20)
    assert running(paths) is not None
    process.kill()
    process.join(20)
    assert running(paths) is None
    with hold(paths, Instance(3, "3", 3.0)):
        pass


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("elsewhere")])
def test_something_else_in_the_locks_place_is_told(paths: Paths, make: Callable[[Path], object]) -> None:
    make(paths.lock)
    with pytest.raises(InstanceError, match="remove what lies there"), hold(paths, Instance(1, "1", 1.0)):
        pass
