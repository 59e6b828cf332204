"""A repository's objects and branches, read without its configuration.

libgit2 is given the folder of objects and nothing else: it then knows no config, no alternates, no filters, no
attributes and no hooks, and has nothing to fetch missing objects with. Branches are read here.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pygit2

from ghostd.history.locate import MAX_CONFIG_BYTES, Location, read_small
from ghostd.history.loose import LooseObjects

_MAX_REF_BYTES = 4096
_MAX_PACKED_BYTES = 64 * 1024 * 1024
_MAX_LINKS = 5
_MAX_PACKS = 10_000
_MAX_LOOSE = 20_000
"""Of one of the 256 folders."""
_FAN_OUT = tuple(f"{number:02x}" for number in range(256))
_EXTENSION = re.compile(rb'^[ \t]*(objectformat|refstorage)[ \t]*=[ \t]*"?(\w+)', re.MULTILINE | re.IGNORECASE)
_ID = re.compile(rb"[0-9a-f]{40}\s*")
_NAME = re.compile(r"refs/[^\0-\x20\x7f~^:?*\[\\]+")


class HistoryError(Exception):
    """A repository cannot be read; the message says why."""


def open_objects(location: Location) -> pygit2.Repository:
    """The repository's objects alone. Raises HistoryError."""
    for level in (
        *(pygit2.enums.ConfigLevel.SYSTEM, pygit2.enums.ConfigLevel.GLOBAL),
        *(pygit2.enums.ConfigLevel.XDG, pygit2.enums.ConfigLevel.PROGRAMDATA),
    ):
        pygit2.settings.search_path[level] = ""
    _check_format(location)
    folder = location.common_dir / "objects"
    _check_folder(folder / "pack", _MAX_PACKS)
    _check_folder(folder / "info", _MAX_PACKS)
    for name in _FAN_OUT:
        _check_folder(folder / name, _MAX_LOOSE)
    odb = pygit2.Odb()
    try:
        odb.add_backend(pygit2.OdbBackendPack(os.fspath(folder)), 1)
        odb.add_backend(LooseObjects(folder), 2)
    except (pygit2.GitError, OSError, ValueError) as error:
        raise HistoryError(f"its objects cannot be read: {error}") from None
    repository = pygit2.Repository()
    repository.set_odb(odb)
    return repository


def objects_state(location: Location) -> tuple[int, ...]:
    """Changes when objects come and go."""
    folder = os.fspath(location.common_dir / "objects")
    found = []
    for name in ("pack", "info", *_FAN_OUT):
        try:
            status = os.lstat(f"{folder}/{name}")
        except OSError:
            found.append(0)
        else:
            found += [status.st_ino, status.st_mtime_ns]
    return tuple(found)


def missing(location: Location, commit: str) -> str:
    """What is said of a commit that is not there."""
    borrows = read_small(location.common_dir / "objects" / "info" / "alternates", MAX_CONFIG_BYTES)
    where = "; its objects are borrowed from another folder (alternates), where ghostd does not read" if borrows else ""
    return f"the commit {commit} is missing{where}"


def _check_format(location: Location) -> None:
    """Refuse what libgit2 would take for an empty repository."""
    text = read_small(location.common_dir / "config", MAX_CONFIG_BYTES) or b""
    extensions = {name.lower(): value.lower() for name, value in _EXTENSION.findall(text)}
    if extensions.get(b"objectformat", b"sha1") != b"sha1":
        raise HistoryError("its objects have SHA-256 names, which ghostd does not read")
    if extensions.get(b"refstorage", b"files") != b"files":
        raise HistoryError("its branches are kept in the reftable format, which ghostd does not read")


def _check_folder(folder: Path, most: int) -> None:
    """Refuse links, which lead elsewhere, and pipes, which would be waited for."""
    shown = f"objects/{folder.name}"
    try:
        if stat.S_ISLNK(folder.lstat().st_mode):
            raise HistoryError(f"{shown} is a link")
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number > most:
                    raise HistoryError(f"{shown} has more than {most} files")
                if not entry.is_file(follow_symlinks=False) and not (
                    folder.name == "info" and entry.is_dir(follow_symlinks=False)
                ):
                    raise HistoryError(f"{shown}/{entry.name!a} is no regular file")
    except FileNotFoundError:
        return
    except OSError as error:
        raise HistoryError(f"{shown} cannot be listed: {error.strerror}") from None


def head(location: Location) -> tuple[str, str]:
    """(branch, commit) that is checked out; the branch is "" when detached, the commit "" before the first one."""
    text = read_small(location.git_dir / "HEAD", _MAX_REF_BYTES) or b""
    if not text.startswith(b"ref:"):
        return "", _id(text)
    name = os.fsdecode(text.removeprefix(b"ref:").strip())
    return name.removeprefix("refs/heads/"), find_ref(location, name)[1]


def find_ref(location: Location, name: str) -> tuple[str, str]:
    """(name after symbolic links, commit) of a branch; the commit is "" where there is none."""
    for _ in range(_MAX_LINKS):
        if not _NAME.fullmatch(name) or ".." in name or "//" in name:
            return name, ""
        place = location.common_dir / name
        if Path(os.path.realpath(place.parent)) != Path(os.path.realpath(location.common_dir)) / Path(name).parent:
            return name, ""
        text = read_small(place, _MAX_REF_BYTES)
        if text is None:
            return name, _packed(location, name)
        if not text.startswith(b"ref:"):
            return name, _id(text)
        name = os.fsdecode(text.removeprefix(b"ref:").strip())
    return name, ""


def shallow(location: Location) -> frozenset[str]:
    """The commits whose parents were not cloned."""
    text = read_small(location.common_dir / "shallow", _MAX_PACKED_BYTES) or b""
    return frozenset(line.decode("ascii", "replace") for line in text.split())


def _packed(location: Location, name: str) -> str:
    text = read_small(location.common_dir / "packed-refs", _MAX_PACKED_BYTES) or b""
    end = b" " + os.fsencode(name)
    return next((_id(line[:40]) for line in text.splitlines() if line.endswith(end) and len(line) == 40 + len(end)), "")


def _id(text: bytes) -> str:
    return text.strip().decode() if _ID.fullmatch(text) else ""
