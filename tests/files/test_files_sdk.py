"""`/v1/files` as the official SDK uses it, over a real store. Source: the OpenAI API reference, "Files"."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import stat
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from ghostd.config.files import FilesConfig
from ghostd.config.http import HttpConfig
from ghostd.files.contents import Upload
from ghostd.files.service import FileService, open_files
from ghostd.files.table import FileTable
from ghostd.gateway.dialects.openai.file_form import plain_name
from ghostd.gateway.dialects.openai.files import routes
from ghostd.testing.gateway import Served, serving

FORM = {"Content-Type": "multipart/form-data; boundary=b"}
DAY_S = 86_400


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class World:
    folder: Path
    store: FileService
    served: Served
    client: openai.AsyncOpenAI
    http: aiohttp.ClientSession

    def contents(self) -> list[Path]:
        return sorted((self.folder / "content").iterdir())

    def incoming(self) -> list[Path]:
        return sorted((self.folder / "incoming").iterdir())

    async def post(self, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
        url = f"{self.served.url}/v1/files"
        async with self.http.post(url, data=io.BytesIO(body), headers=headers or FORM) as reply:
            return reply.status, await reply.json()


@asynccontextmanager
async def world(
    folder: Path,
    config: FilesConfig | None = None,
    clock: Callable[[], float] = time.time,
    http: HttpConfig | None = None,
) -> AsyncIterator[World]:
    config = config or FilesConfig()
    async with AsyncExitStack() as parts:
        store = await parts.enter_async_context(open_files(folder, config, clock))
        served = await parts.enter_async_context(serving(config=http, doors=routes(store, config)))
        client = await parts.enter_async_context(
            openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="unused", max_retries=0, timeout=20)
        )
        yield World(folder, store, served, client, await parts.enter_async_context(aiohttp.ClientSession()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "files"


def form(*parts: tuple[str, bytes]) -> bytes:
    """Parts of a disposition's parameters and a content."""
    whole = b"".join(
        f"--b\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data + b"\r\n" for head, data in parts
    )
    return whole + b"--b--\r\n"


PURPOSE = ('name="purpose"', b"batch")
FILE = ('name="file"; filename="a.jsonl"', b"{}\n")


# --- the whole life ----------------------------------------------------------------


@pytest.mark.covers("openai.files")
@pytest.mark.covers("openai.files", "content")
@pytest.mark.covers("openai.files", "purpose")
async def test_a_file_lives_from_upload_to_deletion(folder: Path) -> None:
    async with world(folder, clock=Clock()) as w:
        made = await w.client.files.create(file=("in.jsonl", b'{"a": 1}\n'), purpose="batch")
        assert (made.object, made.bytes, made.filename, made.purpose) == ("file", 9, "in.jsonl", "batch")
        assert (made.created_at, made.status) == (1_800_000_000, "processed")
        assert made.expires_at == 1_800_000_000 + 30 * DAY_S
        assert made.id.startswith("file-")
        assert await w.client.files.retrieve(made.id) == made
        assert (await w.client.files.content(made.id)).content == b'{"a": 1}\n'
        assert [file.id async for file in w.client.files.list()] == [made.id]
        gone = await w.client.files.delete(made.id)
        assert (gone.id, gone.deleted, gone.object) == (made.id, True, "file")
        for ask in (w.client.files.retrieve, w.client.files.content, w.client.files.delete):
            with pytest.raises(openai.NotFoundError, match=f"No such File object: {made.id}"):
                await ask(made.id)
        assert w.contents() == []


@pytest.mark.covers("openai.files", "after, limit, order")
async def test_files_are_listed_page_by_page(folder: Path) -> None:
    async with world(folder) as w:
        made = [
            await w.client.files.create(file=(f"{number}", b"x"), purpose="batch" if number % 2 else "user_data")
            for number in range(7)
        ]
        ids = [file.id for file in made]
        assert [file.id async for file in w.client.files.list(limit=2, order="asc")] == ids
        assert [file.id async for file in w.client.files.list(limit=3)] == ids[::-1]
        assert [file.id async for file in w.client.files.list(purpose="batch", order="asc")] == ids[1::2]
        first = await w.client.files.list(limit=2)
        assert (len(first.data), first.has_more) == (2, True)
        last = await w.client.files.list(after=ids[1])
        assert ([file.id for file in last.data], last.has_more) == ([ids[0]], False)


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=x", "limit=-1", "order=up", "after=file-nobody"])
async def test_a_list_says_which_parameter_is_wrong(folder: Path, query: str) -> None:
    async with world(folder) as w, w.http.get(f"{w.served.url}/v1/files?{query}") as reply:
        error = (await reply.json())["error"]
        assert (reply.status, error["param"]) == (400, query.partition("=")[0])


