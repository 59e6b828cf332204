"""Under which names models were pulled: a file that outlives restarts."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)


class Pulls:
    """Name as pulled → name of the file in the models folder, kept in `file` (None keeps nothing for the next start).

    Methods but `get` block on the disk.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._names: dict[str, str] = {}
        if file is None:
            return
        try:
            self._names = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("%s cannot be read (%s): models answer to their files' names only", file, error)

    def get(self, name: str) -> str | None:
        """The file that was pulled under a name."""
        return self._names.get(name)

    def note(self, name: str, file_name: str) -> None:
        """A model has been pulled; a failure to write it down is logged."""
        self._write({**self._names, name: file_name})

    def forget(self, file_name: str) -> None:
        """A file is gone."""
        self._write({name: file for name, file in self._names.items() if file != file_name})

    def _write(self, names: dict[str, str]) -> None:
        if names == self._names:
            return
        self._names = names
        if self._file is None:
            return
        temporary = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            temporary.write_bytes(msgspec.json.encode(names) + b"\n")
            temporary.replace(self._file)
        except OSError as error:
            log.warning("the names of pulled models cannot be kept in %s: %s", self._file, error)
