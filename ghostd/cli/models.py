"""`ghostctl models`: list the models; load, unload, pin and unpin local ones."""

from __future__ import annotations

import sys
import threading
from typing import Literal

import click
import msgspec

from ghostd.cli.pull import pull
from ghostd.cli.status import model_row
from ghostd.cli.tables import print_table
from ghostd.errors import GhostdError
from ghostd.local.client import Client
from ghostd.local.control_types import ModelState
from ghostd.local.model_types import ModelsReport
from ghostd.local.paths import find_paths

_CHANGE_S = 600.0
"""Longer than the default of local.load_timeout_s."""
_LOOK_S = 0.2

Action = Literal["load", "unload", "pin", "unpin"]


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--skipped", is_flag=True, help="Show what other programs' stores hold and is not offered, and why.")
@click.pass_context
def models(ctx: click.Context, as_json: bool, skipped: bool) -> None:
    """List the models on offer; load, unload, pin and fetch local ones."""
    if ctx.invoked_subcommand is None:
        _list(as_json, skipped)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--skipped", is_flag=True, help="Show what other programs' stores hold and is not offered, and why.")
def list_(as_json: bool, skipped: bool) -> None:
    """List the models on offer, with their source, state, size and context."""
    _list(as_json, skipped)


@models.command()
@click.argument("name")
def load(name: str) -> None:
    """Load the local model NAME now, instead of at its first request."""
    client = Client(find_paths())
    failure: list[GhostdError] = []

    def work() -> None:
        try:
            client.change_model("load", name, _CHANGE_S)
        except GhostdError as error:
            failure.append(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    shown = ""
    while worker.is_alive():
        worker.join(_LOOK_S)
        if worker.is_alive() and sys.stderr.isatty():
            shown = _show(_find(client, name), shown)
    _clear(shown)
    if failure:
        raise failure[0]
    click.echo(_row(_find(client, name), pinned=name in client.models().pinned))


@models.command()
@click.argument("name")
def unload(name: str) -> None:
    """Give the memory of the local model NAME back, once its requests have ended."""
    _change("unload", name, "is unloaded")


@models.command()
@click.argument("name")
def pin(name: str) -> None:
    """Keep the local model NAME loaded, once it is: for others it makes no room, and it may be idle."""
    _change("pin", name, "is pinned")


@models.command()
@click.argument("name")
def unpin(name: str) -> None:
    """Let the local model NAME be unloaded again when it is idle."""
    _change("unpin", name, "is no longer pinned")


models.add_command(pull)


def _change(action: Action, name: str, done: str) -> None:
    Client(find_paths()).change_model(action, name, _CHANGE_S)
    click.echo(f"{name} {done}")


def _list(as_json: bool, skipped: bool) -> None:
    client = Client(find_paths())
    report = client.models()
    found = [*report.models, *(model for model in client.status().models if model.owned_by != "local")]
    if as_json:
        rows = [msgspec.to_builtins(model) | {"pinned": _is_pinned(model, report)} for model in found]
        click.echo(msgspec.json.encode(rows).decode())
        return
    head = ("model", "state", "can", "context", "MiB", "from", "")
    print_table(head, [_cells(model, pinned=_is_pinned(model, report)) for model in found], frozenset((3, 4)))
    click.echo(f"local models hold about {_mib(report.held_bytes)} of {_mib(report.allowed_bytes)} MiB")
    if skipped:
        for skip in report.skips:
            click.echo(f"not offered: {skip.path}: {skip.reason}")
    elif report.skips:
        click.echo(f"{len(report.skips)} found files are not offered (--skipped shows why)")


def _cells(model: ModelState, *, pinned: bool) -> tuple[str, ...]:
    return (
        model.id,
        f"{model.state}, pinned" if pinned else model.state,
        ", ".join(model.capabilities),
        str(model.context_tokens or ""),
        str(_mib(model.size_bytes)) if model.size_bytes else "",
        model.source,
        model.detail,
    )


def _is_pinned(model: ModelState, report: ModelsReport) -> bool:
    return model.owned_by == "local" and model.id in report.pinned


def _row(model: ModelState | None, *, pinned: bool) -> str:
    if model is None:
        return "it is gone"
    row = model_row(model)
    if model.source:
        row += f"; from: {model.source}"
    return row + "; pinned" if pinned else row


def _find(client: Client, name: str) -> ModelState | None:
    return next((model for model in client.models().models if model.id == name), None)


def _show(model: ModelState | None, before: str) -> str:
    text = f"{model.id}: {model.detail or model.state}" if model is not None else ""
    if text != before:
        click.echo(f"\r{text:<{len(before)}}", err=True, nl=False)
    return text


def _clear(shown: str) -> None:
    if shown:
        click.echo(f"\r{'':<{len(shown)}}\r", err=True, nl=False)


def _mib(size: int) -> int:
    return max(round(size / 2**20), 0)
