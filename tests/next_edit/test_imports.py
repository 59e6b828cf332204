"""A name is used that the project defines in one place: its import follows."""

from __future__ import annotations

from pathlib import Path

import pytest
from next_edit_harness import project

SHOP = {
    "shop/__init__.py": "",
    "shop/store.py": "class Storage: ...\n\n\ndef open_store(): ...\n",
    "shop/other.py": "def twice(): ...\n",
    "shop/more.py": "def twice(): ...\n",
    "web/store.ts": "export class WebStore {}\nclass Hidden {}\n",
    "Cargo.toml": '[package]\nname = "shop"\nversion = "0.1.0"\n',
    "src/lib.rs": "pub mod store;\nmod a;\n",
    "src/store.rs": "pub struct RustStore;\npub fn rusty() {}\n",
}

# (file, before, edit, after)
ADDED = {
    "Python: behind the other imports": (
        "shop/a.py",
        '"""Orders."""\n\nimport os\n\n\ndef f():\n    pass\n',
        ("pass", "return Storage()"),
        '"""Orders."""\n\nimport os\nfrom shop.store import Storage\n\n\ndef f():\n    return Storage()\n',
    ),
    "Python: beside the other names of its module, in their order": (
        "shop/a.py",
        "from shop.store import open_store\n\nx = 1\n",
        ("x = 1", "x = Storage()"),
        "from shop.store import Storage, open_store\n\nx = Storage()\n",
    ),
    "Python: at the top": (
        "shop/a.py",
        "x = 1\n",
        ("x = 1", "x = open_store()"),
        "from shop.store import open_store\nx = open_store()\n",
    ),
    "Python: behind an import over several lines": (
        "shop/a.py",
        "from typing import (\n    Any,\n)\n\nx = 1\n",
        ("x = 1", "x = open_store()"),
        "from typing import (\n    Any,\n)\nfrom shop.store import open_store\n\nx = open_store()\n",
    ),
    "TypeScript": (
        "web/a.ts",
        'import { x } from "./x";\n\nconst a = 1;\n',
        ("= 1", "= new WebStore()"),
        'import { x } from "./x";\nimport { WebStore } from "./store";\n\nconst a = new WebStore();\n',
    ),
    "Rust: a function": (
        "src/a.rs",
        "use std::fmt;\n\nfn f() {\n    1;\n}\n",
        ("1;", "rusty();"),
        "use std::fmt;\nuse crate::store::rusty;\n\nfn f() {\n    rusty();\n}\n",
    ),
    "Rust: a test module imports all for itself": (
        "src/a.rs",
        "use std::io::prelude::*;\n\nfn f() {\n    1;\n}\n\nmod tests {\n    use super::*;\n}\n",
        ("1;", "RustStore;"),
        "use std::io::prelude::*;\nuse crate::store::RustStore;\n\nfn f() {\n    RustStore;\n}\n\n"
        "mod tests {\n    use super::*;\n}\n",
    ),
    "Rust": (
        "src/a.rs",
        "use std::fmt;\n\nfn f() {\n    1;\n}\n",
        ("1;", "let a = RustStore;"),
        "use std::fmt;\nuse crate::store::RustStore;\n\nfn f() {\n    let a = RustStore;\n}\n",
    ),
}

NOTHING = {
    "two definitions": ("shop/a.py", "x = 1\n", ("1", "twice()")),
    "it is imported": ("shop/a.py", "from shop.store import open_store\nx = 1\n", ("= 1", "= open_store()")),
    "it is imported as a module's member": ("shop/a.py", "import shop\nx = 1\n", ("= 1", "= shop.open_store()")),
    "it is defined here": ("shop/a.py", "def open_store(): ...\nx = 1\n", ("= 1", "= open_store()")),
    "it is a parameter": ("shop/a.py", "def f(open_store):\n    x = 1\n", ("= 1", "= open_store")),
    "it is an argument's name": ("shop/a.py", "x = f()\n", ("f()", "f(open_store=1)")),
    "it stands in a string": ("shop/a.py", "x = 1\n", ("= 1", "= 'open_store'")),
    "it is not exported": ("web/a.ts", "const a = 1;\n", ("= 1", "= new Hidden()")),
    "a last use is removed": (
        "shop/a.py",
        "from shop.store import open_store\nopen_store()\n",
        ("open_store()\n", "\n"),
    ),
    "all names of a module are imported": ("shop/a.py", "from shop.store import *\nx = 1\n", ("= 1", "= Storage()")),
    "all names are imported, too": (
        "src/a.rs",
        "use super::{fmt, store::*};\nfn f() {\n    1;\n}\n",
        ("1;", "RustStore;"),
    ),
    "a pattern binds it": (
        "src/a.rs",
        "fn f(a: Option<A>) {\n    match a {\n        Some(rusty) => 1,\n    }\n}\n",
        ("1,", "rusty.len(),"),
    ),
    "it is in another language": ("web/a.ts", "const a = 1;\n", ("= 1", "= open_store()")),
}


@pytest.mark.parametrize("name", ADDED)
async def test_its_import_follows(name: str, tmp_path: Path) -> None:
    file, before, (old, new), after = ADDED[name]
    shop = await project(tmp_path, {**SHOP, file: before})
    shop.edit(file, old, new)
    assert await shop.followed() == {file: after}


@pytest.mark.parametrize("name", NOTHING)
async def test_no_import_follows(name: str, tmp_path: Path) -> None:
    file, before, (old, new) = NOTHING[name]
    shop = await project(tmp_path, {**SHOP, file: before})
    shop.edit(file, old, new)
    assert [each for each in await shop.proposals() if each.kind == "import"] == []


async def test_a_module_is_called_as_other_files_call_it(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": "",
        "python/store.py": "def open_store(): ...\ndef close_store(): ...\n",
        "python/a.py": "from store import close_store\n",
        "python/b.py": "x = 1\n",
    }
    shop = await project(tmp_path, files)
    shop.edit("python/b.py", "1", "open_store()")
    assert await shop.followed() == {"python/b.py": "from store import open_store\nx = open_store()\n"}


async def test_a_name_that_is_still_being_written_is_not_imported(tmp_path: Path) -> None:
    shop = await project(tmp_path, {**SHOP, "shop/a.py": "x = 1\n"})
    shop.edit("shop/a.py", "1", "open_store")
    assert await shop.proposals() == []
