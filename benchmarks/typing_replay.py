"""Real files, typed key by key, with ghostd before a scripted model.

    python benchmarks/typing_replay.py [--keys 250] [--latency 80 200 600] [--quick]

Files of held-out packages (Python, TypeScript, Rust, Zig) are typed at 60-150 ms a key, with pauses and 5 % wrong keys
that are taken back (`typing_parts/typist.py`); the model writes up to three lines, each right with probability 0.7
(`typing_parts/model.py`). The client asks at every key and cancels the older request, as VS Code does; nothing is
accepted. All of it goes through real processes: `ghostd lsp` with a daemon.

valid: an answer that goes on from the text before the cursor as the model's script does for that place or for an
earlier one, or as the file does. stale: one that does neither. soon: the share of keys with a valid suggestion within
100 ms of the key, by the server's answers alone; "shown" also counts what an editor goes on showing because it was
typed on into. layer: from a key, after a pause, to the model's being asked, and from its last token to the answer (a
pause of ghostd's own before it asks is part of it).
The storms are 40 keys 30 ms apart before a model of 250 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval_projects import GROUPS
from typing_parts.editor import Editor, Refused, texts
from typing_parts.model import RIGHT, Model, serve
from typing_parts.typist import keys

SOON_S = 0.1
FILES = (
    ("python", "scrapy==2.19.0", "engine.py"),
    ("typescript", "rxjs", "TestScheduler.ts"),
    ("rust", "syn", "punctuated.rs"),
    ("zig", "zig's std", "pdb.zig"),
)
STORMS = {
    "typing what the model says": "value = json.loads(path.read_text())[0]  # what the model says",
    "typing something else": "for name, other in sorted(table.items()): ",
}
HEAD = "| model, file | keys | soon | shown | stale | starts a key |\n|---|---|---|---|---|---|"


@dataclass(slots=True)
class Seen:
    """What one key's request gave."""

    asked_s: float
    right: bool
    """Whether the text before the cursor was the file's."""
    typed: int
    answers: list[tuple[float, str]] = field(default_factory=list)
    """(seconds after the key, text), until the next key."""
    cancelled: bool = False
    valid: bool = False
    stale: bool = False
    shown: bool = False
    """Whether something valid stood on an editor's screen within SOON_S."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to type."""

    language: str
    path: Path
    text: str
    start: int


