"""One generation in llama.cpp's server: a thread reads what the server says of it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from ghostd.workers.engines.contract import (
    EngineFailed,
    Failure,
    GenerationOptions,
    Owner,
    PromptStep,
    RequestInvalid,
    Step,
    TokenStep,
)
from ghostd.workers.engines.xllamacpp_server import Connection, refusal
from ghostd.workers.engines.xllamacpp_slots import Slot, Slots
from ghostd.workers.engines.xllamacpp_wire import body_of, checked_json, steps_of

Event = tuple["XllamaCppGeneration", int, Step | Failure]
"""Who says it, on which leg, and what."""


class XllamaCppGeneration:
    """Implements contract.Generation. It has one leg after the other, each a request to the server."""

    def __init__(
        self,
        server: Path,
        slots: Slots,
        prompt: Sequence[int],
        options: GenerationOptions,
        owner: Owner,
        late: dict[str, Any],
        events: SimpleQueue[Event | None],
        on_close: Callable[[XllamaCppGeneration], None],
    ) -> None:
        """`late`: what is added to the request's body for a late grammar."""
        self._server, self._options, self._late = server, options, late
        self._slots, self._owner = slots, owner
        self._slot: Slot | None = None
        self._prompt = prompt
        self._written: list[int] = []
        self._all_known = True
        """Whether `_written` is all that was written."""
        self._events = events
        self._on_close = on_close
        self._leg = 0
        self._connection: Connection | None = None
        self._cached_tokens: int | None = None
        self.running = False
        self._over = False

    @property
    def pausable(self) -> bool:
        """Whether it can go on from the tokens it has: not amid a grammar, nor with a seed that promises a text."""
        if not self._written and self._all_known:
            return True
        options = self._options
        bound = options.grammar or options.json_schema is not None or options.late_grammar is not None
        seeded = options.seed is not None and options.temperature > 0
        return self._all_known and not (bound or seeded)

    def go_on(self) -> None:
        """Begin, or go on after a pause."""
        if self.running or self._over:
            return
        options = replace(self._options, max_tokens=self._options.max_tokens - len(self._written))
        self._connection = Connection(self._server)
        self.running = True
        tokens = [*self._prompt, *self._written]
        body = body_of(tokens, options) | self._late
        if (slot := self._slots.take(self._owner, tokens)) is not None:
            self._slot, body["id_slot"] = slot, slot.number
        arguments = (self._leg, self._connection, body)
        threading.Thread(target=self._read, args=arguments, name="generation", daemon=True).start()

    def pause(self) -> None:
        """Break it off; what has been said and not heard is said again."""
        self._leg += 1
        self.running = False
        if self._connection is not None:
            self._connection.shut()
            self._connection = None
        self._leave()

    def _leave(self) -> None:
        if self._slot is not None:
            self._slots.leave(self._slot, [*self._prompt, *self._written])
            self._slot = None

    def close(self) -> None:
        """End it."""
        self.pause()
        self._over = True
        self._on_close(self)

    def heard(self, leg: int, step: Step | Failure) -> bool:
        """The step is passed on; False if nobody wants to know it."""
        if leg != self._leg:
            return False
        if isinstance(step, TokenStep):
            self._written.extend(step.ids)
            self._all_known = self._all_known and len(step.ids) == step.count
        elif not isinstance(step, PromptStep):
            self._over, self.running = True, False
            self._leave()
        return True

    def _read(self, leg: int, connection: Connection, body: dict[str, Any]) -> None:
        """The thread of one leg."""
        try:
            response = connection.exchange("POST", "/completion", body)
            if response.status != 200:
                raise refusal(json.loads(response.read()))
            steps = steps_of(response, self._options)
            for step in steps if self._options.json_schema is None else checked_json(steps):
                self._say(leg, step)
        except (RequestInvalid, EngineFailed) as error:
            self._say(leg, error)
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            self._say(leg, EngineFailed(f"the engine's server broke off ({type(error).__name__})"))
        finally:
            connection.close()

    def _say(self, leg: int, step: Step | Failure) -> None:
        if isinstance(step, PromptStep):
            if self._cached_tokens is None:
                self._cached_tokens = step.cached_tokens  # later legs find what this one has read
            step = PromptStep(self._cached_tokens)
        self._events.put((self, leg, step))
