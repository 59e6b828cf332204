"""Rust's modules and use declarations, as its reference has them, and Cargo's targets."""

# ruff: noqa: E501 (lines of source in other languages)

from __future__ import annotations

from pathlib import Path

import pytest
from resolve.world import resolving

pytestmark = pytest.mark.e2e

WORKSPACE = {
    "Cargo.toml": "[workspace]\nmembers = ['app', 'my-lib']\n[workspace.dependencies]\nmy-lib = {path = 'my-lib'}\n",
    "app/Cargo.toml": (
        "[package]\nname = 'app'\nedition = '2021'\n[dependencies]\nmy-lib.workspace = true\nserde = '1'\n"
        "other = {path = '../renamed', package = 'strange-name'}\n"
    ),
    "app/src/main.rs": (
        "mod a;\nmod b;\n#[path = \"odd/place.rs\"]\nmod odd;\nmod inline { pub mod inner; pub struct In; }\n"
        "use my_lib::Shape;\nuse a::deep::Deep as D;\nuse serde::Serialize;\nuse other::Thing;\nuse inline::In;\nfn main() {}\n"
    ),
    "app/src/a/mod.rs": "pub mod deep;\n",
    "app/src/a/deep.rs": (
        "use super::super::b::{self, B};\nuse crate::odd::Odd;\nuse self::own::X;\n"
        "/// A deep thing.\n///\n/// More.\n#[derive(Debug)]\npub struct Deep { pub x: u8 }\n"
        "impl Deep { pub fn new() -> Self { todo!() } }\n"
        "#[cfg(test)]\nmod tests { use super::*; #[test] fn makes() { Deep::new(); } }\n"
    ),
    "app/src/b.rs": "pub struct B;\nmod c;\npub use c::C;\n",
    "app/src/b/c.rs": "pub struct C;\n",
    "app/src/odd/place.rs": "pub struct Odd;\n",
    "app/src/inline/inner.rs": "",
    "app/tests/all.rs": "mod common;\nuse my_lib::shapes::Shape;\nfn works() {}\n",
    "app/tests/common/mod.rs": "use my_lib::Gone;\n",
    "my-lib/Cargo.toml": "[package]\nname = 'my-lib'\nedition = '2018'\n[lib]\npath = 'lib/root.rs'\n",
    "my-lib/lib/root.rs": "pub mod shapes;\npub use shapes::*;\npub use shapes::nested as given;\nmacro! { mod hidden; }\n",
    "my-lib/lib/shapes.rs": (
        "pub trait Named { fn name(&self) -> String; }\npub trait Shape: Named + Send { fn area(&self) -> f64; }\n"
        "pub mod nested { pub struct Egg; }\n"
    ),
    "my-lib/lib/hidden.rs": "pub struct H;\nuse super::shapes::Shape;\n",
    "renamed/Cargo.toml": "[package]\nname = 'strange-name'\n",
    "renamed/src/lib.rs": "pub struct Thing;\n",
}  # fmt: skip


async def test_imports_lead_to_the_files_of_modules(tmp_path: Path) -> None:
    """https://doc.rust-lang.org/reference/items/modules.html#module-source-filenames"""
    async with resolving(tmp_path, WORKSPACE) as world:
        assert await world.targets("app/src/main.rs") == {
            "a": ["app/src/a/mod.rs"],
            "b": ["app/src/b.rs"],
            "odd/place.rs": ["app/src/odd/place.rs"],
            "inner": ["app/src/inline/inner.rs"],
            "my_lib": ["my-lib/lib/root.rs"],
            "a::deep": ["app/src/a/deep.rs"],
            "serde": "external",
            "other": ["renamed/src/lib.rs"],
            "inline": ["app/src/main.rs"],
        }
        assert await world.targets("app/src/a/deep.rs") == {
            "super::super": ["app/src/main.rs", "app/src/b.rs"],
            "super::super::b": ["app/src/b.rs"],
            "crate::odd": ["app/src/odd/place.rs"],
            "self::own": ["app/src/a/deep.rs"],
            "super": ["app/src/a/deep.rs"],
        }
        assert await world.targets("app/tests/all.rs") == {
            "common": ["app/tests/common/mod.rs"],
            "my_lib::shapes": ["my-lib/lib/shapes.rs"],
        }
        assert await world.targets("app/tests/common/mod.rs") == {"my_lib": ["my-lib/lib/root.rs"]}
        assert await world.targets("app/src/b.rs") == {"c": ["app/src/b/c.rs"]} | {"c": ["app/src/b/c.rs"]}
        # A module that only a macro declares is found by its place.
        assert await world.targets("my-lib/lib/hidden.rs") == {"super::shapes": ["my-lib/lib/shapes.rs"]}


async def test_names_are_followed_through_pub_use(tmp_path: Path) -> None:
    """https://doc.rust-lang.org/reference/items/use-declarations.html#use-visibility"""
    async with resolving(tmp_path, WORKSPACE) as world:
        for path, name, places in [
            ("app/src/main.rs", "Shape", ["my-lib/lib/shapes.rs:2"]),
            ("app/src/main.rs", "D", ["app/src/a/deep.rs:8"]),
            ("app/src/main.rs", "D::new", ["app/src/a/deep.rs:9"]),
            ("app/src/main.rs", "a::deep::Deep", ["app/src/a/deep.rs:8"]),
            ("app/src/main.rs", "b::C", ["app/src/b/c.rs:1"]),
            ("app/src/main.rs", "crate::b::C", ["app/src/b/c.rs:1"]),
            ("app/src/main.rs", "my_lib::given::Egg", ["my-lib/lib/shapes.rs:3"]),
            ("app/src/main.rs", "In", ["app/src/main.rs:5"]),
            ("app/src/main.rs", "Thing", ["renamed/src/lib.rs:1"]),
            ("app/src/main.rs", "Serialize", []),
            ("app/src/a/deep.rs", "B", ["app/src/b.rs:1"]),
        ]:
            assert (name, await world.behind(path, name)) == (name, places)
        assert await world.members("app/src/main.rs", "D") == ["pub x: u8", "pub fn new() -> Self"]
        assert await world.members("app/src/main.rs", "Shape") == ["fn area(&self) -> f64", "fn name(&self) -> String"]
        assert await world.doc("app/src/main.rs", "D") == "A deep thing."
        assert await world.tests_of("app/src/a/deep.rs", "Deep") == ["app/src/a/deep.rs makes"]


async def test_a_path_of_edition_2015_starts_at_the_crate(tmp_path: Path) -> None:
    files = {
        "Cargo.toml": "[package]\nname = 'old'\n",
        "src/lib.rs": "mod a;\nmod b;\n",
        "src/a.rs": "use b::B;\nuse ::b::B as C;\nextern crate core;\n",
        "src/b.rs": "pub struct B;\n",
    }
    async with resolving(tmp_path, files) as world:
        assert await world.targets("src/a.rs") == {"b": ["src/b.rs"], "::b": ["src/b.rs"], "core": "external"}
        assert await world.behind("src/a.rs", "C") == ["src/b.rs:1"]


async def test_modules_in_a_circle_end(tmp_path: Path) -> None:
    files = {
        "Cargo.toml": "[package]\nname = 'x'\n",
        "src/lib.rs": '#[path = "lib.rs"]\nmod me;\n#[path = "../../../etc/passwd"]\nmod out;\npub use me::*;\nuse x::Y;\n',
    }
    async with resolving(tmp_path, files) as world:
        found = await world.targets("src/lib.rs")
        assert found["../../../etc/passwd"] == "nowhere"
        assert await world.behind("src/lib.rs", "Y") == []
