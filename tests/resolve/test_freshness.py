"""Answers follow the index: files that change, come and go, and manifests."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath

import pytest
from index_harness import write
from resolve.world import resolving

from ghostd.resolve.scopes import scope_at, type_at

pytestmark = pytest.mark.e2e


async def test_a_module_that_comes_and_goes(tmp_path: Path) -> None:
    async with resolving(tmp_path, {"use.py": "from new import thing\n"}) as world:
        assert await world.targets("use.py") == {"new": "external"}
        assert await world.behind("use.py", "thing") == []
        assert (await world.resolver.graph(world.root)).external == {"new": 1}
        write(world.root, {"new.py": "def thing(): ...\n"})
        await world.followed.until_defined("thing")
        assert await world.targets("use.py") == {"new": ["new.py"]}
        assert await world.behind("use.py", "thing") == ["new.py:1"]
        assert await world.importers("new.py") == ["use.py"]
        await asyncio.to_thread((world.root / "new.py").unlink)
        await world.followed.until_defined("thing", 0)
        assert await world.targets("use.py") == {"new": "external"}
        assert await world.importers("new.py") == []


async def test_a_changed_import_and_a_changed_definition(tmp_path: Path) -> None:
    files = {"a.py": "def one(): ...\n", "b.py": "def one(): ...\n", "use.py": "from a import one\n"}
    async with resolving(tmp_path, files) as world:
        assert await world.importers("a.py") == ["use.py"]
        assert await world.behind("use.py", "one") == ["a.py:1"]
        write(world.root, {"use.py": "from b import one\ndef marker(): ...\n"})
        await world.followed.until_defined("marker")
        assert (await world.importers("a.py"), await world.importers("b.py")) == ([], ["use.py"])
        assert await world.behind("use.py", "one") == ["b.py:1"]
        write(world.root, {"b.py": "\n\ndef moved(): ...\ndef one(): ...\n"})
        await world.followed.until_defined("moved")
        assert await world.behind("use.py", "one") == ["b.py:4"]


async def test_a_changed_manifest_and_a_changed_mod_item(tmp_path: Path) -> None:
    files = {
        "tsconfig.json": '{"compilerOptions": {"paths": {"~/*": ["./one/*"]}}}',
        "one/x.ts": "", "two/x.ts": "", "use.ts": "import '~/x'\n",
        "Cargo.toml": "[package]\nname = 'c'\n", "src/lib.rs": "mod a;\n", "src/a.rs": "", "src/b.rs": "",
    }  # fmt: skip
    async with resolving(tmp_path, files) as world:
        assert await world.targets("use.ts") == {"~/x": ["one/x.ts"]}
        assert await world.targets("src/lib.rs") == {"a": ["src/a.rs"]}
        write(world.root, {"tsconfig.json": '{"compilerOptions": {"paths": {"~/*": ["./two/*"]}}}'})
        write(world.root, {"src/lib.rs": '#[path = "b.rs"]\nmod c;\nfn marker() {}\n'})
        await world.followed.until_defined("marker")

        async def follows() -> bool:
            return await world.targets("use.ts") == {"~/x": ["two/x.ts"]}

        await world.followed.until_true(follows)
        assert await world.targets("src/lib.rs") == {"b.rs": ["src/b.rs"]}


async def test_other_languages_and_unknown_roots_give_nothing(tmp_path: Path) -> None:
    async with resolving(tmp_path, {"a.go": 'package p\nimport "fmt"\n', "notes.md": ""}) as world:
        for path in ("a.go", "notes.md", "missing.py"):
            assert await world.targets(path) == {}
            assert await world.behind(path, "fmt") == []
            assert await world.tests_of(path) == []
        nowhere = tmp_path / "nowhere"
        assert list(await world.resolver.imports(nowhere, PurePosixPath("a.py"))) == []
        assert (await world.resolver.graph(nowhere)).paths == ()


async def test_scopes_and_types_at_a_position(tmp_path: Path) -> None:
    source = "class A:\n    def m(self):\n        x\n\ndef f(): ...\n"
    rust = "struct S;\nimpl S { fn m(&self) { 1; } }\n"
    async with resolving(tmp_path, {"a.py": source, "a.rs": rust}) as world:
        outline = await world.followed.index.outline(world.root, PurePosixPath("a.py"))
        assert [s.name for s in scope_at(outline, source.index("x"))] == ["A", "m"]
        assert [s.name for s in scope_at(outline, source.index("f()"))] == ["f"]
        assert scope_at(outline, source.index("\ndef f")) == ()
        assert getattr(type_at(outline, source.index("x")), "name", None) == "A"
        rows = await world.followed.index.outline(world.root, PurePosixPath("a.rs"))
        assert getattr(type_at(rows, rust.index("1;")), "name", None) == "S"
