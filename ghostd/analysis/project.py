"""What a project is made of: the index's files, manifests, module graph, tests and history put together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from ghostd.analysis.manifests.manifest import Manifest
from ghostd.analysis.modules import module_report
from ghostd.analysis.packages import entry_points, package_reports, read_manifests
from ghostd.analysis.sizes import NO_CODE, LineCounts, language_shares, largest
from ghostd.analysis.tests_found import report_tests
from ghostd.code_ports import Index
from ghostd.indexed import IndexedFile, RootStatus
from ghostd.project_reports import EntryPointReport, HistoryReport, ManifestProblemReport, ProjectReport
from ghostd.resolve.resolved import ModuleGraph


async def structure(
    index: Index, status: RootStatus, files: Sequence[IndexedFile], modules: ModuleGraph, counts: LineCounts
) -> ProjectReport:
    """All but the history, which changes without the index."""
    root = status.root
    manifests, problems = await read_manifests(index, root, files)
    points = await entry_points(index, root, files, manifests)
    lines = await counts.of(index, root, files)
    return await asyncio.to_thread(_report, status, files, modules, manifests, problems, points, lines)


def _report(
    status: RootStatus,
    files: Sequence[IndexedFile],
    modules: ModuleGraph,
    manifests: Mapping[str, Manifest],
    problems: list[ManifestProblemReport],
    points: list[EntryPointReport],
    lines: Mapping[str, int],
) -> ProjectReport:
    packages = package_reports(manifests)
    named = {one.name for package in packages for one in package.dependencies} | set(modules.external)
    languages = language_shares(files, lines)
    code = [each for each in languages if each.language not in NO_CODE]
    first = next((package.name for package in packages if package.name), "")
    return ProjectReport(
        root=str(status.root),
        name=first or status.root.name,
        generation=status.generation,
        files=len(files),
        size_bytes=sum(file.size_bytes for file in files),
        lines=sum(lines.values()),
        lines_complete=len(lines) == len(files),
        skipped=status.skipped,
        main_language=code[0].language if code else "",
        languages=languages,
        entry_points=points,
        packages=packages,
        problems=problems,
        modules=module_report(modules),
        tests=report_tests(files, named, modules),
        largest=largest(files, lines),
        history=HistoryReport("none"),
    )
