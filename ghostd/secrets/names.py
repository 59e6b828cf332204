"""The names of the secrets that `ghostctl secret` has put into the keyring, which cannot list its entries itself."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from ghostd.errors import SecretError


class _File(msgspec.Struct, frozen=True):
    names: list[str] = []


class SecretNames:
    """Names in a file of their own, mode 0600; never a value."""

    def __init__(self, file: Path) -> None:
        """The file's folder must exist; the file need not."""
        self._file = file

    def read(self) -> Sequence[str]:
        """The names in alphabetical order; raises SecretError for a damaged file."""
        try:
            data = self._file.read_bytes()
        except FileNotFoundError:
            return ()
        try:
            return sorted(set(msgspec.json.decode(data, type=_File).names))
        except msgspec.DecodeError:
            raise SecretError(
                f"{self._file} is damaged; delete it: it holds names only, the keyring has the keys"
            ) from None

    def add(self, name: str) -> None:
        """Note a name."""
        with self._locked():
            self._write({*self.read(), name})

    def remove(self, name: str) -> None:
        """Drop a name."""
        with self._locked():
            self._write({*self.read()} - {name})

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time."""
        descriptor = os.open(self._file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, names: set[str]) -> None:
        new = self._file.with_suffix(".new")
        with suppress(FileNotFoundError):
            new.unlink()  # left by a writer that was killed
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(_File(sorted(names))))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._file)
