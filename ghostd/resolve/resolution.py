"""What every language's resolver is: import statements to files of one root, without touching the disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from ghostd.indexed import Import


class Resolution(NamedTuple):
    """The files an import means; paths as text."""

    targets: tuple[str, ...] = ()
    """The module's own first."""
    external: bool = False
    detail: str = ""
    submodules: Mapping[str, tuple[str, ...]] = {}
    """Imported name → its files, where the name is a module."""
    rest: tuple[str, ...] = ()
    """The end of the module's path that is no file: inline modules, types, or modules given on by the first target."""


EXTERNAL = Resolution(external=True, detail="a dependency or the language's own library")


class LanguageResolver(Protocol):
    """Made anew when files come or go, or a manifest changes. Methods are quick and never raise."""

    def resolve(self, path: str, statement: Import) -> Resolution:
        """The files that an import in the file `path` means."""
        ...

    def submodule(self, module: str, name: str) -> tuple[str, ...]:
        """The files of the module `name` inside of the module whose file or folder is `module`; () if there is none."""
        ...