async def test_files_outlive_a_restart(folder: Path) -> None:
    async with world(folder) as w:
        made = await w.client.files.create(file=("a", b"kept"), purpose="user_data")
        assert made.expires_at is None
    async with world(folder) as w:
        assert await w.client.files.retrieve(made.id) == made
        assert (await w.client.files.content(made.id)).content == b"kept"
        assert w.store.total_bytes == 4


async def test_a_large_file_goes_through_in_pieces(folder: Path) -> None:
    """More than http.max_body_bytes, which is for what is kept in memory."""
    data = os.urandom(3_000_000)
    async with world(folder, http=HttpConfig(max_body_bytes=100_000)) as w:
        made = await w.client.files.create(file=("big", data), purpose="user_data")
        assert made.bytes == len(data)
        assert (await w.client.files.content(made.id)).content == data
        async with w.http.head(f"{w.served.url}/v1/files/{made.id}/content") as reply:
            assert (reply.status, await reply.read()) == (200, b"")


async def test_contents_are_the_users_alone_and_never_run_in_a_browser(folder: Path) -> None:
    async with world(folder) as w:
        made = await w.client.files.create(file=("page.html", b"<script>"), purpose="user_data")
        (path,) = w.contents()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE((folder / "files.sqlite3").stat().st_mode) == 0o600
        assert {stat.S_IMODE(found.stat().st_mode) for found in (folder, path.parent, folder / "incoming")} == {0o700}
        async with w.http.get(f"{w.served.url}/v1/files/{made.id}/content") as reply:
            assert reply.headers["Content-Type"] == "application/octet-stream"
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            assert reply.headers["Content-Disposition"].startswith("attachment;")
            assert reply.headers["Content-Length"] == "8"


# --- expiry and room ----------------------------------------------------------------


@pytest.mark.covers("openai.files", "expires_after")
async def test_files_expire(folder: Path) -> None:
    clock = Clock()
    async with world(folder, clock=clock) as w:
        short = await w.client.files.create(
            file=("a", b"12345"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
        )
        assert short.expires_at == 1_800_003_600
        kept = await w.client.files.create(file=("b", b"1"), purpose="user_data")
        clock.now += 3601
        with pytest.raises(openai.NotFoundError):
            await w.client.files.retrieve(short.id)
        assert [file.id async for file in w.client.files.list()] == [kept.id]
        await w.store.prune()
        assert ([path.name for path in w.contents()], w.store.total_bytes) == ([kept.id], 1)


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("expires_after[seconds]", b"3600", "expires_after.anchor"),
        ("expires_after[anchor]", b"created_at", "expires_after.seconds"),
        ("expires_after[anchor]", b"now", "expires_after.anchor"),
    ],
)
async def test_an_expiry_is_whole(folder: Path, field: str, value: bytes, param: str) -> None:
    async with world(folder) as w:
        status, body = await w.post(form(PURPOSE, (f'name="{field}"', value), FILE))
        assert (status, body["error"]["param"]) == (400, param)


@pytest.mark.parametrize("seconds", [b"3599", b"2592001", b"-1", b"1e4", b"99999999999999999999"])
async def test_an_expiry_is_within_its_range(folder: Path, seconds: bytes) -> None:
    async with world(folder) as w:
        expiry = (('name="expires_after[anchor]"', b"created_at"), ('name="expires_after[seconds]"', seconds))
        status, body = await w.post(form(PURPOSE, *expiry, FILE))
        assert (status, body["error"]["param"]) == (400, "expires_after.seconds")


async def test_a_file_over_its_limit_leaves_nothing(folder: Path) -> None:
    async with world(folder, FilesConfig(max_bytes=1000)) as w:
        with pytest.raises(openai.APIStatusError) as caught:
            await w.client.files.create(file=("a", b"x" * 1001), purpose="batch")
        assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")
        assert (await w.client.files.create(file=("a", b"x" * 1000), purpose="batch")).bytes == 1000
        assert (len(w.contents()), w.incoming(), w.store.total_bytes) == (1, [], 1000)


async def test_a_body_far_over_the_limit_is_refused_by_its_length(folder: Path) -> None:
    async with world(folder, FilesConfig(max_bytes=1000)) as w:
        status, body = await w.post(form(PURPOSE, ('name="file"; filename="a"', b"x" * 4_000_000)))
        assert (status, body["error"]["code"]) == (413, "request_too_large")


