"""The repo map: what is of use to one who works in some files, within a budget."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath

import pytest
from index_harness import following, write
from map_harness import PROJECT, mapped

from ghostd.analysis.analyst import Analyst
from ghostd.analysis.tokens import estimate
from ghostd.errors import RootError
from ghostd.resolve.resolver import Resolver

ORDERS = PurePosixPath("shop/orders.py")


async def test_definitions_stand_below_what_encloses_them_and_files_below_their_path(tmp_path: Path) -> None:
    async with mapped(tmp_path) as (analyst, root):
        found = await analyst.repo_map(root, [], 4000)
    assert found.complete
    block = found.text[found.text.index("shop/storage.py:") :].split("\n")
    assert block[:4] == [
        "shop/storage.py:",
        "  class Storage",
        "    def load_item(self, name)",
        "    def keep_item(self, item)",
    ]
    assert "hidden_inside" not in found.text
    assert set(found.files) == {line.removesuffix(":") for line in found.text.split("\n") if not line.startswith(" ")}


async def test_what_is_written_again_and_again_is_listed_once(tmp_path: Path) -> None:
    text = "total = 1\n" * 50 + "class Sum:\n    total = 1\n    total = 1\n" * 2 + "    total = 2\n"
    async with mapped(tmp_path, {"sums.py": text}) as (analyst, root):
        found = await analyst.repo_map(root, [], 4000)
    assert found.text.split("\n") == ["sums.py:", "  total = 1", "  class Sum", "    total = 1", "    total = 2"]


async def test_tests_beside_the_code_are_nothing_to_begin_with(tmp_path: Path) -> None:
    """In Zig a test is often named like the function that it is about."""
    files = {"mem.zig": 'pub fn zeroes() void {}\n\ntest zeroes {\n    zeroes();\n}\n\ntest "none" {}\n'}
    async with mapped(tmp_path, files | {"use.zig": 'const mem = @import("mem.zig");\n'}) as (analyst, root):
        found = await analyst.repo_map(root, [], 4000)
    assert "pub fn zeroes" in found.text
    assert "test" not in found.text


async def test_what_the_focus_imports_comes_first_and_nothing_of_it_is_shown(tmp_path: Path) -> None:
    async with mapped(tmp_path) as (analyst, root):
        found = await analyst.repo_map(root, [ORDERS], 100)
        far = await analyst.repo_map(root, [PurePosixPath("far/use_other.py")], 100)
    assert next(iter(found.files)) == "shop/storage.py"
    assert str(ORDERS) not in found.files
    assert next(iter(far.files)) == "far/other.py"


@pytest.mark.parametrize("tokens", [64, 80, 128, 500])
async def test_a_map_never_exceeds_its_budget(tokens: int, tmp_path: Path) -> None:
    async with mapped(tmp_path) as (analyst, root):
        found = await analyst.repo_map(root, [ORDERS], tokens)
        again = await analyst.repo_map(root, [ORDERS], tokens)
        harsh = await analyst.repo_map(root, [ORDERS], tokens, count=len)
    assert found == again
    assert found.tokens == estimate(found.text) <= tokens
    assert len(harsh.text) <= tokens


async def test_an_unsaved_buffer_says_what_the_focus_uses(tmp_path: Path) -> None:
    async with mapped(tmp_path) as (analyst, root):
        assert next(iter((await analyst.repo_map(root, [ORDERS], 200)).files)) == "shop/storage.py"
        text = "from far.other import distant_thing, DistantBox\n\nDistantBox(distant_thing())\n"
        analyst.index.overlay("editor", root / ORDERS, text)
        async with asyncio.timeout(40):
            view = analyst.index.seen_by("editor")
            while "DistantBox" not in {use.name for use in await view.uses(root, ORDERS)}:
                view = analyst.index.seen_by("editor")
        assert next(iter((await analyst.repo_map(root, [ORDERS], 200, seen=view)).files)) == "far/other.py"


async def test_a_new_definition_is_in_the_next_map(tmp_path: Path) -> None:
    write_root = tmp_path / "project"
    write_root.mkdir()
    write(write_root, PROJECT)
    async with following(write_root, tmp_path / "store") as followed:
        resolver = Resolver(followed.index)
        analyst = Analyst(followed.index, resolver)
        assert "brand_new" not in (await analyst.repo_map(write_root, [ORDERS], 4000)).text
        write(write_root, {"shop/storage.py": PROJECT["shop/storage.py"] + "\n\ndef brand_new(): ...\n"})
        await followed.until_defined("brand_new")
        assert "  def brand_new()" in (await analyst.repo_map(write_root, [ORDERS], 4000)).text
        resolver.close()


async def test_a_focus_that_is_not_indexed_and_an_empty_project_are_no_mistakes(tmp_path: Path) -> None:
    async with mapped(tmp_path) as (analyst, root):
        assert (await analyst.repo_map(root, [PurePosixPath("shop/to_come.py")], 500)).files
        with pytest.raises(RootError):
            await analyst.repo_map(tmp_path, [], 500)
    async with mapped(tmp_path / "empty", {"notes.txt": "no code\n"}) as (analyst, root):
        empty = await analyst.repo_map(root, [ORDERS], 500)
        assert (empty.text, empty.files, empty.tokens) == ("", {}, 0)
