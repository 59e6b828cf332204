"""`POST /v1/ghostd/next-edit`."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from index_harness import following, write

from ghostd.config.next_edit import NextEditConfig
from ghostd.engine import Engine
from ghostd.gateway.doors import next_edit_doors
from ghostd.models import ModelInfo
from ghostd.next_edit.by_model import ModelEdits
from ghostd.next_edit.service import NextEdits
from ghostd.ports import Provider
from ghostd.resolve.resolver import Resolver
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider

FILES = {
    "store.py": "'😀'; x = 1\n\n\ndef load(key):\n    return key\n",
    "a.py": "from store import load\n\n'😀'; load(3)\n",
}
RENAMED = FILES["store.py"].replace("def load", "def read")
EDIT = {"line": 4, "before": "def load(key):\n", "after": "def read(key):\n"}


@dataclass(frozen=True, slots=True)
class Door:
    url: str
    root: Path
    client: aiohttp.ClientSession

    async def send(self, data: bytes) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        async with self.client.post(f"{self.url}/v1/ghostd/next-edit", data=data, headers=headers) as reply:
            return reply.status, await reply.json()

    async def proposed(self, **body: object) -> list[Any]:
        status, reply = await self.send(json.dumps(body).encode())
        assert status == 200, reply
        assert reply["object"] == "list"
        found: list[Any] = reply["data"]
        return found

    async def refused(self, **body: object) -> tuple[int, str | None]:
        """Status and param."""
        status, reply = await self.send(json.dumps(body).encode())
        assert reply["error"]["type"] == "invalid_request_error", reply
        return status, reply["error"]["param"]


@asynccontextmanager
async def door(
    folder: Path, providers: Sequence[Provider] = (), settings: NextEditConfig | None = None
) -> AsyncIterator[Door]:
    root = folder / "shop"
    root.mkdir()
    write(root, FILES)
    engine, config = Engine(providers or [ScriptedProvider()]), settings or NextEditConfig()
    async with following(root, folder / "store") as followed:
        resolver = Resolver(followed.index)
        next_edits = NextEdits(config, resolver, ModelEdits(engine, config))
        async with (
            serving(engine=engine, doors=[next_edit_doors(next_edits, followed.index)]) as served,
            aiohttp.ClientSession() as client,
        ):
            yield Door(served.url, root, client)
        resolver.close()


async def test_what_follows_a_rename_is_told_with_its_place_reason_and_version(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        found = await shop.proposed(path="store.py", text=RENAMED, edits=[EDIT])
        again = await shop.proposed(path=str(shop.root / "store.py"), text=RENAMED, edits=[EDIT], cursor={"line": 1})
        nothing: dict[str, Any] = {"root": None, "cursor": {"line": 1, "column": None}, "model": None}
        assert await shop.proposed(path="store.py", text=RENAMED, edits=[{**EDIT, "path": None}], **nothing) == found
    assert found == again
    assert found[1] == {
        "root": str(shop.root),
        "path": "a.py",
        "start_line": 3,
        "start_column": 6,
        "end_line": 3,
        "end_column": 10,
        "old_text": "load",
        "new_text": "read",
        "kind": "rename",
        "reason": "`load` has been renamed to `read` in store.py.",
        "confidence": 0.9,
        "placeholder": False,
        "version": blake2b(FILES["a.py"].encode(), digest_size=16).hexdigest(),
    }
    assert [(each["path"], each["start_line"], each["start_column"]) for each in found] == [
        ("a.py", 1, 19),
        ("a.py", 3, 6),
    ]


async def test_without_a_text_the_file_is_read_from_the_disk(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        edit = {"line": 4, "before": "def load():\n", "after": "def load(key):\n"}
        found = await shop.proposed(path="store.py", edits=[edit])
    assert found == []  # the only call gives something already


async def test_an_import_follows_a_name(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        text = "x = 1\ny = load(2)\n"
        found = await shop.proposed(
            path="new.py", text=text, edits=[{"line": 2, "before": "", "after": "y = load(2)\n"}]
        )
    assert [(each["kind"], each["new_text"]) for each in found] == [("import", "from store import load\n")]


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"path": "/etc/passwd"}, "path"),
        ({"path": "../outside.py"}, "path"),
        ({"path": "a\0b"}, "path"),
        ({"path": "no-such.py", "text": None}, "path"),
        ({"root": "/etc"}, "root"),
        ({"edits": []}, "edits"),
        ({"edits": [EDIT] * 33}, "edits"),
        ({"edits": [{**EDIT, "line": 0}]}, "edits[0].line"),
        ({"edits": [{**EDIT, "line": 3}]}, "edits[0].after"),
        ({"edits": [{**EDIT, "line": 2**31}]}, "edits[0].after"),
        ({"edits": [{**EDIT, "path": "/etc/passwd"}]}, "edits[0].path"),
        ({"edits": [{**EDIT, "after": "x" * 20_000}]}, "edits[0].after"),
        ({"text": "x" * 600_000}, "text"),
        ({"cursor": {"line": 0}}, "cursor.line"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_what_is_wrong_is_named(changed: dict[str, object], param: str, tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        body = {"path": "store.py", "text": RENAMED, "edits": [EDIT], **changed}
        status, named = await shop.refused(**body)
    assert (status, named) == (400, param)


async def test_nonsense_is_answered_and_never_breaks_anything(tmp_path: Path) -> None:
    chance = random.Random(5)
    pieces = [
        "def f(",
        "a",
        ", ",
        "b=1",
        "):\n",
        "  return ",
        "f'{",
        "}'",
        "(",
        ")",
        "\n",
        "{",
        "}",
        "'",
        '"""',
        "=>",
        "😀",
        "\r\n",
        "\\",
    ]
    async with door(tmp_path) as shop:
        for suffix in (".py", ".ts", ".rs", ".zig", ".c", ".lua", ".txt"):
            for _ in range(12):
                before, after, rest = ("".join(chance.choices(pieces, k=chance.randrange(30))) for _ in range(3))
                after += "\n"
                body = {
                    "path": f"x{suffix}",
                    "text": after + rest,
                    "edits": [{"line": 1, "before": before, "after": after}],
                    "cursor": {"line": chance.randrange(1, 50), "column": chance.randrange(1, 50)},
                }
                status, reply = await shop.send(json.dumps(body).encode())
                assert status == 200, reply