async def test_a_body_of_unknown_length_is_refused_when_it_has_grown_too_large(folder: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        while True:
            yield b"x" * 65536

    async with world(folder, FilesConfig(max_bytes=1_000_000)) as w:
        with pytest.raises((aiohttp.ClientError, AssertionError)):
            async with w.http.post(f"{w.served.url}/v1/files", data=endless(), headers=FORM) as reply:
                assert reply.status == 200
        assert (w.contents(), w.incoming()) == ([], [])


async def test_all_files_together_have_a_limit_and_room_comes_back(folder: Path) -> None:
    async with world(folder, FilesConfig(max_total_bytes=1000)) as w:
        first = await w.client.files.create(file=("a", b"x" * 600), purpose="batch")
        with pytest.raises(openai.APIStatusError, match=r"files\.max_total_bytes") as caught:
            await w.client.files.create(file=("b", b"x" * 600), purpose="batch")
        assert (caught.value.status_code, caught.value.code) == (507, "storage_full")
        assert caught.value.response.headers["x-should-retry"] == "false"
        await w.client.files.delete(first.id)
        assert (await w.client.files.create(file=("b", b"x" * 600), purpose="batch")).bytes == 600


async def test_expired_files_make_room(folder: Path) -> None:
    clock = Clock()
    async with world(folder, FilesConfig(max_total_bytes=1000, keep_days=1), clock) as w:
        await w.client.files.create(file=("a", b"x" * 600), purpose="batch")
        clock.now += DAY_S + 1
        assert (await w.client.files.create(file=("b", b"x" * 600), purpose="batch")).bytes == 600


async def test_uploads_at_once_share_the_room(folder: Path) -> None:
    async with world(folder, FilesConfig(max_total_bytes=1_000_000)) as w:

        async def one(number: int) -> bool:
            try:
                await w.client.files.create(file=(f"{number}", bytes([number]) * 300_000), purpose="batch")
            except openai.APIStatusError as error:
                assert error.status_code == 507
                return False
            return True

        kept = await asyncio.gather(*map(one, range(12)))
        assert sum(kept) <= 3
        assert w.store.total_bytes == 300_000 * sum(kept) == sum(path.stat().st_size for path in w.contents())
        for path in w.contents():
            assert len(set(path.read_bytes())) == 1


@pytest.mark.parametrize("step", ["write", "keep", "put"])
async def test_a_full_disk_leaves_no_half_file(folder: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    async with world(folder) as w:
        kept = await w.client.files.create(file=("a", b"before"), purpose="batch")

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patched:
            patched.setattr(FileTable if step == "put" else Upload, step, full)
            with pytest.raises(openai.APIStatusError, match="disk is full") as caught:
                await w.client.files.create(file=("b", b"x" * 100_000), purpose="batch")
            assert (caught.value.status_code, caught.value.code) == (507, "storage_full")
        assert ([path.name for path in w.contents()], w.incoming()) == ([kept.id], [])
        assert w.store.total_bytes == 6
        assert (await w.client.files.create(file=("b", b"again"), purpose="batch")).bytes == 5


async def test_a_client_that_leaves_amid_an_upload_leaves_nothing(folder: Path) -> None:
    async with world(folder) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.served.port)
        head = f"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1:{w.served.port}\r\nContent-Length: 999999\r\n"
        writer.write(f"{head}Content-Type: {FORM['Content-Type']}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 100")
        writer.write(form(PURPOSE, FILE).removesuffix(b"\r\n--b--\r\n") + b"x" * 70_000)
        await writer.drain()
        async with asyncio.timeout(10):
            while not w.store.total_bytes:
                await asyncio.sleep(0)
            writer.close()
            while w.store.total_bytes or w.incoming():
                await asyncio.sleep(0)
        assert w.contents() == []


@pytest.mark.parametrize("turns", range(8))
async def test_an_upload_that_ends_at_any_moment_leaves_nothing(folder: Path, turns: int) -> None:
    """Cancelled after so many turns of the event loop, or soon after it has begun."""
    async with open_files(folder, FilesConfig()) as store:
        assert await store.get("file-x") is None  # opens it
        reached = asyncio.Event()

        async def upload() -> None:
            async with store.incoming() as incoming:
                await incoming.write(b"x" * 100_000)
                reached.set()
                await asyncio.sleep(3600)

        tasks = [asyncio.create_task(upload()) for _ in range(10)]
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns == 7:
            await reached.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert list((folder / "incoming").iterdir()) == []
        assert store.total_bytes == 0


async def test_what_a_crash_has_left_is_cleaned_up(folder: Path) -> None:
    async with world(folder) as w:
        made = await w.client.files.create(file=("a", b"kept"), purpose="batch")
    (folder / "incoming" / "half").write_bytes(b"half")
    (folder / "content" / "file-nobodys").write_bytes(b"x")
    async with world(folder) as w:
        assert [file.id async for file in w.client.files.list()] == [made.id]
        assert ([path.name for path in w.contents()], w.incoming()) == ([made.id], [])


async def test_a_damaged_list_is_set_aside_with_its_files(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with world(folder) as w:
        await w.client.files.create(file=("a", b"kept"), purpose="batch")
    for path in folder.glob("files.sqlite3*"):
        path.write_bytes(b"no database at all" * 500)
    async with world(folder) as w:
        assert [file.id async for file in w.client.files.list()] == []
        assert (await w.client.files.create(file=("b", b"new"), purpose="batch")).bytes == 3
    (aside,) = folder.parent.glob("files.damaged-*")
    assert [path.read_bytes() for path in (aside / "content").iterdir()] == [b"kept"]
    assert "is damaged" in caplog.text


# --- what is refused ------------------------------------------------------------------


async def test_filenames_are_never_paths(folder: Path) -> None:
    async with world(folder) as w:
        for sent in ("../../../etc/passwd", "/etc/passwd", "..\\..\\passwd", "C:\\x\\passwd"):
            made = await w.client.files.create(file=(sent, b"x"), purpose="batch")
            assert made.filename == "passwd"
        assert all(path.name.startswith("file-") for path in w.contents())


@pytest.mark.parametrize(
    ("sent", "plain"),
    [("", "file"), ("..", "file"), ("a/", "file"), ("x\0y\n.txt", "xy.txt"), ("é" * 300, "é" * 255), (" ö b ", "ö b"),
     ("a\u202etxt.exe", "atxt.exe")],
)  # fmt: skip
def test_a_plain_name_is_fit_to_be_shown(sent: str, plain: str) -> None:
    assert plain_name(sent) == plain


@pytest.mark.parametrize(
    ("parts", "param"),
    [
        ((FILE,), "purpose"),
        ((PURPOSE,), "file"),
        ((('name="purpose"', b"fun"), FILE), "purpose"),
        ((('name="purpose"', b""), FILE), "purpose"),
        ((PURPOSE, FILE, FILE), "file"),
        ((PURPOSE, PURPOSE, FILE), "purpose"),
        ((PURPOSE, FILE, ('name="other"; filename="x"', b"1")), "other"),
        ((('name="purpose"', b"\xff"), FILE), "purpose"),
        ((('name="note"', b"x" * 1_048_577), PURPOSE, FILE), "note"),
    ],
)
async def test_an_upload_says_what_is_wrong(folder: Path, parts: tuple[tuple[str, bytes], ...], param: str) -> None:
    async with world(folder) as w:
        status, body = await w.post(form(*parts))
        assert (status, body["error"]["param"], body["error"]["type"]) == (400, param, "invalid_request_error")
        assert (w.contents(), w.incoming(), w.store.total_bytes) == ([], [], 0)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (form(PURPOSE, FILE), {"Content-Type": "multipart/form-data"}, 400),
        (form(PURPOSE, FILE), {"Content-Type": "multipart/form-data; boundary=other"}, 400),
        (form(PURPOSE, FILE)[:-10], FORM, 400),
        (b"", FORM, 400),
        (form(*[(f'name="x{number}"', b"1") for number in range(3000)]), FORM, 413),
    ],
)
async def test_what_is_no_form_is_refused(folder: Path, body: bytes, headers: dict[str, str], status: int) -> None:
    async with world(folder) as w:
        assert (await w.post(body, headers))[0] == status
        assert w.store.total_bytes == 0


async def test_a_page_on_another_site_cannot_upload(folder: Path) -> None:
    async with world(folder) as w:
        status, body = await w.post(form(PURPOSE, FILE), {**FORM, "Origin": "https://evil.test"})
        assert (status, body["error"]["code"]) == (403, "origin_not_allowed")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/files/..%2f..%2ffiles.sqlite3/content", 404),
        ("GET", "/v1/files/%2e%2e/content", 404),
        ("GET", "/v1/files/file-x/other", 404),
        ("GET", "/v1/files/", 404),
        ("DELETE", "/v1/files/a/b", 404),
        ("PUT", "/v1/files/file-x", 405),
        ("DELETE", "/v1/files", 405),
    ],
)
async def test_other_paths_lead_nowhere(folder: Path, method: str, path: str, status: int) -> None:
    async with world(folder) as w, w.http.request(method, w.served.url + path) as reply:
        assert reply.status == status
        assert "error" in await reply.json()
