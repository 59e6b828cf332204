"""One file, typed key by key before a language server, and what was seen at each key."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_parts.editor import Editor, Refused, Shown, suggestions
from typing_parts.model import Model, Start
from typing_parts.sources import Source
from typing_parts.typist import Key, Typist

SOON_S = 0.1


@dataclass(slots=True)
class Seen:
    """What one key's request gave."""

    key: Key
    before: str
    """The text before the cursor, this key's with it."""
    asked_s: float
    screen: str
    """What an editor goes on showing of an earlier suggestion."""
    answer: str = ""
    """What came before the next key, if it is more than white space."""
    took_s: float = 0.0


@dataclass(slots=True)
class Replayed:
    """A file's keys, and what the model was asked for meanwhile."""

    source: Source
    seen: list[Seen] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)


async def replay(
    editor: Editor, model: Model, source: Source, folder: Path, count: int, *, accepts: bool = False
) -> Replayed:
    """Type so many keys of it. `accepts`: instead of typing what a suggestion says, its right lines are taken."""
    file = folder / source.path.name
    before, behind = source.text[: source.start], source.text[source.end :]
    file.write_text(before + behind, "utf-8")
    model.text, model.end = source.text, source.end if behind else None
    model.starts.clear()
    editor.open(file, source.language, before + behind, before.count("\n"), 0)
    await asyncio.sleep(0.3)
    replayed = Replayed(source)
    typist = Typist(source.text[: source.end], source.start, seed=7)
    pending: tuple[int, asyncio.Future[Any]] | None = None
    shown: Shown | None = None
    for _ in range(count):
        last = replayed.seen[-1].key if replayed.seen else None
        taken = _right_lines(shown, last, source) if accepts and shown and last else ""
        key = typist.accept(last.typed, taken) if last and taken else typist.key()
        if key is None:
            break
        before = before[: len(before) - key.delete] + key.insert
        began_s = time.monotonic()
        if key.accepts and shown:
            editor.accepted(shown, taken)
        else:
            editor.edit(key.delete, key.insert)
        number, future = editor.ask()
        if pending is not None and not pending[1].done():
            editor.cancel(pending[0])
        pending = number, future
        shown = _typed_into(shown, key)
        one = Seen(key, before, began_s, shown.text if shown else "")
        replayed.seen.append(one)
        with suppress(TimeoutError, asyncio.CancelledError, Refused):
            answer = suggestions(await asyncio.wait_for(asyncio.shield(future), key.after_s), editor.character)
            if answer and answer[0].text.strip():
                one.took_s, one.answer, shown = time.monotonic() - began_s, answer[0].text, answer[0]
        await asyncio.sleep(max(0.0, began_s + key.after_s - time.monotonic()))
    if pending is not None and not pending[1].done():
        editor.cancel(pending[0])
    editor.close()
    await asyncio.sleep(model.latency_s + 0.3)
    replayed.starts = list(model.starts)
    return replayed


def _typed_into(shown: Shown | None, key: Key) -> Shown | None:
    """What is left of a suggestion behind a key that went on as it does. The rest of one is no whole one's to note."""
    if shown is None or key.delete or not shown.text.startswith(key.insert) or shown.text == key.insert:
        return None
    return Shown(shown.text[len(key.insert) :], shown.command)


def _right_lines(shown: Shown, last: Key, source: Source) -> str:
    """The whole lines of a suggestion that the author writes next, if they are longer than one key."""
    if not last.right:
        return ""
    lines = shown.text.splitlines(keepends=True)
    for count in range(len(lines), 0, -1):
        text = "".join(lines[:count])
        text = text if count == len(lines) else text.rstrip("\n")
        if len(text) > 1 and source.goes_on(last.typed, text):
            return text
    return ""
