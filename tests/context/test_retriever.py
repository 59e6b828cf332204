"""What is quoted for places in small projects, through real indexes."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pytest
from context.project import project, texts
from hypothesis import given, settings
from hypothesis import strategies as st
from index_harness import write

from ghostd.committed import CoChange, FileChange, Hunk
from ghostd.context.quote import prompt_of
from ghostd.context.retriever import Retriever
from ghostd.context.scorer import trained
from ghostd.context.secrets_in_text import REDACTED
from ghostd.context.selection import MAX_LEFT_OUT, ContextRequest
from ghostd.index.service import SqliteIndex
from ghostd.indexed import Symbol
from ghostd.resolve.resolver import Resolver
from ghostd.testing.memory_history import MemoryHistory
from ghostd.testing.memory_index import MemoryIndex
from ghostd.types import OpenDocument

SHOP = {
    "shop/__init__.py": "",
    "shop/storage.py": '''"""Where things are kept."""


class Storage:
    """A store of rows."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rows: dict[str, object] = {}

    def fetch_row(self, key: str) -> object:
        """One row."""
        return self.rows[key]

    def store_row(self, key: str, value: object) -> None:
        self.rows[key] = value
''',
    "shop/prices.py": '''TAX_RATE = 0.19


def gross_price(net: float, tax_rate: float = TAX_RATE) -> float:
    """With tax."""
    return net * (1 + tax_rate)
''',
    "shop/repository.py": '''from shop.storage import Storage


class Repository:
    """Base of all repositories."""

    table_name = ""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def find_by_key(self, key: str) -> object:
        return self.storage.fetch_row(f"{self.table_name}/{key}")

    def save_entity(self, key: str, entity: object) -> None:
        self.storage.store_row(f"{self.table_name}/{key}", entity)
