"""Why a piece is quoted, in words."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ghostd.context.candidate import Candidate, Surroundings, subject_of


def reasons(candidate: Candidate, around: Surroundings, likely: Sequence[str]) -> list[str]:
    """The strongest reason first; `likely` are names in it that may be about to be written."""
    query = around.query
    found = list(candidate.notes)
    nearby = sorted(candidate.defines & query.nearby.keys(), key=lambda name: (-query.nearby[name], name))
    if nearby:
        found.append(f"defines {_listed(nearby)}, named nearby")
    based = sorted(around.bases & candidate.defines)
    if based:
        found.append(f"defines {_listed(based)}, a base of the enclosing type")
    if likely:
        found.append(f"tells of {_listed(likely)}, which may be next")
    imported = around.imported.get(candidate.path)
    if imported is not None:
        names = sorted((imported & candidate.defines) - query.nearby.keys())
        found.append(f"defines the imported {_listed(names)}" if names else "from an imported file")
    if around.enclosing and around.enclosing in candidate.names - candidate.defines:
        found.append(f"uses {around.enclosing}, the function at the cursor")
    if candidate.search_score:
        shared = sorted(candidate.names & query.words.keys(), key=lambda word: (-query.words[word], -len(word), word))
        found.append(f"shares {_listed(shared)}" if shared else "shares parts of names")
    if subject_of(candidate.path) and subject_of(candidate.path) == subject_of(around.path):
        found.append("on the same subject by its file's name")
    elif candidate.path.parent == around.path.parent:
        found.append("in the same folder")
    return found


def _listed(names: Collection[str], most: int = 3) -> str:
    return ", ".join(list(names)[:most]) + (" …" if len(names) > most else "")
