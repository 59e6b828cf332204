"""The tests of a file or of one of its definitions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from ghostd.indexed import Symbol
from ghostd.resolve.project import Project
from ghostd.resolve.scopes import scope_at
from ghostd.resolve.test_layout import is_test, is_test_file, test_files_by_name

_MAX_FILES = 20
_MAX_USES = 500


async def tests_of(
    project: Project, path: PurePosixPath, name: str, importers: Sequence[PurePosixPath], limit: int
) -> Sequence[Symbol]:
    """Tests in the file itself, then in files named for it, then in test files that import it.

    With a name only those whose body uses it.
    """
    tree = await project.up_to_date()
    by_name = [PurePosixPath(other) for other in test_files_by_name(tree, str(path))]
    importing = [other for other in importers if is_test_file(str(other))]
    files = list(dict.fromkeys((path, *by_name, *importing)))
    used: dict[PurePosixPath, list[int]] = {}
    if name:
        plain = name.rpartition(".")[2].rpartition("::")[2]
        for use in await project.index.references(project.root, plain, _MAX_USES):
            used.setdefault(use.path, []).append(use.span.start)
        files = [file for file in files if file in used]
    found: list[Symbol] = []
    for file in files[:_MAX_FILES]:
        outline = await project.outline(file)
        tests = [symbol for symbol in outline if is_test(symbol)]
        if name:
            around = {symbol for offset in used[file] for symbol in scope_at(outline, offset)}
            tests = [symbol for symbol in tests if symbol in around]
        found.extend(tests)
        if len(found) >= limit:
            break
    return found[:limit]
