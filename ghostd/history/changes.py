"""What differs: the working tree and the branch. All bounded."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygit2

from ghostd.config.projects import HistoryConfig
from ghostd.history.below import read_below
from ghostd.history.locate import Location
from ghostd.history.objects import find_ref, head
from ghostd.history.reading import commit_of, subject_of
from ghostd.history.staged import staged
from ghostd.history.worktree import FOLDER, MODULE, blob_id, content_if_changed, stands_for

_MAX_DEPTH = 128
_MAX_ENTRIES = 500_000
_MIN_ENTRIES = 50_000
_MAX_COMMITS = 200
_MAX_CHANGES = 5000
_BASES = ("main", "master", "trunk", "develop")
_Tree = dict[bytes, tuple[str, int]]


class _Hunks:
    """Makes hunks until the limit on text is met."""

    def __init__(self, repository: pygit2.Repository, config: HistoryConfig) -> None:
        self._repository = repository
        self._left = config.max_diff_bytes
        self._max_file = config.max_file_bytes

    def content(self, blob: str) -> bytes | None:
        """A blob's bytes; None where it is missing or too large."""
        try:
            found = self._repository.get(pygit2.Oid(hex=blob))
        except pygit2.GitError:
            return None
        return found.data if isinstance(found, pygit2.Blob) and found.size <= self._max_file else None

    def between(self, old: bytes | None, new: bytes | None) -> list[Any]:
        """[first line, last line, removed, added] of each changed place."""
        if old is None or new is None or b"\0" in old[:8000] or b"\0" in new[:8000] or self._left <= 0:
            return []
        found: list[Any] = []
        for hunk in pygit2.Patch.create_from(old, new, context_lines=0).hunks:
            parts: dict[str, list[bytes]] = {"-": [], "+": []}
            for line in hunk.lines:
                if line.origin in parts:
                    parts[line.origin].append(line.raw_content)
            texts = {origin: b"".join(pieces) for origin, pieces in parts.items()}
            self._left -= len(texts["-"]) + len(texts["+"])
            if self._left < 0:
                return []
            first = hunk.new_start if hunk.new_lines else hunk.new_start + 1
            removed, added = (texts[origin].decode("utf-8", "replace") for origin in "-+")
            found.append([first, first + hunk.new_lines - 1, removed, added])
        return found


def uncommitted(  # noqa: PLR0912
    repository: pygit2.Repository, location: Location, others: list[str], config: HistoryConfig
) -> list[Any]:
    """[path, kind, old path, hunks] of what differs from the last commit; `others` may be untracked files."""
    prefix = os.fsencode(location.prefix)
    _, commit_id = head(location)
    commit = commit_of(repository, commit_id) if commit_id else None
    entries = staged(location)
    sparse = any(entry.mode == FOLDER for entry in entries)
    most = _MAX_ENTRIES if sparse else max(_MIN_ENTRIES, 4 * len(entries))
    old = _flat(commit.tree, prefix, most) if commit is not None else {}
    if old is None:  # few trees can name more files than can ever be checked out
        return []
    hunks = _Hunks(repository, config)
    new: dict[bytes, tuple[str, bytes | None]] = {}
    gone: set[bytes] = set()
    tracked: set[bytes] = set()
    modules: set[bytes] = set()
    """Submodules, whose files are another repository's."""
    for entry in entries:
        if entry.mode == FOLDER:  # of a sparse index: nothing below it is checked out
            tracked.update(path for path in old if path.startswith(entry.path))
            continue
        if not entry.path.startswith(prefix):
            continue
        if entry.mode == MODULE:
            modules.add(entry.path)
            continue
        tracked.add(entry.path)
        content = content_if_changed(location.worktree, entry, config.max_file_bytes)
        before = old.get(entry.path, ("", 0))[0]
        pointed = stands_for(hunks.content(entry.blob), content) if isinstance(content, bytes) else None
        if content is True:
            if _is_gone(location.worktree / os.fsdecode(entry.path)):
                gone.add(entry.path)
            else:
                new[entry.path] = ("?", None)
        elif content is False or pointed:
            if entry.blob != before:
                new[entry.path] = (entry.blob, hunks.content(entry.blob))
        elif pointed is False:
            new[entry.path] = ("?", None)
        elif (blob := blob_id(content)) != before:
            new[entry.path] = (blob, content)
    if prefix and not tracked and not old:  # a folder that the repository around it ignores, or does not know yet
        return []
    for path in old:
        if path not in tracked:
            gone.add(path)
    for name in others:
        path = prefix + os.fsencode(name)
        if path not in tracked and not (modules and _lies_below(path, modules)):
            data = read_below(location.worktree, path, config.max_file_bytes)
            if data is not None:
                gone.discard(path)
                if (blob := blob_id(data)) != old.get(path, ("", 0))[0]:
                    new[path] = (blob, data)
    return _changes(old, new, gone, hunks, len(prefix))


def _is_gone(file: Path) -> bool:
    """Whether there is no file; a folder may have taken its place."""
    try:
        return stat.S_ISDIR(file.lstat().st_mode)
    except OSError:
        return True


