"""What embeddings add to what is quoted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath

from context.project import Project, project

from ghostd.context.retriever import Retriever
from ghostd.context.similar import LINES_AFTER, LINES_BEFORE, NOTE, PlaceVectors, text_around
from ghostd.embedded import Vector
from ghostd.errors import UpstreamUnreachable
from ghostd.resolve.resolver import Resolver
from ghostd.testing.memory_similar import MemorySimilar

FILES = {
    "bread.py": "def knead(dough):\n    # flour yeast oven\n    return dough\n",
    "stars.py": "def turn(body):\n    # planet star gravity\n    return body\n",
    "app.py": "class Kitchen:\n    def work(self):\n        # flour yeast oven\n        x = 1\n\n        y = 2\n",
}


class Slow(MemorySimilar):
    """Waits for `hold`, and fails with `error`."""

    hold: asyncio.Event
    error: Exception | None = None

    async def vector(self, text: str) -> Vector:
        vector = await super().vector(text)
        await self.hold.wait()
        if self.error is not None:
            raise self.error
        return vector


@asynccontextmanager
async def similar_project(folder: Path) -> AsyncIterator[tuple[Project, Slow]]:
    async with project(folder, FILES) as plain:
        index = plain.followed.index
        similar = Slow(index)
        similar.hold = asyncio.Event()
        resolver = Resolver(index)
        retriever = Retriever(index, resolver, similar=similar)
        try:
            yield Project(plain.followed, retriever), similar
        finally:
            retriever.close()
            resolver.close()


def told(context: object) -> dict[str, tuple[str, ...]]:
    """Path → reasons, of what is quoted."""
    return {str(chunk.path): chunk.why for chunk in context.chunks}  # type: ignore[attr-defined]


async def vectors_done(it: Project) -> None:
    places = it.retriever.parts.places
    assert places is not None
    assert places._task is not None
    async with asyncio.timeout(10):
        await places._task


async def test_one_who_waits_gets_what_is_similar_with_its_reason(tmp_path: Path) -> None:
    async with similar_project(tmp_path) as (it, similar):
        similar.hold.set()
        context = await it.at("app.py", "x = 1", patient=True)
        assert NOTE in told(context)["bread.py"]
        assert "similar" not in context.late
        assert similar.asked[0].startswith("app.py\ndef work(self)")
        assert "        # flour yeast oven" in similar.asked[0]


async def test_a_keystroke_never_waits_for_the_model(tmp_path: Path) -> None:
    async with similar_project(tmp_path) as (it, similar):
        first = await it.at("app.py", "x = 1", session="s")
        assert "similar" in first.late
        assert NOTE not in str(told(first))
        similar.hold.set()
        await vectors_done(it)
        second = await it.at("app.py", "x = 1", session="s")
        assert NOTE in told(second)["bread.py"]
        assert "similar" not in second.late


async def test_typing_in_a_line_asks_the_model_once_and_another_line_again(tmp_path: Path) -> None:
    async with similar_project(tmp_path) as (it, similar):
        similar.hold.set()
        for after in ("x", "x ", "x =", "x = 1"):
            await it.at("app.py", after, session="s", patient=True)
        assert len(similar.asked) == 1
        await it.at("app.py", "y", session="s", patient=True)
        assert len(similar.asked) == 2
        await it.at("app.py", "y", session="other", patient=True)
        assert len(similar.asked) == 3


async def test_while_a_new_vector_is_made_the_old_one_of_these_lines_counts(tmp_path: Path) -> None:
    async with similar_project(tmp_path) as (it, similar):
        similar.hold.set()
        await it.at("app.py", "x = 1", session="s", patient=True)
        similar.hold.clear()
        context = await it.at("app.py", "y = ", session="s")
        assert NOTE in told(context)["bread.py"]
        assert "similar" not in context.late
        similar.hold.set()


async def test_the_deadline_holds_for_one_who_waits(tmp_path: Path) -> None:
    async with similar_project(tmp_path) as (it, _):
        context = await it.at("app.py", "x = 1", patient=True, deadline_s=0.3)
        assert "similar" in context.late


async def test_a_model_that_failed_is_left_alone_for_a_while(tmp_path: Path) -> None:
    async with similar_project(tmp_path) as (it, similar):
        similar.hold.set()
        similar.error = UpstreamUnreachable("gone", "acme")
        first = await it.at("app.py", "x = 1", patient=True)
        assert "similar" in first.late
        second = await it.at("app.py", "y", patient=True)
        assert "similar" not in second.late
        assert len(similar.asked) == 1
        assert second.candidates > 0


async def test_only_the_last_place_in_a_file_is_worth_a_vector(tmp_path: Path) -> None:
    async with similar_project(tmp_path) as (it, similar):
        await it.at("app.py", "class", session="s")
        await it.at("app.py", "# flour", session="s")
        await it.at("app.py", "x = 1", session="s")
        await it.at("app.py", "y = 2", session="s")
        similar.hold.set()
        await vectors_done(it)
        assert len(similar.asked) == 2  # the one under way, and the last


async def test_a_session_that_ended_is_forgotten(tmp_path: Path) -> None:
    async with similar_project(tmp_path) as (it, similar):
        similar.hold.set()
        await it.at("app.py", "x = 1", session="s", patient=True)
        it.retriever.forget_session("s")
        places = it.retriever.parts.places
        assert isinstance(places, PlaceVectors)
        assert not places._known


def test_the_text_of_a_place_is_bounded() -> None:
    prefix = "".join(f"before {n}\n" for n in range(500)) + "own"
    suffix = " line\n" + "".join(f"after {n}\n" for n in range(500))
    text, about = text_around(prefix, suffix, (), PurePosixPath("a.py"))
    lines = text.split("\n")
    assert len(lines) == 1 + LINES_BEFORE + 1 + LINES_AFTER
    assert (lines[0], lines[1], lines[-1]) == ("a.py", f"before {500 - LINES_BEFORE}", f"after {LINES_AFTER - 1}")
    assert "own line" in text
    assert "own" not in about
    assert len(text_around("x" * 10**6, "y" * 10**6, (), PurePosixPath("a.py"))[0]) < 20_000


def test_the_text_of_a_place_has_no_part_of_a_private_key() -> None:
    key = "".join(f"secret{n}\n" for n in range(40))
    begin, end = "-----BEGIN PRIVATE KEY-----\n", "-----END PRIVATE KEY-----\n"
    for prefix, suffix in (
        (f"a = 1\n{begin}{key}{end}behind = 2\n", "\nrest\n"),
        (f"a = 1\n{begin}{key}", f"{key}{end}rest\n"),
        (f"a = 1\n{begin}{key}", f"{key}rest\n"),
    ):
        text, about = text_around(prefix, suffix, (), PurePosixPath("a.py"))
        assert "secret" not in text + about
    assert "behind = 2" in text_around(f"{begin}{key}{end}behind = 2\n", "", (), PurePosixPath("a.py"))[0]
