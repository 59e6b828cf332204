"""Python's imports and names, as its reference and the packaging guide have them."""

# ruff: noqa: E501 (lines of source in other languages)

from __future__ import annotations

from pathlib import Path

import pytest
from resolve.world import resolving

pytestmark = pytest.mark.e2e

PACKAGE = {
    "pkg/__init__.py": "from .a import *\nfrom .b import Thing as Other\nfrom . import sub\n",
    "pkg/a.py": "__all__ = ['listed']\ndef listed(): ...\ndef unlisted(): ...\n",
    "pkg/b.py": "class Thing:\n    def act(self): ...\n",
    "pkg/sub/__init__.py": "",
    "pkg/sub/deep.py": "from ..b import Thing\nfrom ... import nothing\nfrom . import other\ndef deep(): ...\n",
    "pkg/sub/other.py": "",
}


@pytest.mark.parametrize(
    ("files", "module", "targets"),
    [
        # https://docs.python.org/3/reference/import.html#regular-packages
        ({"use.py": "import pkg"}, "pkg", ["pkg/__init__.py"]),
        ({"use.py": "import pkg.sub.deep"}, "pkg.sub.deep", ["pkg/sub/deep.py"]),
        ({"use.py": "import pkg.b as c"}, "pkg.b", ["pkg/b.py"]),
        ({"use.py": "from pkg import b, a"}, "pkg", ["pkg/__init__.py", "pkg/b.py", "pkg/a.py"]),
        ({"use.py": "import pkg.missing"}, "pkg.missing", "nowhere"),
        ({"use.py": "import os.path"}, "os.path", "external"),
        ({"use.py": "import numpy"}, "numpy", "external"),
        # A package wins over a module of its name, and a module over a mere folder (PEP 420).
        ({"use.py": "import two", "two.py": "", "two/__init__.py": ""}, "two", ["two/__init__.py"]),
        ({"use.py": "import two", "two.py": "", "two/x.py": ""}, "two", ["two.py"]),
        # Namespace packages, also in parts.
        ({"use.py": "import space.part.mod", "space/part/mod.py": ""}, "space.part.mod", ["space/part/mod.py"]),
        ({"use.py": "from space import mod", "space/mod.py": ""}, "space", ["space/mod.py"]),
        ({"use.py": "import docs", "docs/conf.py": ""}, "docs", "external"),
        # src layouts and what pyproject.toml declares.
        ({"tests/t.py": "import lib1", "src/lib1/__init__.py": ""}, "lib1", ["src/lib1/__init__.py"]),
        (
            {"a/t.py": "import m", "a/pyproject.toml": "[tool.setuptools.packages.find]\nwhere=['code']\n", "a/code/m.py": ""},
            "m",
            ["a/code/m.py"],
        ),
        (
            {
                "t.py": "import m",
                "pyproject.toml": "[tool.poetry]\npackages=[{include='m', from='py'}]\n",
                "py/m/__init__.py": "",
            },
            "m",
            ["py/m/__init__.py"],
        ),
        # Another project of the same repository.
        ({"one/x.py": "import two", "projects/p/pyproject.toml": "", "projects/p/src/two/__init__.py": ""}, "two",
         ["projects/p/src/two/__init__.py"]),
        # Scripts beside each other; but a standard module is no neighbour.
        ({"tools/run.py": "import helper", "tools/helper.py": ""}, "helper", ["tools/helper.py"]),
        ({"tools/run.py": "import json", "tools/json.py": ""}, "json", "external"),
        ({"json/decoder.py": "from json import scanner", "json/__init__.py": "", "json/scanner.py": ""}, "json",
         ["json/__init__.py", "json/scanner.py"]),
        # PEP 561: stubs beside the source, alone, and in a package of their own.
        ({"use.py": "import m", "m.py": "", "m.pyi": ""}, "m", ["m.py", "m.pyi"]),
        ({"use.py": "import m", "m.pyi": ""}, "m", ["m.pyi"]),
        ({"use.py": "import m", "m-stubs/__init__.pyi": ""}, "m", ["m-stubs/__init__.pyi"]),
        # Nothing outside of the root.
        ({"use.py": "from ..up import x"}, "..up", "nowhere"),
    ],
)  # fmt: skip
async def test_an_import_leads_to_its_file(
    tmp_path: Path, files: dict[str, str], module: str, targets: list[str] | str
) -> None:
    async with resolving(tmp_path, PACKAGE | files) as world:
        importer = next(path for path, text in files.items() if "import" in text)
        assert (await world.targets(importer))[module] == targets


async def test_relative_imports_count_their_dots(tmp_path: Path) -> None:
    """https://docs.python.org/3/reference/import.html#package-relative-imports"""
    async with resolving(tmp_path, PACKAGE) as world:
        assert await world.targets("pkg/sub/deep.py") == {
            "..b": ["pkg/b.py"],
            "...": "nowhere",
            ".": ["pkg/sub/__init__.py", "pkg/sub/other.py"],
        }


