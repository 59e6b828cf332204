"""What a project is made of: the index's files, manifests, module graph, tests and history put together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from ghostd.analysis.modules import module_report
from ghostd.analysis.packages import entry_points, package_reports, read_manifests
from ghostd.analysis.tests_found import report_tests
from ghostd.indexed import IndexedFile, RootStatus
from ghostd.ports import Index
from ghostd.project_reports import HistoryReport, LanguageShare, ProjectReport, SizedFile
from ghostd.resolve.resolved import ModuleGraph

_MAX_LARGEST = 20
_NO_CODE = frozenset(
    (
        *("plaintext", "markdown", "restructuredtext", "toml", "json", "jsonc", "yaml", "xml", "svg", "ini", "latex"),
        *("diff", "html", "django-html", "css", "scss", "less", "dockerfile", "makefile", "cmake", "bat", "sql"),
    )
)
"""Languages that a project is not written in, if there is another."""


async def structure(
    index: Index, status: RootStatus, files: Sequence[IndexedFile], modules: ModuleGraph
) -> ProjectReport:
    """All but the history, which changes without the index."""
    root = status.root
    manifests, problems = await read_manifests(index, root, files)
    points = await entry_points(index, root, files, manifests)
    packages = package_reports(manifests)
    imported = await asyncio.to_thread(module_report, modules)
    named = {one.name for package in packages for one in package.dependencies} | set(modules.external)
    languages = _languages(files)
    code = [each for each in languages if each.language not in _NO_CODE]
    first = next((package.name for package in packages if package.name), "")
    return ProjectReport(
        root=str(root),
        name=first or root.name,
        generation=status.generation,
        files=len(files),
        size_bytes=sum(file.size_bytes for file in files),
        skipped=status.skipped,
        main_language=code[0].language if code else "",
        languages=languages,
        entry_points=points,
        packages=packages,
        problems=problems,
        modules=imported,
        tests=await asyncio.to_thread(report_tests, files, named),
        largest=_largest(files),
        history=HistoryReport("none"),
    )


def _languages(files: Sequence[IndexedFile]) -> list[LanguageShare]:
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for file in files:
        counts[file.language] += 1
        sizes[file.language] += file.size_bytes
    total = max(1, sizes.total())
    order = sorted(counts, key=lambda language: (-sizes[language], language))
    return [LanguageShare(each, counts[each], sizes[each], round(sizes[each] / total, 4)) for each in order]


def _largest(files: Sequence[IndexedFile]) -> list[SizedFile]:
    code = [file for file in files if file.language not in _NO_CODE] or files
    largest = sorted(code, key=lambda file: (-file.size_bytes, str(file.path)))[:_MAX_LARGEST]
    return [SizedFile(str(file.path), file.size_bytes) for file in largest]
