"""Calls that may block for ever, in daemon threads: nobody need wait for them, not even the process's end."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_MAX_THREADS = 16
"""Threads at once, those that are stuck included."""
_MAX_WAITING = 4096
_ABANDON_S = 120.0
"""A call that takes longer no longer keeps the others from their turn."""


class TooManyUnfinished(Exception):
    """So many calls are stuck or waiting that no further one is begun."""


class PatientCalls:
    """Runs blocking calls in their order, at most `at_once` together.

    A thread pool would not do: the interpreter waits for its threads when it ends.
    """

    def __init__(self, name: str, at_once: int) -> None:
        self._name = name
        self._at_once = at_once
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._workers: dict[object, float] = {}
        """When each worker began its call, by the monotonic clock; those that were given up are not among them."""
        self._threads = 0

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Begin a call, or have it wait for its turn; raises TooManyUnfinished."""
        future: Future[T] = Future()
        job = (future, work)
        worker = object()
        with self._lock:
            now = time.monotonic()
            self._workers = {other: at for other, at in self._workers.items() if now - at <= _ABANDON_S}
            needed = len(self._workers) < self._at_once
            if len(self._waiting) >= _MAX_WAITING or (not self._workers and self._threads >= _MAX_THREADS):
                raise TooManyUnfinished
            self._waiting.append(job)
            if not needed or self._threads >= _MAX_THREADS:
                return future
            self._workers[worker] = now
            self._threads += 1
        try:
            threading.Thread(target=self._serve, args=(worker,), name=self._name, daemon=True).start()
        except RuntimeError:  # the system has no thread left
            with self._lock:
                self._workers.pop(worker, None)
                self._threads -= 1
                if not self._workers and job in self._waiting:
                    self._waiting.remove(job)
                    raise TooManyUnfinished from None
        return future

    def _serve(self, worker: object) -> None:
        """Work until nothing waits any more, or until another worker has taken this one's place."""
        while True:
            with self._lock:
                if worker not in self._workers or not self._waiting:
                    self._workers.pop(worker, None)
                    self._threads -= 1
                    return
                future, work = self._waiting.popleft()
                self._workers[worker] = time.monotonic()
            try:
                result = work()
            except BaseException as error:  # also SystemExit: it is for who waits to judge
                future.set_exception(error)
            else:
                future.set_result(result)
            del future, work
