"""Whether code that somebody is writing has syntax errors, by the worker process' grammars."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from ghostd.config.projects import IndexConfig
from ghostd.index.languages import GRAMMARS, language_of
from ghostd.index.supervisor import Message, Supervisor, sound_order

_LANGUAGES = frozenset(GRAMMARS) - {"lua", "ruby", "shellscript"}
"""Where a block is opened by a word and closed by `end`, code that is being written is seldom sound."""
_MAX_FAILURES = 3
"""After so many in a row of a language it is no longer asked about: each may cost the worker its life."""


@dataclass(slots=True)
class Soundness:
    """The port `SyntaxCheck`, on the event loop."""

    config: IndexConfig
    supervisor: Supervisor
    _failures: Counter[str] = field(default_factory=Counter)

    async def first_sound(self, language: str | None, path: PurePath | None, texts: Sequence[str]) -> int | None:
        """See the port."""
        known = language or (language_of(path.name, b"") if path is not None else "")
        if known not in _LANGUAGES or self._failures[known] >= _MAX_FAILURES:
            return None
        heard: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        def hear(message: Message) -> None:
            if not heard.done():
                heard.set_result(message)

        job = self.supervisor.submit(sound_order(known, texts, self.config), hear)
        try:
            message: dict[str, Any] = await heard
        finally:
            self.supervisor.cancel(job)
        if "error" in message:
            self._failures[known] += 1
            return None
        self._failures[known] = 0
        found: int = message["done"]
        return found
