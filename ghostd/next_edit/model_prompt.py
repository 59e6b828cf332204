"""The prompt of next-edit models, in the format of Zeta: the last edits as diffs, and a region to rewrite.

Source: the prompt and markers that Zed publishes with its open model Zeta (Qwen2.5-Coder-7B, fine-tuned). Chat models
get the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from ghostd.context.secrets_in_text import lines_without_secrets
from ghostd.next_edit.document import Source
from ghostd.next_edit.history import Edit

START, END = "<|editable_region_start|>", "<|editable_region_end|>"
CURSOR, FILE_START = "<|user_cursor_is_here|>", "<|start_of_file|>"
MARKERS = (START, END, CURSOR, FILE_START)
_TASK = (
    "### Instruction:\nYou are a code completion assistant and your task is to analyze user edits and then rewrite an "
    "excerpt that the user provides, suggesting the appropriate edits within the excerpt, taking into account the "
    "cursor location.\n\n### User Edits:\n\n{edits}\n\n### User Excerpt:\n\n{excerpt}\n\n### Response:\n"
)
_REGION_LINES = 12
"""Before the cursor's line, and behind it."""
_AROUND_LINES = 30
MAX_EDITS = 6
"""The last ones, which the prompt quotes."""
_MAX_CHARS = 24_000


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, and the region that the answer stands for."""

    text: str
    lines: tuple[str, ...]
    """Of the region, as the model sees them: without ends, and without secrets where these were taken out."""
    starts: tuple[int, ...]
    """Where each of them begins in the document, and where the last one ends, in characters."""
    hidden: frozenset[int]
    """Those of them that hold a secret, by their indices."""


def prompt_of(source: Source, offset: int, edits: Sequence[Edit], *, redact: bool) -> Prompt | None:
    """With `redact` secrets are taken out first.

    None where the text, or an edit, holds a marker: then nothing could tell the two apart; or where it is too long.
    """
    line = source.line_of(offset)
    last = len(source.lines) - 1
    top, bottom = max(line - _REGION_LINES, 0), min(line + _REGION_LINES, last)
    above, below = max(top - _AROUND_LINES, 0), min(bottom + _AROUND_LINES, last)
    spans = [source.line_span(number) for number in range(above, below + 1)]
    if spans[-1][1] - spans[0][0] > _MAX_CHARS:
        return None
    lines = [source.text[start:end] for start, end in spans]
    shown = lines_without_secrets(lines) if redact else lines
    diffs = "\n\n".join(filter(None, (_diff(edit, source.root, redact=redact) for edit in edits[-MAX_EDITS:])))
    if any(marker in part for marker in MARKERS for part in (diffs, *shown)):
        return None
    before, region, behind = shown[: top - above], shown[top - above : bottom - above + 1], shown[bottom - above + 1 :]
    at = _column(lines[line - above], shown[line - above], offset - spans[line - above][0])
    marked = [*region]
    marked[line - top] = f"{marked[line - top][:at]}{CURSOR}{marked[line - top][at:]}"
    begin = [FILE_START] if above == 0 else []
    excerpt = "\n".join([f"```{source.path}", *begin, *before, START, *marked, END, *behind, "```"])
    text = _TASK.format(edits=diffs, excerpt=excerpt)
    starts = (*(source.lines[number] for number in range(top, bottom + 1)), spans[bottom - above][1])
    hidden = frozenset(at for at, told in enumerate(region) if told != lines[top - above + at])
    return Prompt(text, tuple(region), starts, hidden) if len(text) <= _MAX_CHARS else None


def _column(line: str, shown: str, column: int) -> int:
    """Where a column of a line is in the same line without its secrets; at its end for one in a secret."""
    head, tail = line[:column], line[column:]
    if shown.startswith(head):
        return len(head)
    return len(shown) - len(tail) if shown.endswith(tail) else len(shown)


def _diff(edit: Edit, root: Path, *, redact: bool) -> str:
    """An edit in the words of `diff`; "" where only a secret was edited."""
    name = edit.path.relative_to(root) if edit.path.is_relative_to(root) else Path(edit.path.name)
    sides = [[line.rstrip("\r\n") for line in side] for side in (edit.before, edit.after)]
    before, after = (lines_without_secrets(side) for side in sides) if redact else sides
    if before == after and redact:
        return ""
    lines = list(unified_diff(before, after, n=0, lineterm=""))[2:]
    head = f"@@ -{edit.line + 1},{len(edit.before)} +{edit.line + 1},{len(edit.after)} @@"
    body = "\n".join([head, *(line for line in lines if not line.startswith("@@"))])
    return f'User edited "{name}":\n```diff\n{body}\n```'
