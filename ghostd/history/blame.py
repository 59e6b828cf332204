"""Which commit last changed each line of a file; kept in the cache as long as nothing new touched the file."""

from __future__ import annotations

import json
import sqlite3
from hashlib import blake2b
from typing import Any

import pygit2

from ghostd.config.projects import HistoryConfig
from ghostd.history.answers import commits
from ghostd.history.locate import Location
from ghostd.history.objects import head
from ghostd.history.reading import commit_of, subject_of

_MAX_KEPT = 500
_MAX_TOUCHING = 1000


def blamed(
    repository: pygit2.Repository,
    database: sqlite3.Connection,
    location: Location,
    path: bytes,
    config: HistoryConfig,
) -> list[Any]:
    """[first line, last line, [commit]] of a file as last committed."""
    _, commit_id = head(location)
    commit = commit_of(repository, commit_id) if commit_id else None
    if commit is None:
        return []
    try:
        name = path.decode()
        blob = commit.tree[name]
        if not isinstance(blob, pygit2.Blob) or blob.size > config.max_file_bytes or blob.is_binary:
            return []
        key = _key(database, location, path, str(blob.id), commit_id)
        row = database.execute("SELECT spans FROM blames WHERE key = ?", (key,)).fetchone()
        if row is not None:
            kept: list[Any] = json.loads(row[0])
            return kept
        found = repository.blame(name, newest_commit=commit.id)
    except (pygit2.GitError, KeyError, ValueError):
        return []
    spans: list[Any] = []
    for hunk in found:
        one = commit_of(repository, str(hunk.final_commit_id))
        if one is None:
            return []
        first, last = hunk.final_start_line_number, hunk.final_start_line_number + hunk.lines_in_hunk - 1
        who = [str(one.id), one.commit_time, subject_of(one)]
        if spans and spans[-1][2][0] == who[0]:
            spans[-1][1] = last
        else:
            spans.append([first, last, who])
    database.execute("INSERT OR REPLACE INTO blames VALUES (?, ?)", (key, json.dumps(spans)))
    database.execute("DELETE FROM blames WHERE rowid <= (SELECT max(rowid) FROM blames) - ?", (_MAX_KEPT,))
    return spans


def _key(database: sqlite3.Connection, location: Location, path: bytes, blob: str, head_id: str) -> bytes:
    """The same for the same content that the same commits made; the head's own where not all have been read."""
    row = database.execute("SELECT id FROM head WHERE complete").fetchone()
    if row is not None and row[0] == head_id:
        made = [commit for commit, _, _ in commits(database, location, path, _MAX_TOUCHING)]
    else:
        made = [head_id]
    return blake2b(b"\0".join((path, blob.encode(), *(one.encode() for one in made))), digest_size=16).digest()
