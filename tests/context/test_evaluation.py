"""How good retrieval is: which lines are hidden, what is said of them, and by the control API step by step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from context.project import Project, project
from index_harness import following, write

from ghostd.committed import CoChangeScore
from ghostd.config.context import ContextConfig
from ghostd.context.evaluate import HiddenLine, evaluate, hidden_lines
from ghostd.context.scored import score_project
from ghostd.context.service import ContextService
from ghostd.context_reports import EvaluationOrder, RetrievalReport
from ghostd.engine import Engine
from ghostd.errors import GhostdError
from ghostd.local.client import Client
from ghostd.local.evaluate_control import evaluation_routes
from ghostd.local.paths import Paths
from ghostd.resolve.resolver import Resolver
from ghostd.testing.gateway import serving
from ghostd.testing.memory_history import MemoryHistory
from ghostd.testing.scripted import ScriptedProvider

FRUITS = ("apples", "pears", "plums", "nuts", "figs", "limes", "dates", "kiwis")
FILES = {
    "fruit.py": "".join(f"def quantity_of_{name}():\n    return 1\n\n\n" for name in FRUITS),
    **{
        f"use_{name}.py": f"import fruit\n\n\ndef total():\n    value = fruit.quantity_of_{name}()\n    return value\n"
        for name in FRUITS
    },
}


async def reports(shop: Project, order: EvaluationOrder, history: MemoryHistory | None = None) -> list[RetrievalReport]:
    return [report async for report in score_project(shop.retriever, history, order)]


async def test_only_names_that_nothing_but_another_file_tells_are_to_be_found(tmp_path: Path) -> None:
    async with project(tmp_path, FILES) as shop:
        found = await hidden_lines(shop.followed.index, shop.root, 8, seed=3)
        again = await hidden_lines(shop.followed.index, shop.root, 8, seed=3)
        others = await hidden_lines(shop.followed.index, shop.root, 8, seed=3, languages=["zig"])
    assert found
    for line in found:
        (name,) = line.names
        assert name.startswith("quantity_of_")
        assert name not in line.prefix + line.suffix
        text = FILES[str(line.path)]
        assert line.prefix + text.split("\n")[line.line - 1] + line.suffix == text
    assert (again, others) == (found, [])


async def test_each_step_tells_the_recall_so_far_and_the_last_one_co_change(tmp_path: Path) -> None:
    history = MemoryHistory(score=CoChangeScore(hits=6, floor_hits=3, tried=10))
    async with project(tmp_path, FILES) as shop:
        order = EvaluationOrder(str(shop.root), lines=4, seed=1)
        steps = await reports(shop, order, history)
        alone = await reports(shop, order)
    assert [step.done for step in steps] == [*range(steps[0].found + 1), steps[0].found]
    assert [step.finished for step in steps] == [False] * (len(steps) - 1) + [True]
    last = steps[-1]
    assert last.methods["ghostd"]["1000"] == 1.0
    assert set(last.methods) == {"ghostd", "bm25", "outline", "random"}
    assert all(0 <= share <= 1 for shares in last.methods.values() for share in shares.values())
    assert 0 < last.p50_ms <= last.p95_ms and 0 < last.later_p50_ms <= last.later_p95_ms
    assert last.co_change is not None
    assert (last.co_change.tried, last.co_change.hit_at_5, last.co_change.folder_at_5) == (10, 0.6, 0.3)
    assert alone[-1].co_change is None


async def test_another_retriever_is_judged_by_the_same_lines(tmp_path: Path) -> None:
    async def told(hidden: HiddenLine, budget: int) -> str:
        return f"def {min(hidden.names)}()" if budget == 2_000 else "quantity"

    async with project(tmp_path, FILES) as shop:
        lines = await hidden_lines(shop.followed.index, shop.root, 3, seed=3)
        *_, last = [recall async for recall in evaluate(shop.retriever, shop.root, lines, peers={"peer": told})]
    assert last.recall["peer"] == {1_000: 0.0, 2_000: 1.0, 4_000: 0.0}
    assert last.lines == len(lines) == 3


async def test_a_project_without_such_lines_gives_none(tmp_path: Path) -> None:
    async with project(tmp_path, {"a.py": "x = 1\n", "notes.md": "# none\n"}) as shop:
        (first, last) = await reports(shop, EvaluationOrder(str(shop.root), lines=5))
    assert (first.found, last.found, last.finished, last.methods) == (0, 0, True, {})


# --- the control API --------------------------------------------------------------------


class Held(MemoryHistory):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.ended = asyncio.Event(), asyncio.Event()

    async def co_change_score(self, root: Path, commits: int = 200) -> CoChangeScore:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        raise AssertionError


@dataclass(frozen=True)
class AtSocket(Paths):
    """Another socket than the home's."""

    socket: Path

    @property
    def http_socket(self) -> Path:
        return self.socket


@asynccontextmanager
async def control(folder: Path, history: MemoryHistory) -> AsyncIterator[tuple[Client, Path]]:
    root = folder / "project"
    root.mkdir()
    write(root, FILES)
    engine = Engine([ScriptedProvider()])
    async with following(root, folder / "store") as followed:
        resolver = Resolver(followed.index)
        service = ContextService(followed.index, resolver, history, ContextConfig(), lambda: engine.registry)
        async with serving(engine=engine, control=evaluation_routes(service)) as served:
            yield Client(AtSocket(folder, folder, folder, folder, served.socket)), root
        service.close()
        resolver.close()


async def test_the_daemon_tells_each_step(tmp_path: Path) -> None:
    async with control(tmp_path, MemoryHistory(score=CoChangeScore(1, 0, 2))) as (client, root):
        order = EvaluationOrder(str(root), lines=3)
        steps = await asyncio.to_thread(lambda: list(client.evaluate(order)))
        assert [step.done for step in steps] == [0, 1, 2, 3, 3]
        assert (steps[-1].finished, steps[-1].co_change is not None) == (True, True)
        again = await asyncio.to_thread(lambda: list(client.evaluate(order)))
        assert again[-1].methods == steps[-1].methods


async def test_a_client_that_goes_away_ends_the_work_and_only_one_runs_at_a_time(tmp_path: Path) -> None:
    history = Held()
    async with control(tmp_path, history) as (client, root):
        steps = client.evaluate(EvaluationOrder(str(root), lines=1))
        assert (await asyncio.to_thread(next, steps)).done == 0
        async with asyncio.timeout(30):
            await history.asked.wait()
            with pytest.raises(GhostdError, match="being evaluated already"):
                await asyncio.to_thread(next, client.evaluate(EvaluationOrder(str(root), lines=1)))
            await asyncio.to_thread(steps.close)
            await history.ended.wait()
        assert (await asyncio.to_thread(next, client.evaluate(EvaluationOrder(str(root), lines=1)))).done == 0


@pytest.mark.parametrize(
    ("lines", "languages", "told"),
    [(0, (), "lines"), (5001, (), "lines"), (5, ("klingon",), "'klingon' cannot be judged")],
)
async def test_a_wrong_order_is_refused(lines: int, languages: tuple[str, ...], told: str, tmp_path: Path) -> None:
    async with control(tmp_path, MemoryHistory()) as (client, root):
        with pytest.raises(GhostdError, match=told):
            await asyncio.to_thread(next, client.evaluate(EvaluationOrder(str(root), lines, 0, languages)))
        with pytest.raises(GhostdError, match="not one of the indexed folders"):
            await asyncio.to_thread(next, client.evaluate(EvaluationOrder(str(tmp_path), 5)))