''',
    "shop/orders.py": """from shop.prices import gross_price
from shop.repository import Repository


class OrderRepository(Repository):
    table_name = "orders"

    def total_of_order(self, number: str) -> float:
        order = self.
        return order


def print_total(net: float) -> None:
    total = gross_price(
""",
    "shop/garden.py": "def water_plants(litres):\n    for plant in range(litres):\n        print('tulip', plant)\n",
    "README.md": "# The shop\n\nPrices are gross; see gross_price.\n",
}


async def test_the_definition_behind_a_name_at_the_cursor_is_quoted_and_why_is_told(tmp_path: Path) -> None:
    async with project(tmp_path, SHOP) as shop:
        found = await shop.at("shop/orders.py", "total = gross_price(")
    pieces = [chunk for chunk in found.chunks if "def gross_price(net: float" in chunk.text]
    assert pieces
    assert str(pieces[0].path) == "shop/prices.py"
    assert any(reason.startswith("defines gross_price") for piece in pieces for reason in piece.why)
    assert found.late == ()


CALLING = {
    "paint/layers.py": "def blend_layers(till, order_items):\n    return order_items\n",
    "shop/till.py": "class Till:\n"
    + "".join(
        f"    def order_{word}(self, order_items): ...\n"
        for word in ("tax", "sum", "date", "list", "page", "rate", "time")
    ),
    "shop/main.py": "from shop.till import Till\n\n\ndef order_all(till: Till, order_items):\n"
    "    till.order_items = blend_layers(\n",
}


async def test_what_is_called_at_the_cursor_is_quoted_before_all_else(tmp_path: Path) -> None:
    async with project(tmp_path, CALLING) as shop:
        first = (await shop.at("shop/main.py", "blend_layers(", budget_tokens=18)).chunks[0]
        assert "def blend_layers(till, order_items)" in first.text


async def test_members_of_the_base_class_are_quoted_where_a_method_is_written(tmp_path: Path) -> None:
    async with project(tmp_path, SHOP) as shop:
        found = await shop.at("shop/orders.py", "order = self.")
    outlines = [chunk for chunk in found.chunks if chunk.source == "outline" and "find_by_key" in chunk.text]
    assert outlines
    assert str(outlines[0].path) == "shop/repository.py"
    assert "class Repository" in outlines[0].text
    assert any("a base of the enclosing type" in reason for chunk in found.chunks for reason in chunk.why)


async def test_the_outline_of_an_imported_class_is_quoted(tmp_path: Path) -> None:
    body = "".join(f"        step_{number} = compute_{number}(key)\n" for number in range(30))
    methods = "".join(f"    def {name}(self, key: str) -> object:\n{body}\n" for name in ("fetch_row", "drop_row"))
    files = {
        "storage.py": f"class Storage:\n{methods}",
        "orders.py": "from storage import Storage\n\n\ndef order_of(storage: Storage) -> None:\n    storage.\n",
    }
    async with project(tmp_path, files) as shop:
        found = await shop.at("orders.py", "    storage.")
    assert "def fetch_row(self, key: str) -> object\n    def drop_row(" in texts(found, "outline")


async def test_what_helps_most_comes_before_what_has_nothing_to_do_with_it(tmp_path: Path) -> None:
    async with project(tmp_path, SHOP) as shop:
        found = await shop.at("shop/orders.py", "order = self.", budget_tokens=250)
    assert "water_plants" not in texts(found)
    scores = {str(chunk.path): chunk.score for chunk in found.chunks}
    assert max(scores, key=lambda path: scores[path]) == "shop/repository.py"


async def test_nothing_of_the_file_itself_is_quoted_or_looked_at(tmp_path: Path) -> None:
    async with project(tmp_path, SHOP) as shop:
        for path in ("shop/orders.py", "shop/repository.py", "shop/storage.py"):
            changes = (FileChange(PurePosixPath(path), "modified", hunks=(Hunk(1, 5, "", "x"),)),)
            shop.retriever.parts = replace(shop.retriever.parts, history=MemoryHistory(changes=changes))
            opened = (OpenDocument(shop.root / path, "def gross_price_again(): ...\n"),)
            found = await shop.at(path, "", budget_tokens=8000, open_documents=opened)
            looked_at = {str(chunk.path) for chunk in found.chunks} | {str(piece.path) for piece in found.left_out}
            assert path not in looked_at
            assert looked_at


async def test_a_change_that_is_not_committed_is_quoted_as_it_is_now(tmp_path: Path) -> None:
    hunk = Hunk(11, 13, "    def fetch_row(self):\n", "    def fetch_row(self, key: str) -> object:\n")
    changes = (
        FileChange(PurePosixPath("shop/storage.py"), "modified", hunks=(hunk,)),
        FileChange(PurePosixPath("shop/gone.py"), "deleted", hunks=(Hunk(1, 0, "x", ""),)),
    )
    async with project(tmp_path, SHOP, MemoryHistory(changes=changes)) as shop:
        found = await shop.at("shop/orders.py", "order = self.")
        (piece,) = [chunk for chunk in found.chunks if chunk.source == "uncommitted"]
    assert (str(piece.path), piece.first_line) == ("shop/storage.py", 11)
    assert piece.text.startswith("def fetch_row(self, key: str) -> object:\n    ")
    assert "changed, not committed" in piece.why


async def test_files_that_change_together_with_this_one_count_more(tmp_path: Path) -> None:
    path = PurePosixPath("shop/orders.py")
    together: dict[PurePosixPath, tuple[CoChange, ...]] = {path: (CoChange(PurePosixPath("shop/garden.py"), 3.0, 4),)}
    async with project(tmp_path, SHOP | {"shop/orders.py": SHOP["shop/orders.py"] + "# plant\n"}) as shop:
        before = await shop.at("shop/orders.py", "total = gross_price(\n", budget_tokens=8000)
        shop.retriever.parts = replace(shop.retriever.parts, history=MemoryHistory(together=together))
        after = await shop.at("shop/orders.py", "total = gross_price(\n", budget_tokens=8000)
    scores = [
        max(chunk.score for chunk in found.chunks if str(chunk.path) == "shop/garden.py") for found in (before, after)
    ]
    assert scores[1] > scores[0]
    assert any("changed together in 4 commits" in chunk.why for chunk in after.chunks)


async def test_what_an_open_buffer_says_is_quoted_and_not_what_its_file_said(tmp_path: Path) -> None:
    new = SHOP["shop/prices.py"].replace("tax_rate: float = TAX_RATE", "country_code: str")
    async with project(tmp_path, SHOP) as shop:
        opened = (OpenDocument(shop.root / "shop/prices.py", new),)
        found = await shop.at("shop/orders.py", "total = gross_price(", open_documents=opened, budget_tokens=8000)
    chunks = "\n".join(chunk.text for chunk in found.chunks if chunk.source != "outline")
    assert "country_code" in texts(found, "open")
    assert "tax_rate: float" not in chunks


@pytest.mark.parametrize("above", ["", "# a comment, and so all lines are others\n\n"])
async def test_what_still_stands_in_an_open_buffer_is_quoted_as_from_its_file(above: str, tmp_path: Path) -> None:
    async with project(tmp_path, SHOP) as shop:
        opened = (OpenDocument(shop.root / "shop/storage.py", above + SHOP["shop/storage.py"]),)
        found = await shop.at("shop/repository.py", "return self.storage.", open_documents=opened, budget_tokens=8000)
    pieces = [chunk for chunk in found.chunks if str(chunk.path) == "shop/storage.py" and chunk.source == "search"]
    assert "def store_row" in "\n".join(chunk.text for chunk in pieces)
    assert all("open in the editor" in chunk.why for chunk in pieces)


async def test_a_new_file_that_is_only_open_is_quoted_too(tmp_path: Path) -> None:
    text = "def gross_price_of_basket(basket):\n    return sum(gross_price(net) for net in basket)\n"
    async with project(tmp_path, SHOP) as shop:
        opened = (OpenDocument(shop.root / "shop/basket.py", text),)
        found = await shop.at("shop/orders.py", "total = gross_price(", open_documents=opened)
    assert [str(chunk.path) for chunk in found.chunks if chunk.source == "open"] == ["shop/basket.py"]


async def test_a_saved_file_is_quoted_as_it_is_now(tmp_path: Path) -> None:
    async with project(tmp_path, SHOP) as shop:
        await shop.at("shop/orders.py", "total = gross_price(")  # everything has been read once
        text = SHOP["shop/prices.py"].replace("def gross_price(", "def gross_price_in_euros(")
        (shop.root / "shop/prices.py").write_text(f"\n\n{text}", encoding="utf-8")
        await shop.followed.until_defined("gross_price_in_euros")
        found = await shop.at("shop/orders.py", "total = gross_price(", budget_tokens=8000)
    assert "def gross_price_in_euros(" in texts(found)
    assert "def gross_price(net" not in texts(found)


async def test_secrets_are_taken_out_where_that_is_asked_for(tmp_path: Path) -> None:
    secret = "sk-ant-" + "a1B2" * 8
    files = SHOP | {"shop/prices.py": SHOP["shop/prices.py"] + f'\n\ngross_price_key = "{secret}"\n'}
    async with project(tmp_path, files) as shop:
        plain = await shop.at("shop/orders.py", "total = gross_price(", budget_tokens=8000)
        clean = await shop.at("shop/orders.py", "total = gross_price(", budget_tokens=8000, redact=True)
    assert secret in texts(plain)
    assert (secret in texts(clean), REDACTED in texts(clean)) == (False, True)
    assert sum(chunk.redactions for chunk in plain.chunks) == 0
    assert sum(chunk.redactions for chunk in clean.chunks) == texts(clean).count(REDACTED)


@pytest.mark.parametrize("budget", range(20, 400, 20))
async def test_redaction_that_makes_a_text_longer_does_not_exceed_the_budget(budget: int, tmp_path: Path) -> None:
    urls = "".join(f'gross_price_{n} = "x://u:abc@h"\n' for n in range(20))
    async with project(tmp_path, {"a.py": "gross_price_1 + gross_price_2 + x\n", "b.py": urls}) as shop:
        found = await shop.at("a.py", "gross_price_2 +", budget_tokens=budget, redact=True)
        plain = await shop.at("a.py", "gross_price_2 +", budget_tokens=budget)
    size = len("".join(f"# {chunk.path}\n{chunk.text}\n" for chunk in found.chunks))
    assert found.tokens == sum(chunk.tokens for chunk in found.chunks) <= budget
    assert size / 4 <= budget + len(found.chunks)
    assert sorted(found.prompt_order) == list(range(len(found.chunks)))
    assert len(found.chunks) <= len(plain.chunks)


async def test_the_budget_holds_at_every_place_and_what_is_left_out_has_reasons(tmp_path: Path) -> None:
    async with project(tmp_path, SHOP) as shop:
        for budget in (1, 20, 60, 200, 1000):
            for after in ("order = self.", "total = gross_price(", ""):
                found = await shop.at("shop/orders.py", after, budget_tokens=budget, redact=budget == 60)
                assert found.tokens == sum(chunk.tokens for chunk in found.chunks) <= budget
                prompt = prompt_of(found.in_prompt_order(), PurePosixPath("shop/orders.py"))
                assert len(prompt.encode()) / 4 <= found.tokens
                assert sorted(found.prompt_order) == list(range(len(found.chunks)))
                assert len(found.left_out) <= MAX_LEFT_OUT
                assert all(piece.reason for piece in found.left_out)
                assert len(found.chunks) + len(found.left_out) == found.candidates


async def test_a_root_that_is_not_indexed_and_an_unknown_file_give_nothing_or_little(tmp_path: Path) -> None:
    async with project(tmp_path, SHOP) as shop:
        request = await shop.request("shop/orders.py", "total = gross_price(")
        assert (await shop.retriever.select(replace(request, root=tmp_path / "elsewhere"))).chunks == ()
        unknown = await shop.retriever.select(replace(request, path=PurePosixPath("not/there.py")))
    assert "def gross_price" in texts(unknown)


@dataclass
class SlowHistory(MemoryHistory):
    """Never answers."""

    async def co_changed(
        self, root: Path, path: PurePosixPath, limit: int = 20, beside: Sequence[PurePosixPath] = ()
    ) -> Sequence[CoChange]:
        await asyncio.Event().wait()
        raise AssertionError

    async def uncommitted(self, root: Path) -> Sequence[FileChange]:
        await asyncio.Event().wait()
        raise AssertionError


class BrokenHistory(MemoryHistory):
    async def uncommitted(self, root: Path) -> Sequence[FileChange]:
        raise RuntimeError("the history is broken")


async def test_a_source_that_is_late_is_named_and_the_others_are_quoted(tmp_path: Path) -> None:
    async with project(tmp_path, SHOP, SlowHistory()) as shop:
        found = await shop.at("shop/orders.py", "total = gross_price(", deadline_s=4.0)
    assert set(found.late) == {"co-changed", "uncommitted"}
    assert "def gross_price(net: float" in texts(found)


async def test_names_that_are_read_for_long_hold_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the first time in a project of a million names."""

    async def names(self: SqliteIndex, root: Path, limit: int = 0) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(SqliteIndex, "names", names)
    async with project(tmp_path, SHOP) as shop:
        found = await shop.at("shop/orders.py", "total = gross_price(", deadline_s=4.0)
    assert "names" in found.late
    assert found.chunks, "all names count until it is known which are defined"


async def test_where_too_many_names_are_defined_all_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ghostd.context.known.MAX_DEFINED", 3)
    async with project(tmp_path, SHOP) as shop:
        assert await shop.retriever.parts.known.defined(shop.root) == frozenset()
        found = await shop.at("shop/orders.py", "total = gross_price(")
    assert "names" not in found.late
    assert "def gross_price(net: float" in texts(found)


async def test_a_source_that_fails_is_named_and_the_log_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with project(tmp_path, SHOP, BrokenHistory()) as shop:
        found = await shop.at("shop/orders.py", "total = gross_price(")
    assert found.late == ("uncommitted",)
    assert "def gross_price(net: float" in texts(found)
    assert "the history is broken" in caplog.text


async def test_a_request_that_is_cancelled_leaves_no_source_half_asked(tmp_path: Path) -> None:
    """Python tells of such ones in the log."""
    async with project(tmp_path, SHOP, MemoryHistory()) as shop:
        request = await shop.request("shop/orders.py", "total = gross_price(")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for turns in range(60):
                task = asyncio.create_task(shop.retriever.select(request))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                del task


async def test_the_prompt_stays_as_it_is_while_the_user_types(tmp_path: Path) -> None:
    """What was quoted stays in its order; what is new comes behind it."""
    async with project(tmp_path, SHOP) as shop:
        request = await shop.request("shop/orders.py", "total = gross_price(", session="lsp-1", budget_tokens=300)
        before: list[str] = []
        for typed in ("", "n", "ne", "net", "net, ", "net, T", "net, TAX"):
            found = await shop.retriever.select(replace(request, prefix=request.prefix + typed))
            quoted = [chunk.text for chunk in found.in_prompt_order()]
            stayed = [text for text in before if text in quoted]
            assert quoted[: len(stayed)] == stayed
            assert len(stayed) >= len(before) - 1
            before = quoted


async def test_sessions_do_not_disturb_each_other_and_one_that_has_ended_is_forgotten(tmp_path: Path) -> None:
    async with project(tmp_path, SHOP) as shop:
        places = ("order = self.", "total = gross_price(")
        alone = [await shop.at("shop/orders.py", after, session="one") for after in places]
        await shop.at("shop/orders.py", "", session="two")
        shop.retriever.forget_session("one")
        again = [await shop.at("shop/orders.py", after, session="one") for after in places]
    assert [[chunk.text for chunk in found.in_prompt_order()] for found in alone] == [
        [chunk.text for chunk in found.in_prompt_order()] for found in again
    ]


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.integers(1, 200))
def test_any_text_around_any_cursor_is_answered_within_the_budget(prefix: str, suffix: str, budget: int) -> None:
    root, text, weights = Path("/"), prefix + suffix, trained()
    index = MemoryIndex(texts={PurePosixPath(name): f"def alpha(): ...\n{text}".encode() for name in ("b.py", "c.py")})

    async def ask() -> None:
        await index.add_root(root)
        retriever = Retriever(index, Resolver(index), weights=weights)
        request = ContextRequest(root, PurePosixPath("a.py"), prefix, suffix, budget, redact=True, deadline_s=30.0)
        found = await retriever.select(request)
        assert found.tokens == sum(chunk.tokens for chunk in found.chunks) <= budget
        assert found.late == ()

    asyncio.run(ask())


async def test_what_a_first_quotation_waits_for_is_ready_once_it_was_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"storage.py": "class Storage:\n    def fetch(self): ...\n", "orders.py": "from storage import Storage\n\n"}
    async with project(tmp_path, files) as shop:
        await shop.retriever.prepare(shop.root, PurePosixPath("orders.py"))
        asked: list[PurePosixPath] = []
        outline = SqliteIndex.outline

        async def noted(index: SqliteIndex, root: Path, path: PurePosixPath) -> Sequence[Symbol]:
            asked.append(path)
            return await outline(index, root, path)

        monkeypatch.setattr(SqliteIndex, "outline", noted)
        context = await shop.at("orders.py", "Storage\n")
        assert "storage.py" in {str(chunk.path) for chunk in context.chunks if chunk.source == "outline"}
        assert asked == [PurePosixPath("orders.py")]  # what surrounds the cursor
        await shop.retriever.prepare(shop.root, PurePosixPath("gone.py"))
        await shop.retriever.prepare(tmp_path / "elsewhere", PurePosixPath("orders.py"))


async def test_definitions_are_those_of_the_last_commit(tmp_path: Path) -> None:
    files = {"one.py": "def fetch_row():\n    return 1\n", "orders.py": "x = fetch_row()\n"}
    async with project(tmp_path, files) as shop:
        assert {chunk.path.name for chunk in (await shop.at("orders.py", "x = fetch_row(")).chunks} == {"one.py"}
        write(shop.root, {"two.py": files["one.py"], "one.py": "def fetch_rows():\n    return 1\n"})
        await shop.followed.until_defined("fetch_rows")
        await shop.followed.until(["one.py", "orders.py", "two.py"])
        found = await shop.at("orders.py", "x = fetch_row(")
        assert "two.py" in {chunk.path.name for chunk in found.chunks if "def fetch_row()" in chunk.text}
        request = await shop.request("orders.py", "x = fetch_row(")
        await shop.followed.index.remove_root(shop.root)
        assert (await shop.retriever.select(request)).chunks == ()