async def test_names_are_followed_through_reexports(tmp_path: Path) -> None:
    use = "import pkg\nimport pkg.sub.deep\nimport pkg.b as short\nfrom pkg import listed, Other, unlisted, sub\n"
    async with resolving(tmp_path, PACKAGE | {"use.py": use}) as world:
        for name, places in {
            "listed": ["pkg/a.py:2"],
            "Other": ["pkg/b.py:1"],
            "Other.act": ["pkg/b.py:2"],
            "pkg.Other": ["pkg/b.py:1"],
            "pkg.listed": ["pkg/a.py:2"],
            "pkg.sub.deep.deep": ["pkg/sub/deep.py:4"],
            "pkg.sub.deep.Thing": ["pkg/b.py:1"],
            "short.Thing.act": ["pkg/b.py:2"],
            "unlisted": [],  # `__all__` leaves it out
            "pkg.b.Thing": ["pkg/b.py:1"],
            "nobody": [],
            "pkg.nobody.at.all": [],
        }.items():
            assert (name, await world.behind("use.py", name)) == (name, places)
        assert await world.module_of("use.py", "sub") == ["pkg/sub/__init__.py"]
        assert await world.module_of("use.py", "pkg.sub.deep") == ["pkg/sub/deep.py"]
        assert await world.module_of("use.py", "listed") == []


async def test_circles_of_reexports_end(tmp_path: Path) -> None:
    files = {"a.py": "from b import *\nfrom b import x\n", "b.py": "from a import *\nfrom a import x\n"}
    async with resolving(tmp_path, files) as world:
        assert await world.behind("a.py", "x") == []
        assert await world.behind("b.py", "anything") == []


async def test_members_include_those_of_bases(tmp_path: Path) -> None:
    files = {
        "base.py": "class Root:\n    def a(self) -> int: ...\n    def b(self): ...\n",
        "mixin.py": "import base\nclass Mixin(base.Root):\n    def b(self, x): ...\n    c = 1\n",
        "leaf.py": (
            "from mixin import Mixin\nclass Leaf(Mixin, Generic[T], metaclass=M):\n"
            '    """A leaf.\n\n    More.\n    """\n    def d(self): ...\n'
        ),
        "use.py": "from leaf import Leaf\n",
    }
    async with resolving(tmp_path, files) as world:
        assert await world.members("use.py", "Leaf") == ["def d(self)", "def b(self, x)", "c = 1", "def a(self) -> int"]
        assert await world.behind("use.py", "Leaf.a") == ["base.py:2"]
        assert await world.doc("use.py", "Leaf") == "A leaf."


async def test_a_class_that_is_its_own_base_has_its_members_once(tmp_path: Path) -> None:
    files = {"a.py": "from b import B\nclass A(B):\n    x = 1\n", "b.py": "from a import A\nclass B(A):\n    y = 2\n"}
    async with resolving(tmp_path, files) as world:
        assert await world.members("a.py", "A") == ["x = 1", "y = 2"]


async def test_tests_are_found_by_name_by_import_and_by_use(tmp_path: Path) -> None:
    files = {
        "src/shop/cart.py": "def add(): ...\ndef drop(): ...\n",
        "src/shop/__init__.py": "",
        "tests/test_cart.py": "def test_nothing(): ...\n",
        "tests/test_all.py": "from shop.cart import add\nclass TestCart:\n    def test_add(self):\n        add()\n",
        "tests/other.py": "from shop import cart\ndef helper(): ...\n",
    }
    async with resolving(tmp_path, files) as world:
        assert await world.tests_of("src/shop/cart.py") == [
            "tests/test_cart.py test_nothing",
            "tests/test_all.py test_add",
        ]
        assert await world.tests_of("src/shop/cart.py", "add") == ["tests/test_all.py test_add"]
        assert await world.tests_of("src/shop/cart.py", "drop") == []
        assert await world.importers("src/shop/cart.py") == ["tests/other.py", "tests/test_all.py"]


async def test_a_root_that_is_a_package_knows_itself_by_name(tmp_path: Path) -> None:
    files = {
        "__init__.py": "def start(): ...\n",
        "parts/__init__.py": "",
        "parts/wheel.py": "def turn(): ...\n",
        "use.py": "import project\nimport project.parts.wheel\nfrom project.parts import wheel\nimport project.missing\n",
    }
    async with resolving(tmp_path, files) as world:
        assert world.root.name == "project"
        assert await world.targets("use.py") == {
            "project": ["__init__.py"],
            "project.parts.wheel": ["parts/wheel.py"],
            "project.parts": ["parts/__init__.py", "parts/wheel.py"],
            "project.missing": "external",
        }
        assert await world.behind("use.py", "project.start") == ["__init__.py:1"]
