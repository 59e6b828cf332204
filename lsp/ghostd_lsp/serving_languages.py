"""For which languages a session serves symbols: not for those that another server of the editor serves better."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from ghostd.navigation.families import FAMILIES, family_of_language
from ghostd_lsp.params import SymbolOptions

Wanted = Literal["auto", "on", "off"] | Sequence[str]

_LOOK_EVERY_S = 5.0
"""How long it may take until a server that an editor has started, or ended, is noticed."""


class ServingLanguages:
    """The choice, for one session. `look` finds the families that an editor's other servers serve."""

    def __init__(self, wanted: Wanted, look: Callable[[int], frozenset[str]]) -> None:
        self._wanted = wanted
        self._look = look
        self._editor_pid: int | None = None
        self._told: frozenset[str] | None = None
        """What the client says of its other servers; None: nothing, so that we look."""
        self._seen: frozenset[str] = frozenset()
        self._seen_at = float("-inf")
        self._looking = asyncio.Lock()

    @property
    def never(self) -> bool:
        """Whether nothing of the kind shall be offered at all."""
        return self._wanted == "off"

    def begin(self, editor_pid: int | None) -> None:
        """Know the editor's process."""
        self._editor_pid = editor_pid

    def change(self, options: SymbolOptions) -> None:
        """Take over what the client says."""
        if options.symbols is not None:
            self._wanted = options.symbols
        if options.served_languages is not None:
            self._told = _families(options.served_languages)

    async def off(self) -> frozenset[str]:
        """The families of languages that are not served now."""
        if self._wanted == "off":
            return FAMILIES
        if self._wanted == "on":
            return frozenset()
        if self._wanted != "auto":
            return FAMILIES - _families(self._wanted)
        return self._told if self._told is not None else await self._looked()

    async def _looked(self) -> frozenset[str]:
        if self._editor_pid is None:
            return frozenset()
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now - self._seen_at > _LOOK_EVERY_S:
                self._seen = await asyncio.to_thread(self._look, self._editor_pid)
                self._seen_at = now
            return self._seen


def _families(languages: Sequence[str]) -> frozenset[str]:
    return frozenset(filter(None, map(family_of_language, languages)))
