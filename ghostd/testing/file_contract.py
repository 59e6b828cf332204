"""What every FileStore must do. Subclass FileStoreContract, say how to open yours, and pytest runs it."""

# ruff: noqa: D102 (the names of the tests say it)

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from ghostd.batch import UPLOAD_PART, StoredFile
from ghostd.errors import BodyTooLarge, InvalidRequest, StoreError
from ghostd.ports import FileStore


async def keep(store: FileStore, content: bytes, **changes: Any) -> StoredFile:
    """A file in the store."""
    limited = changes.pop("limited", True)
    async with store.incoming(limited=limited) as incoming:
        for start in range(0, len(content), 7):
            await incoming.write(content[start : start + 7])
        return await incoming.keep(**{"purpose": "user_data", "filename": "a.txt", **changes})


async def content_of(store: FileStore, file_id: str) -> bytes:
    """What a file holds."""
    return b"".join([block async for block in store.read(file_id)])


class FileStoreContract(ABC):
    """The tests. Each opens a store of its own."""

    @abstractmethod
    def opened(self, folder: Path, *, max_bytes: int) -> AbstractAsyncContextManager[FileStore]:
        """A store without files, whose uploads are limited so; it may keep files in `folder`."""

    @abstractmethod
    def later(self, store: FileStore, seconds: int) -> None:
        """Time goes by."""

    async def test_a_file_is_what_was_written(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path, max_bytes=100) as store:
            kept = await keep(store, b"hello world, hello", filename="b.txt", expires_after_s=60)
            assert (kept.purpose, kept.filename, kept.size_bytes) == ("user_data", "b.txt", 18)
            assert kept.expires_s == kept.created_s + 60
            assert await store.get(kept.id) == kept
            assert await content_of(store, kept.id) == b"hello world, hello"

    async def test_an_empty_file_is_a_file(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path, max_bytes=100) as store:
            assert await content_of(store, (await keep(store, b"")).id) == b""

    async def test_what_is_left_without_being_kept_is_gone(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path, max_bytes=100) as store:
            async with store.incoming() as incoming:
                await incoming.write(b"x")
            assert await store.list(limit=10) == ([], False)

    async def test_an_upload_has_a_limit_and_what_ghostd_makes_has_none(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path, max_bytes=10) as store:
            try:
                await keep(store, b"x" * 11)
            except BodyTooLarge as error:
                assert error.param == "file"
            else:
                raise AssertionError("a file over the limit was kept")
            assert (await keep(store, b"x" * 11, limited=False)).size_bytes == 11

    async def test_files_are_listed_by_age(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path, max_bytes=100) as store:
            files = [await keep(store, b"x", purpose="batch" if number % 2 else "vision") for number in range(5)]
            assert await store.list(limit=5) == (files[::-1], False)
            assert await store.list(limit=2, descending=False) == (files[:2], True)
            assert await store.list(limit=9, descending=False, after=files[1].id) == (files[2:], False)
            assert await store.list(limit=9, after=files[1].id) == (files[:1], False)
            assert await store.list(limit=9, purpose="batch") == ([files[3], files[1]], False)
            try:
                await store.list(limit=9, after="file-nobody")
            except InvalidRequest as error:
                assert error.param == "after"
            else:
                raise AssertionError("a list behind nothing")

    async def test_parts_of_uploads_are_in_no_list_of_all_files(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path, max_bytes=100) as store:
            part, whole = await keep(store, b"x", purpose=UPLOAD_PART), await keep(store, b"x")
            assert await store.list(limit=9) == ([whole], False)
            assert await store.list(limit=9, purpose=UPLOAD_PART) == ([part], False)
            assert await store.get(part.id) == part

    async def test_a_deleted_file_is_gone(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path, max_bytes=100) as store:
            kept = await keep(store, b"x")
            assert await store.delete(kept.id)
            assert not await store.delete(kept.id)
            assert await store.get(kept.id) is None
            try:
                await content_of(store, kept.id)
            except StoreError:
                return
            raise AssertionError("a deleted file was read")

    async def test_what_has_expired_is_not_there(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path, max_bytes=100) as store:
            kept = await keep(store, b"x", expires_after_s=60)
            self.later(store, 61)
            assert await store.get(kept.id) is None
            assert await store.list(limit=9) == ([], False)

    async def test_to_keep_a_file_again_replaces_it(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path, max_bytes=100) as store:
            await keep(store, b"first", file_id="file-same")
            await keep(store, b"second", file_id="file-same")
            assert await content_of(store, "file-same") == b"second"
            found, _ = await store.list(limit=9)
            assert [file.size_bytes for file in found] == [6]
