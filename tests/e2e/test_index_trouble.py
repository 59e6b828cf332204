"""What a user is told of an index that met a hostile folder, or whose own file was spoilt."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from e2e.conftest import StartDaemon

from ghostd.index.store import store_path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def test_each_path_that_is_left_out_is_listed_with_its_reason(start_daemon: StartDaemon, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "good.py").write_text("def good(): pass\n")
    (root / "out").symlink_to("/etc")
    os.mkfifo(root / "pipe\n\x1b[2J.py")
    Path(os.fsdecode(os.fsencode(root) + b"/latin\xe9.py")).write_text("x = 1\n")
    with (root / "sparse.py").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    (root / ".git").write_text("gitdir: /etc\n")
    daemon = start_daemon("--root", str(root))
    daemon.wait_indexed()
    listed = daemon.command("ghostd", "index", str(root), "--all-skips").stdout
    assert "out: a symbolic link out of the root" in listed
    assert "pipe��[2J.py: not a regular file (a FIFO)" in listed
    assert "latin\\xe9.py: the name is not UTF-8" in listed
    assert "sparse.py: larger than index.max_file_bytes (209715200 > 1048576 bytes)" in listed
    assert "skipped     4" in listed
    assert "4 skipped" in daemon.command("ghostctl", "status").stdout
    daemon.stop()


@pytest.mark.parametrize("spoilt", ["damaged", "newer"])
def test_an_index_that_is_set_aside_is_built_again_and_status_says_so(
    start_daemon: StartDaemon, ghostd_home: Path, tmp_path: Path, spoilt: str
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "good.py").write_text("def good(): pass\n")
    daemon = start_daemon("--root", str(root))
    daemon.wait_indexed()
    assert "set aside" not in daemon.command("ghostctl", "status").stdout
    daemon.stop()
    name = store_path(tmp_path, root).name
    (store,) = ghostd_home.rglob(name)
    if spoilt == "damaged":
        store.write_bytes(b"no database at all" * 5000)
    else:
        with closing(sqlite3.connect(store)) as database:
            database.execute("PRAGMA user_version = 999")
    daemon = start_daemon("--root", str(root))
    (state,) = daemon.wait_indexed()["roots"]
    assert (state["state"], state["files"]) == ("ready", 1)
    assert "its index was set aside and is built anew" in state["detail"]
    assert spoilt in state["detail"]
    assert f"kept as {store.name}.aside" in daemon.command("ghostctl", "status").stdout
    daemon.stop()
    assert store.with_name(store.name + ".aside").exists()
