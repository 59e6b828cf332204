"""A project in memory, edited as a user does, to see what is proposed next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from navigation_harness import parsed

from ghostd.config.next_edit import NextEditConfig
from ghostd.next_edit.asked import Asked
from ghostd.next_edit.by_model import ModelEdits
from ghostd.next_edit.history import EditHistory
from ghostd.next_edit.proposal import Proposal
from ghostd.next_edit.service import NextEdits
from ghostd.resolve.resolver import Resolver
from ghostd.testing.memory_index import MemoryIndex


@dataclass(slots=True)
class Project:
    """Its files as an editor has them, and the index as it was before they were edited."""

    root: Path
    index: MemoryIndex
    files: dict[str, str]
    next_edits: NextEdits
    history: EditHistory = field(default_factory=EditHistory)
    cursor: tuple[str, int] = ("", 0)

    def edit(self, name: str, old: str, new: str, nth: int = 0) -> None:
        """Replace one place of a text; the cursor ends behind it."""
        text = self.files[name]
        at = -1
        for _ in range(nth + 1):
            at = text.index(old, at + 1)
        now = text[:at] + new + text[at + len(old) :]
        first = text.count("\n", 0, at)
        before = text.splitlines(keepends=True)[first : text.count("\n", 0, at + len(old)) + 1]
        after = now.splitlines(keepends=True)[first : now.count("\n", 0, at + len(new)) + 1]
        self.history.note(self.root / name, first, before, after)
        self.files[name] = now
        self.cursor = name, at + len(new)

    async def proposals(self, *, with_model: bool = False) -> list[Proposal]:
        """At the cursor."""
        name, offset = self.cursor
        opened = {self.root / file: text for file, text in self.files.items()}
        asked = Asked(
            self.root,
            PurePosixPath(name),
            self.files[name],
            offset,
            self.history.edits,
            self.index,
            opened.get,
            self.history.undone,
            "s",
        )
        return await self.next_edits.propose(asked, with_model=with_model)

    async def followed(self) -> dict[str, str]:
        """The files that differ from before once every proposal was taken."""
        return applied(self.files, await self.proposals())


def applied(files: Mapping[str, str], proposals: Sequence[Proposal]) -> dict[str, str]:
    """The texts of the files that proposals change."""
    changed: dict[str, str] = {}
    for each in sorted(proposals, key=lambda p: (str(p.path), p.start), reverse=True):
        text = changed.get(str(each.path), files[str(each.path)])
        assert text[each.start : each.end] == each.old
        changed[str(each.path)] = text[: each.start] + each.new + text[each.end :]
    return changed


async def project(
    root: Path, files: Mapping[str, str], config: NextEditConfig | None = None, model: ModelEdits | None = None
) -> Project:
    """A project of these files."""
    index = await parsed(root, files)
    return Project(root, index, dict(files), NextEdits(config or NextEditConfig(), Resolver(index), model))
