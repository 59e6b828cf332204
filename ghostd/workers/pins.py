"""Which models stay loaded: a file of names that outlives restarts."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)


class Pins:
    """The pinned names, kept in `file` (None keeps nothing). Its methods block on the disk; `names` does not.

    Names of models that are not there now stay: their disk may be mounted later.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.names: frozenset[str] = frozenset()
        if file is None:
            return
        try:
            self.names = frozenset(msgspec.json.decode(file.read_bytes(), type=list[str]))
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("%s cannot be read (%s): no model is pinned", file, error)

    def set(self, name: str, pinned: bool) -> None:
        """Pin or unpin a name. Raises OSError when it cannot be written down; then nothing has changed."""
        names = self.names | {name} if pinned else self.names - {name}
        if self._file is not None and names != self.names:
            temporary = self._file.with_name(f".{self._file.name}.{os.getpid()}")
            temporary.write_bytes(msgspec.json.encode(sorted(names)) + b"\n")
            temporary.replace(self._file)
        self.names = names
