"""`/v1/uploads` as the official SDK uses it, over a real store. Source: the OpenAI API reference, "Uploads"."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from openai.types import Upload

from ghostd.config.files import FilesConfig
from ghostd.config.http import HttpConfig
from ghostd.files.service import FileService, open_files
from ghostd.gateway.dialects.openai import files as whole
from ghostd.gateway.dialects.openai import uploads
from ghostd.gateway.doors import file_doors
from ghostd.testing.gateway import Served, serving


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class World:
    store: FileService
    served: Served
    client: openai.AsyncOpenAI
    http: aiohttp.ClientSession
    clock: Clock

    async def begin(self, size: int, **changes: Any) -> Upload:
        asked = {"filename": "a.jsonl", "mime_type": "text/jsonl", "purpose": "batch", **changes}
        return await self.client.uploads.create(bytes=size, **asked)

    async def part(self, upload: Upload, data: bytes) -> str:
        return (await self.client.uploads.parts.create(upload.id, data=data)).id

    async def ids(self) -> list[str]:
        return [file.id async for file in self.client.files.list()]

    async def post(self, path: str, **fields: Any) -> tuple[int, Any]:
        async with self.http.post(f"{self.served.url}/v1/uploads{path}", **fields) as reply:
            return reply.status, await reply.json()


@asynccontextmanager
async def world(
    folder: Path, config: FilesConfig | None = None, http: HttpConfig | None = None
) -> AsyncIterator[World]:
    config, clock = config or FilesConfig(), Clock()
    async with AsyncExitStack() as parts:
        store = await parts.enter_async_context(open_files(folder, config, clock))
        doors = [*whole.routes(store, config), *uploads.routes(store, config, clock)]
        served = await parts.enter_async_context(serving(config=http, doors=doors))
        client = await parts.enter_async_context(
            openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="unused", max_retries=0, timeout=20)
        )
        yield World(store, served, client, await parts.enter_async_context(aiohttp.ClientSession()), clock)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.mark.covers("openai.files", "/v1/uploads")
async def test_parts_become_a_file_in_the_order_that_is_said(folder: Path) -> None:
    async with world(folder) as w:
        begun = await w.begin(9)
        assert (begun.object, begun.status, begun.bytes, begun.file) == ("upload", "pending", 9, None)
        assert (begun.created_at, begun.expires_at) == (1_800_000_000, 1_800_003_600)
        last, first = await asyncio.gather(w.part(begun, b"lines"), w.part(begun, b"two "))
        part = await w.client.uploads.parts.create(begun.id, data=b"unused")
        assert (part.object, part.upload_id) == ("upload.part", begun.id)
        assert await w.ids() == []
        with pytest.raises(openai.NotFoundError):
            await w.client.files.retrieve(first)
        done = await w.client.uploads.complete(begun.id, part_ids=[first, last], md5=md5(b"two lines"))
        assert done.status == "completed" and done.file is not None
        assert (done.file.bytes, done.file.filename, done.file.purpose) == (9, "a.jsonl", "batch")
        assert (await w.client.files.content(done.file.id)).content == b"two lines"
        assert await w.ids() == [done.file.id]
        assert w.store.total_bytes == 9  # the parts are gone
        again = await w.client.uploads.complete(begun.id, part_ids=[first, last])
        assert again == done


async def test_the_sdk_uploads_a_file_in_chunks(folder: Path, tmp_path: Path) -> None:
    """`upload_file_chunked`, with parts larger than http.max_body_bytes."""
    data = os.urandom(900_000)
    path = tmp_path / "big.bin"
    path.write_bytes(data)
    async with world(folder, http=HttpConfig(max_body_bytes=100_000)) as w:
        done = await w.client.uploads.upload_file_chunked(
            file=path, mime_type="application/octet-stream", purpose="user_data", part_size=400_000, md5=md5(data)
        )
        assert done.file is not None
        assert (await w.client.files.content(done.file.id)).content == data


async def test_an_upload_may_be_cancelled(folder: Path) -> None:
    async with world(folder) as w:
        begun = await w.begin(4)
        part = await w.part(begun, b"gone")
        assert (await w.client.uploads.cancel(begun.id)).status == "cancelled"
        assert (await w.client.uploads.cancel(begun.id)).status == "cancelled"
        assert w.store.total_bytes == 0
        with pytest.raises(openai.BadRequestError, match="cancelled already"):
            await w.part(begun, b"more")
        with pytest.raises(openai.BadRequestError, match="cancelled already"):
            await w.client.uploads.complete(begun.id, part_ids=[part])
        assert w.store.total_bytes == 0


async def test_what_is_completed_takes_no_more_and_cannot_be_cancelled(folder: Path) -> None:
    async with world(folder) as w:
        begun = await w.begin(1)
        await w.client.uploads.complete(begun.id, part_ids=[await w.part(begun, b"x")])
        for ask in (w.part(begun, b"y"), w.client.uploads.cancel(begun.id)):
            with pytest.raises(openai.BadRequestError, match="completed already"):
                await ask
        assert w.store.total_bytes == 1


async def test_an_upload_goes_on_after_a_restart(folder: Path) -> None:
    async with world(folder) as w:
        begun, dropped, done = await w.begin(9), await w.begin(1), await w.begin(1)
        first = await w.part(begun, b"two ")
        finished = await w.client.uploads.complete(done.id, part_ids=[await w.part(done, b"x")])
        await w.client.uploads.cancel(dropped.id)
    async with world(folder) as w:
        with pytest.raises(openai.NotFoundError):
            await w.part(dropped, b"x")
        with pytest.raises(openai.BadRequestError, match="completed already"):
            await w.part(done, b"x")
        assert await w.client.uploads.complete(done.id, part_ids=["part_x"]) == finished
        last = await w.part(begun, b"lines")
        whole = await w.client.uploads.complete(begun.id, part_ids=[first, last], md5=md5(b"two lines"))
        assert whole.file is not None and (whole.id, whole.filename) == (begun.id, "a.jsonl")
        assert (await w.client.files.content(whole.file.id)).content == b"two lines"
        assert w.store.total_bytes == 10


async def test_an_upload_does_not_outlive_its_hour_by_a_restart(folder: Path) -> None:
    async with world(folder) as w:
        begun = await w.begin(9)
    async with world(folder) as w:
        w.clock.now += 3601
        with pytest.raises(openai.NotFoundError):
            await w.part(begun, b"x")


async def test_what_was_announced_is_no_file(folder: Path) -> None:
    async with world(folder) as w:
        begun = await w.begin(9)
        assert await w.ids() == []
        with pytest.raises(openai.NotFoundError):
            await w.client.files.retrieve(begun.id)
        with pytest.raises(openai.NotFoundError):
            await w.client.files.delete(begun.id)
        assert (await w.client.uploads.cancel(begun.id)).status == "cancelled"


async def test_an_upload_expires_with_its_parts(folder: Path) -> None:
    async with world(folder) as w:
        begun = await w.begin(1)
        part = await w.part(begun, b"x")
        w.clock.now += 3601
        with pytest.raises(openai.NotFoundError, match=f"No upload found with id '{begun.id}'"):
            await w.client.uploads.complete(begun.id, part_ids=[part])
        await w.store.prune()
        assert w.store.total_bytes == 0


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"part_ids": ["part_x"]}, "part_ids[0]"),
        ({"part_ids": []}, "part_ids"),
        ({"md5": "0" * 32}, "md5"),
        ({"md5": "zz"}, "md5"),
    ],
)
async def test_a_mistake_of_the_end_says_which_and_can_be_mended(folder: Path, change: Any, param: str) -> None:
    async with world(folder) as w:
        begun = await w.begin(2)
        asked: Any = {"part_ids": [await w.part(begun, b"xy")]}
        with pytest.raises(openai.BadRequestError) as caught:
            await w.client.uploads.complete(begun.id, **{**asked, **change})
        assert caught.value.param == param
        assert (w.store.total_bytes, await w.ids()) == (2, [])
        assert (await w.client.uploads.complete(begun.id, **asked)).status == "completed"


async def test_parts_make_up_what_was_announced(folder: Path) -> None:
    async with world(folder) as w:
        begun = await w.begin(3)
        part = await w.part(begun, b"xy")
        with pytest.raises(openai.BadRequestError, match="2 bytes together; the upload was begun for 3"):
            await w.client.uploads.complete(begun.id, part_ids=[part])
        with pytest.raises(openai.BadRequestError, match="named twice"):
            await w.client.uploads.complete(begun.id, part_ids=[part, part])


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"bytes": 0}, "bytes"),
        ({"bytes": 1001}, "bytes"),
        ({"bytes": "9"}, "bytes"),
        ({"purpose": "fun"}, "purpose"),
        ({"filename": None}, "filename"),
        ({"expires_after": {"anchor": "now", "seconds": 3600}}, "expires_after.anchor"),
        ({"expires_after": {"anchor": "created_at", "seconds": 1}}, "expires_after.seconds"),
    ],
)
async def test_a_beginning_says_what_is_wrong(folder: Path, change: dict[str, Any], param: str) -> None:
    asked = {"bytes": 9, "filename": "a", "mime_type": "text/plain", "purpose": "batch", **change}
    async with world(folder, FilesConfig(max_bytes=1000)) as w:
        status, body = await w.post("", json=asked)
        assert (status, body["error"]["param"]) == (400, param)


async def test_parts_and_uploads_are_bounded(folder: Path) -> None:
    config = FilesConfig(max_part_bytes=1000, max_uploads=2, max_bytes=10_000, max_total_bytes=5000)
    async with world(folder, config) as w:
        begun, _ = await w.begin(9), await w.begin(9)
        with pytest.raises(openai.InternalServerError, match=r"files\.max_uploads"):
            await w.begin(9)
        with pytest.raises(openai.APIStatusError, match=r"files\.max_part_bytes") as caught:
            await w.part(begun, b"x" * 3_000_000)
        assert caught.value.status_code == 413
        for _ in range(5):
            await w.part(begun, b"x" * 1000)
        with pytest.raises(openai.APIStatusError, match=r"files\.max_total_bytes"):
            await w.part(begun, b"x" * 1000)
        await w.client.uploads.cancel(begun.id)
        assert (await w.begin(9)).status == "pending"


async def test_other_paths_and_bodies_are_refused(folder: Path) -> None:
    async with world(folder) as w:
        begun = await w.begin(9)
        assert (await w.post(f"/{begun.id}/other", json={}))[0] == 404
        assert (await w.post("/upload_x/cancel", json={}))[0] == 404
        assert (await w.post(f"/{begun.id}/parts", json={"data": "x"}))[0] == 415
        status, body = await w.post(f"/{begun.id}/parts", data=form(other="x"))
        assert (status, body["error"]["param"]) == (400, "other")
        assert w.store.total_bytes == 0


async def test_the_daemons_own_doors_are_these(folder: Path) -> None:
    """They are loaded when they are first asked for."""
    config = FilesConfig(max_part_bytes=2_000_000)
    async with (
        open_files(folder, config) as store,
        serving(doors=[file_doors(store, config)]) as served,
        openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        upload = await client.uploads.create(bytes=1, filename="a", mime_type="a/b", purpose="batch")
        part = await client.uploads.parts.create(upload.id, data=b"x")
        assert (await client.uploads.complete(upload.id, part_ids=[part.id])).status == "completed"


async def test_a_page_on_another_site_adds_no_part_and_uploads_no_file(folder: Path) -> None:
    """Browsers send forms across sites without asking first; some tell so by `Sec-Fetch-Site` alone."""
    async with world(folder) as w:
        begun = await w.begin(9)
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            found, body = await w.post(f"/{begun.id}/parts", data=form(data="x"), headers={"Sec-Fetch-Site": site})
            assert found == status, site
            if status == 403:
                assert body["error"]["code"] == "origin_not_allowed"


def form(**fields: str) -> aiohttp.FormData:
    found = aiohttp.FormData(default_to_multipart=True)
    for name, value in fields.items():
        found.add_field(name, value.encode(), filename="part")
    return found


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
