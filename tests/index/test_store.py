"""The store survives kills, damage and other versions of ghostd, and has one writer."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from index_harness import following, write

from ghostd.config.projects import IndexConfig
from ghostd.errors import RootError
from ghostd.index.contents import Content
from ghostd.index.rows import encode_outline, encode_uses, find_uses, name_crc
from ghostd.index.service import index_once, open_index
from ghostd.index.store import Record, Store, Totals, migrations, store_path
from ghostd.index.supervisor import Message, Supervisor
from ghostd.navigation.symbols import SymbolSearch, Wanted


def record(path: str, name: str, text: bytes = b"x") -> Record:
    """A file that defines and uses one name."""
    content = Content(
        outline=encode_outline([[name, "function", 0, 1, 0, 1, 1, "", name]], []),
        uses=encode_uses({name.encode(): [0]}, [text]),
        defined={name: ""},
        used=frozenset((name_crc(name.encode()),)),
        symbol_count=1,
        use_count=1,
    )
    digest = blake2b(name.encode() + text, digest_size=16).digest()
    return Record(path, "python", len(text), 1, True, digest, content=content)


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """What SQLite itself sees."""
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_replacing_and_removing_a_file_leaves_no_row_of_it(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    store = Store(path, keep_bytes=0)
    assert store.commit([record("a.py", "one"), record("b.py", "one")]).generation == 1
    assert store.commit([record("a.py", "two", b"y")]).generation == 2
    in_use = "SELECT name, path FROM definition JOIN file USING (content_id) ORDER BY name"
    assert rows(path, in_use) == [("one", "b.py"), ("two", "a.py")]
    store.commit([Record("c.bin", "plaintext", 7, 1, True, None, "binary")])
    assert store.totals() == Totals(files=2, symbols=2, uses=2, imports=0, size_bytes=2, skipped=1)
    store.commit([Record("c.bin", "plaintext", 5, 1, True, b"h" * 16)], skips={"pipe": "a FIFO"})
    assert store.totals() == Totals(files=3, symbols=2, uses=2, imports=0, size_bytes=7, skipped=1)
    store.commit(removed=["c.bin"], skips={"pipe": None})
    commit = store.commit(removed=["a.py", "b.py", "never.py"])
    assert (commit.generation, commit.changed, commit.removed) == (5, (), ("a.py", "b.py"))
    assert store.totals() == Totals(0, 0, 0, 0, 0, 0)
    for table in ("file", "content", "parsed", "definition", "use"):
        assert rows(path, f"SELECT count(*) FROM {table}") == [(0,)], table
    store.close()


def test_the_file_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    Store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_store_of_an_older_schema_is_migrated_and_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    Store(path, migrations()[:1]).close()
    rows(path, "INSERT INTO file VALUES (1, 'a.py', 'python', 9, 1, 1, x'00', NULL, 2, 3, 4)")
    store = Store(path)
    assert store.totals() == Totals(files=1, symbols=2, uses=3, imports=4, size_bytes=9, skipped=0)
    store.close()
    steps = [*migrations(), "ALTER TABLE file ADD COLUMN note TEXT NOT NULL DEFAULT 'new'"]
    store = Store(path, steps)
    assert store.rebuilt == ""
    assert rows(path, "SELECT path, note FROM file") == [("a.py", "new")]
    assert rows(path, "PRAGMA user_version") == [(len(steps),)]
    store.close()


async def test_chunks_of_an_older_form_are_made_anew_while_definitions_answer(root: Path, store: Path) -> None:
    write(root, {"a.py": "def one():\n    return 'mast'\n"})
    await index_once(store, root, IndexConfig())
    path = store_path(store, root)
    rows(path, "UPDATE parsed SET chunks = x'00'")
    rows(path, "UPDATE meta SET value = 'older' WHERE key = 'extractor'")
    rows(path, "ALTER TABLE definition DROP COLUMN containers")
    rows(path, "ALTER TABLE file RENAME COLUMN changed_ns TO mtime_ns")
    rows(path, "PRAGMA user_version = 3")
    await asyncio.to_thread(lambda: Store(path).close())
    assert rows(path, "SELECT chunks FROM parsed UNION SELECT id FROM segment") == [(b"",)]
    assert rows(path, "SELECT name FROM definition") == [("one",)]
    async with following(root, store) as followed:
        assert len(await followed.index.search(root, {"mast": 1.0})) == 1


@pytest.mark.parametrize(
    "damage", ["outline = x'00'", "uses = substr(uses, 1, 10)", "outline = substr(outline, 1, 10)"]
)
async def test_what_sqlite_does_not_see_to_be_damaged_is_built_again_once_it_is_read(
    damage: str, root: Path, store: Path
) -> None:
    write(root, {"a.py": "import b\n\n\ndef one():\n    return two()\n"})
    async with following(root, store) as followed:
        index = followed.index
        rows(store_path(store, root), f"UPDATE parsed SET {damage}")

        async def whole() -> bool:
            imports = await index.imports(root, PurePosixPath("a.py"))
            return bool(imports and await index.definitions(root, "one") and await index.references(root, "two"))

        await followed.until_true(whole)
        await followed.until_true(lambda: index.roots()[0].state == "ready")
        assert "its index was set aside and is built anew: it is damaged" in index.roots()[0].detail


async def test_a_schema_that_is_no_text_is_damage_before_and_after_the_start(root: Path, store: Path) -> None:
    def spoil() -> None:
        with closing(sqlite3.connect(store_path(store, root))) as connection, connection:
            connection.execute("PRAGMA writable_schema = 1")
            connection.execute("UPDATE sqlite_master SET sql = sql || CAST(x'20ad' AS TEXT) WHERE name = 'totals'")
            connection.execute("PRAGMA schema_version = 4711")

    write(root, {"a.py": "def one(): ...\n"})
    await index_once(store, root, IndexConfig())
    spoil()
    async with following(root, store) as followed:
        assert len(await followed.index.definitions(root, "one")) == 1
        spoil()
        await followed.until_defined("one")
        assert "it is damaged" in followed.index.roots()[0].detail


async def test_damaged_chunks_do_not_end_the_worker_again_and_again(root: Path, store: Path) -> None:
    write(root, {"a.py": "def one():\n    return 'mast'\n"})
    await index_once(store, root, IndexConfig())
    path = store_path(store, root)
    rows(path, "UPDATE parsed SET chunks = substr(chunks, 1, 12)")
    rows(path, "UPDATE content SET segment = NULL")
    rows(path, "DELETE FROM segment")
    path.with_suffix(".pass").write_bytes(b"[" * 100_000)
    async with following(root, store) as followed:
        assert len(await followed.index.search(root, {"mast": 1.0})) == 1
        assert "it is damaged" in followed.index.roots()[0].detail


async def test_a_method_is_found_by_its_type_wherever_the_types_are_kept(root: Path, store: Path) -> None:
    types = [f"{'Long' * 10}{number}" for number in range(100)]
    text = "".join(f"class {name}:\n    def go(self): ...\n" for name in types)
    write(root, {"many.py": text, "few.py": "class Short:\n    def go(self): ...\n\n\ndef go(): ...\n"})
    async with following(root, store) as followed:
        within = {path.name: containers for _, path, containers in await followed.index.defined_within(root, ["go"])}
        assert within == {"few.py": ("Short", ""), "many.py": None}  # too many for a row
        search = SymbolSearch(followed.index)
        for name in ("Short", types[77]):
            found = await search.search(Wanted(f"{name}.go"), [root], followed.index, 5)
            assert found[0].symbol.container == name


def test_a_migration_that_fails_half_way_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    store = Store(path)
    store.commit([record("a.py", "one")])
    store.close()
    bad = "ALTER TABLE file ADD COLUMN note TEXT; INSERT INTO no_such_table VALUES (1)"
    with pytest.raises(sqlite3.OperationalError):
        Store(path, [*migrations(), bad])
    assert rows(path, "PRAGMA user_version") == [(len(migrations()),)]
    assert "note" not in [row[1] for row in rows(path, "PRAGMA table_info(file)")]


def test_a_store_of_a_newer_schema_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    newer = Store(path, [*migrations(), "CREATE TABLE future (x)"])
    newer.close()
    store = Store(path)
    assert "newer" in store.rebuilt
    assert rows(path, "PRAGMA user_version") == [(len(migrations()),)]
    assert rows(path.with_name("s.sqlite3.aside"), "SELECT count(*) FROM future") == [(0,)]
    store.close()


@pytest.mark.parametrize("content", [b"no database at all, but text" * 500, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.sqlite3"
    path.write_bytes(content)
    store = Store(path)
    assert "damaged" in store.rebuilt
    assert store.commit([record("a.py", "one")]).generation == 1
    store.close()


def test_uses_keep_their_place_in_long_lines_and_many_lines() -> None:
    lines = [b"x" * 70_000, b"", b"yy = 1", b""]
    source = b"\n".join(lines)
    start = source.index(b"yy")
    blob = encode_uses({b"x": [0], b"yy": [start]}, lines)
    assert list(find_uses(blob, b"yy")) == [(start, 3)]
    assert list(find_uses(blob, b"x")) == [(0, 1)]
    assert list(find_uses(blob, b"y")) == []
    assert list(find_uses(encode_uses({}, [b""]), b"y")) == []


@pytest.mark.e2e
async def test_a_damaged_store_is_built_again_and_answers(root: Path, store: Path) -> None:
    write(root, {f"m{n}.py": f"def f{n}(): return {n}\n" * 50 for n in range(50)})
    await index_once(store, root, IndexConfig())
    path = store_path(store, root)
    data = bytearray(path.read_bytes())
    data[8192:-4096] = b"\xa5" * (len(data) - 8192 - 4096)
    path.write_bytes(data)
    async with following(root, store) as followed:

        async def whole() -> bool:
            return len(await followed.paths()) == 50 and len(await followed.index.definitions(root, "f7")) == 50

        await followed.until_true(whole)
    assert path.with_name(path.name + ".aside").exists()


@pytest.mark.e2e
async def test_a_store_with_a_text_that_is_not_utf8_is_built_again(root: Path, store: Path) -> None:
    write(root, {"a.py": "x = 1\n"})
    await index_once(store, root, IndexConfig())
    path = store_path(store, root)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE file SET path = CAST(x'61ff2e7079' AS TEXT)")
    assert (await index_once(store, root, IndexConfig())).files == 1
    assert path.with_name(path.name + ".aside").exists()


@pytest.mark.e2e
async def test_a_second_pass_reads_nothing_that_has_not_changed(root: Path, store: Path) -> None:
    write(root, {"a.py": "x = 1\n", "b.py": "y = 1\n", "c.png": "\0"})
    for path in root.iterdir():
        os.utime(path, ns=(10**18, 10**18))
    first = await index_once(store, root, IndexConfig())
    assert (first.files, first.parsed) == (2, 2)
    os.utime(root / "b.py", ns=(2 * 10**18, 2 * 10**18))
    again = await index_once(store, root, IndexConfig())
    assert (again.files, again.parsed, again.skips) == (2, 0, first.skips)
    write(root, {"b.py": "z = 1\n"})
    assert (await index_once(store, root, IndexConfig())).parsed == 1


@pytest.mark.e2e
async def test_other_limits_have_skipped_files_looked_at_again(root: Path, store: Path) -> None:
    write(root, {"a.py": "x" * 300 + " = 1\n"})
    os.utime(root / "a.py", ns=(10**18, 10**18))
    assert (await index_once(store, root, IndexConfig(max_line_bytes=100))).files == 0
    assert (await index_once(store, root, IndexConfig())).files == 1
    assert (await index_once(store, root, IndexConfig(max_line_bytes=100))).files == 0


@pytest.mark.e2e
async def test_another_extractor_parses_all_again_and_the_old_rows_answer_meanwhile(root: Path, store: Path) -> None:
    write(root, {"a.py": "def one(): pass\n"})
    os.utime(root / "a.py", ns=(10**18, 10**18))
    await index_once(store, root, IndexConfig())
    await asyncio.to_thread(age, store_path(store, root), root)
    assert len(rows(store_path(store, root), "SELECT 1 FROM definition JOIN file USING (content_id)")) == 1
    report = await index_once(store, root, IndexConfig())
    assert (report.files, report.parsed) == (1, 1)


def age(path: Path, root: Path) -> None:
    """Make a store look as if another version had parsed its files."""
    writer = Store(path)
    writer.prepare(str(root), "another extractor", "")
    writer.close()


@pytest.mark.e2e
async def test_progress_is_reported_up_to_the_last_file(root: Path, store: Path) -> None:
    write(root, {f"m{n}.py": "x = 1\n" for n in range(30)})
    seen: list[tuple[int, int]] = []
    await index_once(store, root, IndexConfig(), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (30, 30)
    assert seen == sorted(seen)


_CHILD = """
import asyncio, sys
from pathlib import Path
from ghostd.config.projects import IndexConfig
from ghostd.index.service import open_index

