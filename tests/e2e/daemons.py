"""Real daemons for tests: each with a home of its own, ended when its test ends."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_READY = re.compile(r"ghostd \S+ ready on (http://\S+) \(pid (\d+)\)")


QUIET = "[discovery]\nservers = false\n"
"""For every configuration of a test: what listens on the developer's machine is none of its business."""


def quiet_home(home: Path) -> Path:
    """A home whose daemon asks no servers of this machine; returns the configuration file."""
    file = home / "config" / "config.toml"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(QUIET)
    return file


class DaemonProcess:
    """`ghostd run` in the foreground of a process of its own."""

    def __init__(self, home: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        quiet_home(home)
        self.home = home
        self.url = ""
        self.output = ""
        self._environment = {**os.environ, "GHOSTD_HOME": str(home), **(environment or {})}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ghostd", "run", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=self._environment,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_ready(self, timeout_s: float = 30) -> DaemonProcess:
        """Wait for the ready line; raises AssertionError with the output when the daemon ends before it."""
        match = self.wait_output(_READY, timeout_s)
        self.url = match[1]
        return self

    def wait_output(self, pattern: re.Pattern[str], timeout_s: float = 30) -> re.Match[str]:
        """Wait until the output so far matches."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        while not (match := pattern.search(self.output)):
            ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
            data = os.read(descriptor, 65536) if ready else b""
            assert data, f"no {pattern.pattern!r} in the output of ghostd:\n{self.output}"
            self.output += data.decode("utf-8", "replace")
        return match

    def wait_indexed(self, timeout_s: float = 60) -> dict[str, Any]:
        """The status once every root is indexed and learned."""
        found: dict[str, Any] = json.loads(self.command("ghostd", "status", "--json", "--wait", str(timeout_s)).stdout)
        return found

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `ghostd …` or `ghostctl …` against this daemon's home."""
        return run_command(self._environment, *arguments, check=check)

    def request(self, path: str, body: object | None = None, timeout_s: float = 60) -> Any:
        """GET, or POST when there is a body; the decoded JSON."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            return json.load(response)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        self.output += self.process.stdout.read().decode("utf-8", "replace")
        return self.process.wait(30)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def run_command(
    environment: Mapping[str, str], *arguments: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run one of ghostd's console commands as its user would."""
    program = str(Path(sys.executable).with_name(arguments[0]))
    done = subprocess.run(
        [program, *arguments[1:]],
        capture_output=True,
        text=True,
        env=dict(environment),
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pid: int, timeout_s: float = 20) -> None:
    """Wait until a process has ended."""
    deadline = time.monotonic() + timeout_s
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)
