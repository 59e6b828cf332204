"""The requests that are being served: how long each may take, and how they end when ghostd does."""

from __future__ import annotations

import asyncio

from ghostd.alarms import Alarms
from ghostd.errors import RequestEnded, RequestExpired, ShuttingDown
from ghostd.gateway.bodies import Bodies
from ghostd.routing.call import Ending, ending


class Serving(Ending):
    """One running request, in its task."""

    __slots__ = ("_alarms", "_task", "_timeout_s", "due")

    def __init__(self, task: asyncio.Task[object], alarms: Alarms, now: float, timeout_s: float) -> None:
        super().__init__()
        self._task = task
        self._timeout_s = timeout_s
        self._alarms = alarms
        self.due = now + timeout_s
        alarms.set(self)

    def end(self, reason: RequestEnded) -> None:
        """End it; its task turns the cancellation into an error for its client."""
        if self.reason is None:
            self.reason = reason
            self._task.cancel()

    def ended(self) -> RequestEnded | None:
        """Why the cancellation that has just come was ghostd's own; None where the client has left, too."""
        return None if self.reason is None or self._task.uncancel() > 0 else self.reason

    def untimed(self) -> None:
        """It may take as long as it likes."""
        self._alarms.take_back(self)

    def ring(self) -> None:
        """Its time is over."""
        limit = f"{self._timeout_s:g} s (http.request_timeout_s)"
        self.end(RequestExpired(f"The request took longer than {limit}."))


class Running:
    """All of them; `leaving` once the server drains. Made in the event loop."""

    def __init__(self, timeout_s: float, bodies: Bodies) -> None:
        self.bodies = bodies
        self.leaving = False
        self._serving: set[Serving] = set()
        self._none = asyncio.Event()
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._alarms = Alarms()

    def begin(self) -> Serving:
        """The current task begins to serve a request."""
        task = asyncio.current_task(self._loop)
        assert task is not None
        serving = Serving(task, self._alarms, self._loop.time(), self._timeout_s)
        self._serving.add(serving)
        ending.set(serving)
        return serving

    def done(self, serving: Serving) -> None:
        """Forget a request."""
        serving.untimed()
        self._serving.discard(serving)
        if self.leaving and not self._serving:
            self._none.set()

    async def wait(self, patience_s: float) -> None:
        """Wait until none is left, or for so long."""
        if not self._serving:
            return
        try:
            async with asyncio.timeout(patience_s):
                await self._none.wait()
        except TimeoutError:
            return

    def end(self) -> None:
        """End what still runs, with an error to its client."""
        for serving in list(self._serving):
            serving.end(ShuttingDown("ghostd is shutting down."))

    def close(self) -> None:
        """Let the timer go."""
        self._alarms.close()
