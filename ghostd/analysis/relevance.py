"""How useful each definition of a project is to one who works in some files: a logistic regression over features.

Its weights were trained on lines that were hidden from files: `python benchmarks/repo_map.py --train` makes
`map_weights.json`, which says on which packages. A walk over the project's files that starts at the focus files and
goes along imports and from uses to definitions, with rare names counting more (personalised PageRank), gives one of
the features; which names the files have in common that use the same rare names as the focus files gives another.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ghostd.analysis.names import Floats, Ints, NameGraph, parts_of
from ghostd.resolve.resolved import ModuleGraph
from ghostd.resolve.test_layout import is_test_file

Bools = NDArray[np.bool_]
Places = NDArray[np.int64]

FEATURES = (
    "bias", "alike", "rank", "imported", "imported_by_imported", "importer", "file_used", "around_used",
    "siblings_used", "users", "definers", "near", "words", "file_alike", "private", "test", "type", "function", "value",
)  # fmt: skip
_KIND_WORTH = (1.0, 0.8, 0.4, 0.2, 0.0)
"""Without a focus: types, functions, methods, values, tests, which nothing can use."""
_STEPS = 8
_STAY = 0.25
"""The walk's chance to begin anew, at each step."""
_MAX_DEFINERS = 20
"""A name that more files define leads nowhere."""
_MAX_EDGES = 2_000_000
"""From uses to definitions; in a project of more, only names that fewer files define lead anywhere."""


