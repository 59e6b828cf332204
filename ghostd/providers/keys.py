"""The API keys of one provider: which is used next, and which rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ghostd.errors import UpstreamError
from ghostd.ports import SecretStore
from ghostd.types import KeyState


@dataclass(frozen=True, slots=True)
class Key:
    """A key in use; its value does not show in `repr`."""

    reference: str
    value: str = field(repr=False)


class KeyPool:
    """Keys by turns; one that was refused or is exhausted rests."""

    def __init__(
        self,
        provider: str,
        references: Sequence[str],
        secrets: SecretStore,
        clock: Callable[[], float],
        *,
        optional: bool = False,
    ) -> None:
        """`clock` counts seconds. With `optional`, a secret that does not exist means that no key is sent."""
        raise NotImplementedError

    async def lease(self) -> Key | None:
        """The next usable key; None where the provider needs none. Raises NoUsableKey."""
        raise NotImplementedError

    def rest(self, key: Key, error: UpstreamError) -> None:
        """Do not use the key for a while: by the error's own figure, else longer each time it happens again.

        A refused key's secret is read anew before it is used again, since it may have been replaced.
        """
        raise NotImplementedError

    def succeeded(self, key: Key) -> None:
        """The key works."""
        raise NotImplementedError

    def states(self) -> Sequence[KeyState]:
        """Every key, in the configured order."""
        raise NotImplementedError
