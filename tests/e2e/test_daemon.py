"""The daemon's life, in real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from e2e.daemons import DaemonProcess, alive, quiet_home, run_command, wait_until_gone

pytestmark = pytest.mark.e2e
StartDaemon = Callable[..., DaemonProcess]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "GHOSTD_HOME": str(home)}


def complete(daemon: DaemonProcess, project: Path, **more: object) -> str:
    """The completion of a file like those of the project, in the middle of a line."""
    body = {
        "model": "ghostd/project",
        "prompt": "from shop.storage import Storage\n\n\nclass ShelfRepository:\n"
        "    def __init__(self, storage: Storage) -> None:\n        self._storage = ",
        "suffix": "\n",
        "file_path": str(project / "shop" / "shelf.py"),
        "max_tokens": 32,
    }
    reply = daemon.request("/v1/completions", body | more)
    text: str = reply["choices"][0]["text"]
    return text


def test_a_started_daemon_serves_until_sigterm_ends_it(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    assert daemon.request("/health")["status"] == "ok"
    found = [model["id"] for model in daemon.request("/v1/models")["data"]]
    assert found == ["ghostd/project", "auto", "fast", "smart", "code", "local"]
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_and_a_closed_terminal_end_it_as_well(start_daemon: StartDaemon, number: signal.Signals) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup, which the daemon would inherit
    daemon = start_daemon()
    daemon.process.send_signal(number)
    assert daemon.process.wait(30) == 0
    daemon.stop()
    assert "Traceback" not in daemon.output


def test_a_second_start_says_who_holds_the_home(start_daemon: StartDaemon) -> None:
    first = start_daemon()
    second = start_daemon(ready=False)
    assert second.process.wait(30) == 1
    second.stop()
    assert f"ghostd is already running for this user and home (pid {first.pid}" in second.output
    assert first.url in second.output


def test_a_port_in_use_is_told_with_its_holder_and_how_to_choose_another(start_daemon: StartDaemon) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        daemon = start_daemon(f"--port={port}", ready=False)
        assert daemon.process.wait(30) == 1
    daemon.stop()
    assert str(port) in daemon.output
    assert str(os.getpid()) in daemon.output
    assert "--port" in daemon.output
    assert "Traceback" not in daemon.output


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "no such folder"),
        (lambda path: path.write_text("x"), "not a folder"),
    ],
)
def test_a_root_that_cannot_be_indexed_is_an_error(
    start_daemon: StartDaemon, tmp_path: Path, make: Callable[[Path], object], problem: str
) -> None:
    root = tmp_path / "root"
    make(root)
    daemon = start_daemon(f"--root={root}", ready=False)
    assert daemon.process.wait(30) == 1
    daemon.stop()
    assert f"cannot index {root}: {problem}" in daemon.output
    assert "Traceback" not in daemon.output


def test_a_mistake_in_the_configuration_is_named_with_its_line(start_daemon: StartDaemon, tmp_path: Path) -> None:
    file = tmp_path / "ghostd.toml"
    file.write_text("[http]\nprot = 1\n")
    daemon = start_daemon(f"--config={file}", ready=False)
    assert daemon.process.wait(30) == 2
    daemon.stop()
    assert f"{file}:2: unknown setting `http.prot`; did you mean `port`?" in daemon.output


def test_a_project_is_indexed_learned_and_completed(start_daemon: StartDaemon, project: Path) -> None:
    daemon = start_daemon(f"--root={project}")
    (root,) = daemon.wait_indexed()["roots"]
    assert (root["path"], root["state"], root["files"], root["learned"]) == (str(project), "ready", 9, True)
    assert complete(daemon, project) == "storage"


def test_an_edited_file_is_learned(start_daemon: StartDaemon, project: Path) -> None:
    daemon = start_daemon(f"--root={project}")
    daemon.wait_indexed()
    for name in ("shelf", "rack", "box"):
        (project / f"{name}.py").write_text(f"def {name}():\n    return quetzalcoatl_temple_guardian({name})\n" * 4)
    body = {
        "model": "ghostd/project",
        "prompt": "def tray():\n    return quetzal",
        "suffix": "\n",
        "min_confidence": 0,
    }
    deadline_s = time.monotonic() + 40
    while not (reply := daemon.request("/v1/completions", body))["choices"][0]["text"].startswith(
        "coatl_temple_guardian"
    ):
        assert time.monotonic() < deadline_s, f"the new name is not completed: {reply}"
        time.sleep(0.02)


def test_kill_9_loses_nothing_and_needs_no_hand(start_daemon: StartDaemon, project: Path) -> None:
    first = start_daemon(f"--root={project}")
    first.wait_indexed()
    text = complete(first, project)
    children = [child.pid for child in psutil.Process(first.pid).children(recursive=True)]
    first.kill()
    for child in children:
        wait_until_gone(child)
    second = start_daemon(f"--root={project}")
    second.wait_indexed()
    assert complete(second, project) == text


def test_kill_9_in_the_middle_of_indexing_leaves_a_home_that_starts(start_daemon: StartDaemon, project: Path) -> None:
    for number in range(300):
        (project / f"module_{number}.py").write_text(
            f"def function_{number}(value):\n    return value + {number}\n" * 20
        )
    first = start_daemon(f"--root={project}")
    first.kill()
    second = start_daemon(f"--root={project}")
    (root,) = second.wait_indexed()["roots"]
    assert (root["files"], root["state"]) == (309, "ready")


def test_the_commands_start_show_and_stop_a_background_daemon(ghostd_home: Path, project: Path) -> None:
    env = environment(ghostd_home)
    assert run_command(env, "ghostd", "status", check=False).returncode == 1
    started = run_command(env, "ghostd", "start", "--port=0", f"--root={project}")
    pid = int(re.search(r"pid (\d+)", started.stdout)[1])  # type: ignore[index]
    try:
        assert f"already running (pid {pid})" in run_command(env, "ghostd", "start").stdout
        status = json.loads(run_command(env, "ghostd", "status", "--json", "--wait=60").stdout)
        assert (status["pid"], len(status["roots"])) == (pid, 1)
        shown = run_command(env, "ghostctl", "status").stdout
        assert str(project) in shown
        assert "ghostd/project" in run_command(env, "ghostctl", "models").stdout
        assert f"ready on {status['url']}" in run_command(env, "ghostd", "logs").stdout
        restarted = run_command(env, "ghostd", "restart", "--port=0")
        assert not alive(pid)
        pid = int(re.search(r"started \(pid (\d+)\)", restarted.stdout)[1])  # type: ignore[index]
        assert alive(pid)
    finally:
        run_command(env, "ghostd", "stop")
    assert not alive(pid)
    assert "not running" in run_command(env, "ghostd", "stop").stdout


def test_start_tells_why_the_daemon_did_not_start(ghostd_home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_command(environment(ghostd_home), "ghostd", "start", f"--port={port}", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"ghostd: ghostd did not start: Port {port} on 127.0.0.1 is in use by ")


def test_roots_are_added_and_removed_while_it_runs(start_daemon: StartDaemon, project: Path) -> None:
    daemon = start_daemon()
    assert daemon.command("ghostctl", "roots").stdout == ""
    daemon.command("ghostctl", "roots", "add", str(project))
    assert daemon.command("ghostctl", "roots").stdout == f"{project}\n"
    indexed = daemon.command("ghostd", "index", str(project), "--once").stdout
    assert re.search(r"files +9 ", indexed)
    daemon.command("ghostctl", "roots", "remove", str(project))
    assert daemon.command("ghostctl", "roots").stdout == ""
    missing = daemon.command("ghostctl", "roots", "add", str(project / "none"), check=False)
    assert (missing.returncode, missing.stderr) == (1, f"ghostctl: cannot index {project / 'none'}: no such folder\n")


def test_the_same_completion_is_had_by_command(start_daemon: StartDaemon, project: Path) -> None:
    daemon = start_daemon(f"--root={project}")
    daemon.wait_indexed()
    (project / "shop" / "shelf.py").write_text(
        "from shop.storage import Storage\n\n\nclass ShelfRepository:\n"
        "    def __init__(self, storage: Storage) -> None:\n        self._storage = x\n"
    )
    shown = daemon.command("ghostctl", "complete", f"{project}/shop/shelf.py:6:25")
    assert shown.stdout == "        self._storage = storage\n"


def test_one_pass_over_a_project_needs_no_daemon(ghostd_home: Path, project: Path) -> None:
    (project / "huge.py").write_text("x = 1\n" * 300_000)
    done = run_command(environment(ghostd_home), "ghostd", "index", str(project), "--once").stdout
    assert re.search(r"files +9 ", done)
    assert re.search(r"symbols +(\d+)", done)[1] != "0"  # type: ignore[index]
    assert re.search(r"1 × .*max_file_bytes.*: huge\.py", done)


def test_the_control_api_is_not_on_the_port(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with pytest.raises(urllib.error.HTTPError) as caught:
        daemon.request("/ghostd/v1/status")
    assert caught.value.code == 404
    caught.value.close()


def test_an_idle_daemon_is_one_process(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    assert psutil.Process(daemon.pid).children(recursive=True) == []


def test_two_starts_at_once_both_return_when_the_daemon_serves(ghostd_home: Path) -> None:
    env = environment(ghostd_home)
    with ThreadPoolExecutor() as threads:
        starts = [threads.submit(run_command, env, "ghostd", "start", "--port=0") for _ in range(3)]
        said = [start.result().stdout for start in starts]
    try:
        for text in said:
            url = re.search(r" on (http://127\.0\.0\.1:\d+)", text)
            assert url is not None, text
            with urllib.request.urlopen(f"{url[1]}/health") as response:
                assert response.status == 200
    finally:
        run_command(env, "ghostd", "stop")


def test_a_relative_home_and_closed_streams_are_no_hindrance(tmp_path: Path) -> None:
    quiet_home(tmp_path / "h")
    env = {**os.environ, "GHOSTD_HOME": "h"}
    start = ["/bin/sh", "-c", 'exec "$0" -m ghostd start --port=0 <&- >&- 2>&-', sys.executable]
    try:
        assert subprocess.run(start, env=env, cwd=tmp_path, timeout=60, check=False).returncode == 0
        assert "ready on" in (tmp_path / "h" / "data" / "ghostd.log").read_text()
    finally:
        run_command(environment(tmp_path / "h"), "ghostd", "stop")


def test_a_reader_that_has_gone_does_not_end_the_daemon(start_daemon: StartDaemon, ghostd_home: Path) -> None:
    daemon = start_daemon(ready=False)
    assert daemon.process.stdout is not None
    daemon.process.stdout.close()
    status = {}
    for _ in range(200):
        done = run_command(environment(ghostd_home), "ghostd", "status", "--json", check=False)
        if done.returncode == 0:
            status = json.loads(done.stdout)
            break
    assert status["pid"] == daemon.pid
