"""The child's reader thread: takes in work, and breaks into what the main thread computes where that cannot wait."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Collection
from contextlib import suppress

from ghostd.workers.engines.contract import Engine
from ghostd.workers.messages import (
    Cancel,
    Decoder,
    Embed,
    Finish,
    FrameError,
    Generate,
    Load,
    Message,
    Question,
)

Work = Load | Generate | Embed | Cancel | Finish
_QUESTIONS_AT_ONCE = 16


class Inbox:
    """What the reader thread has received: work in order, with the time of its coming, and questions."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._came = threading.Condition()
        self._work: deque[tuple[Work, float]] = deque()
        self._questions: deque[Question | Generate] = deque()
        self._engine: Engine | None = None
        self._computed: Collection[int] = ()
        self._rank = -1

    def start(self) -> None:
        """Begin to read. The end of the connection ends the process, whatever it computes."""
        threading.Thread(target=self._read, name="reader", daemon=True).start()

    def serve(self, engine: Engine) -> None:
        """Break into this engine's work from now on."""
        self._engine = engine

    def load(self) -> Load:
        """The first message; waits for it."""
        (first,) = self.work(wait=True)
        assert isinstance(first[0], Load)
        return first[0]

    def work(self, *, wait: bool) -> list[tuple[Work, float]]:
        """All work that has come, with time.monotonic() of when; where there is none, may wait for some, or for a
        question."""
        with self._came:
            while wait and not self._work and not self._questions:
                self._came.wait()
            found = list(self._work)
            self._work.clear()
            return found

    def questions(self) -> list[Question | Generate]:
        """The questions that have come, to be answered at once; not so many that work stands still. Never waits."""
        if not self._questions:
            return []
        with self._came:
            return [self._questions.popleft() for _ in range(min(len(self._questions), _QUESTIONS_AT_ONCE))]

    def begin(self, computed: Collection[int], rank: int) -> bool:
        """These requests are computed until `end`: one that is cancelled, or something more urgent that comes,
        interrupts the engine. False, and nothing begins, where work has come that is not taken in yet."""
        with self._came:
            if self._work:
                return False
            self._computed, self._rank = computed, rank
            if self._engine is not None:
                self._engine.rearm()
            return True

    def end(self) -> None:
        """Nothing is computed."""
        with self._came:
            self._computed, self._rank = (), -1

    def _read(self) -> None:
        decoder = Decoder()
        with suppress(OSError, FrameError):
            while data := self._connection.recv(1 << 16):
                for message in decoder.feed(data):
                    self._take(message)
        os._exit(0)

    def _take(self, message: Message) -> None:
        with self._came:
            if isinstance(message, Question) or (isinstance(message, Generate) and message.render_only):
                self._questions.append(message)
            elif isinstance(message, Work):
                self._work.append((message, time.monotonic()))
            if self._engine is not None:
                if self._cannot_wait(message):
                    self._engine.interrupt()
                self._engine.wake()
            self._came.notify()

    def _cannot_wait(self, message: Message) -> bool:
        if isinstance(message, Cancel):
            return message.id in self._computed
        if isinstance(message, Finish):
            return True
        return isinstance(message, Generate | Embed) and not _is_question(message) and message.rank < self._rank


def _is_question(message: Generate | Embed) -> bool:
    return isinstance(message, Generate) and message.render_only
