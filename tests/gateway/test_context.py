"""`POST /v1/ghostd/context`."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import aiohttp
import pytest
from index_harness import Followed, following, write

from ghostd.code_ports import GitHistory
from ghostd.committed import BlameSpan, CommitInfo, FileChange, HistoryState, Hunk, SymbolCoChange
from ghostd.config.context import ContextConfig
from ghostd.config.providers import ProviderConfig
from ghostd.config.settings import Config
from ghostd.context.service import ContextService
from ghostd.context.together import committed
from ghostd.engine import Engine
from ghostd.gateway.doors import context_doors
from ghostd.ports import Provider
from ghostd.resolve.resolver import Resolver
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import serving
from ghostd.testing.memory_history import MemoryHistory
from ghostd.testing.scripted import ScriptedProvider, ScriptedUpstreamProvider

KEY = "sk-ant-" + "a1B2" * 8
FILES = {
    "storage.py": "class Storage:\n    def fetch_row(self, key: str) -> str:\n        return key\n",
    "orders.py": "from storage import Storage\n\n\ndef load(store: Storage):\n    row = store.\n    print('ä😀', a)\n",
    "settings.py": f'fetch_key = "{KEY}"  # store row\n',
    "notes.txt": "nothing of interest\n",
}


@dataclass(frozen=True, slots=True)
class Door:
    url: str
    root: Path
    client: aiohttp.ClientSession
    followed: Followed
    service: ContextService

    async def post(self, **body: object) -> tuple[int, Any]:
        return await self.send(json.dumps(body).encode())

    async def send(self, data: bytes) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        async with self.client.post(f"{self.url}/v1/ghostd/context", data=data, headers=headers) as reply:
            return reply.status, await reply.json()

    async def shown(self, **body: object) -> Any:
        status, reply = await self.post(**body)
        assert status == 200, reply
        return reply

    async def refused(self, **body: object) -> tuple[int, str | None, str]:
        """Status, param and message."""
        status, reply = await self.post(**body)
        assert status >= 400, reply
        assert reply["error"]["type"] == "invalid_request_error"
        return status, reply["error"]["param"], reply["error"]["message"]


@asynccontextmanager
async def door(
    folder: Path,
    providers: Sequence[Provider] = (),
    settings: ContextConfig | None = None,
    engine: Engine | None = None,
    history: GitHistory | None = None,
) -> AsyncIterator[Door]:
    root = folder / "shop"
    root.mkdir()
    write(root, FILES)
    (folder / "secret.py").write_text("store_row = 'outside'\n")
    engine = engine or Engine(providers or [ScriptedProvider()])
    async with following(root, folder / "store") as followed:
        resolver = Resolver(followed.index)
        config = settings or ContextConfig(deadline_ms=30_000)
        service = ContextService(followed.index, resolver, history, config, lambda: engine.registry)
        try:
            async with (
                serving(engine=engine, doors=[context_doors(service)]) as served,
                aiohttp.ClientSession() as client,
            ):
                yield Door(served.url, root, client, followed, service)
        finally:
            service.close()
            resolver.close()


async def test_what_would_be_quoted_is_told_with_source_score_tokens_and_reasons(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        reply = await shop.shown(path=str(shop.root / "orders.py"), line=5, column=17)
    assert set(reply) == {
        "root", "path", "line", "column", "chunks", "left_out", "tokens", "budget", "counter", "candidates", "seconds",
        "late", "redactions", "redacted", "prompt", "inside", "changed_together", "last_changes",
        "object",
    }  # fmt: skip
    assert (reply["root"], reply["path"], reply["line"], reply["column"]) == (str(shop.root), "orders.py", 5, 17)
    assert (reply["budget"], reply["late"], reply["redacted"], reply["redactions"]) == (1000, [], False, 0)
    assert reply["counter"] == {"model": "", "exact": False, "bytes_per_token": 4.0}
    outline = next(chunk for chunk in reply["chunks"] if chunk["source"] == "outline" and chunk["path"] == "storage.py")
    assert "def fetch_row(self, key: str) -> str" in outline["text"]
    assert 0 < outline["score"] <= 1
    assert outline["why"]
    assert reply["tokens"] == sum(chunk["tokens"] for chunk in reply["chunks"]) <= 1000
    for chunk in reply["chunks"]:
        assert f"# {chunk['path']}\n{chunk['text']}\n" in reply["prompt"]
    assert "orders.py" not in {chunk["path"] for chunk in reply["chunks"]}


async def test_paths_may_be_relative_to_a_root(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        absolute = await shop.shown(path=str(shop.root / "orders.py"), line=5)
        alone = await shop.shown(path="orders.py", line=5)
        named = await shop.shown(path="./sub/../orders.py", root=f"{shop.root}/", line=5)
    assert absolute["chunks"] == alone["chunks"] == named["chunks"]


@pytest.mark.parametrize(
    ("body", "column"),
    [({"column": 1}, 1), ({"column": 13}, 13), ({"column": 99}, 19), ({}, 19), ({"hide_line": True}, 0)],
)
async def test_columns_count_characters_and_end_with_the_line(
    body: dict[str, object], column: int, tmp_path: Path
) -> None:
    async with door(tmp_path) as shop:
        assert (await shop.shown(path="orders.py", line=6, **body))["column"] == column


async def test_a_hidden_line_does_not_tell_what_to_look_for(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        text = "x = 1\nfetch_row(\n"
        shown = await shop.shown(path="new.py", line=2, text=text)
        hidden = await shop.shown(path="new.py", line=2, text=text, hide_line=True)
    assert "def fetch_row" in shown["prompt"]
    assert "def fetch_row" not in hidden["prompt"]


async def test_the_editors_text_counts_and_its_imports_too_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    """The document's text is no part of the index, and nobody else sees it."""
    text = "from storage import Storage\n\nvalue = "
    async with door(tmp_path) as shop:
        before = await shop.shown(path="notes.txt", line=1)
        edited = await shop.shown(path="new.py", line=3, text=text)
        split = await shop.shown(path="new.py", prefix=text, suffix="")
        after = await shop.shown(path="notes.txt", line=1)
        assert (await shop.refused(path="new.py", line=3))[:2] == (400, "path")
    assert edited["chunks"] == split["chunks"]
    assert (edited["line"], edited["column"]) == (split["line"], split["column"]) == (3, 9)
    assert any(
        "from an imported file" in " ".join(c["why"]) or "import" in " ".join(c["why"]) for c in edited["chunks"]
    )
    assert before["chunks"] == after["chunks"]


