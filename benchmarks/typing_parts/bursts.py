"""A key after a pause, and keys that come faster than the model answers."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from typing_parts.editor import Editor, Refused, suggestions
from typing_parts.model import RIGHT, Model
from typing_parts.sources import Source

STORMS = {
    "typing what the model says": "value = json.loads(path.read_text())[0]  # what the model says",
    "typing something else": "for name, other in sorted(table.items()): ",
}


async def isolated(editor: Editor, model: Model, source: Source, folder: Path, count: int = 40) -> str:
    """A key after a pause, in a document that nothing was asked of: the layer alone."""
    model.text, model.end, model.latency_s, model.right = source.text, None, 0.08, 1.0
    rng = random.Random(3)
    found = []
    for number in range(count):
        at = rng.randrange(len(source.text) // 10, len(source.text) - 200)
        before = source.text[:at]
        file = folder / f"isolated_{number}_{source.path.name}"
        editor.open(file, source.language, before, before.count("\n"), at - before.rfind("\n") - 1)
        await asyncio.sleep(0.12)
        model.starts.clear()
        began_s = time.monotonic()
        editor.edit(0, source.text[at : at + 1])
        with suppress(TimeoutError, Refused):
            answer = suggestions(await asyncio.wait_for(editor.ask()[1], 2), editor.character)
            answered_s = time.monotonic()
            if answer and model.starts:
                start = model.starts[-1]
                found.append((start.at_s - began_s + max(answered_s - start.last_s, 0)) * 1000)
        editor.close()
        await asyncio.sleep(0.05)
    model.right = RIGHT
    found.sort()
    if not found:
        return "no answers"
    return f"layer over the model: p50 {statistics.median(found):.1f} ms, p95 {found[int(len(found) * 0.95)]:.1f} ms"


async def storm(editor: Editor, model: Model, source: Source, folder: Path, typed: str) -> str:
    """40 keys 30 ms apart, before a model of 250 ms."""
    file = folder / f"storm_{len(typed)}_{source.path.name}"
    before = "def run(path):\n    "
    text = "value = json.loads(path.read_text())[0]  # what the model says\n"
    file.write_text(before)
    model.text, model.end, model.latency_s, model.right = before + text, None, 0.25, 1.0
    model.starts.clear()
    editor.open(file, source.language, before, 1, 4)
    await asyncio.sleep(0.5)
    futures: list[tuple[int, asyncio.Future[Any]]] = []
    last_s = 0.0
    for at in range(40):
        last_s = time.monotonic()
        editor.edit(0, typed[at])
        number, future = editor.ask()
        if futures:
            editor.cancel(futures[-1][0])
        futures.append((number, future))
        await asyncio.sleep(0.03)
    answer = "none"
    with suppress(TimeoutError, Refused):
        found = suggestions(await asyncio.wait_for(futures[-1][1], 3), editor.character)
        answer = f"{'nothing after ' if not found else ''}{(time.monotonic() - last_s) * 1000:.0f} ms"
    refused = sum(f.done() and f.exception() is not None for _, f in futures)
    editor.close()
    await asyncio.sleep(0.4)
    tokens = sum(len(s.pieces) for s in model.starts)
    unused = sum(len(s.pieces) for s in model.starts[:-1])
    model.right = RIGHT
    return (
        f"last answer after {answer}, {refused} refused, {len(model.starts)} starts "
        f"({sum(s.stopped for s in model.starts)} stopped), {unused} of {tokens} tokens by starts before the last one"
    )
