"""What resolving answers with. Paths are relative to their root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ghostd.indexed import Import


@dataclass(frozen=True, slots=True)
class ResolvedImport:
    """An import and the files of the root that it means."""

    statement: Import
    targets: tuple[PurePosixPath, ...]
    """The module's file first, then those of imported names that are modules themselves. Empty: none in the root."""
    external: bool
    """Whether it means something outside the root: a dependency, or the language's own library."""
    detail: str = ""
    """For people: by which rule it was found, or why nothing was."""


@dataclass(frozen=True, slots=True)
class ModuleGraph:
    """Which files import which. A file is its index in `paths`."""

    generation: int
    """The root's, when the graph was made."""
    paths: tuple[PurePosixPath, ...]
    """All files of languages whose imports are resolved, ordered."""
    imports: tuple[tuple[int, ...], ...]
    """For each file those that it imports, each once, ascending; never itself."""
    importers: tuple[tuple[int, ...], ...]
    """The reverse."""
    external: Mapping[str, int] = field(default_factory=dict)
    """Dependency, by the name it is imported by → in how many files."""
    unresolved: int = 0
    """Imports that look internal, and lead to no file."""
    total: int = 0
    """All imports."""

    def index_of(self, path: PurePosixPath) -> int | None:
        """The index of a file; None when it is not in the graph."""
        return self._places.get(path)

    def imports_of(self, path: PurePosixPath) -> Sequence[PurePosixPath]:
        """The files that this one imports."""
        place = self._places.get(path)
        return () if place is None else tuple(self.paths[i] for i in self.imports[place])

    def importers_of(self, path: PurePosixPath) -> Sequence[PurePosixPath]:
        """The files that import this one."""
        place = self._places.get(path)
        return () if place is None else tuple(self.paths[i] for i in self.importers[place])

    _places: dict[PurePosixPath, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", {path: place for place, path in enumerate(self.paths)})
