"""What a file says by itself of the edits that were made in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ghostd.next_edit.changes import changes, renamed
from ghostd.next_edit.document import Source
from ghostd.next_edit.history import Edit
from ghostd.next_edit.import_lines import new_names
from ghostd.next_edit.proposal import Proposal
from ghostd.next_edit.rename import Renamed, places, renames
from ghostd.next_edit.repeat import fitting, transformations
from ghostd.next_edit.signature import Resigned, calls, resigned
from ghostd.next_edit.tokens import code, tokens_in

_EDITS = 4
"""How many of the last edits may still be followed up, those apart that only followed an older one."""


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
    for at in _leading(mine):
        edit = mine[at]
        before = source.before(edit)
        if before is None:
            continue
        earlier = Source(source.root, source.path, before)
        for renaming in renames(source, earlier, edit, mine[at + 1 :]):
            here.renames.append(renaming)
            here.proposals += places(source, renaming)
        for change in resigned(source, earlier, edit):
            here.signatures.append(change)
            here.proposals += calls(source, change)
        here.names |= dict.fromkeys(new_names(source, earlier, edit, cursor))
    if edits[-1].path == source.file:
        for made, confidence in transformations(mine, source.path):
            here.proposals += fitting(source, made, confidence)
    return here


def _leading(edits: Sequence[Edit]) -> list[int]:
    """Which edits to follow up, the last one first: who takes the places of a rename one by one wants the next."""
    names = [_renamed(edit) for edit in edits]
    leading = [at for at, each in enumerate(names) if not each or not any(each <= older for older in names[:at])]
    return leading[: -_EDITS - 1 : -1]


def _renamed(edit: Edit) -> frozenset[tuple[str, str]]:
    """The names that it replaced by others, if it did nothing else."""
    before, after = (code(tokens_in("".join(lines), edit.path)) for lines in (edit.before, edit.after))
    found = {old: new for old, (new, _) in renamed(before, after, changes(before, after)).items()}
    same = [found.get(token.text, token.text) for token in before] == [token.text for token in after]
    return frozenset(found.items()) if same else frozenset()
