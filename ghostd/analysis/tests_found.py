"""Where a project's tests lie, what they are about, and by what they are run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from ghostd.analysis.sizes import NO_CODE
from ghostd.indexed import IndexedFile
from ghostd.project_reports import FileOfTests, FolderOfTests, ProjectTests
from ghostd.resolve.families import family_of
from ghostd.resolve.resolved import ModuleGraph
from ghostd.resolve.test_layout import is_test_file

_MAX_FOLDERS = 30
_MAX_TESTED = 100
_MAX_SUBJECTS = 3
_MAX_IMPORTERS = 200
"""A file that more import says nothing of what is tested."""
_WORD = re.compile(r"[a-z0-9]+")
_FRAMEWORKS = (
    "pytest", "unittest", "nose", "hypothesis", "tox", "nox", "jest", "vitest", "mocha", "ava", "jasmine", "cypress",
    "@playwright/test", "playwright", "rspec", "minitest", "testify", "criterion", "proptest", "rstest", "googletest",
    "gtest", "catch2", "doctest", "xunit", "nunit", "mstest.testframework", "junit:junit",
    "org.junit.jupiter:junit-jupiter", "org.testng:testng", "node:test", "github.com/stretchr/testify",
)  # fmt: skip
_OTHERS = re.compile(
    r"(?:_test\.go|(?:Test|Tests|IT)\.java|_(?:spec|test)\.rb|(?:Test|Tests)\.cs|"
    r"(?:_test|_tests|_unittest|^test_|/test_)[\w.-]*\.(?:c|cc|cpp|cxx)|_spec\.lua|\.bats|"
    r"(?:^|/)(?:tests?|specs?|[\w.-]*Tests?)/.*\.(?:c|h|cc|hh|cpp|hpp|cxx|cs|fs|vb|rb|lua|java|kt|scala|groovy|php|swift))$"
)
"""By their names, or by their folders: `tests`, `src/test`, `Shop.Tests`."""


def is_test(path: str) -> bool:
    """Whether a file holds tests, in any language."""
    return is_test_file(path) if family_of(path) else bool(_OTHERS.search(path))


def report_tests(files: Sequence[IndexedFile], names: Collection[str], modules: ModuleGraph) -> ProjectTests:
    """`names` are those of dependencies and of what is imported from outside."""
    found = [file for file in files if is_test(str(file.path))]
    folders = Counter(str(file.path).rpartition("/")[0] for file in found)
    listed = sorted(folders.items(), key=lambda item: (-item[1], item[0]))[:_MAX_FOLDERS]
    lower = {name.lower() for name in names}
    size = sum(file.size_bytes for file in found)
    code = sum(file.size_bytes for file in files if file.language not in NO_CODE)
    subjects, tested, others = _subjects(modules)
    return ProjectTests(
        len(found),
        size,
        [FolderOfTests(path, count) for path, count in listed],
        [name for name in _FRAMEWORKS if name in lower],
        round(min(1.0, size / max(1, code)), 4),
        subjects,
        tested,
        others,
    )


def _subjects(modules: ModuleGraph) -> tuple[list[FileOfTests], int, int]:
    """What tests are about, how many files tests import, and how many files are no tests."""
    paths = [str(path) for path in modules.paths]
    tests = [is_test(path) for path in paths]
    tested: set[int] = set()
    listed: list[FileOfTests] = []
    for number, path in enumerate(paths):
        if not tests[number]:
            continue
        subjects = [target for target in modules.imports[number] if not tests[target]]
        tested.update(subjects)
        if len(listed) < _MAX_TESTED and subjects:
            own = _words(path)
            few = [n for n in subjects if len(modules.importers[n]) <= _MAX_IMPORTERS] or subjects
            few.sort(key=lambda n: (-len(own & _words(paths[n])), len(modules.importers[n]), n))
            listed.append(FileOfTests(path, [paths[n] for n in few[:_MAX_SUBJECTS]]))
    return listed, len(tested), len(paths) - sum(tests)


def _words(path: str) -> frozenset[str]:
    """The words of a file's name, and of its folder's where that is all that tells."""
    folder, _, name = path.lower().rpartition("/")
    words = frozenset(_WORD.findall(name.partition(".")[0])) - {"test", "tests", "spec", "init", "mod", "index", "lib"}
    return words or frozenset(_WORD.findall(folder.rpartition("/")[2]))
