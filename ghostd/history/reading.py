"""Reads commits into the cache, the newest first, in small steps; what the cache has is not read again."""

from __future__ import annotations

import heapq
import sqlite3
import time
from collections.abc import Iterator

import pygit2

from ghostd.config.projects import HistoryConfig
from ghostd.history.cache import path_number, transaction
from ghostd.history.objects import HistoryError

_STEP = 50
_MAX_PATHS = 1000
"""Of a commit that touched more (an import, a reformatting) no paths are kept."""
_MAX_SIMILAR = 20
"""Added and deleted files up to which renames with edits are looked for; beyond, equal contents alone."""
_MAX_SUBJECT = 200
_BEYOND = "older commits are beyond history.max_commits, or were not cloned"


def commit_of(repository: pygit2.Repository, commit: str) -> pygit2.Commit | None:
    """A commit that is there; nothing is fetched."""
    try:
        found = repository.get(pygit2.Oid(hex=commit))
    except (pygit2.GitError, ValueError):
        return None
    return found if isinstance(found, pygit2.Commit) else None


def subject_of(commit: pygit2.Commit) -> str:
    """The message's first line, shortened."""
    text = bytes(commit.raw_message).lstrip()[:4096].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text.split("\n", 1)[0]).rstrip()[:_MAX_SUBJECT]


def read_history(
    repository: pygit2.Repository,
    database: sqlite3.Connection,
    head: str,
    shallow: frozenset[str],
    config: HistoryConfig,
) -> Iterator[int]:
    """Bring the cache to `head`, yielding how many commits it has after each step. Raises HistoryError."""
    started = time.process_time()
    reach = f"{config.max_commits} {','.join(sorted(shallow))}"
    row = database.execute("SELECT id, reach FROM head").fetchone()
    old, was = (str(row[0]), str(row[1])) if row else ("", "")
    if old == head and was == reach:
        return
    known: frozenset[str] = frozenset()
    if was == reach:
        known = frozenset(str(name) for (name,) in database.execute("SELECT id FROM commits WHERE live"))
    order, met, complete = _walk(repository, head, shallow, known, config)
    if known and old not in met:  # another branch, or history was rewritten
        known = frozenset()
        order, _, complete = _walk(repository, head, shallow, known, config)
    detail = "" if complete else _BEYOND
    if not known:
        with transaction(database):
            database.execute("DELETE FROM head")
            database.execute("UPDATE commits SET live = 0 WHERE live = 1")
            if was != reach:  # the parents of those that had none may have come
                database.execute("DELETE FROM commits WHERE size = 0")
    for done in range(0, len(order), _STEP):
        with transaction(database):
            for commit in order[done : done + _STEP]:
                _keep(repository, database, commit, shallow)
        yield database.execute("SELECT count(*) FROM commits WHERE live").fetchone()[0]
        if time.process_time() - started > config.max_read_cpu_s and done + _STEP < len(order):
            complete, reach = False, ""
            detail = f"reading was ended after history.max_read_cpu_s ({config.max_read_cpu_s:g} s) and goes on later"
            break
    with transaction(database):
        if known and complete:
            row = database.execute("SELECT complete, detail FROM head").fetchone()
            complete, detail = bool(row[0]), str(row[1])
        if _prune(database, config.max_commits):
            complete, detail = False, detail or _BEYOND
        database.execute("DELETE FROM head")
        database.execute("INSERT INTO head VALUES (?, ?, ?, ?)", (head, complete, detail, reach))


def _walk(
    repository: pygit2.Repository, head: str, shallow: frozenset[str], known: frozenset[str], config: HistoryConfig
) -> tuple[list[str], set[str], bool]:
    """(commits that are not known, the newest first; the known ones that ended the walk; whether it found all)."""
    first = commit_of(repository, head)
    if first is None:
        raise HistoryError(f"the commit {head} is missing")
    heap = [(-first.commit_time, head, first)]
    seen, complete = {head}, True
    order: list[str] = []
    met: set[str] = set()
    while heap:
        _, name, commit = heapq.heappop(heap)
        if name in known:
            met.add(name)
            continue
        if len(order) >= config.max_commits:
            return order, met, False
        order.append(name)
        if name in shallow:
            complete = False
            continue
        for parent in map(str, commit.parent_ids):
            if parent in seen:
                continue
            seen.add(parent)
            found = commit_of(repository, parent)
            if found is None:
                complete = False
            else:
                heapq.heappush(heap, (-found.commit_time, parent, found))
    return order, met, complete


