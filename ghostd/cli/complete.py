"""`ghostctl complete`: one completion, as an editor would get it."""

from __future__ import annotations

from pathlib import Path

import click

from ghostd.cli.places import parse_place
from ghostd.errors import InvalidRequest
from ghostd.local.client import Client
from ghostd.local.paths import find_paths


@click.command()
@click.argument("place", metavar="FILE:LINE[:COLUMN]")
@click.option("--model", default="auto", help="Model to ask.")
@click.option("--max-tokens", type=click.IntRange(min=1), default=128, help="Tokens of the completion.")
@click.option("--min-confidence", type=click.FloatRange(0, 1), help="Show less certain completions, too: 0 shows all.")
def complete(place: str, model: str, max_tokens: int, min_confidence: float | None) -> None:
    """Show a completion at FILE:LINE[:COLUMN], in place of the rest of that line.

    LINE and COLUMN count from 1; without COLUMN the whole line's text is completed.
    """
    path, number, column = parse_place(place)
    lines = _lines(path)
    if number > len(lines):
        raise InvalidRequest(f"{path} has {len(lines)} lines, there is no line {number}")
    line = lines[number - 1]
    at = len(line) - len(line.lstrip()) if column is None else min(column - 1, len(line))
    body: dict[str, object] = {
        "model": model,
        "prompt": "\n".join([*lines[: number - 1], line[:at]]),
        "suffix": "\n".join(["", *lines[number:]]),
        "file_path": str(path),
        "max_tokens": max_tokens,
        "temperature": 0,
    }
    if min_confidence is not None:
        body["min_confidence"] = min_confidence
    reply = Client(find_paths()).complete(body)
    choices = reply["choices"]
    assert isinstance(choices, list)
    text = choices[0]["text"]
    click.echo(line[:at] + click.style(text, bold=True) if text else "(no completion that the model is sure of)")
    click.echo(f"by {reply['model']}", err=True)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{path} is not UTF-8 text") from None
