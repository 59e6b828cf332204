"""A project's report as text for a prompt, within a budget of tokens, the same for the same report.

Each part has its heading and its lines. Lines are taken in turns, parts that tell more first, until nothing fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from ghostd.analysis.lines import one_line
from ghostd.analysis.tokens import TokenCounter, within
from ghostd.project_reports import ChangedFile, EntryPointReport, LanguageShare, PackageReport, ProjectReport

_RESERVE = 0.02
"""Of the budget, as tokens of pieces do not quite add up to those of the whole."""
_SHARE = 0.0005
"""Of bytes: languages below it are not worth a line."""
_NAMED = 12
"""Dependencies on one line."""


class About(Enum):
    """Which parts of a text are wanted."""

    ALL = auto()
    CONTENTS = auto()
    """What there is: languages, entry points, dependencies, work in progress."""
    ARCHITECTURE = auto()
    """How it hangs together: central files, imports, circles, tests; without the head."""


@dataclass(slots=True)
class _Part:
    title: str
    lines: Sequence[str]
    turn: int
    """Lines that it may take in each turn."""
    taken: int = 0
    full: bool = False
    shown: list[str] = field(default_factory=list)


def render(report: ProjectReport, max_tokens: int, count: TokenCounter, about: About = About.ALL) -> str:
    """The report's text; never above the budget."""
    head = [one_line(line) for line in _head(report)] if about is not About.ARCHITECTURE else []
    parts = [part for part in _PARTS[about](report) if part.lines]
    left = int(max_tokens * (1 - _RESERVE)) - sum(count(line + "\n") for line in head)
    while any(not part.full for part in parts):
        for part in parts:
            for _ in range(part.turn):
                if part.full or part.taken == len(part.lines):
                    part.full = True
                    break
                line = one_line(part.lines[part.taken])
                cost = count(line + "\n")
                if not part.taken:
                    cost += count(f"\n{part.title}\n")
                if cost > left:
                    part.full = True
                    break
                left -= cost
                part.taken += 1
                part.shown.append(line)
    lines = list(head)
    for part in parts:
        if part.shown:
            lines += [*([""] if lines else []), part.title, *part.shown]
            hidden = len(part.lines) - part.taken
            more = f"… {hidden} more"
            if hidden and count(more + "\n") <= left:
                left -= count(more + "\n")
                lines.append(more)
    return within(lines, max_tokens, count)


def _head(report: ProjectReport) -> list[str]:
    size = _size(report.size_bytes)
    written = f", mostly {report.main_language}" if report.main_language else ""
    length = f"{report.lines} lines" if report.lines_complete else f"more than {report.lines} lines"
    lines = [f"# {report.name}: {report.files} files, {length}, {size}{written}"]
    described = next((package.description for package in report.packages if package.description), "")
    return [*lines, described] if described else lines


def _contents(report: ProjectReport) -> Iterator[_Part]:
    yield _Part("## Languages", [_language(each) for each in report.languages if each.share >= _SHARE], 4)
    yield _Part("## Entry points", [_entry_point(point) for point in report.entry_points], 3)
    yield _Part("## Packages and dependencies", [line for each in report.packages for line in _package(each)], 3)
    yield _Part("## Work in progress", list(_work(report)), 3)


def _architecture(report: ProjectReport) -> Iterator[_Part]:
    modules = report.modules
    central = [f"{file.path} (imported by {file.importers})" for file in modules.central]
    yield _Part("## Central files", central, 3)
    edges = [f"{edge.source or '.'} → {edge.target or '.'} ({edge.imports})" for edge in modules.folder_edges]
    yield _Part("## Imports between folders", edges, 2)
    circles = [
        f"{circle.size} files: {', '.join(circle.files[:6])}{', …' if circle.size > 6 else ''}"
        for circle in modules.cycles
    ]
    yield _Part(f"## Import cycles ({modules.cycle_count})", circles, 1)
    hot = [f"{spot.path} ({spot.commits} commits, {_size(spot.size_bytes)})" for spot in report.history.hot_spots]
    yield _Part("## Large files that change often", hot, 2)
    tests = report.tests
    by = f", {', '.join(tests.frameworks)}" if tests.frameworks else ""
    folders = [f"{folder.path or '.'} ({folder.files} files)" for folder in tests.folders]
    share = f", {100 * tests.share:.0f} % of the code" if tests.files else ""
    yield _Part(f"## Tests ({tests.files} files, {_size(tests.size_bytes)}{share}{by})", folders, 2)
    subjects = [f"{each.path}: {', '.join(each.subjects)}" for each in tests.subjects]
    yield _Part("## What tests are about", subjects, 1)


def _all(report: ProjectReport) -> Iterator[_Part]:
    yield from _contents(report)
    yield from _architecture(report)
    yield _Part("## Recent commits", report.history.recent_commits, 1)
    yield _Part("## Largest files", [f"{file.path} ({_size(file.size_bytes)})" for file in report.largest], 1)
    yield _Part("## Manifests that could not be read", [f"{p.path}: {p.reason}" for p in report.problems], 1)


_PARTS = {About.ALL: _all, About.CONTENTS: _contents, About.ARCHITECTURE: _architecture}


def _language(each: LanguageShare) -> str:
    return f"{each.language} {100 * each.share:.1f} % ({each.files} files, {each.lines} lines)"


def _entry_point(point: EntryPointReport) -> str:
    runs = f" = {point.target}" if point.target not in ("", point.path) else ""
    return f"{point.kind} {point.name}{runs} ({point.path})"


def _package(package: PackageReport) -> Iterator[str]:
    version = f" {package.version}" if package.version else ""
    yield f"{package.name or package.path}{version} ({package.ecosystem}, {package.path})"
    if package.members:
        yield f"  members: {', '.join(package.members[:_NAMED])}{', …' if len(package.members) > _NAMED else ''}"
    groups: dict[str, list[str]] = {}
    for one in package.dependencies:
        wanted = f" {one.wanted}" if one.wanted and len(one.wanted) <= 24 else ""
        groups.setdefault(one.group, []).append(one.name + wanted)
    for group, names in groups.items():
        for start in range(0, len(names), _NAMED):
            yield f"  {group or 'needs'}: {', '.join(names[start : start + _NAMED])}"


def _work(report: ProjectReport) -> Iterator[str]:
    history = report.history
    if history.branch and history.base and (history.commits_ahead or history.branch_changes):
        yield f"branch {history.branch}, from {history.base}:"
        yield from (f"  {subject}" for subject in history.commits_ahead)
        yield from (f"  {line}" for line in _changes(history.branch_changes))
    elif history.branch:
        yield f"branch {history.branch}"
    if history.uncommitted:
        yield "uncommitted:"
        yield from (f"  {line}" for line in _changes(history.uncommitted))


def _changes(changes: Sequence[ChangedFile]) -> list[str]:
    return [f"{change.kind} {change.path}" for change in changes]


def _size(size_bytes: int) -> str:
    if size_bytes < 1024:
        return f"{size_bytes} bytes"
    return f"{size_bytes / 1024:.0f} KiB" if size_bytes < 1024 * 1024 else f"{size_bytes / 1024 / 1024:.1f} MiB"
