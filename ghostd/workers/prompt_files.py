"""Prompts on disk, for the next process that loads the same model. Standard library only.

A file holds the tokens of one prompt, and what an engine has computed of them.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from ghostd.workers.engines.prefix import common_prefix
from ghostd.workers.prompt_folder import entries, names, remove, shrink

_HEAD = struct.Struct("<16sIQ")
"""Magic, number of tokens, bytes of data. Tokens (little-endian int32), data and a CRC-32 of all that follow."""
_MAGIC = b"ghostd prompt 1\n"
_CHECK = struct.Struct("<I")
_SLICE_BYTES = 4 * 1024 * 1024
_MOST_PROMPTS = 16
"""Of one model."""
_LEAVE_FREE_BYTES = 512 * 1024 * 1024
"""On the disk: nothing is written where less would be left."""


@dataclass(frozen=True, slots=True)
class PromptKey:
    """Whose prompts they are, as parts of the file's name: hexadecimal digits, 16, 16 and 8 of them."""

    place: str
    """The model's path."""
    model: str
    """The file that is there, and the engine's build: with another one they can never be used again."""
    settings: str
    """How it is loaded: with others they cannot be used now."""


@dataclass(frozen=True, slots=True, eq=False)
class KeptPrompt:
    """One file."""

    path: Path
    tokens: list[int]
    size_bytes: int
    """Of the data."""


class PromptFiles:
    """One model's prompts in the folder, the latest first. `tell` is given what went wrong."""

    def __init__(self, folder: Path, limit_bytes: int, key: PromptKey, tell: Callable[[str], None]) -> None:
        self._folder, self._limit_bytes, self._key, self._tell = folder, limit_bytes, key, tell
        self._spared: set[Path] = set()
        self.kept: list[KeptPrompt] = []
        try:
            self._look()
        except OSError as error:
            tell(f"cannot look for kept prompts in {folder}: {error.strerror}")

    def _look(self) -> None:
        place = f"{self._key.place}-"
        remove(path for path in names(self._folder, unfinished=True) if path.name.startswith(f".{place}"))
        ours = [path for path, _ in reversed(entries(self._folder)) if path.name.startswith(place)]
        remove(path for path in ours if not path.name.startswith(f"{place}{self._key.model}-"))
        usable = [path for path in ours if path.name.startswith(self._prefix)]
        remove(usable[_MOST_PROMPTS:])
        for path in usable[:_MOST_PROMPTS]:
            try:
                self.kept.append(_read_tokens(path))
            except (OSError, ValueError) as error:
                self._set_aside(path, str(error))

    @property
    def _prefix(self) -> str:
        return f"{self._key.place}-{self._key.model}-{self._key.settings}-"

    def best(self, tokens: Sequence[int], limit: int) -> tuple[KeptPrompt | None, int]:
        """The one that has most of the first `limit` tokens, and how many."""
        best, most = None, 0
        for kept in self.kept:
            if (common := common_prefix(kept.tokens, tokens, min(limit, len(kept.tokens)))) > most:
                best, most = kept, common
        return best, most

    def data(self, kept: KeptPrompt) -> memoryview | None:
        """What the engine has computed of it; None where the file is gone or damaged, and will not be found again."""
        try:
            return _read_data(kept)
        except FileNotFoundError:  # another worker has made room
            self.kept.remove(kept)
            return None
        except MemoryError:
            return None
        except (OSError, ValueError) as error:
            self.drop(kept, str(error))
            return None

    def drop(self, kept: KeptPrompt, reason: str = "") -> None:
        """Delete it; a reason is told."""
        self.kept.remove(kept)
        if reason:
            self._set_aside(kept.path, reason)
        else:
            remove((kept.path,))

    def _set_aside(self, path: Path, reason: str) -> None:
        self._tell(f"the kept prompt {path.name} cannot be used ({reason}); it is deleted")
        remove((path,))

    def use(self, kept: KeptPrompt, *, spare: bool = False) -> None:
        """It was wanted, and becomes the latest; `spare`: like one that was written now, it makes room for none."""
        if spare:
            self._spared.add(kept.path)
        with suppress(OSError):
            os.utime(kept.path)

    def write(self, tokens: Sequence[int], data: memoryview, until_s: float) -> bool:
        """Keep it, deleting the oldest ones where there are too many; False where it does not fit or was not done by
        `until_s` (of time.monotonic()). Raises OSError, and leaves nothing behind."""
        size = _HEAD.size + 4 * len(tokens) + data.nbytes + _CHECK.size
        if not shrink(self._folder, self._limit_bytes - size, self._spared):
            return False
        if shutil.disk_usage(self._folder).free - size < _LEAVE_FREE_BYTES:
            raise OSError(0, f"less than {_LEAVE_FREE_BYTES >> 20} MB would be left on the disk")
        ids = array("i", tokens).tobytes()
        name = f"{self._prefix}{crc32(ids):08x}{len(tokens):08x}.prompt"
        path, unfinished = self._folder / name, self._folder / f".{name}"
        try:
            if not _write(unfinished, [_HEAD.pack(_MAGIC, len(tokens), data.nbytes) + ids, data], until_s):
                return False
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        self._spared.add(path)
        return True


def _write(path: Path, parts: Sequence[bytes | memoryview], until_s: float) -> bool:
    check = 0
    with open(path, "xb", buffering=0, opener=_private) as file:
        for part in (memoryview(part) for part in parts):
            for start in range(0, len(part), _SLICE_BYTES):
                if time.monotonic() > until_s:
                    return False
                piece = part[start : start + _SLICE_BYTES]
                check = crc32(piece, check)
                _write_all(file.fileno(), piece)
        _write_all(file.fileno(), memoryview(_CHECK.pack(check)))
    return True


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _read_tokens(path: Path) -> KeptPrompt:
    """Raises OSError, and ValueError with the reason for what is not ours."""
    with open(path, "rb", opener=_plain) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size or not head.startswith(_MAGIC):
            raise ValueError("not what ghostd writes")
        _, count, size = _HEAD.unpack(head)
        if _HEAD.size + 4 * count + size + _CHECK.size != status.st_size:
            raise ValueError("it is not whole")
        tokens = array("i")
        tokens.frombytes(file.read(4 * count))
    return KeptPrompt(path, list(tokens), size)


def _read_data(kept: KeptPrompt) -> memoryview:
    before = 4 * len(kept.tokens)
    content = bytearray(_HEAD.size + before + kept.size_bytes + _CHECK.size)
    with open(kept.path, "rb", opener=_plain) as file:
        if file.readinto(content) != len(content):
            raise ValueError("it is not whole")
    check = crc32(memoryview(content)[: -_CHECK.size])
    if _CHECK.unpack_from(content, len(content) - _CHECK.size)[0] != check:
        raise ValueError("its checksum is wrong")
    if content[_HEAD.size : _HEAD.size + before] != array("i", kept.tokens).tobytes():
        raise ValueError("it has changed")
    return memoryview(content)[_HEAD.size + before : -_CHECK.size]


def _plain(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
