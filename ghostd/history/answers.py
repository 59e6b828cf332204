"""Answers from the cache: which files change together, which change often, and the last commits."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from typing import Any

from ghostd.config.projects import HistoryConfig
from ghostd.history.foretold import foretold
from ghostd.history.locate import Location
from ghostd.history.score import (
    MAX_COMMITS,
    NONE,
    RECENT,
    Companions,
    Touched,
    companions,
    decay,
    folder,
    ranked,
    words,
)

_MAX_NAMES = 10
"""Earlier names of one file."""
_MAX_NEAR = 1000
"""Files of one folder."""
_MAX_NAMED = 200
"""Files with a word in common with a file's name."""


def co_changed(
    database: sqlite3.Connection,
    location: Location,
    path: bytes,
    beside: Sequence[bytes],
    limit: int,
    config: HistoryConfig,
) -> list[Any]:
    """[path, score, commits] of the files that go with this one, and with those beside it, and that exist."""
    given: dict[str, Companions] = {}
    for each in (path, *beside):
        table, name = _companions(database, each, config), os.fsdecode(each)
        if table is None and os.path.lexists(location.worktree / name):
            table = NONE  # not committed yet
        if table is not None:
            given[name] = table
    if os.fsdecode(path) not in given:
        return []
    ages = _ages(database)
    candidates = set(ages)
    for one in given:
        candidates.update(_around(database, one))
    answer: list[Any] = []
    for other, score, count in ranked(given, candidates, ages):
        shown = shown_below(location, other)
        if shown is not None:
            answer.append([shown, score, count])
            if len(answer) >= limit:
                break
    return answer


def _companions(database: sqlite3.Connection, path: bytes, config: HistoryConfig) -> Companions | None:
    """Under the names that files have now; None for a path that no commit touched."""
    names = names_of(database, path)
    if not names:
        return None
    marks = ",".join("?" * len(names))
    rows = database.execute(
        "SELECT c.number, c.time_s, o.path FROM (SELECT DISTINCT c.number, c.time_s FROM changes h"  # noqa: S608
        f" JOIN commits c ON c.number = h.commit_number WHERE h.path IN ({marks}) AND c.live"
        " AND c.size BETWEEN 2 AND ? ORDER BY c.time_s DESC LIMIT ?) c JOIN changes o ON o.commit_number = c.number"
        " ORDER BY c.time_s DESC, c.number",
        (*names, config.max_files_per_commit, MAX_COMMITS),
    ).fetchall()
    newer: dict[int, int] = {}
    touched: dict[int, tuple[int, set[int]]] = {}
    for number, time_s, other in rows:
        now = names[0] if other in names else now_called(database, other, newer)
        touched.setdefault(number, (time_s, set()))[1].add(now)
    texts = {number: text_of(database, number) for _, numbers in touched.values() for number in numbers}
    given = text_of(database, names[0])
    history = (
        Touched(time_s, (given, *(texts[n] for n in numbers if n not in names))) for time_s, numbers in touched.values()
    )
    return companions(given, history, newest(database), config.half_life_days)


def _around(database: sqlite3.Connection, path: str) -> set[str]:
    """Files of the same folder, and those of the same name; some may be gone."""
    here = os.fsencode(folder(path))
    first, end = (here + b"/", here + b"0") if here else (b"", b"\xff")
    rows = database.execute(
        "SELECT path FROM paths WHERE path >= ? AND path < ? AND instr(substr(path, ?), X'2F') = 0 LIMIT ?",
        (first, end, len(first) + 1, _MAX_NEAR),
    ).fetchall()
    found = {os.fsdecode(one) for (one,) in rows}
    named = words(path)
    if named:
        longest = max(named, key=lambda word: (len(word), word))
        rows = database.execute(
            "SELECT path FROM paths WHERE instr(lower(CAST(path AS TEXT)), ?) LIMIT ?",
            (longest, _MAX_NAMED),
        ).fetchall()
        found.update(other for (one,) in rows if words(other := os.fsdecode(one)) == named)
    return found


def churn(database: sqlite3.Connection, location: Location, limit: int, config: HistoryConfig) -> list[Any]:
    """[path, decayed commits, commits] of the files that change most and exist."""
    now = newest(database)
    scores: dict[int, tuple[float, int]] = {}
    newer: dict[int, int] = {}
    for path, time_s in database.execute(
        "SELECT h.path, c.time_s FROM changes h JOIN commits c ON c.number = h.commit_number WHERE c.live"
    ):
        current = now_called(database, path, newer)
        score, count = scores.get(current, (0.0, 0))
        scores[current] = (score + decay(now - time_s, config.half_life_days), count + 1)
    answer: list[Any] = []
    for number, (score, count) in sorted(scores.items(), key=lambda item: (-item[1][0], item[0])):
        shown = shown_below(location, text_of(database, number))
        if shown is not None:
            answer.append([shown, score, count])
            if len(answer) >= limit:
                break
    return answer


