"""The SecretStore: each reference is read once, then kept in memory until it is forgotten."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from ghostd.errors import SecretError, SecretMissing
from ghostd.redaction import remember
from ghostd.secret_references import SecretReference, parse_reference
from ghostd.secrets.command import first_line
from ghostd.secrets.patience import PatientCalls, TooManyUnfinished
from ghostd.secrets.system_keyring import UNLOCK, Entries, SystemKeyring
from ghostd.secrets.values import checked_value

_KEYRING_TIMEOUT_S = 20.0
"""A locked keyring asks for its password; whoever is there has answered by then, or the next request sees it."""
_COMMAND_TIMEOUT_S = 30.0
_COMMANDS_AT_ONCE = 4


@dataclass(frozen=True, slots=True, repr=False)
class _Secret:
    """A value that shows nowhere by accident."""

    value: str

    def __repr__(self) -> str:
        return "a secret"


@dataclass(slots=True, repr=False)
class _Reading:
    """A value that is being read, for all who wait for it."""

    future: Future[_Secret]
    deadline: float
    """Point on the monotonic clock after which nobody waits for it any more; its result still counts."""

    @property
    def failed(self) -> bool:
        return self.future.done() and self.future.exception() is not None

    async def ended(self) -> bool:
        """Wait for it; False when it is late."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def wake(_: object) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(done.set)

        if not self.future.done():
            self.future.add_done_callback(wake)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(self.deadline - time.monotonic(), 0)):
                    await done.wait()
        return self.future.done()


class Secrets:
    """Reads keys from the keyring, the environment or commands; a SecretStore."""

    def __init__(
        self,
        *,
        keyring: Entries | None = None,
        environ: Mapping[str, str] | None = None,
        keyring_timeout_s: float = _KEYRING_TIMEOUT_S,
        command_timeout_s: float = _COMMAND_TIMEOUT_S,
    ) -> None:
        """By default: the system's keyring and this process's environment. Opens and imports nothing yet."""
        self._keyring = keyring or SystemKeyring()
        self._environ = os.environ if environ is None else environ
        self._keyring_timeout_s = keyring_timeout_s
        self._command_timeout_s = command_timeout_s
        self._keyring_calls = PatientCalls("keyring", at_once=1)
        self._command_calls = PatientCalls("secret command", at_once=_COMMANDS_AT_ONCE)
        self._known: dict[str, _Secret] = {}
        self._readings: dict[str, _Reading] = {}

    async def get(self, reference: str) -> str:
        """The secret behind "keyring:NAME", "env:NAME" or "command:…"; raises SecretError.

        Waits 20 s for the keyring and 30 s for a command, at most. One reading serves all who ask meanwhile, and
        goes on when they are cancelled.
        """
        if known := self._known.get(reference):
            return known.value
        parsed = parse_reference(reference)
        if parsed.kind == "env":
            secret = _Secret(self._variable(parsed))
            remember(secret.value)
            self._known[reference] = secret
            return secret.value
        reading = self._readings.get(reference)
        if reading is None or reading.failed:
            reading = self._readings[reference] = self._begin(parsed)
        if not await reading.ended():
            raise self._late(parsed)
        current = self._readings.get(reference) is reading
        if current:
            del self._readings[reference]
        secret = reading.future.result()
        if current:  # else it was forgotten meanwhile, and this may be the value before
            self._known[reference] = secret
        return secret.value

    def forget(self, reference: str) -> None:
        """Read it anew next time."""
        self._known.pop(reference, None)
        self._readings.pop(reference, None)

    def _variable(self, reference: SecretReference) -> str:
        value = self._environ.get(reference.name)
        if not value:
            problem = "is not set" if value is None else "is empty"
            raise SecretMissing(
                f"{reference.shown}: the variable {problem} in ghostd's environment; set it and restart"
            )
        return checked_value(value, reference.shown)

    def _begin(self, reference: SecretReference) -> _Reading:
        if reference.kind == "keyring":
            calls, timeout_s, read = self._keyring_calls, self._keyring_timeout_s, self._read_keyring
        else:
            calls, timeout_s, read = self._command_calls, self._command_timeout_s, self._run_command

        def work() -> _Secret:
            return _Secret(_remembered(_read(read, reference)))

        try:
            future = calls.start(work)
        except TooManyUnfinished:
            raise self._late(reference) from None
        # A command is ended by its own time-out, and may have waited for others before.
        slack_s = timeout_s + 5 if reference.kind == "command" else 0
        return _Reading(future, time.monotonic() + timeout_s + slack_s)

    def _read_keyring(self, reference: SecretReference) -> str:
        value = self._keyring.read(reference.name)
        if value is None:
            raise SecretMissing(f"the keyring has no such entry; run `ghostctl secret set {reference.name}`")
        return value

    def _run_command(self, reference: SecretReference) -> str:
        return first_line(reference.name, self._command_timeout_s)

    def _late(self, reference: SecretReference) -> SecretError:
        if reference.kind == "keyring":
            return SecretError(
                f"{reference.shown}: the keyring did not answer within {self._keyring_timeout_s:g} s; it may be locked "
                f"and wait for its password: {UNLOCK}"
            )
        return SecretError(
            f"{reference.shown}: other commands still run; their time-out is {self._command_timeout_s:g} s"
        )


def _read(read: Callable[[SecretReference], str], reference: SecretReference) -> str:
    """The checked value; every failure is a SecretError that names the reference."""
    try:
        value = read(reference)
    except SecretError as error:
        if str(error).startswith(reference.shown):
            raise
        raise type(error)(f"{reference.shown}: {error}") from None
    except BaseException as error:  # a keyring may raise anything; this thread is its own
        raise SecretError(f"{reference.shown}: cannot be read ({type(error).__name__})") from None
    return checked_value(value, reference.shown)


def _remembered(value: str) -> str:
    remember(value)
    return value
