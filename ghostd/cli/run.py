"""`ghostd run`: the daemon in the foreground."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ghostd import __version__
from ghostd.cli.options import checked_root, daemon_options, read_config, with_port
from ghostd.config.settings import Config
from ghostd.local.instance import Instance, Lock, hold
from ghostd.local.paths import Paths, find_paths
from ghostd.telemetry import set_up_logging

if TYPE_CHECKING:
    from ghostd.daemon.control import Daemon

_OPEN_FILES = 8192
_YOUNG_OBJECTS = 5_000
"""New objects from which on the garbage collector looks for garbage. 16 requests at once hold Python's 700 alive."""
_SWITCH_INTERVAL_S = 0.001
"""How long a thread that computes keeps the event loop waiting; Python's 5 ms are as long as a whole answer takes."""
_GOODBYE_S = 10.0
"""Time beyond `drain_s` after which a daemon that was asked to end is ended by force."""


@click.command()
@daemon_options
@click.option("--demo", is_flag=True, help="Wait until the first project is indexed and show a completion in it.")
@click.option("--ready-fd", type=int, hidden=True, help="File descriptor that gets a line once the daemon is ready.")
def run(roots: tuple[Path, ...], port: int | None, config_path: Path | None, demo: bool, ready_fd: int | None) -> None:
    """Run the daemon in the foreground until Ctrl-C or SIGTERM."""
    gc.disable()  # until it is ready: a start makes next to no garbage, and a tenth of its time was looking for some
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    paths = find_paths()
    config, config_file = read_config(paths, config_path, port)
    checked = [checked_root(root) for root in roots]
    set_up_logging(config.log)
    paths.create()
    _allow_open_files()
    with (
        hold(paths, Instance(os.getpid(), __version__, time.time())) as lock,
        asyncio.Runner(loop_factory=_event_loop) as runner,
    ):
        runner.run(_run(config, paths, checked, config_file, port, lock, demo=demo, ready_fd=ready_fd))


def _allow_open_files() -> None:
    """Raise the soft limit of open files: each root, editor and HTTP connection takes a few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _event_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


async def _run(
    config: Config,
    paths: Paths,
    roots: list[Path],
    config_file: Path,
    port: int | None,
    lock: Lock,
    *,
    demo: bool,
    ready_fd: int | None,
) -> None:
    from ghostd.cli.first_run import describe
    from ghostd.daemon.running import running

    async with running(config, paths, roots, config_file, lambda read: with_port(read, port)) as daemon:
        _end_on_signals(daemon.stopping, config.drain_s + _GOODBYE_S)
        lock.describe(Instance(os.getpid(), __version__, time.time(), daemon.url))
        with suppress(OSError):  # a reader that has gone, or a full disk, ends no daemon
            click.echo(f"ghostd {__version__} ready on {daemon.url} (pid {os.getpid()})")
            describe(daemon, paths)
        if ready_fd is not None:
            os.write(ready_fd, b"ready\n")
            os.close(ready_fd)
        gc.collect()
        gc.freeze()  # what lives now lives until the end; later collections need not look at it
        gc.set_threshold(_YOUNG_OBJECTS)
        gc.enable()
        # Every generator is closed by whoever reads it; to keep a list of them costs each request 2 %.
        sys.set_asyncgen_hooks(firstiter=None)
        async with asyncio.TaskGroup() as tasks:
            shown = tasks.create_task(_show(daemon, roots), name="demo") if demo and roots else None
            await daemon.stopping.wait()
            if shown is not None:
                shown.cancel()
        with suppress(OSError):
            click.echo("ghostd is ending …")


async def _show(daemon: Daemon, roots: list[Path]) -> None:
    from ghostd.cli.first_run import show_completion

    with suppress(OSError):
        await show_completion(daemon, roots)


def _end_on_signals(stopping: asyncio.Event, limit_s: float) -> None:
    """SIGTERM, SIGINT and SIGHUP end the daemon in order; a second one, or `limit_s`, ends it at once."""

    def end() -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()
        force = threading.Timer(limit_s, os._exit, (1,))
        force.daemon = True
        force.start()

    loop = asyncio.get_running_loop()
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # not under nohup
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, end)