def commits(database: sqlite3.Connection, location: Location, path: bytes | None, limit: int) -> list[Any]:
    """[id, time, subject] of the last commits, or of those that touched a file under any of its names."""
    if path is not None:
        names = names_of(database, path)
        chosen = f"h.path IN ({','.join('?' * len(names))})"
        arguments: tuple[Any, ...] = tuple(names)
    else:
        prefix = os.fsencode(location.prefix)
        if not prefix:
            return _lists(
                database.execute(
                    "SELECT id, time_s, subject FROM commits WHERE live ORDER BY time_s DESC, number LIMIT ?", (limit,)
                )
            )
        chosen = "h.path IN (SELECT number FROM paths WHERE substr(path, 1, ?) = ?)"
        arguments = (len(prefix), prefix)
    return _lists(
        database.execute(
            f"SELECT DISTINCT c.id, c.time_s, c.subject FROM changes h JOIN commits c ON c.number = h.commit_number"  # noqa: S608
            f" WHERE {chosen} AND c.live ORDER BY c.time_s DESC, c.number LIMIT ?",
            (*arguments, limit),
        )
    )


def score(database: sqlite3.Connection, location: Location, count: int, config: HistoryConfig) -> tuple[int, int, int]:
    """(hits, the floor's hits, tried) of co-change over the last `count` commits."""
    found = foretold(
        touched_by_all(database, location),
        count,
        half_life_days=config.half_life_days,
        max_files=config.max_files_per_commit,
    )
    return found.hits, found.floor_hits, found.tried


def touched_by_all(database: sqlite3.Connection, location: Location) -> list[Touched]:
    """The commits of two and more files, as far as they lie below the root, the oldest first."""
    prefix = location.prefix
    renames: dict[int, list[tuple[str, str]]] = {}
    for number, old, new in database.execute(
        "SELECT r.commit_number, o.path, n.path FROM renames r JOIN paths o ON o.number = r.old"
        " JOIN paths n ON n.number = r.new"
    ):
        renames.setdefault(number, []).append((os.fsdecode(old), os.fsdecode(new)))
    times: dict[int, int] = {}
    paths: dict[int, list[str]] = {}
    gone: dict[int, set[str]] = {}
    for number, time_s, path, deleted in database.execute(
        "SELECT c.number, c.time_s, p.path, h.gone FROM commits c JOIN changes h ON h.commit_number = c.number"
        " JOIN paths p ON p.number = h.path WHERE c.live AND c.size >= 2 ORDER BY c.time_s, c.number DESC, p.path"
    ):
        name = os.fsdecode(path)
        if name.startswith(prefix):
            times[number] = time_s
            paths.setdefault(number, []).append(name)
            if deleted:
                gone.setdefault(number, set()).add(name)
    return [
        Touched(times[number], tuple(touched), tuple(renames.get(number, ())), frozenset(gone.get(number, ())))
        for number, touched in paths.items()
    ]


def _ages(database: sqlite3.Connection) -> dict[str, int]:
    """Path → how many commits ago it was touched, of the last ones."""
    found: dict[str, int] = {}
    rows = database.execute(
        "SELECT number FROM commits WHERE live AND size >= 2 ORDER BY time_s DESC, number LIMIT ?", (RECENT,)
    ).fetchall()
    for age, (number,) in enumerate(rows):
        for (path,) in database.execute(
            "SELECT p.path FROM changes h JOIN paths p ON p.number = h.path WHERE h.commit_number = ?", (number,)
        ):
            found.setdefault(os.fsdecode(path), age)
    return found


def _lists(rows: sqlite3.Cursor) -> list[Any]:
    return [list(row) for row in rows]


def newest(database: sqlite3.Connection) -> int:
    """The time of the newest commit."""
    return int(database.execute("SELECT coalesce(max(time_s), 0) FROM commits WHERE live").fetchone()[0])


def names_of(database: sqlite3.Connection, path: bytes) -> list[int]:
    """The path's number and those of its earlier names."""
    row = database.execute("SELECT number FROM paths WHERE path = ?", (path,)).fetchone()
    found = [int(row[0])] if row else []
    for number in found:  # grows
        older = database.execute(
            "SELECT r.old FROM renames r JOIN commits c ON c.number = r.commit_number WHERE r.new = ? AND c.live",
            (number,),
        )
        found.extend(old for (old,) in older.fetchall() if old not in found and len(found) < _MAX_NAMES)
    return found


def now_called(database: sqlite3.Connection, number: int, known: dict[int, int]) -> int:
    """What a file is called now."""
    if number in known:
        return known[number]
    at, met = number, {number}
    while True:
        row = database.execute(
            "SELECT r.new FROM renames r JOIN commits c ON c.number = r.commit_number WHERE r.old = ? AND c.live"
            " ORDER BY c.time_s DESC LIMIT 1",
            (at,),
        ).fetchone()
        if row is None or row[0] in met or len(met) > _MAX_NAMES:
            break
        at = int(row[0])
        met.add(at)
    known[number] = at
    return at


def text_of(database: sqlite3.Connection, number: int) -> str:
    """The path of this number."""
    return os.fsdecode(database.execute("SELECT path FROM paths WHERE number = ?", (number,)).fetchone()[0])


def shown_below(location: Location, path: str) -> str | None:
    """The path below the root, if it lies there and exists."""
    if not path.startswith(location.prefix) or not os.path.lexists(location.worktree / path):
        return None
    return path[len(location.prefix) :]
