"""A small project to make maps of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from index_harness import following, write

from ghostd.analysis.analyst import Analyst
from ghostd.resolve.resolver import Resolver

PROJECT = {
    "shop/__init__.py": "",
    "shop/storage.py": (
        "class Storage:\n"
        "    def load_item(self, name):\n"
        "        def hidden_inside(): ...\n"
        "        return name\n"
        "\n"
        "    def keep_item(self, item): ...\n"
    ),
    "shop/orders.py": (
        "from shop.storage import Storage\n\n\ndef place_order(storage, name):\n    return Storage().load_item(name)\n"
    ),
    "far/other.py": "class DistantBox:\n    def weigh(self): ...\n\n\ndef distant_thing(): ...\n",
    "far/use_other.py": "from far.other import DistantBox, distant_thing\n\nDistantBox(distant_thing()).weigh()\n",
}


@asynccontextmanager
async def mapped(folder: Path, files: Mapping[str, str] = PROJECT) -> AsyncIterator[tuple[Analyst, Path]]:
    """An analyst of a project of these files, and its root."""
    root = folder / "project"
    root.mkdir(parents=True)
    write(root, dict(files))
    async with following(root, folder / "store") as followed:
        resolver = Resolver(followed.index)
        try:
            yield Analyst(followed.index, resolver), root
        finally:
            resolver.close()
