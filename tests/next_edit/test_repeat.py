"""The last edits were one transformation: it goes on where it fits."""

from __future__ import annotations

from pathlib import Path

import pytest
from next_edit_harness import project

# (name, before, edits, what the file becomes once all proposals are taken)
REPEATED = {
    "Python: another function is called": (
        "a.py",
        "print(a)\nprint(b, 1)\nprint(f(c), end='')\nprinted(d)\n",
        [("print(a)", "log.info(a)"), ("print(b", "log.info(b")],
        "log.info(a)\nlog.info(b, 1)\nlog.info(f(c), end='')\nprinted(d)\n",
    ),
    "Python: an argument is wrapped": (
        "a.py",
        "add(left)\nadd(right)\nadd(other.one)\nadd(f(1))\nget(x)\n",
        [("add(left)", "add(str(left))"), ("add(right)", "add(str(right))")],
        None,
    ),
    "Python: quotes of keys become attributes": (
        "a.py",
        "a = row['name']\nb = row['age']\nc = row['town']\n",
        [("a = row['name']", "a = row.get('name')"), ("b = row['age']", "b = row.get('age')")],
        "a = row.get('name')\nb = row.get('age')\nc = row.get('town')\n",
    ),
    "Python: an argument is added": (
        "a.py",
        "run(a, 1)\nrun(b, 2)\nrun(c, 3)\n",
        [("run(a, 1)", "run(a, 1, check=True)"), ("run(b, 2)", "run(b, 2, check=True)")],
        "run(a, 1, check=True)\nrun(b, 2, check=True)\nrun(c, 3, check=True)\n",
    ),
    "Python: an assertion of another kind": (
        "a.py",
        "self.assertEqual(a, 1)\nself.assertEqual(b, 2)\nself.assertEqual(c, 3)\n",
        [
            ("self.assertEqual(a, 1)", "assert a == 1"),
            ("self.assertEqual(b, 2)", "assert b == 2"),
        ],
        "assert a == 1\nassert b == 2\nassert c == 3\n",
    ),
    "TypeScript: var becomes const": (
        "a.ts",
        "var a = 1;\nvar b = f(2);\nvar c = 3;\n",
        [("var a", "const a"), ("var b", "const b")],
        "const a = 1;\nconst b = f(2);\nconst c = 3;\n",
    ),
    "TypeScript: a call is awaited": (
        "a.ts",
        "const a = load(1);\nconst b = load(2);\nconst c = load(x.y);\n",
        [("= load(1)", "= await load(1)"), ("= load(2)", "= await load(2)")],
        "const a = await load(1);\nconst b = await load(2);\nconst c = await load(x.y);\n",
    ),
    "Rust: unwrap becomes a question mark": (
        "a.rs",
        "let a = one().unwrap();\nlet b = two(1).unwrap();\nlet c = three(1, 2).unwrap();\nlet d = four();\n",
        [("one().unwrap()", "one()?"), ("two(1).unwrap()", "two(1)?")],
        "let a = one()?;\nlet b = two(1)?;\nlet c = three(1, 2)?;\nlet d = four();\n",
    ),
    "Zig: try before calls": (
        "a.zig",
        "list.append(1);\nlist.append(2);\nlist.append(x);\n",
        [("list.append(1)", "try list.append(1)"), ("list.append(2)", "try list.append(2)")],
        "try list.append(1);\ntry list.append(2);\ntry list.append(x);\n",
    ),
    "Zig: a type": (
        "a.zig",
        "a: u32,\nb: u32,\nc: u32,\nd: u8,\n",
        [("a: u32", "a: usize"), ("b: u32", "b: usize")],
        "a: usize,\nb: usize,\nc: usize,\nd: u8,\n",
    ),
}


@pytest.mark.parametrize("name", REPEATED)
async def test_it_goes_on_where_it_fits(name: str, tmp_path: Path) -> None:
    file, before, edits, after = REPEATED[name]
    shop = await project(tmp_path, {file: before})
    for old, new in edits:
        shop.edit(file, old, new)
    assert await shop.followed() == ({} if after is None else {file: after})


NOTHING = {
    "one edit is no pattern": ("print(a)\nprint(b)\n", [("print(a)", "log(a)")]),
    "two edits that have nothing in common": ("a = 1\nb = 2\nc = 3\n", [("a = 1", "a = 5"), ("b = 2", "z = 2")]),
    "numbers that only the user knows": ("a = 1\nb = 2\nc = 3\n", [("a = 1", "a = 17"), ("b = 2", "b = 23")]),
}


@pytest.mark.parametrize("name", NOTHING)
async def test_what_is_no_pattern(name: str, tmp_path: Path) -> None:
    before, edits = NOTHING[name]
    shop = await project(tmp_path, {"a.py": before})
    for old, new in edits:
        shop.edit("a.py", old, new)
    assert await shop.followed() == {}


async def test_an_edit_that_was_taken_back_is_no_part_of_a_pattern(tmp_path: Path) -> None:
    shop = await project(tmp_path, {"a.py": "print(a)\nprint(b)\nprint(c)\n"})
    shop.edit("a.py", "print(a)", "log(a)")
    shop.edit("a.py", "print(b)", "log(b)")
    assert await shop.followed()
    shop.edit("a.py", "log(b)", "print(b)")
    assert await shop.followed() == {}


async def test_what_is_in_comments_and_strings_is_left_alone(tmp_path: Path) -> None:
    shop = await project(tmp_path, {"a.py": "print(a)\nprint(b)\n# print(c)\nx = 'print(d)'\nprint(e)\n"})
    shop.edit("a.py", "print(a)", "log(a)")
    shop.edit("a.py", "print(b)", "log(b)")
    assert await shop.followed() == {"a.py": "log(a)\nlog(b)\n# print(c)\nx = 'print(d)'\nlog(e)\n"}
