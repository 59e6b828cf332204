"""The API keys of one provider: which is used next, and which rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ghostd.errors import (
    KeyRefused,
    NoUsableKey,
    QuotaExhausted,
    RateLimited,
    SecretError,
    SecretMissing,
    UpstreamError,
)
from ghostd.models import KeyState
from ghostd.ports import SecretStore
from ghostd.redaction import REDACTED, redact
from ghostd.secret_references import shown

_RESTS: tuple[tuple[type[UpstreamError], float, float], ...] = (
    (RateLimited, 10.0, 3600.0),
    (QuotaExhausted, 900.0, 6 * 3600.0),
    (KeyRefused, 300.0, 3600.0),
)
"""What rests a key, and for how long: the first time and at most, in seconds. It doubles in between."""
_SHORTEST_S = 1.0
"""Rest after a rate limit whose own figure is 0 or in the past."""
_UNREADABLE_S = (5.0, 60.0)
"""A secret that cannot be read is looked for again after so long, at first and at most: it may be a slow command."""
_LOOK_AGAIN_S = 15.0
"""While only refused keys are left, the keyring is asked so often whether they have been replaced."""
_MAX_REASON_CHARS = 300
_MAX_KEYS_TOLD = 10


@dataclass(frozen=True, slots=True)
class Key:
    """A key in use; its value does not show in `repr`."""

    reference: str
    value: str = field(repr=False)


@dataclass(slots=True)
class _Pause:
    """A span of the clock. A clock that is set back begins it anew instead of prolonging it for ever."""

    since: float
    length_s: float

    def remaining_s(self, now: float) -> float:
        """Seconds until it is over; 0 when it is."""
        self.since = min(self.since, now)
        return max(self.since + self.length_s - now, 0.0)


@dataclass(slots=True)
class _Slot:
    """One configured key."""

    reference: str
    value: str = field(default="", repr=False)
    """The value last handed out; "" before the first. It tells a late refusal of an earlier one."""
    rest: _Pause | None = None
    reason: str = ""
    cause: type[UpstreamError] | None = None
    """What it rests for; a rest for KeyRefused is ended by another value."""
    worked: bool = False
    """Whether the value has been accepted at least once."""
    look: _Pause | None = None
    """Until when not to ask whether the refused value was replaced."""
    failures: dict[type[UpstreamError], int] = field(default_factory=dict)
    """How often it has failed so since it last worked."""
    unreadable: SecretError | None = None
    retry: _Pause | None = None
    """Until when not to look for the unreadable secret."""
    unread: int = 0
    """How often in a row it could not be read."""
    replaced: bool = False
    """Whether somebody has said that there is another secret, which is to be read whatever the old one rests for."""
    key: Key | None = None
    """The value as it was handed out."""

    @property
    def undoubted(self) -> Key | None:
        """The key as long as nothing has happened since it was read."""
        return self.key if self.rest is None and self.retry is None and not self.replaced and self.worked else None

    def resting_s(self, now: float) -> float:
        return self.rest.remaining_s(now) if self.rest else 0.0

    def waiting_s(self, now: float) -> float:
        """How long neither to use it nor to read it."""
        return max(self.resting_s(now), self.retry.remaining_s(now) if self.retry else 0.0)

    def renew(self, value: str) -> None:
        """Take the secret that was read; another one than before has no past."""
        self.unreadable, self.retry, self.unread = None, None, 0
        if value != self.value:
            self.value, self.worked, self.rest, self.cause = value, False, None, None
            self.failures.clear()


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
        self._provider = provider
        self._slots = {reference: _Slot(reference) for reference in references}
        self._order = list(self._slots.values())
        self._secrets = secrets
        self._clock = clock
        self._optional = optional
        self._next = 0

    @property
    def undoubted(self) -> Key | None:
        """The only key while nothing speaks against it: no need to wait for `lease`."""
        return self._order[0].undoubted if len(self._order) == 1 else None

    async def lease(self) -> Key | None:
        """The next usable key; None where the provider needs none. Raises NoUsableKey."""
        if (known := self.undoubted) is not None:
            return known
        first = self._next
        for turn in range(first, first + len(self._order)):
            slot = self._order[turn % len(self._order)]
            if slot.replaced or slot.waiting_s(self._clock()) == 0:
                self._next = (turn + 1) % len(self._order)
                if key := await self._read(slot):
                    return key
        for slot in self._order:
            if self._may_be_replaced(slot) and (key := await self._read(slot)):
                return key
        if all(self._optional and isinstance(slot.unreadable, SecretMissing) for slot in self._order):
            return None  # also where no key is configured
        raise self._no_usable_key()

    def rest(self, key: Key, error: UpstreamError) -> None:
        """Do not use the key for a while: by the error's own figure, else longer each time it happens again.

        Only RateLimited, QuotaExhausted and KeyRefused rest a key. A refused key's secret is read anew before it is
        used again, since it may have been replaced.
        """
        slot = self._slots.get(key.reference)
        found = next((entry for entry in _RESTS if isinstance(error, entry[0])), None)
        if slot is None or found is None or key.value != slot.value:
            return
        kind, first_s, longest_s = found
        now = self._clock()
        if kind is KeyRefused:
            self._secrets.forget(key.reference)
        own_s = error.retry_after_s if isinstance(error, RateLimited) else None
        resting_s = slot.resting_s(now)
        if own_s is not None and not math.isnan(own_s):
            length_s = min(own_s if own_s > 0 else _SHORTEST_S, longest_s)
        elif resting_s > 0 and slot.cause is kind:
            return  # a request that ran at the same time; they failed together, and that counts once
        else:
            length_s = min(first_s * 2 ** min(slot.failures.get(kind, 0), 32), longest_s)
        if resting_s == 0 or slot.cause is not kind:
            slot.failures[kind] = slot.failures.get(kind, 0) + 1
        if length_s > resting_s:
            slot.rest, slot.reason, slot.cause = _Pause(now, length_s), _reason(error, key.value), kind
            slot.look = _Pause(now, 0.0 if slot.worked else _look_again_s(slot.reference))

    def succeeded(self, key: Key) -> None:
        """The key works."""
        slot = self._slots.get(key.reference)
        if slot is None or key.value != slot.value:
            return
        slot.worked = True
        if slot.rest and slot.resting_s(self._clock()) == 0:  # else this request had begun before the rest did
            slot.rest, slot.cause = None, None
            slot.failures.clear()

    def replaced(self, reference: str) -> None:
        """The secret has been replaced or removed: read it anew with the next request, even while the old one rests."""
        if slot := self._slots.get(reference):
            slot.replaced = True

    def states(self) -> Sequence[KeyState]:
        """Every key, in the configured order."""
        now = self._clock()
        return [_state(slot, now) for slot in self._order]

    async def _read(self, slot: _Slot) -> Key | None:
        """The slot's key; None if its secret cannot be read, or still is the one that rests."""
        if slot.replaced or slot.cause is KeyRefused:
            self._secrets.forget(slot.reference)
            slot.replaced = False
        try:
            value = await self._secrets.get(slot.reference)
        except SecretError as error:
            length_s = min(_UNREADABLE_S[0] * 2 ** min(slot.unread, 8), _UNREADABLE_S[1])
            slot.retry = _Pause(self._clock(), length_s)
            slot.unreadable, slot.unread = error, slot.unread + 1
            return None
        slot.renew(value)
        if slot.resting_s(self._clock()) > 0:
            return None
        slot.cause = None
        slot.key = Key(slot.reference, value)
        return slot.key

    def _may_be_replaced(self, slot: _Slot) -> bool:
        """Whether it is time to see if the refused secret is another one by now.

        At once for a value that used to work: it has been rotated, or was a token that expires.
        """
        now = self._clock()
        if slot.cause is not KeyRefused or slot.resting_s(now) == 0 or (slot.look and slot.look.remaining_s(now) > 0):
            return False
        slot.look = _Pause(now, _look_again_s(slot.reference))
        return True

    def _no_usable_key(self) -> NoUsableKey:
        now = self._clock()
        states = [_state(slot, now) for slot in self._order]
        told = [f"{state.reference} {state.detail}" for state in states[:_MAX_KEYS_TOLD]]
        if len(states) > _MAX_KEYS_TOLD:
            told.append(f"and {len(states) - _MAX_KEYS_TOLD} more")
        rests = [resting_s for slot in self._order if (resting_s := slot.resting_s(now)) > 0]
        limited = len(rests) == len(self._order) > 0 and all(slot.cause is RateLimited for slot in self._order)
        message = f"no API key can be used: {'; '.join(told)}"
        return NoUsableKey(message, self._provider, min(rests, default=None), limited=limited)


def _state(slot: _Slot, now: float) -> KeyState:
    reference = shown(slot.reference)
    if resting_s := slot.resting_s(now):
        return KeyState(reference, "resting", f"rests for {math.ceil(resting_s)} s: {slot.reason}")
    if slot.unreadable is not None:
        return KeyState(reference, "missing", f"cannot be read: {str(slot.unreadable).removeprefix(f'{reference}: ')}")
    return KeyState(reference, "ready" if slot.value else "unused")


def _look_again_s(reference: str) -> float:
    return _LOOK_AGAIN_S if reference.startswith("keyring:") else math.inf  # a command may bother the user


def _reason(error: UpstreamError, value: str) -> str:
    """What the upstream said, on one line; some repeat the key that they refuse."""
    text = " ".join(redact(str(error).replace(value, REDACTED)).split())
    return text if len(text) <= _MAX_REASON_CHARS else f"{text[:_MAX_REASON_CHARS]}…"
