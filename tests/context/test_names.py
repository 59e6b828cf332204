"""Which names a project defines, and which of them are likely at a place."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from context.project import project
from index_harness import write

from ghostd.context import known


async def test_the_names_that_a_project_defines_follow_its_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "DEFINED_S", 0.0)
    async with project(tmp_path, {"one.py": "def fetch_row(): ...\n"}) as shop:
        defined = shop.retriever.parts.known.defined
        assert await defined(shop.root) == {"fetch_row"}
        write(shop.root, {"two.py": "def store_row(): ...\n"})
        await shop.followed.until_defined("store_row")
        assert await defined(shop.root) == {"fetch_row"}  # what is known stands while it is read again
        await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "read defined names"])
        assert await defined(shop.root) == {"fetch_row", "store_row"}


async def test_a_name_of_the_words_nearby_that_the_project_defines_is_told_first(tmp_path: Path) -> None:
    filler = "".join(f"    line_{number} = print({number})\n" for number in range(12))
    files = {
        "orders.py": "import baskets\n\n\ndef add_order(basket):\n    basket.\n",
        "baskets.py": f"def remove_order(basket):\n{filler}",
        "weather.py": f"def wind_of(basket):\n{filler}",
    }
    async with project(tmp_path, files) as shop:
        found = await shop.at("orders.py", "    basket.")
    assert "def remove_order" in found.chunks[0].text
    assert "tells of remove_order, which may be next" in found.chunks[0].why
    assert all(chunk.score < found.chunks[0].score for chunk in found.chunks if str(chunk.path) == "weather.py")


async def test_what_tells_no_new_name_comes_last(tmp_path: Path) -> None:
    files = {
        "orders.py": "def total(basket):\n    return basket\n\n\ntotal(\n",
        "one.py": "x = total(basket)\n",
        "baskets.py": "def total_of_baskets(basket):\n    pass\n",
    }
    async with project(tmp_path, files) as shop:
        found = await shop.at("orders.py", "\n\ntotal(")
    assert [chunk.text for chunk in found.chunks if chunk.source == "search"] == [
        "def total_of_baskets(basket):\n    pass",
        "x = total(basket)",
    ]