async def test_secrets_are_taken_out_on_demand(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        plain = await shop.shown(path="orders.py", line=5)
        clean = await shop.shown(path="orders.py", line=5, redact=True)
    assert KEY in plain["prompt"]
    assert (KEY in json.dumps(clean), clean["redacted"], clean["redactions"]) == (False, True, 1)


async def test_secrets_are_taken_out_where_the_model_is_elsewhere(tmp_path: Path) -> None:
    config = Config(providers={"far": ProviderConfig(preset="openai-compatible", models=("gpt",))})
    far = ScriptedUpstreamProvider(name="far", models=("gpt",))
    engine = Engine(registry=Registry(config, [ScriptedProvider(model="here")], {"far": [far]}))
    async with door(tmp_path, engine=engine) as shop:
        there = await shop.shown(path="orders.py", line=5, model="far/gpt")
        here = await shop.shown(path="orders.py", line=5, model="here")
        wanted = await shop.shown(path="orders.py", line=5, model="far/gpt", redact=False)
    assert (there["redacted"], here["redacted"], wanted["redacted"]) == (True, False, False)
    assert there["counter"] == {"model": "far/gpt", "exact": False, "bytes_per_token": 4.0}


class Words(ScriptedProvider):
    """A local model whose every 3 characters are a token."""

    async def tokenize(self, model: str, text: str, *, special: bool, bos: bool) -> Sequence[int]:
        return [0] * -(-len(text) // 3)

    async def count_tokens(self, request: Any) -> int:
        raise AssertionError

    async def pieces(self, model: str, tokens: Sequence[int]) -> Sequence[bytes]:  # type: ignore[override]
        raise AssertionError

    async def detokenize(self, model: str, tokens: Sequence[int]) -> bytes:
        raise AssertionError

    async def render(self, request: Any) -> str:
        raise AssertionError

    def chat_template(self, model: str) -> str:
        raise AssertionError


@pytest.mark.parametrize("budget", [10, 30, 60, 1000])
async def test_a_models_own_tokenizer_counts_where_there_is_one(budget: int, tmp_path: Path) -> None:
    async with door(tmp_path, [Words(model="counts")]) as shop:
        for _ in range(2):  # the second time the ratio is known
            reply = await shop.shown(path="orders.py", line=5, model="counts", max_tokens=budget)
            assert reply["counter"]["exact"] is True
            assert reply["tokens"] == sum(chunk["tokens"] for chunk in reply["chunks"]) <= budget
            for chunk in reply["chunks"]:
                assert chunk["tokens"] == -(-len(f"# {chunk['path']}\n{chunk['text']}\n\n") // 3)


async def test_null_counts_as_absent(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        absent = dict.fromkeys(
            ("root", "column", "text", "prefix", "suffix", "hide_line", "max_tokens", "deadline_ms", "model", "redact")
        )
        path = str(shop.root / "orders.py")
        assert (await shop.shown(path=path, line=5, **absent))["chunks"] == (await shop.shown(path=path, line=5))[
            "chunks"
        ]


async def test_what_is_wrong_is_refused_with_the_field(tmp_path: Path) -> None:
    good: dict[str, object] = {"path": "orders.py", "line": 5}
    wrong: list[tuple[dict[str, object], str]] = [
        ({"line": 5}, "path"),
        ({"path": "orders.py"}, "line"),
        (good | {"path": ""}, "path"),
        (good | {"path": "a\0b"}, "path"),
        (good | {"path": "x" * 5000}, "path"),
        (good | {"path": "../secret.py"}, "path"),
        (good | {"path": "/etc/passwd"}, "path"),
        (good | {"path": "."}, "path"),
        (good | {"path": "gone.py"}, "path"),
        (good | {"root": "/etc"}, "root"),
        (good | {"root": "/"}, "root"),
        (good | {"root": "shop"}, "root"),
        (good | {"line": 0}, "line"),
        (good | {"line": 8}, "line"),
        (good | {"line": 10**30}, "line"),
        (good | {"line": "5"}, "line"),
        (good | {"line": 5.5}, "line"),
        (good | {"column": 0}, "column"),
        (good | {"column": 3, "hide_line": True}, "column"),
        (good | {"max_tokens": 0}, "max_tokens"),
        (good | {"max_tokens": 32_001}, "max_tokens"),
        (good | {"deadline_ms": 0}, "deadline_ms"),
        (good | {"deadline_ms": 60_001}, "deadline_ms"),
        (good | {"prefix": "x"}, "prefix"),
        (good | {"suffix": "x"}, "suffix"),
        ({"path": "orders.py", "prefix": "x", "text": "x"}, "text"),
        ({"path": "orders.py", "prefix": "x", "column": 1}, "column"),
        ({"path": "orders.py", "prefix": "x", "hide_line": True}, "hide_line"),
        (good | {"hide_line": "yes"}, "hide_line"),
        (good | {"model": ""}, "model"),
        (good | {"redact": 1}, "redact"),
    ]
    async with door(tmp_path) as shop:
        for body, param in wrong:
            status, said, message = await shop.refused(**body)
            assert (status, said) == (400, param), (body, message)
            assert "Traceback" not in message
        status, _, message = await shop.refused(**good, tokens=3)
        assert (status, "tokens" in message) == (400, True)
        assert (await shop.refused(**good, model="nobody"))[0] == 404
        assert (await shop.send(b"[1]"))[0] == 400
        assert (await shop.send(b""))[0] == 400
        assert (await shop.send(b'{"path": "orders.py", "line": 1, "text": "\\ud800"}'))[0] == 400


async def test_several_roots_make_a_relative_path_ambiguous_and_inner_roots_own_their_files(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        inner = shop.root / "inner"
        inner.mkdir()
        write(inner, {"deep.py": "def deep_row(): ...\n"})
        await shop.followed.index.add_root(inner)
        await shop.followed.index.wait_ready(inner)
        status, param, message = await shop.refused(path="orders.py", line=5)
        assert (status, param, "needs `root`" in message) == (400, "path", True)
        reply = await shop.shown(path=str(inner / "deep.py"), line=1)
        assert (reply["root"], reply["path"]) == (str(inner), "deep.py")


@dataclass
class SlowHistory(MemoryHistory):
    """Never answers."""

    async def uncommitted(self, root: Path) -> Sequence[FileChange]:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_source_that_does_not_answer_in_time_is_named(tmp_path: Path) -> None:
    async with door(tmp_path, history=SlowHistory()) as shop:
        await shop.shown(path="orders.py", line=5, deadline_ms=1000)
        reply = await shop.shown(path="orders.py", line=5, deadline_ms=4000)
    assert reply["late"] == ["uncommitted"]
    assert "fetch_row" in reply["prompt"]


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    async with door(tmp_path, settings=ContextConfig(enabled=False)) as shop:
        status, _, message = await shop.refused(path="orders.py", line=5)
    assert (status, "context.enabled" in message) == (400, True)


@pytest.mark.parametrize("seed", range(3))
async def test_no_body_brings_a_mistake_of_the_servers(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    values: list[object] = [
        None, 0, 1, 3, -1, 2**31, 1.5, True, "", "orders.py", "new.py", "a\n😀b", "..", "/", "x" * 3000, [], {},
    ]  # fmt: skip
    fields = [
        "path",
        "root",
        "line",
        "column",
        "text",
        "prefix",
        "suffix",
        "hide_line",
        "max_tokens",
        "model",
        "redact",
    ]
    async with door(tmp_path) as shop:
        for _ in range(150):
            body: dict[str, object] = {"path": "orders.py", "line": 3} if chance.random() < 0.7 else {}
            body |= {name: chance.choice(values) for name in chance.sample(fields, chance.randint(0, 3))}
            status, reply = await shop.send(json.dumps(body).encode())
            assert status in (200, 400, 404), (body, reply)


async def test_what_changed_together_with_the_definition_at_the_cursor_is_told(tmp_path: Path) -> None:
    place = (PurePosixPath("orders.py"), "load")
    together = SymbolCoChange(PurePosixPath("storage.py"), "Storage.fetch_row", 0.5, 3)
    history = MemoryHistory(known=HistoryState("ready", "0" * 40, 3, True), symbols_together={place: (together,)})
    async with door(tmp_path, history=history) as shop:
        reply = await shop.shown(path=str(shop.root / "orders.py"), line=5, column=17)
        outside = await shop.shown(path=str(shop.root / "orders.py"), line=1)
    told = {"path": "storage.py", "name": "Storage.fetch_row", "score": 0.5, "commits": 3}
    assert (reply["inside"], reply["changed_together"]) == ("load", [told])
    assert (outside["inside"], outside["changed_together"]) == ("", [])


async def test_the_last_commits_of_the_definitions_lines_are_told_as_the_last_commit_had_them(tmp_path: Path) -> None:
    path = PurePosixPath("orders.py")
    old, new, other = (CommitInfo(name * 40, time_s, name) for name, time_s in (("a", 100), ("b", 200), ("c", 300)))
    history = MemoryHistory(
        known=HistoryState("ready", "0" * 40, 3, True),
        spans={path: (BlameSpan(1, 2, other), BlameSpan(3, 3, new), BlameSpan(4, 9, old))},
        changes=(FileChange(path, "modified", None, (Hunk(1, 1, "", "import new\n"),)),),
    )
    async with door(tmp_path, history=history) as shop:
        reply = await shop.shown(path=str(shop.root / "orders.py"), line=5, column=17)
    assert reply["inside"] == "load"
    assert reply["last_changes"] == [
        {"commit": "b" * 40, "time_s": 200, "subject": "b"},
        {"commit": "a" * 40, "time_s": 100, "subject": "a"},
    ]


@pytest.mark.parametrize(
    ("hunks", "lines"),
    [
        ((), range(5, 8)),
        ((Hunk(1, 2, "", "1\n2\n"),), range(3, 6)),
        ((Hunk(2, 1, "1\n2\n", ""),), range(7, 10)),
        ((Hunk(6, 6, "1\n2\n", "1\n"),), range(5, 9)),
        ((Hunk(6, 7, "", "1\n2\n"),), range(5, 6)),
        ((Hunk(9, 9, "", "1\n"),), range(5, 8)),
        ((Hunk(1, 30, "", "1\n" * 30),), range(5, 5)),
    ],
)
def test_lines_are_found_again_in_the_last_commit(hunks: tuple[Hunk, ...], lines: range) -> None:
    assert committed(range(5, 8), hunks) == lines
