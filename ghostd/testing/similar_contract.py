"""What every Similar must do."""

# ruff: noqa: D102 (the names of the tests say it)

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from ghostd.code_ports import Similar
from ghostd.errors import RootError

SAMPLE = {
    PurePosixPath("bread.py"): "def bake(flour, yeast, oven):\n    return oven.bake(flour + yeast)\n",
    PurePosixPath("stars.py"): "def orbit(planet, star, gravity):\n    return gravity * planet / star\n",
    PurePosixPath("tax.py"): "def levy(income, rate, year):\n    return income * rate\n",
    PurePosixPath("copy/tax.py"): "def levy(income, rate, year):\n    return income * rate\n",
}
WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A Similar whose chunks of SAMPLE have vectors."""

    similar: Similar
    root: Path


class SimilarContract(ABC):
    """The tests; the model behind is one that puts texts close to each other that share words."""

    @abstractmethod
    def opened(self, folder: Path) -> AbstractAsyncContextManager[Opened]:
        """A Similar over an index of SAMPLE, with all its chunks embedded; `folder` may be used."""

    @pytest.fixture
    def words(self) -> str:
        """A text about planets."""
        return "planet star gravity orbit"

    async def test_the_closest_chunk_comes_first_and_scores_fall(self, tmp_path: Path, words: str) -> None:
        async with self.opened(tmp_path) as it:
            found = await it.similar.similar(it.root, await it.similar.vector(words))
            assert found[0].chunk.path == PurePosixPath("stars.py")
            assert (found[0].chunk.first_line, found[0].chunk.last_line) == (1, 2)
            scores = [one.score for one in found]
            assert scores == sorted(scores, reverse=True)
            assert all(0 < score <= 1.001 for score in scores)

    async def test_a_file_can_be_left_out_and_the_number_is_limited(self, tmp_path: Path, words: str) -> None:
        async with self.opened(tmp_path) as it:
            vector = await it.similar.vector(words + " flour yeast income rate")
            everything = await it.similar.similar(it.root, vector)
            best = everything[0].chunk.path
            others = await it.similar.similar(it.root, vector, leave_out=best)
            assert best not in {one.chunk.path for one in others}
            assert await it.similar.similar(it.root, vector, 1) == everything[:1]
            assert list(await it.similar.similar(it.root, vector, 0)) == []
            assert list(await it.similar.similar(it.root, vector, -1)) == []

    async def test_of_files_with_equal_content_one_is_named(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as it:
            vector = await it.similar.vector("income rate year levy")
            first = [one.chunk.path for one in await it.similar.similar(it.root, vector)]
            taxes = [path for path in first if path.name == "tax.py"]
            assert len(taxes) == 1
            (other,) = {PurePosixPath("tax.py"), PurePosixPath("copy/tax.py")} - set(taxes)
            again = await it.similar.similar(it.root, vector, leave_out=taxes[0])
            assert other in [one.chunk.path for one in again]

    async def test_what_cannot_be_compared_finds_nothing(self, tmp_path: Path, words: str) -> None:
        async with self.opened(tmp_path) as it:
            vector = await it.similar.vector(words)
            for wrong in ((), (1.0,), tuple(vector)[:-1], tuple([0.0] * len(vector))):
                assert list(await it.similar.similar(it.root, wrong)) == []
            assert list(await it.similar.similar(tmp_path / "elsewhere", vector)) == []

    async def test_the_state_tells_how_many_chunks_have_vectors(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as it:
            async with asyncio.timeout(WAIT_S):
                state = await it.similar.wait_embedded(it.root)
            assert state == it.similar.state(it.root)
            assert state.state == "ready"
            assert state.embedded == state.chunks > 0
            assert it.similar.state(tmp_path / "elsewhere").embedded == 0
            with pytest.raises(RootError):
                await it.similar.wait_embedded(tmp_path / "elsewhere")
