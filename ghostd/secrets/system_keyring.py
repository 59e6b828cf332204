"""The system's keyring: GNOME's or another Secret Service, KWallet, the macOS Keychain, Windows' credential store.

The library `keyring` would choose among whatever is installed, and plug-ins such as keyrings.alt store keys in plain
files; its configuration file and PYTHON_KEYRING_BACKEND may name any class. So the backends that may be used stand
here, and none is looked for elsewhere. The library is imported at first use, so that ghostd starts fast.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TypeVar

from ghostd.errors import SecretError, SecretMissing

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

T = TypeVar("T")

SERVICE = "ghostd"
"""The service under which the keyring lists ghostd's entries."""

_SECRET_SERVICE = "keyring.backends.SecretService.Keyring"  # noqa: S105 (a class, not a secret)
_BACKENDS: dict[str, tuple[str, ...]] = {
    "darwin": ("keyring.backends.macOS.Keyring",),
    "win32": ("keyring.backends.Windows.WinVaultKeyring",),
}
_UNIX = (_SECRET_SERVICE, "keyring.backends.libsecret.Keyring", "keyring.backends.kwallet.DBusKeyring")
"""In this order whatever the desktop: the shell in which a key is set and the daemon may know different variables."""

UNLOCK = "unlock it (log in to the desktop, or open it in its password manager), or use an env: or command: reference"


class Entries(Protocol):
    """The entries of a keyring by name. Every call may block for long, and raises SecretError."""

    def read(self, name: str) -> str | None:
        """The value; None where there is no such entry."""
        ...

    def write(self, name: str, value: str) -> None:
        """Set or replace the value."""
        ...

    def remove(self, name: str) -> None:
        """Remove an entry that exists."""
        ...


class SystemKeyring:
    """The first of the allowed backends that works here."""

    def __init__(self, backends: Sequence[str] | None = None) -> None:
        """`backends` are classes by their full names."""
        self._backends = _BACKENDS.get(sys.platform, _UNIX) if backends is None else tuple(backends)
        self._chosen: type[KeyringBackend] | None = None

    def read(self, name: str) -> str | None:
        """The value; None where there is no such entry."""

        def read(backend: KeyringBackend) -> str | None:
            if not _has_collection(backend):
                return None
            value: object = backend.get_password(SERVICE, name)
            if value is not None and not isinstance(value, str):
                raise SecretError(f"the keyring's entry for {name!r} is not text")
            return value

        return self._call(read)

    def write(self, name: str, value: str) -> None:
        """Set or replace the value."""
        self._call(lambda backend: backend.set_password(SERVICE, name, value))

    def remove(self, name: str) -> None:
        """Remove an entry that exists."""
        self._call(lambda backend: backend.delete_password(SERVICE, name))

    def _call(self, work: Callable[[KeyringBackend], T]) -> T:
        if self._chosen is None:
            self._chosen = self._choose()
        from keyring.errors import KeyringLocked

        try:
            return work(self._chosen())
        except SecretError:
            raise
        except KeyringLocked:
            raise SecretError(f"the keyring is locked: {UNLOCK}") from None
        except BaseException as error:  # a backend may let anything pass; this thread is its own
            self._chosen = None  # the service may have ended; look again
            raise SecretError(f"the keyring does not work ({_told(error)}): {UNLOCK}") from None

    def _choose(self) -> type[KeyringBackend]:
        problems = []
        for name in self._backends:
            module, _, attribute = name.rpartition(".")
            try:
                backend: type[KeyringBackend] = getattr(import_module(module), attribute)
                _ = backend.priority  # raises unless it can be used here
            except Exception as error:  # it says in many ways that it cannot be used here
                problems.append(f"{module.rpartition('.')[2]}: {_told(error)}")
            else:
                return backend
        raise SecretMissing(
            "no keyring service runs in this session; start one (e.g. gnome-keyring), or use an env: or command: "
            f"reference. Tried {'; '.join(problems)}"
        )


def _has_collection(backend: KeyringBackend) -> bool:
    """Whether there is a keyring to read from. The library would ask the user to make one."""
    if f"{type(backend).__module__}.{type(backend).__qualname__}" != _SECRET_SERVICE:
        return True
    import secretstorage

    with closing(secretstorage.dbus_init()) as connection:
        try:
            secretstorage.Collection(connection)  # the default one
        except secretstorage.ItemNotFoundException:
            return False
    return True


def _told(error: BaseException) -> str:
    """What went wrong, short: these libraries' messages quote D-Bus errors over several lines."""
    text = " ".join(str(error).split())[:160]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
