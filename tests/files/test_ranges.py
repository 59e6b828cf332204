"""`GET /v1/files/{id}/content` with `Range` (RFC 9110, 14): a part, all of it, or nothing that is there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from ghostd.config.files import FilesConfig
from ghostd.files.service import open_files
from ghostd.gateway.doors import file_doors
from ghostd.testing.gateway import serving

DATA = os.urandom(700_001)
LAST = len(DATA) - 1


@asynccontextmanager
async def content(folder: Path, data: bytes = DATA) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A client, and the address of what was uploaded."""
    config = FilesConfig()
    async with (
        open_files(folder / "files", config) as store,
        serving(doors=[file_doors(store, config)]) as served,
        aiohttp.ClientSession() as client,
    ):
        form = aiohttp.FormData()
        form.add_field("purpose", "user_data")
        form.add_field("file", data, filename="data.bin")
        async with client.post(f"{served.url}/v1/files", data=form) as reply:
            kept = await reply.json()
        yield client, f"{served.url}/v1/files/{kept['id']}/content"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-9", 5, 9),
        ("Bytes = 5 - 9", 5, 9),
        ("bytes=699000-", 699_000, LAST),
        ("bytes=300000-600000", 300_000, 600_000),
        ("bytes=262144-262144", 262_144, 262_144),
        ("bytes=-1", LAST, LAST),
        ("bytes=-999999999", 0, LAST),
        ("bytes=0-999999999999", 0, LAST),
        (f"bytes={LAST}-{LAST}", LAST, LAST),
    ],
)
async def test_a_part(asked: str, first: int, last: int, tmp_path: Path) -> None:
    async with content(tmp_path) as (client, url), client.get(url, headers={"Range": asked}) as reply:
        assert reply.status == 206
        assert reply.headers["Content-Range"] == f"bytes {first}-{last}/{len(DATA)}"
        assert reply.headers["Content-Length"] == str(last - first + 1)
        assert await reply.read() == DATA[first : last + 1]


@pytest.mark.parametrize(
    "asked",
    ["", "bytes", "bytes=", "bytes=-", "bytes=9-5", "bytes=a-b", "bytes=0-1,5-9", "lines=0-1", "bytes=0-1-2",
     f"bytes={'9' * 40}-"],
)  # fmt: skip
async def test_what_is_no_single_range_gets_all(asked: str, tmp_path: Path) -> None:
    async with content(tmp_path) as (client, url), client.get(url, headers={"Range": asked}) as reply:
        assert (reply.status, await reply.read()) == (200, DATA)
        assert reply.headers["Accept-Ranges"] == "bytes" and "Content-Range" not in reply.headers


@pytest.mark.parametrize("asked", [f"bytes={len(DATA)}-", "bytes=999999999-", "bytes=-0"])
async def test_a_range_of_which_nothing_is_there(asked: str, tmp_path: Path) -> None:
    async with content(tmp_path) as (client, url), client.get(url, headers={"Range": asked}) as reply:
        error = (await reply.json())["error"]
        assert (reply.status, error["code"]) == (416, "range_not_satisfiable")
        assert reply.headers["Content-Range"] == f"bytes */{len(DATA)}"


async def test_an_empty_file_has_no_range(tmp_path: Path) -> None:
    async with content(tmp_path, b"") as (client, url):
        async with client.get(url, headers={"Range": "bytes=0-"}) as reply:
            assert (reply.status, reply.headers["Content-Range"]) == (416, "bytes */0")
        async with client.get(url) as reply:
            assert (reply.status, await reply.read()) == (200, b"")


async def test_if_range_gets_a_part_of_the_same_content_only(tmp_path: Path) -> None:
    async with content(tmp_path) as (client, url):
        async with client.head(url, headers={"Range": "bytes=0-1"}) as reply:
            assert reply.status == 200
            tag = reply.headers["ETag"]
        for condition, status in ((tag, 206), ('"other"', 200), ("Wed, 21 Oct 2015 07:28:00 GMT", 200)):
            async with client.get(url, headers={"Range": "bytes=0-1", "If-Range": condition}) as reply:
                assert reply.status == status
                assert await reply.read() == (DATA[:2] if status == 206 else DATA)


async def test_a_download_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    async with content(tmp_path) as (client, url):
        got = b""
        while len(got) < len(DATA):
            async with client.get(url, headers={"Range": f"bytes={len(got)}-"}) as reply:
                got += await reply.content.read(100_000)
        assert got == DATA
