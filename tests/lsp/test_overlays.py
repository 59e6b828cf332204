"""The index hears of what open documents say, soon and not at every key."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ghostd_lsp import session
from lsp_harness import connected, edit, make_host, until

from ghostd.config.lsp import LspConfig
from ghostd.config.settings import Config
from ghostd.testing.memory_index import MemoryIndex


@dataclass
class Hearing(MemoryIndex):
    """Notes what it is told."""

    told: list[tuple[str, str | None]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    def overlay(self, session: str, path: Path, text: str | None) -> None:
        self.told.append((path.name, text))

    def forget_session(self, session: str) -> None:
        self.forgotten.append(session)


async def test_a_document_is_told_when_it_opens_changes_and_closes_and_forgotten_with_its_session() -> None:
    index = Hearing()
    async with connected(make_host(index=index)) as client:
        await client.initialize()
        client.open("file:///p/a.py", "one\n")
        client.open("untitled:2", "nowhere\n")
        await until(lambda: index.told == [("a.py", "one\n")])
        client.change("file:///p/a.py", 2, edit(0, 0, 3, "two"))
        client.change("file:///p/a.py", 3, edit(0, 0, 0, "x"))
        await until(lambda: len(index.told) > 1)
        assert index.told[1:] == [("a.py", "xtwo\n")]
        client.change("file:///p/a.py", 4, edit(0, 0, 0, "y"))
        client.notify("textDocument/didClose", {"textDocument": {"uri": "file:///p/a.py"}})
        await until(lambda: len(index.told) > 2)
        assert index.told[2:] == [("a.py", None)]
    assert len(index.forgotten) == 1


async def test_a_request_sees_the_last_key() -> None:
    index = Hearing()
    async with connected(make_host(index=index)) as client:
        await client.initialize()
        client.open("file:///p/a.py", "one\n")
        client.change("file:///p/a.py", 2, {"text": "def last(): ...\n"})
        await client.request("workspace/symbol", {"query": "last"})
        assert index.told == [("a.py", "one\n"), ("a.py", "def last(): ...\n")]


async def test_what_is_typed_in_a_large_document_is_told_later_but_not_to_one_who_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ours: each time it is told, all of it is parsed."""
    monkeypatch.setattr(session, "OVERLAY_DELAY_S_PER_MB", 1e9)
    index = Hearing()
    host = make_host(index=index)
    async with connected(host) as client, connected(host) as other:
        await client.initialize()
        await other.initialize()
        client.open("file:///p/large.py", "one\n" * 1000)
        other.open("file:///p/empty.py", "")
        await until(lambda: len(index.told) == 2)
        client.change("file:///p/large.py", 2, {"text": "two\n" * 1000})
        other.change("file:///p/empty.py", 2, {"text": ""})
        await until(lambda: len(index.told) > 2)
        assert index.told[2:] == [("empty.py", "")]
        await client.request("workspace/symbol", {"query": "last"})
        assert index.told[3:] == [("large.py", "two\n" * 1000)]


async def test_a_document_that_has_become_too_large_counts_as_its_file() -> None:
    index = Hearing()
    async with connected(make_host(index=index, config=Config(lsp=LspConfig(max_document_bytes=100)))) as client:
        await client.initialize()
        client.open("file:///p/a.py", "one\n")
        client.change("file:///p/a.py", 2, {"text": "x" * 200})
        await until(lambda: len(index.told) == 2)
        assert index.told[1] == ("a.py", None)
        await client.notice("window/logMessage")
