"""The module graph's facts: circles, central files, and what folders have to do with each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ghostd.project_reports import CentralFile, FolderEdge, ImportCycle, ModuleGraphReport
from ghostd.resolve.resolved import ModuleGraph

_MAX_CYCLES = 50
_MAX_CYCLE_FILES = 20
_MAX_CENTRAL = 30
_MAX_FOLDERS = 50
_MAX_EXTERNAL = 100
_DAMPING = 0.85
_STEPS = 40


def module_report(graph: ModuleGraph) -> ModuleGraphReport:
    """What is told of the graph."""
    paths = [str(path) for path in graph.paths]
    circles = sorted(cycles(graph.imports), key=lambda circle: (-len(circle), circle))
    rank = page_rank(graph.imports)
    order = sorted((n for n in range(len(paths)) if graph.importers[n]), key=lambda n: (-rank[n], n))[:_MAX_CENTRAL]
    folders: Counter[tuple[str, str]] = Counter()
    places = [path.rpartition("/")[0] for path in paths]
    for source, targets in enumerate(graph.imports):
        for target in targets:
            if places[source] != places[target]:
                folders[places[source], places[target]] += 1
    busiest = sorted(folders.items(), key=lambda item: (-item[1], item[0]))[:_MAX_FOLDERS]
    external = sorted(graph.external.items(), key=lambda item: (-item[1], item[0]))[:_MAX_EXTERNAL]
    return ModuleGraphReport(
        files=len(paths),
        edges=sum(map(len, graph.imports)),
        unresolved=graph.unresolved,
        cycles=[
            ImportCycle(len(circle), [paths[n] for n in circle[:_MAX_CYCLE_FILES]]) for circle in circles[:_MAX_CYCLES]
        ],
        cycle_count=len(circles),
        central=[CentralFile(paths[n], round(float(rank[n]), 6), len(graph.importers[n])) for n in order],
        folder_edges=[FolderEdge(source, target, count) for (source, target), count in busiest],
        external=dict(external),
    )


def cycles(edges: Sequence[Sequence[int]]) -> list[list[int]]:
    """The strongly connected parts of two nodes or more, each ascending (Tarjan, without recursion)."""
    count = len(edges)
    index = [-1] * count
    low = [0] * count
    on_stack = [False] * count
    stack: list[int] = []
    found: list[list[int]] = []
    number = 0
    for start in range(count):
        if index[start] >= 0:
            continue
        work = [(start, 0)]
        while work:
            node, place = work.pop()
            if place == 0:
                index[node] = low[node] = number
                number += 1
                stack.append(node)
                on_stack[node] = True
            else:
                low[node] = min(low[node], low[edges[node][place - 1]])
            targets = edges[node]
            while place < len(targets):
                target = targets[place]
                place += 1
                if index[target] < 0:
                    work += [(node, place), (target, 0)]
                    break
                if on_stack[target]:
                    low[node] = min(low[node], index[target])
            else:
                if low[node] == index[node]:
                    part: list[int] = []
                    while not part or part[-1] != node:
                        part.append(stack.pop())
                        on_stack[part[-1]] = False
                    if len(part) > 1:
                        found.append(sorted(part))
    return found


def page_rank(edges: Sequence[Sequence[int]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Where one is who follows imports for long: files that much depends on rank high. Adds up to 1."""
    count = len(edges)
    if not count:
        return np.zeros(0)
    degree = np.array([len(targets) for targets in edges], np.float64)
    source = np.repeat(np.arange(count), degree.astype(np.int64))
    target = np.fromiter((target for targets in edges for target in targets), np.int64, len(source))
    rank = np.full(count, 1 / count)
    for _ in range(_STEPS):
        given = np.bincount(target, weights=rank[source] / degree[source], minlength=count)
        dangling = float(rank[degree == 0].sum())
        rank = (1 - _DAMPING) / count + _DAMPING * (given + dangling / count)
    return rank