def sources(seed: int) -> list[Source]:
    """One file of each language."""
    found = []
    for language, project, name in FILES:
        root = GROUPS[language][project]()
        path = next(root.rglob(name))
        text = path.read_text("utf-8")
        start = text.index("\n", len(text) // 5) + 1
        found.append(Source(language, path, text, start))
    return found


async def replay(editor: Editor, model: Model, source: Source, folder: Path, count: int) -> list[Seen]:
    """Type a file."""
    file = folder / source.path.name
    before = source.text[: source.start]
    file.write_text(before, "utf-8")
    model.text = source.text
    editor.open(file, source.language, before, before.count("\n"), 0)
    await asyncio.sleep(0.3)
    seen: list[Seen] = []
    pending: tuple[int, asyncio.Future[Any]] | None = None
    screen = ""
    for key in keys(source.text, source.start, count, seed=7):
        before = before[: len(before) - key.delete] + key.insert
        began_s = time.monotonic()
        editor.edit(key.delete, key.insert)
        number, future = editor.ask()
        if pending is not None and not pending[1].done():
            editor.cancel(pending[0])
        pending = number, future
        one = Seen(began_s, key.right, key.typed)
        seen.append(one)
        screen = screen[len(key.insert) :] if not key.delete and screen.startswith(key.insert) else ""
        one.shown = bool(screen)
        with suppress(TimeoutError, asyncio.CancelledError, Refused):
            answer = texts(await asyncio.wait_for(asyncio.shield(future), key.after_s))
            took_s = time.monotonic() - began_s
            if answer and answer[0].strip():
                one.answers.append((took_s, answer[0]))
                screen = answer[0]
                one.shown = one.shown or took_s <= SOON_S
                judge(one, model, before, source)
        await asyncio.sleep(max(0.0, began_s + key.after_s - time.monotonic()))
    if pending is not None and not pending[1].done():
        editor.cancel(pending[0])
    editor.close()
    await asyncio.sleep(model.latency_s + 0.3)
    return seen


def judge(one: Seen, model: Model, before: str, source: Source) -> None:
    """Whether an answer fits the place that it was asked for, and what the layer took."""
    text = one.answers[0][1]
    true = source.text[one.typed :] if one.right else ""
    agrees = any(
        said.startswith(text) or text.startswith(said) or _typed_on(before, text, model)
        for said in (model.reply(before),)
    )
    one.valid = agrees or true.startswith(text)
    one.stale = not one.valid


def _typed_on(before: str, text: str, model: Model) -> bool:
    """Whether the answer is the rest of what the model said some keys ago."""
    line_start = before.rfind("\n", 0, max(len(before) - 400, 0)) + 1
    for at in range(len(before) - 1, max(line_start, len(before) - 400), -1):
        said = model.reply(before[:at])
        typed = before[at:]
        if said.startswith(typed) and said[len(typed) :].startswith(text[: max(1, len(text) - 1)]):
            return True
    return False


async def isolated(editor: Editor, model: Model, source: Source, folder: Path, count: int = 40) -> str:
    """A key after a pause, in a document that nothing was asked of: the layer alone."""
    model.text, model.latency_s, model.right = source.text, 0.08, 1.0
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
            answer = texts(await asyncio.wait_for(editor.ask()[1], 2))
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
    model.text, model.latency_s, model.right = before + text, 0.25, 1.0
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
        found = texts(await asyncio.wait_for(futures[-1][1], 3))
        answer = f"{'nothing after ' if not found else ''}{(time.monotonic() - last_s) * 1000:.0f} ms"
    refused = sum(f.done() and f.exception() is not None for _, f in futures)
    editor.close()
    await asyncio.sleep(0.4)
    tokens = sum(s.tokens for s in model.starts)
    unused = sum(s.tokens for s in model.starts[:-1])
    model.right = RIGHT
    return (
        f"last answer after {answer}, {refused} refused, {len(model.starts)} starts "
        f"({sum(s.stopped for s in model.starts)} stopped), {unused} of {tokens} tokens by starts before the last one"
    )


def row(name: str, seen: list[Seen], starts: int, *, scripted: bool) -> str:
    """A line of the table. Whether an answer is stale can be told only where the script alone answers."""
    count = len(seen)
    soon = sum(one.valid and one.answers[0][0] <= SOON_S for one in seen)
    return (
        f"| {name} | {count} | {100 * soon / count:.0f} % | {100 * sum(s.shown for s in seen) / count:.0f} % "
        f"| {sum(s.stale for s in seen) if scripted else '–'} | {starts / count:.2f} |"
    )


@asynccontextmanager
async def ghostd(port: int, folder: Path, *, ready: bool) -> AsyncIterator[Editor]:
    """A daemon of its own, and `ghostd lsp` before it."""
    home = folder / f"home-{ready}"
    config = home / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        f"""[discovery]
servers = false
[completion]
model = "scripted/code"
project_first = {str(ready).lower()}
[providers.scripted]
preset = "mistral"
base_urls = ["http://127.0.0.1:{port}/v1"]
keys = []
models = ["code"]
"""
    )
    environment = {**os.environ, "GHOSTD_HOME": str(home)}
    program = str(Path(sys.executable).with_name("ghostd"))
    root = folder / "project"
    daemon = await asyncio.create_subprocess_exec(
        program, "run", "--port", "0", "--root", str(root), env=environment, stdout=subprocess.PIPE
    )
    try:
        assert daemon.stdout is not None
        while b"ready on" not in await daemon.stdout.readline():
            pass
        async with server([program, "lsp"], environment) as editor:
            await editor.initialize(root, {})
            yield editor
    finally:
        daemon.terminate()
        await daemon.wait()


@asynccontextmanager
async def server(command: list[str], environment: dict[str, str]) -> AsyncIterator[Editor]:
    """A language server over its pipes."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        limit=1 << 24,
    )
    assert process.stdin is not None and process.stdout is not None
    editor = Editor(process.stdout, process.stdin)
    try:
        yield editor
    finally:
        editor.task.cancel()
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def measure(args: argparse.Namespace) -> None:
    """All of it."""
    model = Model()
    runner, port = await serve(model)
    files = sources(1)[: 1 if args.quick else None]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "project").mkdir()
        for name, scripted in (("ghostd, the model alone", True), ("ghostd, its own model first", False)):
            async with ghostd(port, folder, ready=not scripted) as editor:
                print(f"\n{name}\n\n{HEAD}")
                for latency in args.latency:
                    everything, starts = [], 0
                    for source in files:
                        model.latency_s, model.right = latency / 1000, RIGHT
                        model.starts.clear()
                        seen = await replay(editor, model, source, folder / "project", args.keys)
                        everything += seen
                        starts += len(model.starts)
                        print(
                            row(f"{latency} ms, {source.language}", seen, len(model.starts), scripted=scripted),
                            flush=True,
                        )
                    print(row(f"**{latency} ms**", everything, starts, scripted=scripted), flush=True)
                print(f"\nafter a pause: {await isolated(editor, model, files[0], folder / 'project')}", flush=True)
                for kind, typed in STORMS.items():
                    told = await storm(editor, model, files[0], folder / "project", typed)
                    print(f"\nstorm, {kind}: {told}", flush=True)
    await runner.cleanup()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=250, help="keys in each file")
    parser.add_argument("--latency", type=int, nargs="+", default=[80, 200, 600], help="of the model, in ms")
    parser.add_argument("--quick", action="store_true", help="one file, one latency")
    args = parser.parse_args()
    if args.quick:
        args.latency, args.keys = [200], min(args.keys, 80)
    asyncio.run(measure(args))


if __name__ == "__main__":
    main()
