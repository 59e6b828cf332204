"""How good retrieval is on a project: hide lines, and see whether what is quoted names what they need.

A line is hidden whose identifiers are defined in other files of the project and stand nowhere else in its own file,
so that nothing but retrieval can tell them. Recall is the share of these identifiers that stand in what is quoted
within a budget of tokens (estimated at 4 bytes each); the measure is that of RepoCoder's and aider's kind of
evaluations, without a model.
"""

from __future__ import annotations

import builtins
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from ghostd.code_ports import Index
from ghostd.context.gather import gather
from ghostd.context.names import Floats, features, names_told
from ghostd.context.query import IDENTIFIER, KEYWORDS, query_of
from ghostd.context.retriever import Retriever
from ghostd.context.selection import ContextRequest, tokens_of
from ghostd.context.texts import piece_of
from ghostd.indexed import IndexedFile

BUDGETS = (1_000, 2_000, 4_000)
METHODS = ("ghostd", "bm25", "outline", "random")
"""What is compared: the retriever; the search alone; outlines of imported files; windows of lines at random."""
MAX_FILE_BYTES = 300_000
MIN_LINE_CHARS = 8
TRIES_PER_LINE = 100
"""Lines looked at for each one that is wanted, before the search for more is given up."""
_MAX_OF_FILE = 6
"""Hidden lines of one file."""
_RANDOM_LINES = 16
_BUILTINS = frozenset(dir(builtins))
_SKIPPED = ("#", "//", "/*", "*", "import ", "from ", "use ", "pub use ", "mod ", '"""', "'''", "export * ", "export {")
LANGUAGES = frozenset(
    (
        *("python", "typescript", "typescriptreact", "javascript", "javascriptreact", "rust", "zig", "go", "c", "cpp"),
        *("java", "lua", "ruby", "csharp"),
    )
)
"""Whose lines are hidden."""


@dataclass(frozen=True, slots=True)
class HiddenLine:
    """A line to find the names of."""

    path: PurePosixPath
    line: int
    """1-based."""
    prefix: str
    """The file before it."""
    suffix: str
    """The file after it, its line break included."""
    names: frozenset[str]
    """What is to be found."""


Peer = Callable[[HiddenLine, int], Awaitable[str]]
"""What another retriever quotes for a line within so many tokens."""


@dataclass(slots=True)
class Recall:
    """The mean recall of each method at each budget, and what the retriever took."""

    lines: int = 0
    recall: dict[str, dict[int, float]] = field(default_factory=dict)
    """Method → tokens → 0..1."""
    wall_ms: list[float] = field(default_factory=list)
    """Of each retrieval at the first budget, most of them the first one in their file."""
    later_ms: list[float] = field(default_factory=list)
    """Of another one at the same place, once a name of the line has been typed."""
    cpu_ms: list[float] = field(default_factory=list)
    """Likewise, of the whole process; tells only where nothing else runs in it."""


async def hidden_lines(
    index: Index, root: Path, count: int, seed: int = 0, languages: Iterable[str] = LANGUAGES
) -> list[HiddenLine]:
    """Up to `count` lines, drawn evenly from all lines of the root's files of these languages; seeded."""
    wanted = frozenset(languages)
    files = [file for file in await index.files(root) if file.language in wanted and file.size_bytes <= MAX_FILE_BYTES]
    if not files:
        return []
    draw = random.Random(seed)  # noqa: S311 (a sample, no secret)
    found: dict[tuple[PurePosixPath, int], HiddenLine] = {}
    of_file: dict[PurePosixPath, int] = {}
    sizes = list(accumulate(max(1, file.size_bytes) for file in files))
    for _ in range(count * TRIES_PER_LINE):
        file = draw.choices(files, cum_weights=sizes)[0]
        if of_file.get(file.path, 0) >= _MAX_OF_FILE:
            continue
        hidden = await _hide(index, root, file, draw)
        if hidden is not None and (hidden.path, hidden.line) not in found:
            found[hidden.path, hidden.line] = hidden
            of_file[file.path] = of_file.get(file.path, 0) + 1
            if len(found) == count:
                break
    return list(found.values())


async def _hide(index: Index, root: Path, file: IndexedFile, draw: random.Random) -> HiddenLine | None:
    """A line of this file, if one drawn at random is one to hide."""
    data = await index.text(root, file.path) or b""
    lines = data.decode("utf-8", "replace").split("\n")
    number = draw.randrange(len(lines))
    line = lines[number].strip()
    if len(line) < MIN_LINE_CHARS or line.startswith(_SKIPPED):
        return None
    before, after = "\n".join(lines[:number]), "\n".join(lines[number + 1 :])
    names = {name for name in IDENTIFIER.findall(line) if len(name) > 2 and name not in KEYWORDS | _BUILTINS}
    names -= {*IDENTIFIER.findall(before), *IDENTIFIER.findall(after)} if names else set()
    if names:
        names = {name for name, path in await index.files_defining(root, sorted(names)) if path != file.path}
    if names:
        names -= {symbol.name for symbol in await index.outline(root, file.path)}
        names &= {one.name for one in await index.uses(root, file.path) if one.line == number + 1}
    if not names:
        return None
    return HiddenLine(file.path, number + 1, before + ("\n" if number else ""), "\n" + after, frozenset(names))


