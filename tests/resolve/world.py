"""A project of files in memory, indexed for real."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from index_harness import Followed, following, write

from ghostd.resolve.resolver import Resolver


@dataclass
class Resolving:
    """A resolver over one root."""

    followed: Followed
    resolver: Resolver

    @property
    def root(self) -> Path:
        return self.followed.root

    async def targets(self, path: str) -> dict[str, list[str] | str]:
        """Module as written → its files; "external", or "nowhere"."""
        found: dict[str, list[str] | str] = {}
        for item in await self.resolver.imports(self.root, PurePosixPath(path)):
            files = [str(target) for target in item.targets]
            found[item.statement.module] = files or ("external" if item.external else "nowhere")
        return found

    async def behind(self, path: str, name: str) -> list[str]:
        """ "path:line" of each definition."""
        found = await self.resolver.behind(self.root, PurePosixPath(path), name)
        return [f"{symbol.path}:{symbol.line}" for symbol in found]

    async def module_of(self, path: str, name: str) -> list[str]:
        """The files of a module."""
        return [str(file) for file in await self.resolver.module_of(self.root, PurePosixPath(path), name)]

    async def importers(self, path: str) -> list[str]:
        """Who imports a file."""
        return [str(file) for file in await self.resolver.importers(self.root, PurePosixPath(path))]

    async def members(self, path: str, name: str) -> list[str]:
        """Signatures of a type's members."""
        (symbol,) = await self.resolver.behind(self.root, PurePosixPath(path), name)
        return [member.signature for member in await self.resolver.members(self.root, symbol)]

    async def doc(self, path: str, name: str) -> str:
        """What is written of a definition."""
        (symbol,) = await self.resolver.behind(self.root, PurePosixPath(path), name)
        return await self.resolver.doc(self.root, symbol)

    async def tests_of(self, path: str, name: str = "") -> list[str]:
        """ "path name" of each test."""
        found = await self.resolver.tests_of(self.root, PurePosixPath(path), name)
        return [f"{symbol.path} {symbol.name}" for symbol in found]


@asynccontextmanager
async def resolving(folder: Path, files: dict[str, str]) -> AsyncIterator[Resolving]:
    """A resolver over a project of these files."""
    root = folder / "project"
    root.mkdir()
    write(root, files)
    async with following(root, folder / "store") as followed:
        resolver = Resolver(followed.index)
        try:
            yield Resolving(followed, resolver)
        finally:
            resolver.close()
