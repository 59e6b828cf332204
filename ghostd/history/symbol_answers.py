"""Which definitions change together, from the last commits that touched a file."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import pygit2

from ghostd.config.projects import HistoryConfig
from ghostd.history.answers import names_of, newest, now_called, shown_below, text_of
from ghostd.history.cache import path_number, transaction
from ghostd.history.locate import Location
from ghostd.history.score import Touched, companions
from ghostd.history.symbols import touched_symbols

_COMMITS = 200
"""Of one file, the last ones."""
_READ_CPU_S = 1.0
"""Of one question; the next one goes on."""
_MAX_ANSWERS = 500


def symbols_co_changed(
    repository: pygit2.Repository,
    database: sqlite3.Connection,
    location: Location,
    path: bytes,
    name: str,
    config: HistoryConfig,
) -> list[Any]:
    """[whether all commits were read, [[path, name, score, commits]]] of what changed with this definition."""
    names = names_of(database, path)
    if not names:
        return [True, []]
    marks = ",".join("?" * len(names))
    commits = database.execute(
        f"SELECT DISTINCT c.number, c.id, c.time_s FROM changes h JOIN commits c ON c.number = h.commit_number"  # noqa: S608
        f" WHERE h.path IN ({marks}) AND c.live AND c.size BETWEEN 1 AND ? ORDER BY c.time_s DESC LIMIT ?",
        (*names, config.max_files_per_commit, _COMMITS),
    ).fetchall()
    complete = _read(repository, database, [(number, commit) for number, commit, _ in commits], config)
    given = f"{text_of(database, names[0])}\0{name}"
    newer: dict[int, int] = {}
    history = []
    for number, _, time_s in commits:
        keys = set()
        for at, other in database.execute("SELECT path, name FROM symbols WHERE commit_number = ?", (number,)):
            now = names[0] if at in names else now_called(database, at, newer)
            keys.add(f"{text_of(database, now)}\0{other}")
        if given in keys:
            history.append(Touched(time_s, (given, *sorted(keys - {given}))))
    table = companions(given, history, newest(database), config.half_life_days)
    answer: list[Any] = []
    for key, _ in sorted(table.weights.items(), key=lambda item: (-item[1], item[0])):
        where, _, other = key.partition("\0")
        if where == text_of(database, names[0]) and (_inside(other, name) or _inside(name, other)):
            continue
        shown = shown_below(location, where)
        if shown is not None:
            answer.append([shown, other, table.share(key), table.commits[key]])
            if len(answer) >= _MAX_ANSWERS:
                break
    return [complete, answer]


def _read(
    repository: pygit2.Repository, database: sqlite3.Connection, commits: list[tuple[int, str]], config: HistoryConfig
) -> bool:
    """Read what these commits touched, as far as it is not known and as time allows; whether all is known now."""
    started = time.process_time()
    for number, commit in commits:
        if database.execute("SELECT 1 FROM symbols_read WHERE commit_number = ?", (number,)).fetchone():
            continue
        if time.process_time() - started > _READ_CPU_S:
            return False
        found = touched_symbols(repository, commit, config)
        with transaction(database):
            rows = [(path_number(database, path), name, number) for path, name in found]
            database.executemany("INSERT OR IGNORE INTO symbols VALUES (?, ?, ?)", rows)
            database.execute("INSERT OR IGNORE INTO symbols_read VALUES (?)", (number,))
    return True


def _inside(name: str, container: str) -> bool:
    """Whether the one is a part of the other, and so changes with it anyway."""
    return name.startswith(container + ".")
