"""Where a project's tests lie, and by what they are run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from ghostd.indexed import IndexedFile
from ghostd.project_reports import FolderOfTests, ProjectTests
from ghostd.resolve.families import family_of
from ghostd.resolve.test_layout import is_test_file

_MAX_FOLDERS = 30
_FRAMEWORKS = (
    "pytest", "unittest", "nose", "hypothesis", "tox", "nox", "jest", "vitest", "mocha", "ava", "jasmine", "cypress",
    "@playwright/test", "playwright", "rspec", "minitest", "testify", "criterion", "proptest", "rstest", "googletest",
    "gtest", "catch2", "doctest", "xunit", "nunit", "mstest.testframework", "junit:junit",
    "org.junit.jupiter:junit-jupiter", "org.testng:testng", "node:test", "github.com/stretchr/testify",
)  # fmt: skip
_OTHERS = re.compile(
    r"(?:_test\.go|(?:^|/)src/test/.*\.(?:java|kt|scala|groovy)|(?:Test|Tests|IT)\.java|_(?:spec|test)\.rb|"
    r"(?:Test|Tests)\.cs|(?:_test|_tests|_unittest|^test_|/test_)[\w.-]*\.(?:c|cc|cpp|cxx)|_spec\.lua|\.bats)$"
)


def is_test(path: str) -> bool:
    """Whether a file holds tests, in any language."""
    return is_test_file(path) if family_of(path) else bool(_OTHERS.search(path))


def report_tests(files: Sequence[IndexedFile], names: Collection[str]) -> ProjectTests:
    """`names` are those of dependencies and of what is imported from outside."""
    found = [file for file in files if is_test(str(file.path))]
    folders = Counter(str(file.path).rpartition("/")[0] for file in found)
    listed = sorted(folders.items(), key=lambda item: (-item[1], item[0]))[:_MAX_FOLDERS]
    lower = {name.lower() for name in names}
    return ProjectTests(
        len(found),
        sum(file.size_bytes for file in found),
        [FolderOfTests(path, count) for path, count in listed],
        [name for name in _FRAMEWORKS if name in lower],
    )
