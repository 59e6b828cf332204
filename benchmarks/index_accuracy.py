"""Which of the definitions that Python's own parser finds are in the index: functions, classes, module variables.

    python benchmarks/index_accuracy.py FOLDER...

Each folder is a package's source. A definition counts as found when the index has its name on its line.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from ghostd.index.parse import parse

_SHOWN = 10


def defined(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """(name, line) of each function, class and method, and of each module variable assigned by its name alone."""
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


def main(folders: list[str]) -> None:
    """Print a row for each folder, then the first definitions that were not found."""
    missed: list[str] = []
    print("| folder | files | definitions | found |\n|---|---|---|---|")
    for folder in map(Path, folders):
        files = total = found = 0
        for path in sorted(folder.rglob("*.py")):
            source = path.read_bytes()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    tree = ast.parse(source)
                source.decode()
            except (SyntaxError, ValueError):
                continue
            files += 1
            known = {(symbol[0], symbol[6]) for symbol in parse("python", source).symbols}
            for name, line in defined(tree):
                total += 1
                if (name, line) in known:
                    found += 1
                elif len(missed) < _SHOWN:
                    missed.append(f"{path.relative_to(folder)}:{line}: {name}")
        print(f"| {folder.name} | {files} | {total} | {found / max(total, 1):.2%} |", flush=True)
    print("\n".join(["", "Not found, for example:", *missed]))


if __name__ == "__main__":
    main(sys.argv[1:])