def _lies_below(path: bytes, folders: set[bytes]) -> bool:
    parts = path.split(b"/")
    return any(b"/".join(parts[:count]) in folders for count in range(1, len(parts)))


def branch(repository: pygit2.Repository, location: Location, config: HistoryConfig) -> Any:
    """[name, base, merge base, [commit], [change]]; None before the first commit."""
    name, commit_id = head(location)
    commit = commit_of(repository, commit_id) if commit_id else None
    if commit is None:
        return None
    for base, base_id in _bases(location, name):
        try:
            merge_base = repository.merge_base(commit.id, pygit2.Oid(hex=base_id))
            parted = None if merge_base is None else commit_of(repository, str(merge_base))
            if parted is None:
                continue
            own = []
            # After a rebase many commits are of the same second.
            walk = repository.walk(commit.id, pygit2.enums.SortMode.TOPOLOGICAL | pygit2.enums.SortMode.TIME)
            walk.hide(parted.id)
            for one in walk:
                own.append([str(one.id), one.commit_time, subject_of(one)])
                if len(own) >= _MAX_COMMITS:
                    break
            prefix = os.fsencode(location.prefix)
            changes = _between_trees(repository, parted.tree, commit.tree, prefix, config)
        except (pygit2.GitError, KeyError):
            continue
        return [name, base, str(parted.id), own, changes]
    return [name, "", "", [], []]


def _bases(location: Location, name: str) -> Iterator[tuple[str, str]]:
    """Branches that this one may have started from, the likeliest first."""
    default, commit = find_ref(location, "refs/remotes/origin/HEAD")
    candidates = [default] if commit else []
    for base in _BASES:
        candidates += [f"refs/heads/{base}", f"refs/remotes/origin/{base}"]
    for candidate in candidates:
        commit = find_ref(location, candidate)[1]
        if commit and candidate != f"refs/heads/{name}":
            short = candidate.removeprefix("refs/heads/").removeprefix("refs/remotes/")
            yield short, commit


def _between_trees(
    repository: pygit2.Repository, before: pygit2.Tree, after: pygit2.Tree, prefix: bytes, config: HistoryConfig
) -> list[Any]:
    old: _Tree = {}
    new: dict[bytes, tuple[str, bytes | None]] = {}
    gone: set[bytes] = set()
    hunks = _Hunks(repository, config)
    try:
        diff = before.diff_to_tree(after, flags=pygit2.enums.DiffOption.SKIP_BINARY_CHECK)
    except MemoryError:
        return []
    for delta in diff.deltas:
        path = delta.new_file.raw_path
        if not path.startswith(prefix):
            continue
        if delta.status != pygit2.enums.DeltaStatus.ADDED:
            old[path] = (str(delta.old_file.id), 0)
        if delta.status == pygit2.enums.DeltaStatus.DELETED:
            gone.add(path)
        else:
            blob = str(delta.new_file.id)
            new[path] = (blob, hunks.content(blob))
        if len(new) + len(gone) >= _MAX_CHANGES:
            break
    return _changes(old, new, gone, hunks, len(prefix))


def _changes(
    old: _Tree, new: dict[bytes, tuple[str, bytes | None]], gone: set[bytes], hunks: _Hunks, cut: int
) -> list[Any]:
    by_blob = {old[path][0]: path for path in gone if path in old}
    found: list[Any] = []
    moved = set()
    for path, (blob, content) in sorted(new.items())[:_MAX_CHANGES]:
        shown = os.fsdecode(path[cut:])
        if path in old:
            found.append([shown, "modified", None, hunks.between(hunks.content(old[path][0]), content)])
        elif blob in by_blob and by_blob[blob] not in moved:
            moved.add(by_blob[blob])
            found.append([shown, "renamed", os.fsdecode(by_blob[blob][cut:]), []])
        else:
            found.append([shown, "added", None, hunks.between(b"", content)])
    for path in sorted(gone - moved)[:_MAX_CHANGES]:
        if path in old:
            found.append([os.fsdecode(path[cut:]), "deleted", None, hunks.between(hunks.content(old[path][0]), b"")])
    return sorted(found, key=lambda change: os.fsencode(change[0]))


def _flat(tree: pygit2.Tree, prefix: bytes, most: int) -> _Tree | None:
    """Path → (blob, mode) of the files below `prefix`; None where more than `most` files and folders are."""
    found: _Tree = {}
    looked_at = 0
    pending = [(b"", tree, 0)]
    while pending:
        base, folder, depth = pending.pop()
        looked_at += len(folder)
        if looked_at > min(most, _MAX_ENTRIES):
            return None
        for entry in folder:
            path = base + (entry.raw_name or b"")
            if entry.filemode == pygit2.enums.FileMode.TREE:
                below = path + b"/"
                if depth < _MAX_DEPTH and (below.startswith(prefix) or prefix.startswith(below)):
                    assert isinstance(entry, pygit2.Tree)
                    pending.append((below, entry, depth + 1))
            elif path.startswith(prefix) and entry.filemode != pygit2.enums.FileMode.COMMIT:
                found[path] = (str(entry.id), int(entry.filemode))
    return found
