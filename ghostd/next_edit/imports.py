"""A name is used that the project defines in one place, and the file does not import: the import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ghostd.indexed import Symbol
from ghostd.navigation.families import family_of
from ghostd.next_edit.aside import Aside
from ghostd.next_edit.asked import Asked
from ghostd.next_edit.document import Source
from ghostd.next_edit.import_lines import import_of
from ghostd.next_edit.module_names import module_as_written, python_module, rust_module, script_module
from ghostd.next_edit.proposal import Proposal
from ghostd.resolve.resolver import Resolver

_MAX_IMPORTERS = 12
_MAX_DEFINITIONS = 20


@dataclass(frozen=True, slots=True)
class Imports:
    """Proposes import lines."""

    resolver: Resolver
    aside: Aside

    async def proposals(self, asked: Asked, source: Source, names: Sequence[str]) -> list[Proposal]:
        """For names that nothing in the file defines or imports."""
        found = []
        for name in names:
            symbol = await self._definition(asked, source, name)
            module = "" if symbol is None else await self._module(asked, source, symbol)
            if module:
                found.append(await self.aside.run(import_of, source, name, module))
        return found

    async def _definition(self, asked: Asked, source: Source, name: str) -> Symbol | None:
        """The one definition of a name at the top of a file that can be imported."""
        symbols = await asked.view.definitions(asked.root, name, _MAX_DEFINITIONS)
        able = [
            s
            for s in symbols
            if not s.container and family_of(s.path) == source.family and not _is_test(s.path) and s.path != source.path
        ]
        return able[0] if len({s.path for s in able}) == 1 and len(symbols) < _MAX_DEFINITIONS else None

    async def _module(self, asked: Asked, source: Source, symbol: Symbol) -> str:
        """How the file calls the module of a definition: as other files do, else as its path says."""
        paths = (await self.resolver.importers(asked.root, symbol.path))[:_MAX_IMPORTERS]
        others = [await self.resolver.imports(asked.root, path, asked.view) for path in paths]
        written = await self.aside.run(module_as_written, symbol.path, others)
        if written:
            return written
        if source.family == "python":
            return await self.aside.run(python_module, symbol.path, await asked.view.files(asked.root))
        if source.family == "rust":
            return rust_module(symbol.path)
        exported = await _is_exported(asked, symbol)
        return await self.aside.run(script_module, source, symbol.path) if exported else ""


def _is_test(path: PurePosixPath) -> bool:
    return any(part in ("tests", "test", "__tests__", "testdata", "fixtures") for part in path.parts[:-1]) or (
        path.name.startswith("test_") or ".test." in path.name or ".spec." in path.name
    )


async def _is_exported(asked: Asked, symbol: Symbol) -> bool:
    data = await asked.view.text(asked.root, symbol.path)
    if data is None:
        return False
    line = data[data.rfind(b"\n", 0, symbol.span.start) + 1 : symbol.name_span.start]
    return line.lstrip().startswith(b"export ") and b"default" not in line
