"""`ghostctl index analyze` and `map`: what a project is made of, and its most useful definitions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec

from ghostd.cli.options import checked_root, real_path
from ghostd.cli.tables import printable
from ghostd.errors import GhostdError
from ghostd.local.client import Client
from ghostd.local.paths import find_paths
from ghostd.project_reports import ProjectReport

_MIN_TOKENS = 64
_MAX_TOKENS = 32_000
_TIMEOUT_S = 120.0
"""For projects of very many files that are looked at for the first time."""
_LISTED = 12
"""Lines of each part."""
_TOKENS = click.IntRange(_MIN_TOKENS, _MAX_TOKENS)


@click.command()
@click.argument("root", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
@click.option("--text", "as_text", is_flag=True, help="Print the text that a prompt quotes.")
@click.option("--tokens", type=_TOKENS, default=1500, show_default=True, help="Of that text, at 4 bytes each.")
def analyze(root: Path | None, as_json: bool, as_text: bool, tokens: int) -> None:
    """Print what the indexed project ROOT is made of; by default that of the current folder."""
    if as_json and as_text:
        raise click.UsageError("--json and --text exclude each other.")
    client = Client(find_paths(), _TIMEOUT_S)
    place = _root(client, root)
    if as_text:
        click.echo(_printable(client.project_text(root=place, format="text", max_tokens=str(tokens)).text))
        return
    report = client.project(root=place)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
        return
    for line in _lines(report):
        click.echo(printable(line))


@click.command(name="map")
@click.argument("root", required=False, type=click.Path(path_type=Path))
@click.option(
    "--focus",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A file that is worked in: what it needs comes first, and nothing of it is shown. May be repeated.",
)
@click.option("--tokens", type=_TOKENS, default=1000, show_default=True, help="At 4 bytes each.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def repo_map(root: Path | None, focus: Sequence[Path], tokens: int, as_json: bool) -> None:
    """Print the most useful definitions of the indexed project ROOT; by default that of the current folder."""
    client = Client(find_paths(), _TIMEOUT_S)
    files = [str(real_path(file)) for file in focus]
    report = client.repo_map(_root(client, root), files, tokens)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
        return
    if report.text:
        click.echo(_printable(report.text))
    if not report.complete:
        click.echo("The project is larger than what is looked at; some definitions were left out.", err=True)
    if not report.text:
        raise SystemExit(1)


def _root(client: Client, root: Path | None) -> str:
    if root is not None:
        return str(checked_root(root))
    here = Path(os.path.realpath(Path.cwd()))
    roots = [Path(each.path) for each in client.status().roots]
    around = [each for each in roots if here.is_relative_to(each)]
    if around:
        return str(max(around, key=lambda each: len(each.parts)))
    if len(roots) == 1:
        return str(roots[0])
    told = "Name one of the indexed projects: " + ", ".join(map(str, roots)) if roots else "No project is indexed."
    raise GhostdError(f"{told} `ghostctl roots add DIR` adds one.")


def _printable(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def _lines(report: ProjectReport) -> Iterator[str]:
    written = f", mostly {report.main_language}" if report.main_language else ""
    left_out = f", {report.skipped} left out" if report.skipped else ""
    yield f"{report.name}  {report.root}"
    lines = f"{report.lines} lines" if report.lines_complete else f"more than {report.lines} lines"
    yield f"{report.files} files, {lines}, {_size(report.size_bytes)}{written}{left_out}"
    yield from _part(
        "Languages",
        [
            f"{each.language:<18} {100 * each.share:5.1f} %  {each.files} files, {each.lines} lines"
            for each in report.languages
        ],
    )
    width = max((len(point.kind) for point in report.entry_points), default=0)
    points = [
        f"{point.kind:<{width}}  {point.name}"
        + (f"  {point.target}" if point.target != point.path else "")
        + (f"  ({point.path})" if point.path != point.name else "")
        for point in report.entry_points
    ]
    yield from _part("Entry points", points)
    packages = []
    for package in report.packages:
        needs = sum(1 for each in package.dependencies if not each.group)
        others = len(package.dependencies) - needs
        version = f" {package.version}" if package.version else ""
        named = f"{package.name or '(no name)'}{version}"
        packages.append(f"{package.path}  {package.ecosystem}  {named}  needs {needs}, other groups {others}")
    yield from _part("Packages", packages)
    yield from _part("Manifests that could not be read", [f"{each.path}: {each.reason}" for each in report.problems])
    modules = report.modules
    yield from _part(
        f"Central files, of {modules.files} with {modules.edges} imports",
        [f"{file.path}  imported by {file.importers}" for file in modules.central],
    )
    yield from _part(
        f"Import cycles: {modules.cycle_count}",
        [
            f"{circle.size} files: {', '.join(circle.files[:4])}{', …' if circle.size > 4 else ''}"
            for circle in modules.cycles
        ],
    )
    tests = report.tests
    by = f", {', '.join(tests.frameworks)}" if tests.frameworks else ""
    folders = [f"{folder.path or '.'}  {folder.files} files" for folder in tests.folders]
    share = f", {100 * tests.share:.0f} % of the code" if tests.files else ""
    yield from _part(f"Tests: {tests.files} files, {_size(tests.size_bytes)}{share}{by}", folders)
    yield from _history(report)


def _history(report: ProjectReport) -> Iterator[str]:
    history = report.history
    if history.state != "ready":
        yield ""
        yield f"History: {history.state}{f' ({history.detail})' if history.detail else ''}"
        return
    spots = [f"{spot.path}  {spot.commits} commits, {_size(spot.size_bytes)}" for spot in history.hot_spots]
    yield from _part("Large files that change often", spots)
    if history.branch:
        behind = f", from {history.base}" if history.base and history.base != history.branch else ""
        changes = [f"{change.kind}  {change.path}" for change in history.branch_changes]
        yield from _part(f"Branch {history.branch}{behind}", [*history.commits_ahead, *changes])
    yield from _part("Uncommitted", [f"{change.kind}  {change.path}" for change in history.uncommitted])


def _part(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from (f"  {line}" for line in lines[:_LISTED])
        if len(lines) > _LISTED:
            yield f"  … {len(lines) - _LISTED} more (--json has them)"


def _size(size_bytes: int) -> str:
    if size_bytes < 1024:
        return f"{size_bytes} bytes"
    return f"{size_bytes / 1024:.0f} KiB" if size_bytes < 1024 * 1024 else f"{size_bytes / 1024 / 1024:.1f} MiB"
