"""Reads of a store: many at once, and across its replacement."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from index_harness import following, write

pytestmark = pytest.mark.e2e


@pytest.mark.skipif(sys.platform != "linux", reason="open files are listed in /proc")
async def test_many_questions_at_once_open_no_more_files_than_there_are_readers(root: Path, store: Path) -> None:
    write(root, {"app.py": "def found():\n    return 1\n"})

    def opened() -> int:
        links = [str(name.resolve()) for name in Path("/proc/self/fd").iterdir()]
        return len([link for link in links if link.startswith(str(store.resolve()))])

    async with following(root, store) as followed:
        before = opened()
        asked = [followed.index.definitions(root, "found") for _ in range(200)]
        assert all([s.name for s in found] == ["found"] for found in await asyncio.gather(*asked))
        assert 0 < opened() - before <= 4 * 3  # each a store, its log, and the memory they share


async def test_a_question_that_nobody_waits_for_any_more_leaves_the_next_ones_be(root: Path, store: Path) -> None:
    write(root, {"app.py": "def found():\n    return 1\n"})
    async with following(root, store) as followed:
        asked = [asyncio.ensure_future(followed.index.definitions(root, "found")) for _ in range(40)]
        await asyncio.sleep(0)
        for one in asked[::2]:
            one.cancel()
        left = await asyncio.gather(*asked[1::2])
        assert all(len(found) == 1 for found in left)
        assert len(await followed.index.definitions(root, "found")) == 1
