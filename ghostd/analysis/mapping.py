"""The steps of making a repo map, each for a thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from ghostd.analysis.found import RepoMap
from ghostd.analysis.relevance import Focus, Surroundings, importance, probabilities
from ghostd.analysis.repo_map import lines_of, render, select
from ghostd.analysis.tokens import TokenCounter
from ghostd.indexed import Symbol

_USED = 0.5
"""What a definition is worth whose name the focus has already."""


def choose(
    around: Surroundings, paths: Sequence[PurePosixPath], uses: Mapping[str, None], max_tokens: int
) -> list[int]:
    """The definitions to show to one who works in these files, which use these names now."""
    names = around.names
    files = tuple(n for path in paths if (n := names.file_ids.get(str(path))) is not None)
    folders = tuple(dict.fromkeys(str(path).rpartition("/")[0] for path in paths))
    value = probabilities(around, Focus(files, uses, folders)) if paths else importance(around)
    used = [names.name_ids[name] for name in uses if name in names.name_ids]
    value[np.isin(names.def_name, used)] *= _USED
    return select(names, value, max_tokens)


def files_of(around: Surroundings, order: Sequence[int]) -> list[PurePosixPath]:
    """The files of chosen definitions, in the order of being chosen."""
    names = around.names
    return [PurePosixPath(names.paths[n]) for n in dict.fromkeys(int(names.def_file[place]) for place in order)]


def written(
    around: Surroundings,
    order: Sequence[int],
    outlines: Mapping[PurePosixPath, Sequence[Symbol]],
    max_tokens: int,
    count: TokenCounter,
) -> RepoMap:
    """The map of the chosen definitions."""
    text, files = render(lines_of(around.names, order, outlines), max_tokens, count)
    return RepoMap(text, files, count(text) if text else 0, around.names.complete)
