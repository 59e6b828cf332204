"""Keyring backends that behave as bad ones do; tests name their classes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from keyring.backend import KeyringBackend
from keyring.compat import properties
from keyring.errors import KeyringLocked, PasswordDeleteError

from ghostd.errors import SecretError


class _Backend(KeyringBackend):
    @properties.classproperty
    def priority(cls) -> float:  # noqa: N805
        return 5

    def get_password(self, service: str, username: str) -> str | None:
        raise NotImplementedError

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        raise NotImplementedError


class Working(_Backend):
    """Keeps its entries in the class."""

    entries: dict[tuple[str, str], str] = {}  # noqa: RUF012

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError("No such password!")


class Forgetful(Working):
    """Says that it stores, and does not."""

    entries: dict[tuple[str, str], str] = {}  # noqa: RUF012

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class Locked(_Backend):
    """Its user has closed the dialog."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("Failed to unlock the collection!")


class Asking(_Backend):
    """Waits for a password in a dialog until a test answers it."""

    answered = threading.Event()
    asked = 0

    def get_password(self, service: str, username: str) -> str | None:
        type(self).asked += 1
        self.answered.wait()
        return "value-after-the-dialog"


class Broken(_Backend):
    """Raises what the test wants."""

    error: Callable[[], BaseException] = RuntimeError

    def get_password(self, service: str, username: str) -> str | None:
        raise type(self).error()


class Odd(_Backend):
    """Returns what the test wants."""

    value: Any = None

    def get_password(self, service: str, username: str) -> Any:
        return self.value


class Unusable(_Backend):
    """There is no such service here."""

    @properties.classproperty
    def priority(cls) -> float:  # noqa: N805
        raise RuntimeError("The Secret Service daemon is neither running nor\nactivatable through D-Bus")


class MemoryKeyring:
    """The store's view of a keyring that works, without the library."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def read(self, name: str) -> str | None:
        return self.entries.get(name)

    def write(self, name: str, value: str) -> None:
        self.entries[name] = value

    def remove(self, name: str) -> None:
        if self.entries.pop(name, None) is None:
            raise SecretError(f"no {name}")
