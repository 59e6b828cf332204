"""A project in memory, parsed as the index does, to navigate in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ghostd.index.languages import GRAMMARS, language_of
from ghostd.index.parse import parse
from ghostd.indexed import Import, IndexedFile, Reference, Span, Symbol
from ghostd.testing.memory_index import MemoryIndex


async def parsed(root: Path, files: Mapping[str, str]) -> MemoryIndex:
    """An index of these files, which need not lie in `root`."""
    index = await asyncio.to_thread(_parsed, files)
    await index.add_root(root)
    return index


def _parsed(files: Mapping[str, str]) -> MemoryIndex:
    index = MemoryIndex()
    for name, text in files.items():
        path, source = PurePosixPath(name), text.encode()
        language = language_of(path.name)
        index.texts[path] = source
        index.file_list.append(IndexedFile(path, language, len(source), 0, b"\0" * 16))
        if language not in GRAMMARS:
            continue
        found = parse(GRAMMARS[language], source)
        for name_, kind, start, end, name_start, name_end, line, container, signature in found.symbols:
            spans = Span(start, end), Span(name_start, name_end)
            index.symbol_list.append(Symbol(name_, kind, path, *spans, line, container, signature))  # type: ignore[arg-type]
        for row in found.imports:
            module, names, line, as_names, kind, container = row
            index.import_list.append(Import(path, module, tuple(names), line, tuple(as_names), kind, container))  # type: ignore[arg-type]
        for used, starts in found.references.items():
            for start in starts:
                line = source.count(b"\n", 0, start) + 1
                index.reference_list.append(Reference(used.decode(), path, Span(start, start + len(used)), line))
    return index


SHOP = {
    "shop/__init__.py": "",
    "shop/storage.py": (
        '"""Where things are kept."""\n'
        "\n"
        "\n"
        "class Storage:\n"
        '    """Keeps things by name."""\n'
        "\n"
        "    def load_item(self, name):\n"
        '        """Get one thing."""\n'
        "        return self._read(name)\n"
        "\n"
        "    def _read(self, name):\n"
        "        return open_store(name)\n"
        "\n"
        "\n"
        "def open_store(path):\n"
        "    return path\n"
    ),
    "shop/orders.py": (
        "from shop.storage import Storage, open_store\n"
        "\n"
        "\n"
        "def place_order(storage, item):\n"
        "    found = storage.load_item(item)\n"
        "    '😀'; open_store(found)\n"
        "    return found\n"
        "\n"
        "\n"
        "place_order(Storage(), 'tea')\n"
    ),
    "web/orders.ts": (
        "export function placeOrder(item: string) {\n  return open_store(item);\n}\nfunction open_store(x) {}\n"
    ),
    "README.md": "# Shop\n\nopen_store opens it.\n",
}


async def shop(root: Path) -> MemoryIndex:
    """SHOP as the project at `root`."""
    return await parsed(root, SHOP)
