"""The numbers by which a piece is judged, and what they mean in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from math import log, log1p
from pathlib import PurePosixPath

from ghostd.context.candidate import Candidate, Surroundings, is_test, subject_of

FEATURES = (
    "bias", "search", "search²", "log search", "defines nearby", "folder", "same folder", "imported",
    "defines imported", "file", "both tests", "only this is a test", "only that is a test", "defines base",
    "log tokens", "outlines nearby", "outlines imported", "definitions", "overlap", "same subject", "calls this",
    "new names", "best vote", "five votes", "votes", "share of new names",
)  # fmt: skip
"""In the order of a weight vector; the meanings stand where `Judge.features` computes them."""

_MAX_SUM = 3.0
_MIN_NAME_CHARS = 3
_VOTES = 5
_NOTHING: frozenset[str] = frozenset()


class Judge:
    """Judges all candidates of one place.

    Chunks that the search finds vote for the identifiers that they have and the file at hand has not, by the square
    of their scores: a name that many of them share is likely the one that is missing (pseudo-relevance feedback).
    """

    def __init__(self, around: Surroundings, candidates: Iterable[Candidate]) -> None:
        self.around = around
        self._here = _about(around.path)
        self._of_file: dict[str, tuple[float, ...]] = {}
        self._nearby = frozenset(around.query.nearby)
        self._words = frozenset(around.query.words)
        self._votes: dict[str, float] = {}
        shared: set[str] = set()
        votes, best, own = self._votes, around.best_search, around.own_names
        for one in candidates:
            one.new = new = one.names - own
            if best and one.search_score:
                weight = (one.search_score / best) ** 2
                shared |= new & votes.keys()
                for name in new:
                    votes[name] = votes.get(name, 0.0) + weight
        self._voted = {name for name in votes if len(name) >= _MIN_NAME_CHARS}
        self._shared = shared & self._voted
        """Those that more than one voted for."""

    def features(self, candidate: Candidate) -> list[float]:
        """The numbers of FEATURES."""
        around = self.around
        query, defines = around.query, candidate.defines
        of_file = self._of_file.get(candidate.place)
        if of_file is None:
            of_file = self._of_file[candidate.place] = self._file_features(candidate.path)
        folder, same_folder, imported, file_score, both, this_only, that_only, same_subject = of_file
        score = candidate.search_score / around.best_search if around.best_search else 0.0
        nearby, defined_in = query.nearby, around.defined_in
        defined = sum([nearby[name] / (defined_in.get(name) or 1) for name in self._nearby & defines])
        from_here = around.imported.get(candidate.path, _NOTHING) if imported else _NOTHING
        container = candidate.container.rpartition(".")[2] if candidate.container else ""
        names = candidate.names
        votes, count = self._votes_of(candidate, score)
        return [
            1.0,
            score,
            score * score,
            log1p(candidate.search_score),
            min(defined, _MAX_SUM),
            folder,
            same_folder,
            imported,
            min(2.0, len(from_here & defines)) if from_here else 0.0,
            file_score,
            both,
            this_only,
            that_only,
            float(not around.bases.isdisjoint(defines)),
            log(candidate.tokens or 1) / 5,
            nearby.get(container, 0.0) if container else 0.0,
            float(container in from_here),
            min(len(defines), 20) / 10,
            sum(map(query.words.__getitem__, self._words & names)) / (5 + len(names)),
            same_subject,
            float(around.enclosing in names and around.enclosing not in defines),
            log1p(count),
            log1p(votes[0]) if votes else 0.0,
            log1p(sum(votes[:_VOTES])),
            log1p(sum(votes)),
            count / (1 + len(names)),
        ]

    def reasons(self, candidate: Candidate) -> list[str]:
        """Why this piece, in words, the strongest reason first."""
        around = self.around
        query = around.query
        found = list(candidate.notes)
        nearby = sorted(candidate.defines & query.nearby.keys(), key=lambda name: (-query.nearby[name], name))
        if nearby:
            found.append(f"defines {_listed(nearby)}, named nearby")
        based = sorted(around.bases & candidate.defines)
        if based:
            found.append(f"defines {_listed(based)}, a base of the enclosing type")
        imported = around.imported.get(candidate.path)
        if imported is not None:
            names = sorted((imported & candidate.defines) - query.nearby.keys())
            found.append(f"defines the imported {_listed(names)}" if names else "from an imported file")
        if around.enclosing and around.enclosing in candidate.names - candidate.defines:
            found.append(f"uses {around.enclosing}, the function at the cursor")
        if candidate.search_score:
            shared = sorted(
                candidate.names & query.words.keys(), key=lambda word: (-query.words[word], -len(word), word)
            )
            found.append(f"shares {_listed(shared)}" if shared else "shares parts of names")
        if subject_of(candidate.path) and subject_of(candidate.path) == subject_of(around.path):
            found.append("on the same subject by its file's name")
        elif candidate.path.parent == around.path.parent:
            found.append("in the same folder")
        return found

    def _file_features(self, path: PurePosixPath) -> tuple[float, ...]:
        around = self.around
        here, this_test, this_subject = self._here
        there, that_test, subject = _about(path)
        common = 0
        for left, right in zip(here, there, strict=False):
            if left != right:
                break
            common += 1
        return (
            common / max(1, len(here), len(there)),
            float(here == there),
            float(path in around.imported),
            min(around.file_scores.get(path, 0.0), _MAX_SUM),
            float(this_test and that_test),
            float(this_test and not that_test),
            float(that_test and not this_test),
            float(bool(subject) and subject == this_subject),
        )

    def _votes_of(self, candidate: Candidate, score: float) -> tuple[list[float], int]:
        """What other chunks say for its new names, highest first, without zeros, and how many new names there are."""
        new, votes = candidate.new, self._votes
        if candidate.search_score:
            own = score * score
            told = [votes[name] - own for name in new & self._shared]
        else:
            told = [votes[name] for name in new & self._voted]
        told.sort(reverse=True)
        return told, len([name for name in new if len(name) >= _MIN_NAME_CHARS])


@lru_cache(maxsize=4096)
def _about(path: PurePosixPath) -> tuple[tuple[str, ...], bool, str]:
    """A file's folders, whether it is one of tests, and its subject."""
    return path.parts[:-1], is_test(path), subject_of(path)


def _listed(names: Collection[str], most: int = 3) -> str:
    return ", ".join(list(names)[:most]) + (" …" if len(names) > most else "")
