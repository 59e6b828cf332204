"""How well history foretells what a commit touches: each commit is judged by those before it alone."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ghostd.history.score import MAX_COMMITS, NONE, RECENT, Companions, Touched, companions, folder, ranked, words

TOP = 5


@dataclass(slots=True)
class Foretold:
    """What was found among the first five."""

    hits: int = 0
    """The one file that was hidden from its commit, the others given."""
    floor_hits: int = 0
    """Likewise, with the last changed files of the others' folders in their place."""
    tried: int = 0
    first_hits: int = 0
    """Any other file of a commit, one file given; where that is asked for."""
    first_tried: int = 0


@dataclass(slots=True)
class _Past:
    """What is known before a commit. Files are numbers, so that a rename changes nothing of what they did."""

    numbers: dict[str, int] = field(default_factory=dict)
    """Path → number, of what exists."""
    names: list[str] = field(default_factory=list)
    commits: dict[int, deque[tuple[int, tuple[int, ...]]]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=MAX_COMMITS))
    )
    """Number → (time, files) of its commits, the newest first."""
    folders: dict[str, dict[int, None]] = field(default_factory=lambda: defaultdict(dict))
    """Folder → what lies in it, the last changed at the end."""
    named: dict[frozenset[str], dict[int, None]] = field(default_factory=lambda: defaultdict(dict))
    """What a name is about → the files that are called so."""
    recent: deque[tuple[int, ...]] = field(default_factory=lambda: deque(maxlen=RECENT))
    """What the last commits touched, the newest first."""

    def number_of(self, path: str) -> int:
        if path not in self.numbers:
            self.numbers[path] = len(self.names)
            self.names.append(path)
        return self.numbers[path]

    def learn(self, commit: Touched, counts: bool) -> None:
        for old, new in commit.renamed:
            if (number := self._forget(old)) is not None:
                self._forget(new)
                self.numbers[new], self.names[number] = number, new
        touched = tuple(map(self.number_of, commit.paths))
        self.recent.appendleft(touched)
        for path, number in zip(commit.paths, touched, strict=True):
            if counts:
                self.commits[number].appendleft((commit.time_s, touched))
            self._forget(path)
            if path not in commit.gone:
                self.numbers[path] = number
                self.folders[folder(path)][number] = None
                self.named[words(path)][number] = None

    def _forget(self, path: str) -> int | None:
        number = self.numbers.pop(path, None)
        if number is not None:
            self.folders[folder(path)].pop(number, None)
            self.named[words(path)].pop(number, None)
        return number

    def ages(self) -> dict[str, int]:
        """Path → how many commits ago it was touched, of the last ones and of what exists."""
        found: dict[str, int] = {}
        for age, touched in enumerate(self.recent):
            for number in touched:
                if self.numbers.get(self.names[number]) == number:
                    found.setdefault(self.names[number], age)
        return found

    def companions(self, path: str, now_s: int, half_life_days: float) -> Companions:
        number = self.numbers.get(path)
        if number is None or number not in self.commits:
            return NONE
        past = (Touched(time_s, tuple(self.names[one] for one in files)) for time_s, files in self.commits[number])
        return companions(path, past, now_s, half_life_days)

    def around(self, given: Iterable[str]) -> Iterator[str]:
        """Files of the same folders, and of the same names."""
        for path in given:
            yield from (self.names[number] for number in self.folders.get(folder(path), ()))
            if about := words(path):
                yield from (self.names[number] for number in self.named.get(about, ()))

    def neighbours(self, given: Collection[str]) -> list[str]:
        """The last changed files of the same folders, the floor."""
        found: dict[str, None] = {}
        for path in given:
            for number in reversed(self.folders.get(folder(path), {})):
                if self.names[number] not in given:
                    found[self.names[number]] = None
                    if len(found) >= TOP:
                        return list(found)
        return list(found)


def foretold(
    history: Iterable[Touched], count: int, *, half_life_days: float, max_files: int, with_first: bool = False
) -> Foretold:
    """Judge the last `count` commits of two and more files; `history` is the oldest first.

    From a commit of 2 to `max_files` files each one that had been committed before, under whichever name, is hidden in
    turn.
    """
    usable = [commit for commit in history if len(commit.paths) >= 2]
    past, answer = _Past(), Foretold()
    for at, commit in enumerate(usable):
        counts = len(commit.paths) <= max_files
        if counts and at >= len(usable) - count:
            _judge(past, commit, half_life_days, answer, with_first)
        past.learn(commit, counts)
    return answer


def _judge(past: _Past, commit: Touched, half_life_days: float, answer: Foretold, with_first: bool) -> None:
    before = {new: old for old, new in commit.renamed if old in past.numbers}
    paths = [before.get(path, path) for path in commit.paths]
    known = [path for path in paths if path in past.numbers]
    tables = {path: past.companions(path, commit.time_s, half_life_days) for path in paths}
    ages = past.ages()

    def best(given: Mapping[str, Companions]) -> list[str]:
        found = ranked(given, [*past.around(given), *ages], ages)
        return [path for path, _, _ in found if path in past.numbers][:TOP]

    for hidden in known:
        others = {path: tables[path] for path in paths if path != hidden}
        answer.tried += 1
        answer.hits += hidden in best(others)
        answer.floor_hits += hidden in past.neighbours(others)
        if with_first and len(known) > 1:
            answer.first_tried += 1
            answer.first_hits += not set(known).isdisjoint(best({hidden: tables[hidden]}))