def _keep(repository: pygit2.Repository, database: sqlite3.Connection, name: str, shallow: frozenset[str]) -> None:
    if database.execute("UPDATE commits SET live = 1 WHERE id = ?", (name,)).rowcount:
        return
    commit = commit_of(repository, name)
    if commit is None:
        return
    touched: list[tuple[bytes, bool]] = []
    renames: list[tuple[bytes, bytes]] = []
    if len(commit.parent_ids) <= 1 and name not in shallow:
        touched, renames = _touched(repository, commit)
    size = len(touched)
    number = database.execute(
        "INSERT INTO commits (id, time_s, subject, size, live) VALUES (?, ?, ?, ?, 1)",
        (name, commit.commit_time, subject_of(commit), size),
    ).lastrowid
    if size > _MAX_PATHS:
        return
    rows = [(path_number(database, path), number, gone) for path, gone in touched]
    database.executemany("INSERT OR IGNORE INTO changes VALUES (?, ?, ?)", rows)
    pairs = [(path_number(database, a), path_number(database, b), number) for a, b in renames]
    database.executemany("INSERT OR IGNORE INTO renames VALUES (?, ?, ?)", pairs)


def _touched(
    repository: pygit2.Repository, commit: pygit2.Commit
) -> tuple[list[tuple[bytes, bool]], list[tuple[bytes, bytes]]]:
    """((path as it was named after the commit, whether it is gone), (old, new) of renamed ones).

    Empty where trees are missing.
    """
    try:
        tree = commit.tree
        if commit.parent_ids:
            diff = commit.parents[0].tree.diff_to_tree(tree, flags=pygit2.enums.DiffOption.SKIP_BINARY_CHECK)
        else:
            diff = tree.diff_to_tree(swap=True, flags=pygit2.enums.DiffOption.SKIP_BINARY_CHECK)
        if len(diff) > _MAX_PATHS:
            return [(b"", False)] * len(diff), []
        kinds = [delta.status for delta in diff.deltas]
        added, deleted = kinds.count(pygit2.enums.DeltaStatus.ADDED), kinds.count(pygit2.enums.DeltaStatus.DELETED)
        if added and deleted:
            flags = pygit2.enums.DiffFind.FIND_RENAMES
            if max(added, deleted) > _MAX_SIMILAR:
                flags |= pygit2.enums.DiffFind.FIND_EXACT_MATCH_ONLY
            diff.find_similar(flags=flags)
        paths, renames = [], []
        for delta in diff.deltas:
            new = delta.new_file.raw_path
            paths.append((new, delta.status == pygit2.enums.DeltaStatus.DELETED))
            if delta.status == pygit2.enums.DeltaStatus.RENAMED:
                renames.append((delta.old_file.raw_path, new))
    except (pygit2.GitError, KeyError, ValueError):
        return [], []
    except MemoryError:  # a few trees that name each other over and over differ in billions of files
        return [(b"", False)] * (_MAX_PATHS + 1), []
    return paths, renames


def _prune(database: sqlite3.Connection, keep: int) -> bool:
    """Forget the oldest commits beyond `keep`, here and of other branches; whether some were of this one."""
    oldest = "SELECT number FROM commits WHERE live = ? ORDER BY time_s DESC LIMIT -1 OFFSET ?"
    beyond = database.execute(oldest, (1, keep)).fetchall()
    rows = beyond + database.execute(oldest, (0, keep)).fetchall()
    database.executemany("DELETE FROM changes WHERE commit_number = ?", rows)
    database.executemany("DELETE FROM symbols WHERE commit_number = ?", rows)
    database.executemany("DELETE FROM symbols_read WHERE commit_number = ?", rows)
    database.executemany("DELETE FROM renames WHERE commit_number = ?", rows)
    database.executemany("DELETE FROM commits WHERE number = ?", rows)
    return bool(beyond)
