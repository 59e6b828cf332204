"""Which of the definitions that others find are in the index, and which of its own it still finds in damaged files.

    python benchmarks/index_accuracy.py FOLDER...
    python benchmarks/index_accuracy.py --ctags rust|typescript|c FOLDER...
    python benchmarks/index_accuracy.py --zig FOLDER...

Each folder is a package's source. A definition counts as found when the index has its name on its line. Python's own
parser tells functions, classes and module variables. universal-ctags (on the PATH) tells what it knows of the others,
but for `impl` blocks, included files, names that it makes up and values inside functions, which are no definitions,
and for keywords that it takes for names. For Zig a regular expression tells every `fn` and every `const` or `var` of
a file's outermost level.

With --damaged, each file loses one bracket, quote or word, at a place that its name decides. A definition counts that
the undamaged file has and whose extent does not hold that place; it is found when its name is, as often.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import subprocess
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from ghostd.index.parse import parse

_SHOWN = 12
_MAX_BYTES = 1024 * 1024
_ZIG = re.compile(
    rb"^(?:[ \t]*(?:pub |export |extern (?:\"\w+\" )?|inline |noinline )*fn (\w+)|"
    rb"(?:pub |export )*(?:const|var) (\w+))",
    re.MULTILINE,
)
_NO_DEFINITIONS = frozenset(("implementation", "header", "label"))
_VALUES = frozenset(("constant", "variable"))
_KEYWORDS = frozenset(("symbol", "this", "new", "const", "extends"))
_CALLABLE = frozenset(("function", "method"))
_ENDINGS = {
    "python": (".py",),
    "rust": (".rs",),
    "typescript": (".ts", ".mts", ".cts"),
    "c": (".c",),
    "zig": (".zig",),
}
_CTAGS = {"rust": "Rust", "typescript": "TypeScript", "c": "C"}

Defined = Callable[[Path, bytes], list[tuple[str, int]] | None]
"""(name, line) of each definition; None: the file does not count."""


def by_ast(_: Path, source: bytes) -> list[tuple[str, int]] | None:
    """Functions, classes, methods, and module variables that are assigned by their name alone."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    return list(_python(tree))


def _python(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, target.lineno
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id, statement.target.lineno


def by_ctags(language: str, folder: Path) -> Defined:
    """What universal-ctags finds in all files of a folder."""
    found: dict[str, list[tuple[str, int]]] = {}
    command = [
        "ctags",
        "--output-format=json",
        f"--languages={_CTAGS[language]}",
        "-u",
        "--fields=NFPnKsp",
        "-R",
        "-f",
        "-",
    ]
    lines = subprocess.run([*command, str(folder)], check=True, capture_output=True).stdout.splitlines()
    for tag in map(json.loads, lines):
        inner = tag["kind"] in _VALUES and (tag.get("scopeKind") in _CALLABLE or tag["pattern"][2:3].isspace())
        if (
            tag["kind"] not in _NO_DEFINITIONS
            and not inner
            and not tag["name"].startswith("__anon")
            and tag["name"] not in _KEYWORDS
        ):
            found.setdefault(tag["path"], []).append((tag["name"], tag["line"]))
    return lambda path, _: found.get(str(path))


def by_expression(_: Path, source: bytes) -> list[tuple[str, int]]:
    """Zig's functions, and the values of the outermost level."""
    return [
        ((match[1] or match[2]).decode(), source.count(b"\n", 0, match.end()) + 1) for match in _ZIG.finditer(source)
    ]


def damaged(path: Path, source: bytes) -> tuple[bytes, int] | None:
    """The file without one bracket, quote or word, and where that was."""
    places = [match.span() for match in re.finditer(rb"[][(){}\"']|\b[a-z]+\b", source)]
    if not places:
        return None
    start, end = random.Random(path.name).choice(places)
    return source[:start] + source[end:], start


def sources(folder: Path, language: str) -> Iterator[tuple[Path, bytes]]:
    """The files of a language that the index would take."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name.endswith(_ENDINGS[language]) and path.stat().st_size <= _MAX_BYTES:
            source = path.read_bytes()
            try:
                source.decode()
            except ValueError:
                continue
            yield path, source


def compare(folder: Path, language: str, defined: Defined) -> tuple[int, int, int, list[str]]:
    """Files, definitions, how many of them are found, and which are not."""
    files = total = found = 0
    missed: list[str] = []
    for path, source in sources(folder, language):
        expected = defined(path, source)
        if expected is None:
            continue
        files += 1
        known = {(symbol[0], symbol[6]) for symbol in parse(language, source).symbols}
        for name, line in expected:
            total += 1
            found += (name, line) in known
            if (name, line) not in known:
                missed.append(f"{path.relative_to(folder)}:{line}: {name}")
    return files, total, found, missed


def compare_damaged(folder: Path, language: str) -> tuple[int, int, int, list[str]]:
    """The same for damaged files against themselves undamaged."""
    files = total = found = 0
    missed: list[str] = []
    for path, source in sources(folder, language):
        harmed = damaged(path, source)
        if harmed is None:
            continue
        files += 1
        symbols = parse(language, source).symbols
        untouched = Counter(symbol[0] for symbol in symbols if not symbol[2] <= harmed[1] < symbol[3])
        there = Counter(symbol[0] for symbol in parse(language, harmed[0]).symbols)
        total += untouched.total()
        found += (untouched & there).total()
        lost = (untouched - there).total()
        if lost:
            missed.append(f"{path.relative_to(folder)}: {lost} of {untouched.total()}, byte {harmed[1]}")
    return files, total, found, missed


def main() -> None:
    """Print a row for each folder, then some definitions that were not found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ctags", choices=sorted(_CTAGS))
    parser.add_argument("--zig", action="store_true")
    parser.add_argument("--damaged", action="store_true")
    parser.add_argument("folders", nargs="+", type=Path)
    arguments = parser.parse_args()
    language = "zig" if arguments.zig else arguments.ctags or "python"
    missed: list[str] = []
    print("| folder | files | definitions | found |\n|---|---|---|---|")
    for folder in arguments.folders:
        if arguments.damaged:
            files, total, found, lost = compare_damaged(folder, language)
        else:
            by = by_expression if arguments.zig else by_ctags(language, folder) if arguments.ctags else by_ast
            files, total, found, lost = compare(folder, language, by)
        missed += lost
        print(f"| {folder.name} | {files} | {total} | {found / max(total, 1):.2%} |", flush=True)
    print("\n".join(["", "Not found, for example:", *random.Random(1).sample(missed, min(_SHOWN, len(missed)))]))


if __name__ == "__main__":
    main()
