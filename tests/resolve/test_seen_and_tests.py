"""Tests of TypeScript, traits of Rust, and what an open document says in place of its file."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from resolve.world import resolving

from ghostd.resolve.impls import traits_of

pytestmark = pytest.mark.e2e

TESTS = """
import { add } from "../src/math"
describe("math", () => {
  const build = () => add(0, 0)
  it("adds two numbers", () => { expect(add(1, 2)).toBe(3) })
  it.only("adds none", async () => { expect(add()).toBe(0) })
  test.each([[1, 2]])("adds %s", (a) => { add(a) })
  it(`has nothing to do with it`, () => {})
  it("say \\"add\\"", () => { add(3) })
})
"""


@pytest.mark.parametrize("ending", ["ts", "tsx", "js"])
async def test_calls_of_a_test_runner_are_the_tests_of_what_they_use(tmp_path: Path, ending: str) -> None:
    files = {"src/math.ts": "export function add(a, b) { return a + b }\n", f"test/math.test.{ending}": TESTS}
    async with resolving(tmp_path, files) as world:
        place = f"test/math.test.{ending}"
        wanted = [f"{place} {name}" for name in ("adds two numbers", "adds none", "adds %s")]
        assert await world.tests_of("src/math.ts", "add") == wanted
        assert await world.tests_of("src/math.ts") == [*wanted, f"{place} has nothing to do with it"]


async def test_a_type_has_the_members_of_the_traits_that_its_file_implements_for_it(tmp_path: Path) -> None:
    source = """
pub trait Shape { fn area(&self) -> f64; fn name(&self) -> String { String::new() } }
pub struct Square<T> { side: T }
impl<T: for<'a> Into<&'a f64>> Shape for Square<T> where T: Copy { fn area(&self) -> f64 { 1.0 } }
"""
    async with resolving(tmp_path, {"Cargo.toml": '[package]\nname = "a"\n', "src/lib.rs": source}) as world:
        members = await world.members("src/lib.rs", "Square")
        assert "fn name(&self) -> String" in members
        assert await world.behind("src/lib.rs", "Square::name") == ["src/lib.rs:2"]


def test_traits_are_told_from_inherent_and_foreign_impls() -> None:
    source = b"""
impl One {}
impl fmt::Display for One {}
unsafe impl<T> Send for One<T> {}
impl From<Two> for One {}
impl From<One> for Two {}
impl !Sync for One {}
impl<'a> IntoIterator for &'a One {}
impl IntoIterator
    for &crate::a::One
{}
"""
    assert traits_of("One", source) == ("fmt::Display", "Send", "From", "IntoIterator")
    assert traits_of("One", b"impl " * 200_000) == ()


async def test_what_an_open_document_imports_and_defines_counts_for_its_session(tmp_path: Path) -> None:
    files = {"a.py": "def one(): pass\n", "b.py": "def two(): pass\n", "use.py": "from a import one\n"}
    async with resolving(tmp_path, files) as world:
        index, path = world.followed.index, PurePosixPath("use.py")
        index.overlay("me", world.root / path, "from b import two\n\n\ndef own(): pass\n")
        await index.wait_seen("me")
        seen = index.seen_by("me")
        resolver, root = world.resolver, world.root

        def targets(found: object) -> list[str]:
            assert isinstance(found, list)
            return [str(target) for item in found for target in item.targets]

        assert targets(await resolver.imports(root, path, seen)) == ["b.py"]
        assert targets(await resolver.imports(root, path)) == ["a.py"]
        assert [str(s.path) for s in await resolver.behind(root, path, "two", seen)] == ["b.py"]
        assert [s.line for s in await resolver.behind(root, path, "own", seen)] == [4]
        assert list(await resolver.behind(root, path, "one", seen)) == []
        assert list(await resolver.behind(root, path, "two")) == []
        index.overlay("me", root / path, "import b\n")
        await index.wait_seen("me")
        assert [str(p) for p in await resolver.module_of(root, path, "b", index.seen_by("me"))] == ["b.py"]
