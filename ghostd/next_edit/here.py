"""What a file says by itself of the edits that were made in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ghostd.next_edit.document import Source
from ghostd.next_edit.history import Edit
from ghostd.next_edit.import_lines import new_names
from ghostd.next_edit.proposal import Proposal
from ghostd.next_edit.rename import Renamed, places, renames
from ghostd.next_edit.repeat import fitting, transformations
from ghostd.next_edit.signature import Resigned, calls, resigned

_EDITS = 4
"""How many of the last edits may still be followed up."""


@dataclass(slots=True)
class Here:
    """What follows in the file, and what may follow elsewhere."""

    proposals: list[Proposal] = field(default_factory=list)
    renames: list[Renamed] = field(default_factory=list)
    signatures: list[Resigned] = field(default_factory=list)
    names: dict[str, None] = field(default_factory=dict)
    """That nothing in the file defines or imports."""


def look_here(source: Source, edits: Sequence[Edit], cursor: int) -> Here:
    """`edits` are those of all files, the last one at the end; `cursor` counts characters."""
    here = Here()
    mine = [edit for edit in edits if edit.path == source.file]
    for edit in reversed(mine[-_EDITS:]):
        before = source.before(edit)
        if before is None:
            continue
        earlier = Source(source.root, source.path, before)
        for renamed in renames(source, earlier, edit):
            here.renames.append(renamed)
            here.proposals += places(source, renamed)
        for change in resigned(source, earlier, edit):
            here.signatures.append(change)
            here.proposals += calls(source, change)
        here.names |= dict.fromkeys(new_names(source, earlier, edit, cursor))
    if edits[-1].path == source.file:
        for made, confidence in transformations(mine, source.path):
            here.proposals += fitting(source, made, confidence)
    return here
