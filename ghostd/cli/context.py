"""`ghostctl context`: what a prompt would quote of the project at one place, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from ghostd.cli.places import parse_place
from ghostd.cli.tables import printable
from ghostd.context_reports import ContextReport, OmittedPiece, QuotedPiece
from ghostd.errors import GhostdError
from ghostd.local.client import Client
from ghostd.local.control_types import RootState
from ghostd.local.paths import find_paths

_MAX_TOKENS = 32_000
_COLUMNS = 100
_LEFT_OUT_SHOWN = 5
_PROJECT_MARKS = (".git", "pyproject.toml", "package.json", "Cargo.toml", "build.zig", "go.mod")
_TIMEOUT_S = 330.0
"""A local model that counts may have to be loaded first."""


@click.command()
@click.argument("place", metavar="FILE:LINE[:COLUMN]")
@click.option("--tokens", type=click.IntRange(1, _MAX_TOKENS), help="Budget; by default context.budget_tokens.")
@click.option(
    "--deadline-ms", type=click.IntRange(1, 60_000), default=5_000, show_default=True, help="Time to look for it."
)
@click.option("--model", help="Count with this model's tokenizer, where ghostd has it.")
@click.option("--hide-line", is_flag=True, help="Leave the line out, as if it were still to be written.")
@click.option("--redact/--no-redact", default=None, help="Take secrets out; by default where the model is elsewhere.")
@click.option("--left-out", is_flag=True, help="Show all pieces that would not be quoted, not only the first few.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def context(
    place: str,
    tokens: int | None,
    deadline_ms: int,
    model: str | None,
    hide_line: bool,
    redact: bool | None,
    left_out: bool,
    as_json: bool,
) -> None:
    """Show what a prompt would quote of the rest of the project at FILE:LINE[:COLUMN], and why.

    LINE and COLUMN count from 1, columns in characters; without COLUMN the cursor is at the line's end.
    """
    file, line, column = parse_place(place)
    if hide_line and column is not None:
        raise click.UsageError("--hide-line leaves the whole line out: give FILE:LINE without a column.")
    client = Client(find_paths(), _TIMEOUT_S)
    root = _root_of(client, file)
    options = {"column": column, "max_tokens": tokens, "model": model, "redact": redact}
    body = {"path": str(file), "line": line, "hide_line": hide_line, "deadline_ms": deadline_ms}
    report = client.context(body | {name: value for name, value in options.items() if value is not None})
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
        return
    for piece in report.chunks:
        _print_piece(piece)
    _print_left_out(report.left_out, len(report.left_out) if left_out else _LEFT_OUT_SHOWN)
    _print_together(report)
    _print_sums(report, root)


def _root_of(client: Client, file: Path) -> RootState:
    around = [root for root in client.status().roots if file.is_relative_to(root.path)]
    if not around:
        raise GhostdError(
            f"{file} is in no indexed project. `ghostctl roots add {_project_of(file)}` indexes it; then ask again."
        )
    return max(around, key=lambda root: len(root.path))


def _project_of(file: Path) -> Path:
    """The folder that is worth to be indexed: the nearest one that looks like a project."""
    for folder in file.parents:
        if any((folder / mark).exists() for mark in _PROJECT_MARKS):
            return folder
    return file.parent


def _print_piece(piece: QuotedPiece) -> None:
    place = click.style(printable(_place(piece)), bold=True)
    redacted = f", {piece.redactions} redacted" if piece.redactions else ""
    click.echo(f"{place}  {_source(piece.source)}, score {piece.score:.2f}, {piece.tokens} tokens{redacted}")
    if piece.why:
        why = printable("; ".join(piece.why))
        click.echo(click.style(textwrap.fill(why, _COLUMNS, initial_indent="  ", subsequent_indent="  "), dim=True))
    for line in piece.text.split("\n"):
        click.echo(f"    {printable(line.expandtabs(4))}".rstrip())
    click.echo()


def _print_left_out(pieces: Sequence[OmittedPiece], shown: int) -> None:
    if not pieces:
        return
    click.echo(click.style("left out", bold=True))
    for piece in pieces[:shown]:
        told = f"  {printable(_place(piece))}  {piece.source}, score {piece.score:.2f}, {piece.tokens} tokens"
        click.echo(f"{told}: {piece.reason}")
    if len(pieces) > shown:
        click.echo(f"  … and {len(pieces) - shown} more (--left-out)")
    click.echo()


def _print_together(report: ContextReport) -> None:
    """What git history says of the definition at the cursor."""
    if report.last_changes:
        click.echo(click.style(f"the lines of {printable(report.inside)} are of", bold=True))
        for change in report.last_changes:
            day = datetime.fromtimestamp(change.time_s, UTC).date()
            click.echo(f"{day}  {change.commit[:10]}  {printable(change.subject)}")
        click.echo()
    if not report.changed_together:
        return
    click.echo(click.style(f"changed together with {printable(report.inside)}", bold=True))
    for one in report.changed_together:
        times = f"{one.commits} commit{'s' * (one.commits != 1)}"
        click.echo(f"{printable(one.path)}: {printable(one.name)}, {times}, score {one.score:.2f}")
    click.echo()


def _print_sums(report: ContextReport, root: RootState) -> None:
    counter = report.counter
    ratio = f"{counter.bytes_per_token:.1f} bytes each"
    if counter.exact:
        how = f"counted by {counter.model}, {ratio}"
    elif counter.model:
        how = f"estimated at {ratio}: ghostd has no tokenizer of {counter.model}"
    else:
        how = f"estimated at {ratio}"
    count = len(report.chunks)
    click.echo(f"{count} piece{'s' * (count != 1)} of {report.candidates} quoted, {report.seconds * 1e3:.0f} ms")
    click.echo(f"{report.tokens} of {report.budget} tokens ({printable(how)})")
    if report.redacted:
        click.echo(f"{report.redactions} secret{'s' * (report.redactions != 1)} redacted")
    if report.late:
        click.echo(click.style(f"not in time: {', '.join(report.late)} (--deadline-ms)", fg="yellow"))
    if root.state != "ready":
        click.echo(f"{root.path} is {root.state}: more will be found when it is ready", err=True)


def _place(piece: QuotedPiece | OmittedPiece) -> str:
    return f"{piece.path}:{piece.first_line}-{piece.last_line}"


def _source(source: str) -> str:
    return click.style(source, fg="cyan")
