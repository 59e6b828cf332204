"""The child's reader thread: takes in work and notices a cancellation while the main thread computes."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from queue import SimpleQueue

from ghostd.workers.engines.contract import Engine
from ghostd.workers.messages import (
    Cancel,
    Decoder,
    Embed,
    FrameError,
    Generate,
    Load,
    Message,
    Question,
)

_QUESTIONS_AT_ONCE = 16


class Inbox:
    """What the reader thread has received: work in order, questions, and who is cancelled."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._cancelled: set[int] = set()
        self._running: int | None = None
        self._engine: Engine | None = None
        self.work: SimpleQueue[Load | Generate | Embed | None] = SimpleQueue()
        """In order; None says that there is a question."""
        self._questions: SimpleQueue[Question | Generate] = SimpleQueue()

    def start(self) -> None:
        """Begin to read. The end of the connection ends the process, whatever it computes."""
        threading.Thread(target=self._read, name="reader", daemon=True).start()

    def serve(self, engine: Engine) -> None:
        """Interrupt this engine on cancellations."""
        self._engine = engine

    def begin(self, request_id: int) -> bool:
        """Mark a request as running; False when it was cancelled before."""
        with self._lock:
            if request_id in self._cancelled:
                self._cancelled.discard(request_id)
                return False
            self._running = request_id
            if self._engine is not None:
                self._engine.rearm()
            return True

    def questions(self) -> Iterator[Question | Generate]:
        """The questions that have come, to be answered at once; not so many that work stands still. Never waits."""
        for _ in range(_QUESTIONS_AT_ONCE):
            if self._questions.empty():
                return
            yield self._questions.get_nowait()

    def end(self) -> None:
        """No request is running."""
        with self._lock:
            self._running = None

    def _read(self) -> None:
        decoder = Decoder()
        with suppress(OSError, FrameError):
            while data := self._connection.recv(1 << 16):
                for message in decoder.feed(data):
                    self._take(message)
        os._exit(0)

    def _take(self, message: Message) -> None:
        if isinstance(message, Question) or (isinstance(message, Generate) and message.render_only):
            self._questions.put(message)
            self.work.put(None)
        elif isinstance(message, (Load, Generate, Embed)):
            self.work.put(message)
        elif isinstance(message, Cancel):
            with self._lock:
                if message.id == self._running and self._engine is not None:
                    self._engine.interrupt()
                elif self._running is None or message.id > self._running:
                    self._cancelled.add(message.id)