async def test_a_model_is_asked_where_nothing_else_follows(tmp_path: Path) -> None:
    text = "total = 0\nfor each in rows:\n    count = 1\n"
    region = "<|editable_region_start|>\ntotal = 0\nfor each in rows:\n    total = 1\n\n<|editable_region_end|>"
    provider = ScriptedProvider(pieces=["```x.py\n", region, "more"])
    settings = NextEditConfig(model="scripted-model")
    body: dict[str, object] = {
        "path": "x.py",
        "text": text,
        "edits": [{"line": 1, "before": "count = 0\n", "after": "total = 0\n"}],
        "cursor": {"line": 1, "column": 3},
    }
    async with door(tmp_path, [provider], settings) as shop:
        found = await shop.proposed(**body | {"text": text.replace("count", "total_")})
        assert await shop.proposed(**body | {"model": False, "text": text.replace("count", "total_")}) == []
    assert found[0]["kind"] == "model"
    assert (found[0]["start_line"], found[0]["old_text"]) == (3, "    total_ = 1")
    assert found[0]["new_text"] == "    total = 1"
    assert len(provider.requests) == 1


class Elsewhere(ScriptedProvider):
    """A model that is not on this machine."""

    def models(self) -> tuple[ModelInfo, ...]:
        (info,) = ScriptedProvider.models(self)
        return (replace(info, remote=True),)


SECRET = 'password = "correct-horse-battery"\n'


@pytest.mark.parametrize("provider", [Elsewhere(), ScriptedProvider()], ids=["elsewhere", "here"])
@pytest.mark.parametrize("line", [0, 30])
async def test_secrets_stay_on_this_machine(tmp_path: Path, provider: ScriptedProvider, line: int) -> None:
    """They are taken out of the region to rewrite, and beside it."""
    provider.requests.clear()
    rest = [f"row_{number} = {number}\n" for number in range(60)]
    rest.insert(line, SECRET)
    body: dict[str, object] = {
        "path": "x.py",
        "text": "total = 0\n" + "".join(rest),
        "edits": [{"line": 1, "before": "count = 0\n", "after": "total = 0\n"}],
        "cursor": {"line": 1, "column": 3},
    }
    async with door(tmp_path, [provider], NextEditConfig(model="scripted-model")) as shop:
        await shop.proposed(**body)
    remote = isinstance(provider, Elsewhere)
    (request,) = provider.requests
    assert ("correct-horse" in str(request)) != remote
    assert "row_35" in str(request)