async def evaluate(
    retriever: Retriever,
    root: Path,
    lines: Sequence[HiddenLine],
    budgets: Sequence[int] = BUDGETS,
    methods: Sequence[str] = METHODS,
    seed: int = 0,
    peers: Mapping[str, Peer] = MappingProxyType({}),
) -> AsyncIterator[Recall]:
    """The recall so far, after each line; `peers` are further methods."""
    draw = random.Random(seed)  # noqa: S311
    sums = {method: dict.fromkeys(budgets, 0.0) for method in (*methods, *peers)}
    total = Recall()
    files = [file.path for file in await retriever.parts.index.files(root) if file.language in LANGUAGES]
    for hidden in lines:
        for method, shares in sums.items():
            for budget in budgets:
                if method in peers:
                    text = await peers[method](hidden, budget)
                elif method == "ghostd":
                    text, wall, cpu = await _retrieved(retriever, root, hidden, budget)
                    if budget == budgets[0]:
                        total.wall_ms.append(wall * 1e3)
                        total.cpu_ms.append(cpu * 1e3)
                        typed = replace(hidden, prefix=f"{hidden.prefix}{min(hidden.names)}(")
                        total.later_ms.append((await _retrieved(retriever, root, typed, budget))[1] * 1e3)
                elif method == "bm25":
                    text = await _searched(retriever, root, hidden, budget)
                elif method == "outline":
                    text = await _outlined(retriever, root, hidden, budget)
                else:
                    text = await _random(retriever, root, hidden, budget, files, draw)
                there = hidden.names & set(IDENTIFIER.findall(text))
                shares[budget] += len(there) / len(hidden.names)
        total.lines += 1
        total.recall = {
            method: {budget: value / total.lines for budget, value in of.items()} for method, of in sums.items()
        }
        yield total


def _request(root: Path, hidden: HiddenLine, budget: int) -> ContextRequest:
    return ContextRequest(root, hidden.path, hidden.prefix, hidden.suffix, budget, patient=True, deadline_s=5.0)


async def _retrieved(retriever: Retriever, root: Path, hidden: HiddenLine, budget: int) -> tuple[str, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    context = await retriever.select(_request(root, hidden, budget))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return "\n".join(chunk.text for chunk in context.chunks), wall, cpu


async def _searched(retriever: Retriever, root: Path, hidden: HiddenLine, budget: int) -> str:
    words = query_of(hidden.prefix, hidden.suffix).words
    found = await retriever.parts.index.search(root, words, 200, leave_out=hidden.path)
    taken = _Packed(budget)
    for one in found:
        piece = await retriever.parts.texts.piece(root, one.chunk.path, one.chunk.first_line, one.chunk.last_line)
        if piece is not None:
            taken.add(piece.text)
        if taken.full:
            break
    return taken.text


async def _outlined(retriever: Retriever, root: Path, hidden: HiddenLine, budget: int) -> str:
    """The outlines of the imported files, whole, in the order of the imports."""
    taken = _Packed(budget)
    for one in await retriever.parts.resolver.imports(root, hidden.path):
        for target in one.targets:
            for outlined in await retriever.parts.texts.outline(root, target):
                taken.add(outlined.text)
        if taken.full:
            break
    return taken.text


async def _random(
    retriever: Retriever,
    root: Path,
    hidden: HiddenLine,
    budget: int,
    files: Sequence[PurePosixPath],
    draw: random.Random,
) -> str:
    taken = _Packed(budget)
    for _ in range(budget // 10):
        path = draw.choice(files)
        lines = await retriever.parts.texts.lines(root, path) if path != hidden.path else None
        if lines:
            start = draw.randrange(len(lines))
            piece = piece_of(lines.between(start + 1, start + _RANDOM_LINES))
            if piece is not None:
                taken.add(piece.text)
        if taken.full:
            break
    return taken.text


class _Packed:
    """Texts, each once, as far as they fit."""

    def __init__(self, budget: int) -> None:
        self._left = budget
        self._texts: dict[str, None] = {}

    @property
    def full(self) -> bool:
        return self._left < 20

    @property
    def text(self) -> str:
        return "\n".join(self._texts)

    def add(self, text: str) -> None:
        tokens = tokens_of(text)
        if text not in self._texts and tokens <= self._left:
            self._left -= tokens
            self._texts[text] = None


async def training_rows(
    retriever: Retriever, root: Path, lines: Sequence[HiddenLine], budget: int = BUDGETS[1]
) -> AsyncIterator[tuple[Floats, list[bool]]]:
    """For each hidden line the features of the names that count, and which of them are wanted."""
    for hidden in lines:
        request = _request(root, hidden, budget)
        gathered = await gather(retriever.parts, request, query_of(hidden.prefix, hidden.suffix))
        names = names_told(gathered.candidates, gathered.around)
        rows = features(names, gathered.candidates, gathered.around)
        yield rows, [name in hidden.names for name in names.names]


def means(reports: Mapping[str, Recall]) -> Recall:
    """Several projects' recall, each counting the same."""
    every = list(reports.values())
    total = Recall(sum(one.lines for one in every))
    for method in every[0].recall if every else ():
        total.recall[method] = {
            budget: sum(one.recall[method][budget] for one in every) / len(every) for budget in every[0].recall[method]
        }
    for one in every:
        total.wall_ms += one.wall_ms
        total.later_ms += one.later_ms
        total.cpu_ms += one.cpu_ms
    return total
