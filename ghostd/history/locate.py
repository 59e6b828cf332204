"""Finds the repository that a folder is in. A pointer is followed only where what it names points back."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

_MAX_POINTER_BYTES = 4096
MAX_CONFIG_BYTES = 256 * 1024
_MAX_LEVELS = 64
_WORKTREE = re.compile(rb'^[ \t]*worktree[ \t]*=[ \t]*"?([^"\r\n]+?)"?[ \t]*$', re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a root's history lies."""

    worktree: Path
    git_dir: Path
    """HEAD and the index file lie here."""
    common_dir: Path
    """Objects and branches lie here; a linked worktree shares it with others."""
    prefix: str
    """The root's place in the worktree, with a trailing slash; "" for the worktree itself."""


def locate(root: Path) -> Location | None:
    """The repository of `root` or of the nearest folder above it on the same device; None where there is none."""
    try:
        device = root.lstat().st_dev
    except OSError:
        return None
    for folder in (root, *root.parents)[:_MAX_LEVELS]:
        try:
            if folder.lstat().st_dev != device:
                return None
            status = (folder / ".git").lstat()
        except OSError:
            continue
        found: tuple[Path, Path] | None = None
        if stat.S_ISDIR(status.st_mode):
            found = (folder / ".git", folder / ".git")
        elif stat.S_ISREG(status.st_mode):
            found = _pointed(folder)
        if found is None or not _is_repository(*found):
            return None
        below = root.relative_to(folder).as_posix()
        return Location(folder, *found, "" if below == "." else below + "/")
    return None


def read_small(path: Path, max_bytes: int) -> bytes | None:
    """A regular file's bytes; None where it is none (links included), too large or unreadable. Never blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (OSError, ValueError):
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            return None
        with os.fdopen(os.dup(descriptor), "rb") as file:  # which a folder's descriptor would not become
            return file.read(max_bytes)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _is_repository(git_dir: Path, common_dir: Path) -> bool:
    """Whether the folders hold what a repository has, inside them and not through links."""
    if read_small(git_dir / "HEAD", _MAX_POINTER_BYTES) is None:
        return False
    return all(_is_folder(common_dir / name) for name in ("objects", "refs"))


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _pointed(folder: Path) -> tuple[Path, Path] | None:
    """(git folder, common folder) that a `.git` file names, if that folder names this one."""
    text = read_small(folder / ".git", _MAX_POINTER_BYTES)
    if text is None or not text.startswith(b"gitdir:"):
        return None
    git_dir = _resolved(folder, text.removeprefix(b"gitdir:"))
    here = os.path.realpath(folder)
    back = read_small(git_dir / "gitdir", _MAX_POINTER_BYTES)
    if back is not None:
        common = read_small(git_dir / "commondir", _MAX_POINTER_BYTES)
        if common is None or _resolved(git_dir, back) != Path(here, ".git"):
            return None
        common_dir = _resolved(git_dir, common)
        return (git_dir, common_dir) if git_dir.parent == common_dir / "worktrees" else None
    if not any(git_dir.is_relative_to(Path(above, ".git", "modules")) for above in Path(here).parents):
        return None
    names = _WORKTREE.findall(read_small(git_dir / "config", MAX_CONFIG_BYTES) or b"")
    return (git_dir, git_dir) if len(names) == 1 and _resolved(git_dir, names[0]) == Path(here) else None


def _resolved(base: Path, text: bytes) -> Path:
    name = os.fsdecode(text.strip().replace(b"\0", b""))
    return Path(os.path.realpath(base / name))
