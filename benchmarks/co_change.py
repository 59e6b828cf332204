"""How well co-change foretells commits, on histories of other projects and on this repository's own.

The ranking's constants were chosen on the histories of TUNING; the table reports the others apart. See
docs/history.md for what is measured.

Run: python benchmarks/co_change.py [--commits N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from git_histories import histories

from ghostd.config.projects import HistoryConfig
from ghostd.history.answers import touched_by_all
from ghostd.history.cache import open_cache
from ghostd.history.foretold import foretold
from ghostd.history.locate import Location, locate
from ghostd.history.objects import head, open_objects
from ghostd.history.reading import read_history
from ghostd.history.score import Touched

TUNING = ("rumprun-xen", "storable", "skeetr", "gem-builder", "ghostd, first half")
HERE = Path(__file__).resolve().parent.parent
HALF = 266
"""Of this repository's commits of two and more files, those that the constants were chosen with."""
LITTLE = 30
"""Histories with fewer hidden files are left out."""


def commits_of(repository: Path, cache: Path) -> list[Touched]:
    """The commits of two and more files, the oldest first."""
    location = locate(repository)
    if repository.suffix == ".git":  # a bare one
        location = Location(repository, repository, repository, "")
    assert location is not None, f"{repository} is no repository"
    objects, database, config = open_objects(location), open_cache(cache), HistoryConfig()
    _, commit = head(location)
    for _ in read_history(objects, database, commit, frozenset(), config):
        pass
    found = touched_by_all(database, location)
    database.close()
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=1_000_000, help="The last ones; all by default.")
    arguments = parser.parse_args()
    config = HistoryConfig()
    print("| history | hidden files | hit@5 | folder's last 5 | one given: any of the others in 5 | CPU ms a commit |")
    print("|---|---|---|---|---|---|")
    lines: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        found = {name: commits_of(path, Path(folder) / f"{name}.sqlite") for name, path in histories().items()}
        own = commits_of(HERE, Path(folder) / "own.sqlite")
    jobs = [(name, history, arguments.commits) for name, history in found.items()]
    jobs.append(("ghostd, first half", own[:HALF], arguments.commits))
    jobs.append(("ghostd, the rest", own, min(arguments.commits, len(own) - HALF)))
    for name, history, count in jobs:
        started = time.process_time()
        result = foretold(
            history,
            count,
            half_life_days=config.half_life_days,
            max_files=config.max_files_per_commit,
            with_first=True,
        )
        cpu_ms = (time.process_time() - started) * 1000 / max(min(count, len(history)), 1)
        if result.tried < LITTLE:
            continue
        shares = (100 * result.hits / result.tried, 100 * result.floor_hits / result.tried)
        first = 100 * result.first_hits / max(result.first_tried, 1)
        lines[name] = (
            f"| {name} | {result.tried} | {shares[0]:.1f} % | {shares[1]:.1f} % | {first:.1f} % | {cpu_ms:.1f} |"
        )
    for name in sorted(lines, key=lambda one: one in TUNING):
        print(lines[name] + (" (tuned on)" if name in TUNING else ""))


if __name__ == "__main__":
    main()
