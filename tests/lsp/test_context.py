"""workspace/executeCommand `ghostd.context`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from index_harness import Followed, following, write
from lsp_harness import Client, connected, edit, make_host, until

from ghostd.config.context import ContextConfig
from ghostd.config.lsp import LspConfig
from ghostd.config.settings import Config
from ghostd.context.service import ContextService

FILES = {
    "storage.py": "class Storage:\n    def fetch_row(self, key: str) -> str:\n        return key\n",
    "orders.py": "from storage import Storage\n\n\ndef load(store: Storage):\n    row = store.\n    print('😀', row)\n",
    "unread.py": "x = 1\n",
}
PATIENT = Config(context=ContextConfig(deadline_ms=30_000))


@asynccontextmanager
async def editor(
    folder: Path, config: Config = PATIENT, capabilities: dict[str, object] | None = None
) -> AsyncIterator[tuple[Client, Followed]]:
    root = folder / "shop"
    root.mkdir(exist_ok=True)
    write(root, FILES)
    async with (
        following(root, folder / "store") as followed,
        connected(make_host(index=followed.index, config=config)) as client,
    ):
        await client.initialize(capabilities or {})
        yield client, followed


def argument(file: Path, line: int, character: int, **more: object) -> dict[str, object]:
    position = {"line": line, "character": character}
    return {"textDocument": {"uri": file.as_uri()}, "position": position, **more}


def command(*arguments: object, name: str = "ghostd.context") -> dict[str, object]:
    return {"command": name, "arguments": list(arguments)}


async def ask(client: Client, file: Path, line: int, character: int, **more: object) -> Any:
    return await client.request("workspace/executeCommand", command(argument(file, line, character, **more)))


async def test_the_answer_is_that_of_the_http_door(tmp_path: Path) -> None:
    async with editor(tmp_path) as (client, shop):
        found = await ask(client, shop.root / "orders.py", 4, 16)
    assert set(found) >= {"chunks", "left_out", "tokens", "budget", "prompt", "counter", "late", "candidates"}
    assert (found["root"], found["path"], found["line"], found["column"]) == (str(shop.root), "orders.py", 5, 17)
    assert (found["budget"], found["late"], found["redacted"]) == (1000, [], False)
    assert any("def fetch_row" in chunk["text"] and chunk["why"] for chunk in found["chunks"])


async def test_open_documents_count_as_the_editor_shows_them(tmp_path: Path) -> None:
    async with editor(tmp_path) as (client, shop):
        orders, storage, new = (shop.root / name for name in ("orders.py", "storage.py", "new.py"))
        client.open(storage.as_uri(), FILES["storage.py"])
        client.change(storage.as_uri(), 2, edit(1, 8, 17, "fetch_column"))
        client.open(new.as_uri(), "")
        client.change(new.as_uri(), 2, {"text": "from storage import Storage\n\n\nstore = Storage()\nstore.\n"})
        found = await ask(client, new, 4, 6)
        quoted = "\n".join(chunk["text"] for chunk in found["chunks"] if chunk["source"] != "outline")
        assert "def fetch_column" in quoted
        assert "def fetch_row" not in quoted
        assert found["path"] == "new.py"
        assert any("open in the editor" in chunk["why"] for chunk in found["chunks"])
        assert "orders.py" not in {c["path"] for c in (await ask(client, orders, 4, 16))["chunks"]}


async def test_nothing_is_quoted_of_open_files_that_the_index_leaves_out_or_of_other_folders(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    write(tmp_path / "shop", {".gitignore": "ignored.py\n", "ignored.py": "storage", ".env": "storage", "new.py": ""})
    async with editor(tmp_path) as (client, shop):
        for path in (*(shop.root / name for name in ("ignored.py", ".env", ".env.local", "new.py")), tmp_path / "b.py"):
            client.open(path.as_uri(), f"storage = Storage(fetch_row, {path.name!r})\n")
        orders = shop.root / "orders.py"
        client.open(orders.as_uri(), FILES["orders.py"])
        quoted = {chunk["path"] for chunk in (await ask(client, orders, 4, 16))["chunks"] if chunk["source"] == "open"}
        assert quoted == {"new.py"}


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 15), ("utf-16", 13), ("utf-32", 12)])
async def test_positions_are_those_of_the_client_and_columns_count_characters(
    encoding: str, character: int, tmp_path: Path
) -> None:
    wanted: dict[str, object] = {"general": {"positionEncodings": [encoding]}}
    async with editor(tmp_path, capabilities=wanted) as (client, shop):
        closed = await ask(client, shop.root / "orders.py", 5, character)
        client.open((shop.root / "orders.py").as_uri(), FILES["orders.py"])
        opened = await ask(client, shop.root / "orders.py", 5, character)
        beyond = await ask(client, shop.root / "orders.py", 99, 99)
    assert (closed["line"], closed["column"]) == (opened["line"], opened["column"]) == (6, 13)
    assert (beyond["line"], beyond["column"]) == (7, 1)


async def test_the_budget_can_be_chosen(tmp_path: Path) -> None:
    async with editor(tmp_path) as (client, shop):
        small = await ask(client, shop.root / "orders.py", 4, 16, maxTokens=25)
        assert (small["budget"], small["tokens"] <= 25) == (25, True)
        for wrong in (0, 40_000):
            asked = command(argument(shop.root / "orders.py", 4, 16, maxTokens=wrong))
            error = await client.refused("workspace/executeCommand", asked)
            assert (error.code, "maxTokens" in error.message) == (-32602, True)


async def test_what_is_wrong_is_refused_with_the_place(tmp_path: Path) -> None:
    async with editor(tmp_path) as (client, shop):
        good = argument(shop.root / "orders.py", 1, 1)
        for params, told in (
            (command(good, name="other.command"), "params.command"),
            (command(), "params.arguments"),
            (command(good, good), "params.arguments"),
            (command(3), "params"),
            (command({"position": {"line": 0, "character": 0}}), "textDocument"),
            (command(good | {"position": {"line": -1, "character": 0}}), "line"),
            (command(good | {"maxTokens": "many"}), "maxTokens"),
            (command(argument(tmp_path / "outside.py", 0, 0)), "no indexed folder"),
            (command(argument(shop.root / "gone.py", 0, 0)), "neither open nor indexed"),
            (command(good | {"textDocument": {"uri": "untitled:1"}}), "no indexed folder"),
        ):
            error = await client.refused("workspace/executeCommand", params)
            assert (error.code, told in error.message) == (-32602, True), error


async def test_a_document_that_is_too_large_counts_as_its_file(tmp_path: Path) -> None:
    small = Config(context=PATIENT.context, lsp=LspConfig(max_document_bytes=200))
    async with editor(tmp_path, small) as (client, shop):
        client.open((shop.root / "orders.py").as_uri(), "x = 1\n" * 100)
        await client.notice("window/logMessage")
        found = await ask(client, shop.root / "orders.py", 4, 16)
    assert (found["line"], any("def fetch_row" in chunk["text"] for chunk in found["chunks"])) == (5, True)


async def test_it_says_that_context_is_switched_off(tmp_path: Path) -> None:
    async with editor(tmp_path, Config(context=ContextConfig(enabled=False))) as (client, shop):
        error = await client.refused("workspace/executeCommand", command(argument(shop.root / "orders.py", 1, 1)))
    assert "context.enabled" in error.message


async def test_what_was_quoted_for_a_session_is_forgotten_with_it(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    root.mkdir()
    write(root, FILES)
    async with following(root, tmp_path / "store") as followed:
        host = make_host(index=followed.index, config=PATIENT)
        async with connected(host) as client:
            await client.initialize({})
            await ask(client, root / "orders.py", 4, 16)
            assert {place[0] for place in host.context.retriever._quoted} != set()
        assert host.context.retriever._quoted == {}
        host.context.close()


async def test_for_the_document_opened_last_what_completions_quote_is_made_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[tuple[str, bool]] = []

    async def noted(service: ContextService, path: Path, session: str = "") -> None:
        prepared.append((path.name, session.startswith("lsp-")))

    monkeypatch.setattr(ContextService, "prepare", noted)
    async with editor(tmp_path) as (client, shop):
        client.open((shop.root / "storage.py").as_uri(), FILES["storage.py"])
        client.open((shop.root / "orders.py").as_uri(), FILES["orders.py"])
        await until(lambda: prepared == [("orders.py", True)])
        client.notify(
            "workspace/didChangeWorkspaceFolders",
            {"event": {"added": [{"uri": shop.root.as_uri(), "name": "shop"}], "removed": []}},
        )
        await until(lambda: len(prepared) > 1)  # its root may have come only now
        assert prepared == [("orders.py", True)] * 2


@pytest.mark.parametrize("config", [ContextConfig(), ContextConfig(fill_tokens=0), ContextConfig(enabled=False)])
async def test_nothing_is_made_ready_where_completions_quote_nothing(tmp_path: Path, config: ContextConfig) -> None:
    root = tmp_path / "shop"
    root.mkdir()
    write(root, FILES)
    async with following(root, tmp_path / "store") as followed:
        service = make_host(index=followed.index, config=Config(context=config)).context
        await service.prepare(tmp_path / "elsewhere.py")
        await service.prepare(root)
        assert service._retriever is None
        await service.prepare(root / "orders.py")
        assert (service._retriever is not None) == (config == ContextConfig())
        service.close()
