"""Where tests lie and what counts as one, by each language's customs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ghostd.indexed import Symbol
from ghostd.resolve.families import family_of
from ghostd.resolve.tree import FileTree, folder_of

_TEST_FOLDERS = frozenset(("test", "tests", "__tests__", "spec", "specs", "testing"))
_PYTHON_FILE = re.compile(r"(?:test_.*|.*_test|tests?)\.pyi?$")
_NODE_FILE = re.compile(r".*[.\-_](?:test|spec)s?\.[cm]?[jt]sx?$")
_NODE_ENDINGS = ("ts", "tsx", "js", "jsx", "mts", "mjs", "cts", "cjs")


def is_test_file(path: str) -> bool:
    """Whether a file holds tests by its name or place."""
    folders, _, name = path.rpartition("/")
    family = family_of(path)
    within = not _TEST_FOLDERS.isdisjoint(folders.split("/"))
    if family == "python":
        return bool(_PYTHON_FILE.match(name)) or (within and name not in ("__init__.py", "conftest.py"))
    if family == "node":
        return within or bool(_NODE_FILE.match(name))
    if family in ("rust", "zig"):
        return within or name.removesuffix(f".{'rs' if family == 'rust' else 'zig'}").endswith(("_test", "_tests"))
    return False


def is_test(symbol: Symbol) -> bool:
    """Whether a definition is a test that a runner would run."""
    if symbol.kind == "test":
        return True
    if symbol.kind not in ("function", "method"):
        return False
    path = str(symbol.path)
    family = family_of(path)
    if family == "python":
        return symbol.name.startswith("test") and is_test_file(path)
    if family == "rust":
        inner = symbol.container.rpartition(".")[2]
        return inner in ("test", "tests") or inner.endswith("_tests") or (not inner and is_test_file(path))
    return False


def test_files_by_name(tree: FileTree, path: str) -> Iterable[str]:
    """The files that by their name hold the tests of this one, the closest in the tree first."""
    family = family_of(path)
    folder, _, name = path.rpartition("/")
    stem = name.partition(".")[0] if family == "node" else name.rpartition(".")[0]
    if stem in ("__init__", "mod", "index", "lib", "main"):
        stem = folder.rpartition("/")[2] or stem
    names: list[str] = []
    if family == "python":
        names = [f"test_{stem}.py", f"{stem}_test.py", f"test_{stem.lstrip('_')}.py", f"test{stem}.py"]
    elif family == "node":
        names = [f"{stem}.{kind}.{ending}" for kind in ("test", "spec") for ending in _NODE_ENDINGS]
        names += [f"{stem}.{ending}" for ending in _NODE_ENDINGS]
    elif family == "rust":
        names = [f"{stem}.rs", f"test_{stem}.rs", f"{stem}_test.rs", f"{stem}_tests.rs", "tests.rs"]
    elif family == "zig":
        names = [f"{stem}_test.zig", f"test_{stem}.zig", f"{stem}_tests.zig"]
    found = {other for candidate in names for other in tree.named(candidate) if other != path and is_test_file(other)}
    if family == "rust":  # `tests.rs` counts only beside the file
        found = {other for other in found if not other.endswith("/tests.rs") or folder_of(other).startswith(folder)}
    return sorted(found, key=lambda other: (-_shared(folder, folder_of(other)), other.count("/"), other))


def _shared(first: str, second: str) -> int:
    """How many folder names two paths share, in any place: `src/a/b` and `tests/a/b` are close."""
    return len(set(first.split("/")) & set(second.split("/")))
