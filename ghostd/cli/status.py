"""`status`."""

from __future__ import annotations

import math
import time

import click
import msgspec

from ghostd.cli.tables import printable
from ghostd.local.client import Client
from ghostd.local.control_types import EmbeddingState, ModelState, RootState, Status
from ghostd.local.paths import find_paths

_LONGEST_WAIT_S = 1e9
_MOST_MODELS = 20


def _not_nan(ctx: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and math.isnan(value):
        raise click.BadParameter("it is not a number", ctx, option)
    return value


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, _LONGEST_WAIT_S),
    callback=_not_nan,
    help="Wait up to this many seconds until every project is indexed.",
)
def status(as_json: bool, wait_s: float | None) -> None:
    """Show what the daemon is and does."""
    client = Client(find_paths())
    found = client.status()
    if wait_s is not None:
        found = _wait(client, found, wait_s)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    click.echo(f"ghostd {found.version} (pid {found.pid}) on {found.url}, up {_duration(found.uptime_s)}")
    if found.ollama_url:
        click.echo(f"ollama    {found.ollama_url}")
    click.echo(f"memory    {found.memory_bytes / 2**20:.0f} MiB")
    click.echo(f"data      {found.home}")
    _table("projects", [_root_row(root) for root in found.roots], "none; open one in an editor or `ghostctl roots add`")
    if found.warnings:
        _table("warnings", found.warnings, "")
    rows = [model_row(model) for model in found.models[:_MOST_MODELS]]
    if (more := len(found.models) - len(rows)) > 0:
        rows.append(f"and {more} more: `ghostctl models`")
    _table("models", rows, "none")


def _wait(client: Client, found: Status, wait_s: float) -> Status:
    from pathlib import Path

    deadline = time.monotonic() + wait_s
    for root in found.roots:
        client.wait_root(Path(root.path), max(deadline - time.monotonic(), 0.1))
    return client.status()


def _table(title: str, rows: list[str], empty: str) -> None:
    for number, row in enumerate(rows or [empty]):
        click.echo(f"{title if number == 0 else '':<10}{row}")


def _root_row(root: RootState) -> str:
    parts = [f"{printable(root.path)}: {root.state}, {root.files} files, {root.symbols} symbols"]
    if root.pending:
        parts.append(f"{root.pending} to go")
    if root.skipped:
        parts.append(f"{root.skipped} skipped")
    if not root.learned and root.state == "ready":
        parts.append("being learned")
    if root.history:
        parts.append(root.history)
    if root.embeddings is not None:
        parts.append(_embeddings(root.embeddings))
    if root.detail:
        parts.append(printable(root.detail))
    return ", ".join(parts)


def _embeddings(found: EmbeddingState) -> str:
    """How far the chunks have vectors."""
    if found.state == "waiting":
        return f"chunks not embedded yet by {found.model}"
    many = f"{found.embedded} of {found.chunks}" if found.embedded != found.chunks else str(found.chunks)
    told = f"{many} chunks embedded by {found.model}"
    if found.state in ("failed", "refused"):
        told += f" ({found.state})"
    return f"{told}: {found.detail}" if found.detail else told


def model_row(model: ModelState) -> str:
    """A model on one line."""
    details = [model.state, ", ".join(model.capabilities)]
    if model.context_tokens:
        details.append(f"{model.context_tokens} tokens")
    if model.size_bytes:
        details.append(f"{model.size_bytes / 2**20:.0f} MiB")
    if model.detail:
        details.append(model.detail)
    return f"{model.id}: {'; '.join(details)}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
