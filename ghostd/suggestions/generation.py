"""One model's answer for one place, while it is being written and after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, closing, nullcontext
from dataclasses import replace

from ghostd.completion import stages
from ghostd.completion.soundness import SyntaxGuard
from ghostd.completion.stages import Stages
from ghostd.errors import GhostdError
from ghostd.suggestions.place import Place
from ghostd.types import Delta

Open = Callable[[], tuple[str, AsyncGenerator[Delta, None]]]
"""Asks the model: the request's id in the ledger, and its raw text in pieces."""
Shape = Callable[[str], str]
"""The part of a raw text to show."""
Guarding = Callable[[], SyntaxGuard | None]
"""What keeps it from breaking the file, from when the model is asked."""
_TURNS = 3
"""Of the loop, in which an answer goes from here to its editor's socket."""


class Generation:
    """Runs in a task of its own, so that it outlives the request that began it while what is typed agrees with it."""

    def __init__(
        self, place: Place, model: str, open_stream: Open, shape: Shape, delay_s: float, guarding: Guarding
    ) -> None:
        self.place = place
        self.model = model
        self.id = ""
        """Of its request; "" until the model has been asked."""
        self.raw = ""
        self.text = ""
        """To show; known once it is done."""
        self.confidence: float | None = None
        self.done = False
        self.error: Exception | None = None
        self.stopped = False
        self.tentative = False
        """Whether it was begun in a burst of keys, which seemed to be over: until it says something, the next key ends
        it, and it holds up no other."""
        self.stages = Stages()
        self.began_s = time.monotonic()
        self._asked_s = self.began_s
        self.took_s = 0.0
        """Seconds from the model's being asked to the end, without the wait for it."""
        self.wanted = 0
        """How many requests wait for it."""
        self._changed = asyncio.Event()
        self._open = open_stream
        self._shape = shape
        self._guarding = guarding
        self._delay_s = delay_s
        self._on_end: Callable[[Generation], None]
        self._task: asyncio.Task[None] | None = None
        self._leaving: asyncio.TimerHandle | None = None

    def start(self, on_end: Callable[[Generation], None]) -> None:
        """Begin, after the delay. `on_end` is called once its text is known, or will not be."""
        self._on_end = on_end
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"suggestion by {self.model}")
        self._task.add_done_callback(self._ended)

    @property
    def asked(self) -> bool:
        """Whether the model has been asked."""
        return self.id != ""

    @property
    def stages_so_far(self) -> Stages:
        """Where its time has gone until now."""
        return (
            self.stages if self.done else replace(self.stages, decode=self._decode_ms(time.monotonic() - self._asked_s))
        )

    def agrees(self, place: Place) -> bool:
        """Whether what has been typed since it began is what it says, as far as both go."""
        typed = place.typed_since(self.place)
        if typed is None or (typed and not self.asked):
            return False
        if typed and self.tentative and not self.raw:
            return False
        if self.done:
            return self.text.startswith(typed) and len(self.text) > len(typed)
        return self.raw.startswith(typed) or typed.startswith(self.raw)

    def whole_lines(self, place: Place) -> str:
        """The lines that it has finished behind a place, without the last one's end; "" for none."""
        typed = place.typed_since(self.place)
        end = self.raw.rfind("\n")
        if typed is None or end <= len(typed):
            return ""
        return place.left_of(self._shape(self.raw[:end]), self.place) or ""

    async def changed(self, timeout_s: float | None) -> bool:
        """Wait until more is known; whether it is within this time."""
        if self.done:
            return True
        event = self._changed
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        """End it at once, wherever it is."""
        self.stopped = True
        self.stay()
        if self._task is not None:
            self._task.cancel()

    def leave(self, grace_s: float) -> None:
        """Nobody waits for it any more: it ends unless somebody stays soon."""
        self.stay()
        if not self.asked:
            self.stop()
        elif not self.done:
            self._leaving = asyncio.get_running_loop().call_later(grace_s, self.stop)

    def stay(self) -> None:
        """Somebody does."""
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    async def _run(self) -> None:
        if self._delay_s > 0:
            await asyncio.sleep(self._delay_s)
            self.stages.add("queue", self._delay_s * 1000)
        stages.current.set(self.stages)
        self._asked_s = time.monotonic()
        guard = self._guarding()
        with closing(guard) if guard is not None else nullcontext():
            await self._read(guard)

    async def _read(self, guard: SyntaxGuard | None) -> None:
        """Ask the model, and read what it says."""
        try:
            self.id, stream = self._open()
            async with aclosing(stream):
                async for delta in stream:
                    if delta.confidence is not None:
                        self.confidence = delta.confidence
                    self.raw += delta.text
                    if delta.finish_reason is not None:
                        await self._finish(delta, guard)
                        for _ in range(_TURNS):  # to close the stream takes its time, which the answer need not wait
                            await asyncio.sleep(0)
                    elif delta.text:
                        self._tell()
        except GhostdError as error:
            if not self.done:
                self.error = error
        except Exception as error:
            if self.done or not self.wanted:
                raise
            self.error = error  # ghostd's own mistake: whoever waits raises it, or else the loop logs it
        if not self.done:
            await self._finish(Delta(), guard)

    async def _finish(self, last: Delta, guard: SyntaxGuard | None) -> None:
        """The text is whole, or the model has failed."""
        if self.error is None:
            with stages.measured("post"):
                text = self._shape(self.raw)
                self.text = text if guard is None else await guard.kept(text)
        self.took_s = time.monotonic() - self._asked_s
        self._time(last)
        self._over()

    def _time(self, last: Delta) -> None:
        if (timings := last.timings) is not None:
            self.stages.add("queue", timings.queue_ms)
            self.stages.prefill, self.stages.decode = timings.prefill_ms, timings.decode_ms
        else:
            self.stages.decode = self._decode_ms(self.took_s)

    def _decode_ms(self, took_s: float) -> float:
        """What no other stage since the model was asked explains."""
        return max(took_s * 1000 - self.stages.retrieval - self.stages.prompt - self.stages.post, 0.0)

    def _over(self) -> None:
        self.done = True
        self.stay()
        self._on_end(self)
        self._tell()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Its task is."""
        self._task = None  # a cancelled one holds its frame, and so the document's text, until the garbage is collected
        if not task.cancelled() and (error := task.exception()) is not None:
            if not self.done:
                self.error = error if isinstance(error, Exception) else None
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a suggestion failed", "exception": error, "task": task}
            )
        if not self.done:
            self._over()

    def _tell(self) -> None:
        event, self._changed = self._changed, asyncio.Event()
        event.set()