@dataclass(frozen=True, slots=True)
class Edges:
    """The walk's ways: from a file to another, the weights of a file's ways adding up to 1."""

    source: Ints
    target: Ints
    weight: Floats


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for every focus."""

    names: NameGraph
    edges: Edges
    imports: tuple[Ints, Ints]
    """Importing and imported files, pairwise."""
    rarity: Floats
    """Of names, in nats: log(files / files that use it)."""
    use_rows: Ints
    tests: Bools
    private: Bools
    central: Floats
    """The rank of each file without a focus; adds up to 1."""


def surroundings(names: NameGraph, modules: ModuleGraph) -> Surroundings:
    """From both graphs of one generation, or nearly."""
    count = len(names.paths)
    rarity = np.log((count + 1) / (names.used_by + 1.0)) + 0.1
    place = [names.file_ids.get(str(path), -1) for path in modules.paths]
    pairs = [
        (place[source], place[target])
        for source, targets in enumerate(modules.imports)
        if place[source] >= 0
        for target in targets
        if place[target] >= 0
    ]
    importing, imported = np.array(pairs, np.int32).reshape(-1, 2).T
    use_rows = names.uses.rows()
    edges = _edges(names, rarity, use_rows, importing, imported)
    tests = np.array([is_test_file(path) for path in names.paths], np.bool_)
    private = np.array([name.startswith("_") for name in names.names], np.bool_)
    even = np.full(count, 1 / max(1, count))
    central = _walk(edges, even, even, np.zeros(0, np.int64), even)
    return Surroundings(names, edges, (importing, imported), rarity, use_rows, tests, private, central)


def _edges(names: NameGraph, rarity: Floats, use_rows: Ints, importing: Ints, imported: Ints) -> Edges:
    """Imports both ways, and uses to definitions, merged."""
    count = max(1, len(names.paths))
    first = np.unique(names.def_name.astype(np.int64) * count + names.def_file)
    def_names, def_files = (first // count).astype(np.int32), (first % count).astype(np.int32)
    starts = np.searchsorted(def_names, np.arange(len(names.names) + 1))
    used = names.uses.values
    definers = names.defined_in[used]
    most = _MAX_DEFINERS
    while most > 1 and int(definers[definers <= most].sum()) > _MAX_EDGES:
        most //= 2
    few = (definers <= most) & (definers > 0)
    used, users = used[few], use_rows[few]
    repeats = names.defined_in[used]
    offsets = np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    target = def_files[np.repeat(starts[used], repeats) + offsets]
    source = np.repeat(users, repeats)
    weight = np.repeat(rarity[used] / repeats, repeats)
    source = np.concatenate((source, importing, imported))
    target = np.concatenate((target, imported, importing))
    weight = np.concatenate((weight, np.full(len(importing), 3.0), np.full(len(importing), 1.0)))
    other = source != target
    keys, inverse = np.unique(source[other].astype(np.int64) * count + target[other], return_inverse=True)
    merged: Floats = np.bincount(inverse, weights=weight[other], minlength=len(keys)).astype(np.float64)
    source, target = (keys // count).astype(np.int32), (keys % count).astype(np.int32)
    total = np.bincount(source, weights=merged, minlength=count)
    return Edges(source, target, merged / total[source] if len(keys) else merged)


def _walk(edges: Edges, start: Floats, rank: Floats, mine: Places, ways: Floats) -> Floats:
    """Where the walk is; from the files `mine` it goes by `ways`, which add up to 1, and not by the edges."""
    for _ in range(_STEPS):
        own = rank[mine].sum()
        rest = rank.copy()
        rest[mine] = 0
        moved = np.bincount(edges.target, weights=rest[edges.source] * edges.weight, minlength=len(start))
        rank = (1 - _STAY) * (moved + own * ways)
        rank += (1 - rank.sum()) * start  # what begins anew, and what stood in a file without a way out
    return rank


def _ways(names: NameGraph, mine: Places, telling: Floats, imported: Floats, importer: Floats) -> Floats:
    """From the focus, by what it uses now, and by its imports."""
    places = np.flatnonzero((telling > 0)[names.def_name] & (names.defined_in[names.def_name] <= _MAX_DEFINERS))
    pairs = np.unique(names.def_name[places].astype(np.int64) * len(imported) + names.def_file[places])
    found = np.bincount(pairs % len(imported), weights=telling[pairs // len(imported)], minlength=len(imported))
    ways: Floats = found + 3.0 * imported + importer
    ways[mine] = 0
    ways /= max(1e-9, float(ways.sum()))
    return ways


@dataclass(frozen=True, slots=True)
class Focus:
    """The files that somebody works in."""

    files: tuple[int, ...]
    """Those that the graph has."""
    uses: Collection[str]
    """The names that they use now."""
    folders: tuple[str, ...]


def features_of(around: Surroundings, focus: Focus) -> Floats:
    """One row for each of FEATURES, one column for each definition."""
    names = around.names
    count, name_count = len(names.paths), len(names.names)
    mine: Places = np.array(focus.files, np.int64)
    used = np.zeros(name_count)
    for text in focus.uses:
        if (number := names.name_ids.get(text)) is not None:
            used[number] = around.rarity[number]
    alike = _alike(around, mine, used)
    weight = alike / alike.max(initial=1e-9)
    shared = np.bincount(
        names.uses.values, weights=(weight * weight)[around.use_rows], minlength=name_count
    )  # names that files like the focus use
    start = np.zeros(count)
    start[mine] = 1 / max(1, len(mine))
    imported, twice, importer = _imported(around, mine)
    telling = used / np.maximum(1, names.defined_in)
    rank = around.central
    if len(mine):
        rank = _walk(around.edges, start, start, mine, _ways(names, mine, telling, imported, importer))
    users = names.used_by.astype(np.float64)  # by other files: what the focus uses is known better
    for number in focus.files:
        users[names.uses.of(number)] -= 1
    of_file = np.bincount(names.def_file, weights=telling[names.def_name], minlength=count)
    children = np.bincount(
        names.def_parent[nested := names.def_parent >= 0],
        weights=telling[names.def_name[nested]],
        minlength=len(names.def_name),
    )
    parent = np.maximum(names.def_parent, 0)
    file = names.def_file
    name = names.def_name
    near = _near(names.paths, focus.folders)
    kind = names.def_kind
    rows: tuple[NDArray[np.generic], ...] = (
        np.ones(len(name)),
        np.log1p(shared)[name],
        np.log(rank * count + 1e-3)[file],
        imported[file],
        twice[file],
        importer[file],
        np.log1p(of_file)[file],
        np.where(nested, used[name[parent]] > 0, False),
        np.log1p(np.where(nested, children[parent], 0)),
        np.log1p(users)[name],
        np.log(np.maximum(1, names.defined_in))[name],
        near[file],
        _words(names, focus)[name],
        weight[file],
        around.private[name],
        around.tests[file],
        kind == 0,
        (kind == 1) | (kind == 4),
        kind == 3,
    )
    return np.stack([row.astype(np.float64) for row in rows])


def _alike(around: Surroundings, mine: Places, used: Floats) -> Floats:
    """How much each file's uses are like the focus's; 0 of the focus itself."""
    names = around.names
    common = np.bincount(around.use_rows, weights=(used * around.rarity)[names.uses.values], minlength=len(names.paths))
    sizes = np.diff(names.uses.starts)
    alike = common / np.sqrt(sizes + 20.0)
    alike[mine] = 0
    return alike


def _imported(around: Surroundings, mine: Places) -> tuple[Floats, Floats, Floats]:
    importing, imported = around.imports
    first = np.zeros(len(around.names.paths))
    back = np.zeros(len(first))
    second = np.zeros(len(first))
    here = np.zeros(len(first), np.bool_)
    here[mine] = True
    first[imported[here[importing]]] = 1
    back[importing[here[imported]]] = 1
    second[imported[first[importing] > 0]] = 1
    return first, second * (1 - first), back


def _near(paths: Sequence[str], folders: Sequence[str]) -> Floats:
    """0..1: how much of the folders' way a file shares with the closest focus file."""
    wanted = [folder.split("/") if folder else [] for folder in folders]
    known: dict[str, float] = {}
    for folder in {path.rpartition("/")[0] for path in paths}:
        parts = folder.split("/") if folder else []
        best = 0.0
        for other in wanted:
            common = next((i for i, (a, b) in enumerate(zip(parts, other, strict=False)) if a != b), None)
            common = min(len(parts), len(other)) if common is None else common
            best = max(best, (common + 1) / (max(len(parts), len(other)) + 1))
        known[folder] = best
    return np.array([known[path.rpartition("/")[0]] for path in paths])


