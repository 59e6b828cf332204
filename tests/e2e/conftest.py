"""Real processes: a small project to work on, and daemons that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from e2e.daemons import DaemonProcess, quiet_home

StartDaemon = Callable[..., DaemonProcess]


@pytest.fixture(autouse=True)
def quiet(ghostd_home: Path) -> None:
    """Daemons that a test starts by command are quiet, too."""
    quiet_home(ghostd_home)


@pytest.fixture
def start_daemon(ghostd_home: Path) -> Iterator[StartDaemon]:
    """Start a daemon on a free port, in this test's home unless told otherwise."""
    started: list[DaemonProcess] = []

    def start(
        *options: str, home: Path = ghostd_home, ready: bool = True, environment: Mapping[str, str] | None = None
    ) -> DaemonProcess:
        more = () if any("--port" in option for option in options) else ("--port=0",)
        daemon = DaemonProcess(home, *more, *options, environment=environment)
        started.append(daemon)
        return daemon.wait_ready() if ready else daemon

    yield start
    for daemon in started:
        daemon.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose habits are easy to learn."""
    root = tmp_path / "project"
    (root / "shop").mkdir(parents=True)
    for noun in ("order", "invoice", "customer", "product", "basket", "payment", "refund", "address"):
        (root / "shop" / f"{noun}.py").write_text(
            f'''"""The {noun} of the shop."""

from shop.storage import Storage


class {noun.title()}Repository:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def find_by_identifier(self, identifier: str) -> dict[str, object] | None:
        return self._storage.fetch_one("select * from {noun} where identifier = ?", identifier)

    def remove_by_identifier(self, identifier: str) -> int:
        return self._storage.execute("delete from {noun} where identifier = ?", identifier)
'''
        )
    (root / "shop" / "storage.py").write_text(
        '''"""Where the shop keeps its rows."""


class Storage:
    def fetch_one(self, query: str, *values: object) -> dict[str, object] | None:
        return None

    def execute(self, query: str, *values: object) -> int:
        return 0
'''
    )
    return root
