"""`ghostd start`, `stop`, `restart` and `logs`: the daemon in the background."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import click

from ghostd.cli.options import checked_root, daemon_options, read_config
from ghostd.errors import InstanceError
from ghostd.local.client import Client
from ghostd.local.instance import Instance, running
from ghostd.local.paths import Paths, expand, find_paths

_START_S = 60.0
_STOP_S = 30.0
_LOG_BYTES = 5 * 1024 * 1024
"""A log larger than this is set aside as ghostd.log.1 at the next start."""


@click.command()
@daemon_options
def start(roots: tuple[Path, ...], port: int | None, config_path: Path | None) -> None:
    """Start the daemon in the background and wait until it is ready."""
    paths = find_paths()
    if holder := _ready_one(paths):
        click.echo(f"ghostd is already running (pid {holder.pid}) on {holder.url}")
        return
    read_config(paths, config_path, port)  # a mistake is told here rather than in the log
    options = [f"--root={checked_root(root)}" for root in roots]
    if port is not None:
        options.append(f"--port={port}")
    if config_path is not None:
        options.append(f"--config={config_path.absolute()}")
    started = start_daemon(paths, options)
    click.echo(f"ghostd started (pid {started.pid}) on {started.url}; log: {paths.log_file}")


@click.command()
def stop() -> None:
    """End the running daemon; running requests get a few seconds to finish."""
    paths = find_paths()
    holder = running(paths)
    if holder is None:
        click.echo("ghostd is not running")
        return
    stop_daemon(paths, holder)
    click.echo(f"ghostd stopped (pid {holder.pid})")


@click.command()
@daemon_options
@click.pass_context
def restart(ctx: click.Context, roots: tuple[Path, ...], port: int | None, config_path: Path | None) -> None:
    """End the daemon, if one runs, and start it with these options."""
    paths = find_paths()
    read_config(paths, config_path, port)  # do not end a working daemon for a configuration that is wrong
    if holder := running(paths):
        stop_daemon(paths, holder)
    ctx.invoke(start, roots=roots, port=port, config_path=config_path)


@click.command()
@click.option("-n", "--lines", "count", type=click.IntRange(min=0), default=50, help="Lines to show.")
@click.option("-f", "--follow", is_flag=True, help="Go on showing new lines until Ctrl-C.")
def logs(count: int, follow: bool) -> None:
    """Show what the background daemon wrote."""
    path = find_paths().log_file
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in deque(file, count):
                click.echo(line, nl=False)
            while follow:
                line = file.readline()
                if line:
                    click.echo(line, nl=False)
                else:
                    time.sleep(0.2)
    except FileNotFoundError:
        raise InstanceError(f"there is no log yet at {path}; `ghostd start` writes one") from None


def start_daemon(paths: Paths, options: list[str]) -> Instance:
    """Start `ghostd run` in the background and wait until it is ready; raises InstanceError with its last words."""
    paths.create()
    if paths.log_file.exists() and paths.log_file.stat().st_size > _LOG_BYTES:
        paths.log_file.replace(paths.log_file.with_suffix(".log.1"))
    reader, writer = os.pipe()
    descriptor = os.open(paths.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    offset = paths.log_file.stat().st_size
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "ghostd", "run", f"--ready-fd={writer}", *options],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd="/",
            start_new_session=True,
            pass_fds=(writer,),
            env=_environment(),
        )
    finally:
        os.close(writer)
        os.close(descriptor)
    try:
        answered, _, _ = select.select([reader], [], [], _START_S)
        ready = bool(answered) and os.read(reader, 16).startswith(b"ready")
    finally:
        os.close(reader)
    if ready and (instance := running(paths)):
        return instance
    if process.poll() is None and not answered:
        raise InstanceError(f"ghostd (pid {process.pid}) was not ready after {_START_S:.0f} s; see {paths.log_file}")
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.terminate()
        raise InstanceError(
            f"ghostd (pid {process.pid}) started, but not in {paths.runtime}; it is ended again"
        ) from None
    if other := _ready_one(paths):
        return other  # somebody else started one at the same moment
    with paths.log_file.open(encoding="utf-8", errors="replace") as file:
        file.seek(offset)
        words = "".join(deque(file, 5)).strip()
    raise InstanceError(f"ghostd did not start: {words.removeprefix('ghostd: ') or 'it said nothing'}")


def _environment() -> dict[str, str]:
    """The daemon's environment: ours, but it runs in another folder."""
    environment = {**os.environ, "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "2")}
    if home := environment.get("GHOSTD_HOME"):
        environment["GHOSTD_HOME"] = str(expand(Path(home)).absolute())
    return environment


def _ready_one(paths: Paths) -> Instance | None:
    """The daemon of this home once it is ready; None when there is none, or when it ended before it was ready."""
    deadline = time.monotonic() + _START_S
    while (holder := running(paths)) and not holder.url:
        if time.monotonic() > deadline:
            raise InstanceError(f"ghostd (pid {holder.pid}) is not ready after {_START_S:.0f} s; see {paths.log_file}")
        time.sleep(0.05)
    return holder


def stop_daemon(paths: Paths, holder: Instance) -> None:
    """End the daemon and wait until its process has gone; raises InstanceError when it does not end."""
    import psutil

    try:
        process = psutil.Process(holder.pid or Client(paths).status().pid)
        if running(paths) is None:
            return  # it ended by itself, and the process id may be another's by now
        process.send_signal(signal.SIGTERM)
        process.wait(_STOP_S)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        raise InstanceError(
            f"ghostd (pid {holder.pid}) did not end in {_STOP_S:.0f} s; `kill -9 {holder.pid}` does"
        ) from None