async def main():
    async with open_index(Path(sys.argv[1]), IndexConfig()) as index:
        index.subscribe(lambda batch: print(batch.generation, flush=True))
        await index.add_root(Path(sys.argv[2]))
        print("added", flush=True)
        await index.wait_ready(Path(sys.argv[2]))
        print("ready", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def child(store: Path, root: Path) -> subprocess.Popen[str]:
    """Another process that follows `root`."""
    arguments = [sys.executable, "-c", _CHILD, str(store), str(root)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


@pytest.mark.e2e
async def test_a_root_is_written_by_one_process_only(root: Path, store: Path) -> None:
    write(root, {"a.py": "x = 1\n"})
    with await asyncio.to_thread(child, store, root) as other:
        try:
            assert other.stdout is not None
            await asyncio.to_thread(other.stdout.readline)
            with pytest.raises(RootError, match=f"process {other.pid} is indexing it"):
                await index_once(store, root, IndexConfig())
            async with open_index(store, IndexConfig()) as index:
                with pytest.raises(RootError, match=str(other.pid)):
                    await index.add_root(root)
        finally:
            other.kill()
    assert (await index_once(store, root, IndexConfig())).files == 1


@pytest.mark.e2e
@pytest.mark.timeout(180)
async def test_a_kill_in_the_middle_of_a_pass_leaves_a_store_that_goes_on(root: Path, store: Path) -> None:
    """kill -9 of the daemon, at several moments of the first pass; its worker dies with it."""
    body = "".join(f"def f{n}(a, b): return a.x(b) + other{n}(a)\n" for n in range(10))
    # A commit holds 512 files at most: three, and a rest.
    write(root, {f"d{n % 40}/m{n}.py": body + f"def unique_{n}(): pass\n" for n in range(1600)})
    for commits in (0, 1, 2):
        with await asyncio.to_thread(child, store, root) as other:
            assert other.stdout is not None
            for _ in range(1 + commits):
                told = await asyncio.to_thread(other.stdout.readline)
                assert told not in ("", "ready\n"), "it ended, or was through, before it was killed"
            os.kill(other.pid, signal.SIGKILL)
    assert rows(store_path(store, root), "PRAGMA integrity_check") == [("ok",)]
    report = await index_once(store, root, IndexConfig())
    assert report.files == 1600
    assert report.parsed < 1600
    assert report.symbols == 1600 * 11
    async with following(root, store) as followed:
        assert len(await followed.index.definitions(root, "unique_1599")) == 1
        assert len(await followed.index.definitions(root, "f7", limit=2000)) == 1600


@pytest.mark.e2e
async def test_closing_in_the_middle_of_a_pass_is_quick_and_keeps_what_was_committed(root: Path, store: Path) -> None:
    write(root, {f"m{n}.py": f"def f{n}(): pass\n" * 200 for n in range(800)})
    async with asyncio.timeout(20):
        async with open_index(store, IndexConfig()) as index:
            await index.add_root(root)
            waiter = asyncio.create_task(index.wait_ready(root))
            await asyncio.sleep(0)
        with pytest.raises(RootError, match="removed"):
            await waiter
    assert (await index_once(store, root, IndexConfig())).files == 800


def test_a_store_that_another_program_locks_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.sqlite3"
    Store(path).close()
    monkeypatch.setattr("ghostd.index.store.BUSY_TIMEOUT_S", 0.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("INSERT INTO meta VALUES ('kept', 1)")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            Store(path)
    assert rows(path, "SELECT value FROM meta WHERE key = 'kept'") == [(1,)]


@pytest.mark.e2e
async def test_changes_that_could_not_be_written_are_made_up_for_at_the_next_change(
    root: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, {"a.py": "a = 1\n"})
    submit = Supervisor.submit

    def full(self: Supervisor, order: dict[str, Any], on_message: Callable[[Message], None]) -> int:
        asyncio.get_running_loop().call_soon(on_message, {"error": "the disk is full"})
        return 0

    async with following(root, store) as followed:
        await followed.until(["a.py"])
        monkeypatch.setattr(Supervisor, "submit", full)
        write(root, {"b.py": "b = 1\n"})
        await followed.until_true(lambda: followed.index.roots()[0].detail == "the disk is full")
        monkeypatch.setattr(Supervisor, "submit", submit)
        write(root, {"c.py": "c = 1\n"})
        await followed.until(["a.py", "b.py", "c.py"])
        await followed.until_true(lambda: followed.index.roots()[0].state == "ready")
