"""What a next-edit model answers: the region of its prompt, between the markers, as it should be."""

from __future__ import annotations

from difflib import SequenceMatcher

from ghostd.context.secrets_in_text import REDACTED
from ghostd.next_edit.document import Source
from ghostd.next_edit.model_prompt import CURSOR, END, MARKERS, START, Prompt
from ghostd.next_edit.proposal import Proposal, propose

_CONFIDENCE = 0.6
_MAX_CHANGED = 0.6
"""The share of the region's lines that a next edit changes at most: more is another text, no edit."""


def proposals_of(source: Source, prompt: Prompt, answer: str, model: str) -> list[Proposal]:
    """One for each run of lines that the model changes; none for an answer of another form.

    Lines that hold a secret the model has not seen stay as they are.
    """
    region = _region(answer)
    if region is None:
        return []
    before, after = prompt.lines, [line.removesuffix("\r") for line in region.split("\n")]
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    codes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    if sum(max(i2 - i1, j2 - j1) for _, i1, i2, j1, j2 in codes) > max(_MAX_CHANGED * len(before), 3):
        return []
    reason = f"{model} proposes it."
    found = []
    for _, first, behind, new_first, new_behind in codes:
        lines = after[new_first:new_behind]
        if prompt.hidden.intersection(range(first, behind)) or (prompt.hidden and REDACTED in "".join(lines)):
            continue
        start, end, text = _replacement(source, prompt, first, behind, lines)
        found.append(propose(source, start, end, text, "model", reason, _CONFIDENCE))
    return found


def _region(answer: str) -> str | None:
    """The rewritten region; None for an answer that does not keep to the format."""
    if answer.count(START) != 1 or answer.count(END) != 1:
        return None
    before, _, rest = answer.partition(START)
    region, end, _ = rest.partition(END)
    if not end or not region.startswith("\n") or before.strip().strip("`").count("\n") > 2:
        return None
    region = region.removeprefix("\n").removesuffix("\n").replace(CURSOR, "")
    return None if any(marker in region for marker in MARKERS) else region


def _replacement(source: Source, prompt: Prompt, first: int, behind: int, lines: list[str]) -> tuple[int, int, str]:
    """(start, end, text) that puts these lines in place of some of the region's; its last line keeps its end."""
    starts, last = prompt.starts, len(prompt.lines)
    ending = "\r\n" if "\r\n" in source.text[starts[0] : starts[-1]] else "\n"
    start, end = starts[first], starts[behind]
    if lines and first < behind:  # within their lines: editors show no other ghost text
        return start, source.line_span(source.line_of(starts[behind - 1]))[1], ending.join(lines)
    if behind < last:
        return start, end, "".join(line + ending for line in lines)
    if first == last:
        return end, end, "".join(ending + line for line in lines)
    return (source.line_span(source.line_of(start) - 1)[1] if first else start), end, ""
