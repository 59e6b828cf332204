"""Calls that may block for ever, each in a daemon thread: nobody need wait for it, not even the process's end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

_MAX_UNFINISHED = 16
"""Threads that may be stuck at once."""
_ABANDON_S = 120.0
"""A call that takes longer no longer keeps the others from their turn."""


class TooManyUnfinished(Exception):
    """So many calls are stuck already that no further one is begun."""


class PatientCalls:
    """Runs blocking calls by turns, at most `at_once` together.

    A thread pool would not do: the interpreter waits for its threads when it ends.
    """

    def __init__(self, name: str, at_once: int) -> None:
        self._name = name
        self._at_once = at_once
        self._turns = threading.Semaphore(at_once)
        self._lock = threading.Lock()
        self._unfinished = 0
        self._turn_taken_at = time.monotonic()

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Begin a call, or have it wait for its turn; raises TooManyUnfinished."""
        future: Future[T] = Future()
        with self._lock:
            if self._unfinished >= _MAX_UNFINISHED:
                raise TooManyUnfinished
            if self._unfinished and time.monotonic() - self._turn_taken_at > _ABANDON_S:
                self._turns = threading.Semaphore(self._at_once)
            self._unfinished += 1
            turns = self._turns
        threading.Thread(target=self._run, args=(future, work, turns), name=self._name, daemon=True).start()
        return future

    def _run(self, future: Future[T], work: Callable[[], T], turns: threading.Semaphore) -> None:
        try:
            with turns:
                with self._lock:
                    self._turn_taken_at = time.monotonic()
                if future.set_running_or_notify_cancel():
                    try:
                        result = work()
                    except BaseException as error:  # also SystemExit: it is for who waits to judge
                        future.set_exception(error)
                    else:
                        future.set_result(result)
        finally:
            with self._lock:
                self._unfinished -= 1
