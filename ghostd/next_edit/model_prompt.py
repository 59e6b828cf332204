"""The prompt of next-edit models, in the format of Zeta: the last edits as diffs, and a region to rewrite.

Source: the prompt and markers that Zed publishes with its open model Zeta (Qwen2.5-Coder-7B, fine-tuned). The model
answers with the region, between its markers, as it should be. Chat models get the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from ghostd.context.secrets_in_text import without_secrets
from ghostd.next_edit.document import Source
from ghostd.next_edit.history import Edit

START, END = "<|editable_region_start|>", "<|editable_region_end|>"
CURSOR, FILE_START = "<|user_cursor_is_here|>", "<|start_of_file|>"
_MARKERS = (START, END, CURSOR, FILE_START)
_TASK = (
    "### Instruction:\nYou are a code completion assistant and your task is to analyze user edits and then rewrite an "
    "excerpt that the user provides, suggesting the appropriate edits within the excerpt, taking into account the "
    "cursor location.\n\n### User Edits:\n\n{edits}\n\n### User Excerpt:\n\n{excerpt}\n\n### Response:\n"
)
_REGION_LINES = 12
"""Before the cursor's line, and behind it."""
_AROUND_LINES = 30
_MAX_EDITS = 6
_MAX_CHARS = 24_000


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, and the region that the answer stands for."""

    text: str
    start: int
    """In characters of the document."""
    end: int


def prompt_of(source: Source, offset: int, edits: Sequence[Edit], *, leaves: bool = False) -> Prompt | None:
    """None where the text, or an edit, holds a marker: then nothing could tell the two apart.

    `leaves`: the prompt leaves this machine. Then it has no secrets; None where the region to rewrite has one, which
    the answer would overwrite.
    """
    line = source.line_of(offset)
    last = len(source.lines) - 1
    start = source.lines[max(line - _REGION_LINES, 0)]
    end = source.line_span(min(line + _REGION_LINES, last))[1]
    above = source.lines[max(line - _REGION_LINES - _AROUND_LINES, 0)]
    below = source.line_span(min(line + _REGION_LINES + _AROUND_LINES, last))[1]
    quoted = source.text[above:below]
    diffs = "\n\n".join(filter(None, (_diff(edit, source.root) for edit in edits[-_MAX_EDITS:])))
    if any(marker in quoted or marker in diffs for marker in _MARKERS):
        return None
    before, behind = source.text[above:start], source.text[end:below]
    if leaves:
        if without_secrets(source.text[start:end])[1]:
            return None
        before, behind, diffs = (without_secrets(text)[0] for text in (before, behind, diffs))
    begin = f"{FILE_START}\n" if above == 0 else ""
    excerpt = (
        f"```{source.path}\n{begin}{before}{START}\n{source.text[start:offset]}{CURSOR}"
        f"{source.text[offset:end]}\n{END}{behind}\n```"
    )
    text = _TASK.format(edits=diffs, excerpt=excerpt)
    return Prompt(text, start, end) if len(text) <= _MAX_CHARS else None


def region_of(answer: str) -> str | None:
    """The rewritten region; None for an answer that does not keep to the format."""
    if answer.count(START) != 1 or answer.count(END) != 1:
        return None
    before, _, rest = answer.partition(START)
    region, end, _ = rest.partition(END)
    if not end or START in region or not region.startswith("\n") or before.strip().strip("`").count("\n") > 2:
        return None
    region = region.removeprefix("\n").removesuffix("\n").replace(CURSOR, "")
    return None if any(marker in region for marker in _MARKERS) else region


def _diff(edit: Edit, root: Path) -> str:
    name = edit.path.relative_to(root) if edit.path.is_relative_to(root) else Path(edit.path.name)
    lines = [line.rstrip("\r\n") for line in unified_diff(edit.before, edit.after, n=0, lineterm="")][2:]
    head = f"@@ -{edit.line + 1},{len(edit.before)} +{edit.line + 1},{len(edit.after)} @@"
    body = "\n".join([head, *(line for line in lines if not line.startswith("@@"))])
    return f'User edited "{name}":\n```diff\n{body}\n```'
