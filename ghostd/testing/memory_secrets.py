"""A SecretStore whose secrets are a dictionary."""

from __future__ import annotations

from collections.abc import Mapping

from ghostd.errors import SecretMissing
from ghostd.redaction import remember
from ghostd.secret_references import parse_reference


class MemorySecrets:
    """Secrets by reference. Like a real store it reads each once, until it is forgotten."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = dict(values or {})
        """What lies there now; change it to rotate a key."""
        self.reads: list[str] = []
        """Every reference that was read, in order; one that was still known is not read again."""
        self._known: dict[str, str] = {}

    async def get(self, reference: str) -> str:
        """The secret; raises SecretError."""
        if reference not in self._known:
            shown = parse_reference(reference).shown
            self.reads.append(reference)
            if reference not in self.values:
                raise SecretMissing(f"{shown}: there is no such secret")
            remember(self.values[reference])
            self._known[reference] = self.values[reference]
        return self._known[reference]

    def forget(self, reference: str) -> None:
        """Read it anew next time."""
        self._known.pop(reference, None)

    def __repr__(self) -> str:
        return f"MemorySecrets of {len(self.values)} references"
