"""A secret that a program prints: `op read …`, `pass show …`, `vault kv get …`."""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from ghostd.errors import SecretError, SecretMissing
from ghostd.redaction import REDACTED
from ghostd.secret_references import program

MAX_OUTPUT_BYTES = 64 * 1024
_MAX_ERROR_BYTES = 1024 * 1024
_MAX_TOLD_CHARS = 200
_POLL_S = 0.05
"""How soon the program's end is seen while a child of its own keeps the pipe open."""


def first_line(command: str, timeout_s: float) -> str:
    """The first line that the command prints to standard output. No shell: pipes and variables mean nothing.

    It runs in ghostd's own environment and in a session of its own, which is killed after `timeout_s`. Raises
    SecretError with what it printed to standard error, if it failed.
    """
    words = shlex.split(command)
    where = f"command:{program(command)}"
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise SecretMissing(f"{where}: there is no such program on ghostd's PATH; give its full path") from None
    except (OSError, ValueError) as error:  # not executable, not a program, too long
        told = error.strerror if isinstance(error, OSError) else "it holds a NUL"
        raise SecretError(f"{where}: cannot be started: {told}") from None
    try:
        output = _read(process, where, timeout_s)
    finally:
        _end(process)
    line, _, _ = bytes(output.out).partition(b"\n")
    if process.returncode:
        raise SecretError(f"{where}: {_ending(process.returncode)}{_told(output.err, line)}")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise SecretError(f"{where}: what it prints is not UTF-8 text") from None


@dataclass(slots=True)
class _Output:
    out: bytearray = field(default_factory=bytearray, repr=False)
    err: bytearray = field(default_factory=bytearray, repr=False)


def _read(process: subprocess.Popen[bytes], where: str, timeout_s: float) -> _Output:
    """What it prints until it ends."""
    assert process.stdout is not None and process.stderr is not None
    output = _Output()
    deadline = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, output.out)
        selector.register(process.stderr, selectors.EVENT_READ, output.err)
        while True:
            ended = process.poll() is not None  # before the pipes are looked at, so that nothing is missed
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0 and not ended:
                raise SecretError(
                    f"{where}: it did not end within {timeout_s:g} s; it may wait for an answer that nobody can give. "
                    "Run it in a terminal to see"
                )
            if not selector.get_map() and not ended:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(min(_POLL_S, remaining_s))
                continue
            ready = selector.select(0 if ended else min(_POLL_S, remaining_s))
            if ended and not ready:
                return output
            for key, _ in ready:
                _take(key, selector, output, where)


def _take(key: selectors.SelectorKey, selector: selectors.BaseSelector, output: _Output, where: str) -> None:
    pipe: IO[bytes] = key.fileobj  # type: ignore[assignment]
    data = os.read(pipe.fileno(), 65536)
    if not data:
        selector.unregister(pipe)
    kept: bytearray = key.data
    kept += data
    if len(output.out) > MAX_OUTPUT_BYTES or len(output.err) > _MAX_ERROR_BYTES:
        raise SecretError(f"{where}: it prints too much for a key")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of it, with its children; nobody reads what they print."""
    with suppress(ProcessLookupError, PermissionError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _ending(status: int) -> str:
    if status > 0:
        return f"it failed with exit status {status}"
    try:
        return f"it was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"it was ended by signal {-status}"


def _told(err: bytearray, line: bytes) -> str:
    """The beginning of its error output on one line, without what may be the secret."""
    text = bytes(err).decode("utf-8", "replace")
    if secret := line.strip().decode("utf-8", "replace"):
        text = text.replace(secret, REDACTED)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if not text:
        return ""
    return f": {text[:_MAX_TOLD_CHARS]}{'…' if len(text) > _MAX_TOLD_CHARS else ''}"