def _words(names: NameGraph, focus: Focus) -> Floats:
    """0..1: the share of a name's words that the focus has, rare words counting more."""
    rows = names.words.rows()
    frequency = np.bincount(names.words.values, minlength=len(names.word_ids))
    rarity = np.log((len(names.names) + 1) / (frequency + 1.0))
    there = np.zeros(len(names.word_ids))
    for name in focus.uses:
        for part in parts_of(name):
            if (word := names.word_ids.get(part)) is not None:
                there[word] = 1
    total = np.bincount(rows, weights=rarity[names.words.values], minlength=len(names.names))
    found = np.bincount(rows, weights=(rarity * there)[names.words.values], minlength=len(names.names))
    return found / np.maximum(total, 1e-9)


@cache
def weights() -> Floats:
    """The trained ones, of FEATURES."""
    data = json.loads((files("ghostd.analysis") / "map_weights.json").read_text(encoding="utf-8"))
    return np.array([data["weights"][name] for name in FEATURES])


def importance(around: Surroundings) -> Floats:
    """What each definition is worth to one who works nowhere yet: those that many files use, of central files."""
    names = around.names
    users = np.log1p(names.used_by + 0.2)[names.def_name] / np.maximum(1, names.defined_in)[names.def_name]
    central = np.sqrt(around.central * len(names.paths))[names.def_file]
    value: Floats = users * central * np.array(_KIND_WORTH)[names.def_kind]
    value[around.private[names.def_name]] *= 0.2
    value[around.tests[names.def_file]] *= 0.1
    return value


def probabilities(around: Surroundings, focus: Focus) -> Floats:
    """Of each definition that its name is what the focus needs next; 0 of the focus files' own."""
    logits = weights() @ features_of(around, focus)
    chance = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
    chance[np.isin(around.names.def_file, focus.files)] = 0
    return chance
