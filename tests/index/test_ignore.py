"""Ignore rules: the same answers as git, and ghostd's own rules around them."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
from index_harness import write

from ghostd.index.ignore import parse_rules
from ghostd.index.scan import Limits, Walk


def limits(*exclude: str) -> Limits:
    """The default limits."""
    return Limits(exclude, 1 << 20, 20_000, 64, 200_000, 2000, 1024)


def walked(root: Path, *exclude: str) -> list[str]:
    """The files that are not ignored."""
    return sorted(found.path for found in Walk(str(root), limits(*exclude)).run())


TREES = {
    "plain names, anchors and folders": {
        ".gitignore": "*.log\n/top.txt\nout/\ndoc/*.txt\n# comment\n\n\\#hash\n",
        "a.log": "",
        "top.txt": "",
        "sub/top.txt": "",
        "out/x": "",
        "sub/out/x": "",
        "sub/deep/out": "",
        "doc/a.txt": "",
        "doc/sub/b.txt": "",
        "#hash": "",
    },
    "ranges that end before they begin": {
        ".gitignore": "[z-a].txt\n[9-0]\n*.log\n[b-d].md\n",
        "y.txt": "",
        "5": "",
        "a.log": "",
        "a.md": "",
        "c.md": "",
    },
    "negation, and no way back into an ignored folder": {
        ".gitignore": "*.txt\n!keep.txt\nlocked/\n!locked/keep.txt\nopen/*\n!open/keep.md\n",
        "a.txt": "",
        "keep.txt": "",
        "sub/keep.txt": "",
        "locked/keep.txt": "",
        "open/a.md": "",
        "open/keep.md": "",
    },
    "allow-list of one extension": {
        ".gitignore": "*\n!*/\n!*.py\n!.gitignore\n",
        "a.py": "",
        "a.txt": "",
        "x/y/b.py": "",
        "x/y/b.txt": "",
    },
    "nested files override outer ones": {
        ".gitignore": "*.gen\nsub/only\n",
        "a.gen": "",
        "sub/.gitignore": "!*.gen\nlocal\n/anchored\n",
        "sub/a.gen": "",
        "sub/local": "",
        "sub/only": "",
        "sub/deep/local": "",
        "sub/deep/anchored": "",
        "sub/anchored": "",
        "local": "",
    },
    "double stars, classes and question marks": {
        ".gitignore": "**/cache\na/**/z\nfile[0-9].c\nfile?.h\nlib/**\n!lib/keep\n",
        "cache/x": "",
        "b/cache": "",
        "a/z": "",
        "a/b/c/z": "",
        "file1.c": "",
        "filex.c": "",
        "file1.h": "",
        "file12.h": "",
        "lib/drop": "",
        "lib/keep": "",
    },
    "spaces, case, and invalid patterns": {
        ".gitignore": "trailing.txt   \nwith space\nCase\n[\n!\nok\n",
        "trailing.txt": "",
        "with space": "",
        "case": "",
        "Case": "",
        "ok": "",
    },
}


@pytest.mark.skipif(shutil.which("git") is None, reason="git answers what is right")
@pytest.mark.parametrize("name", TREES)
def test_gitignore_files_leave_out_what_git_leaves_out(root: Path, tmp_path: Path, name: str) -> None:
    write(root, TREES[name])
    write(root, {"excluded.txt": "", "x/excluded.txt": ""})
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", str(root)], env=environment, check=True)
    (root / ".git" / "info").mkdir(exist_ok=True)
    (root / ".git" / "info" / "exclude").write_text("excluded.txt\n")
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--others", "--exclude-standard"],
        env=environment,
        check=True,
        capture_output=True,
    )
    assert walked(root) == sorted(listed.stdout.decode().split("\0")[:-1])


def test_what_is_known_to_hold_no_source_is_left_out_by_default(root: Path) -> None:
    write(
        root,
        {
            "a.py": "",
            "a.pyc": "",
            "a.py~": "",
            ".#a.py": "",
            "node_modules/m/i.js": "",
            "sub/__pycache__/a.py": "",
            ".git/config": "",
            "env/pyvenv.cfg": "",
            "env/lib/x.py": "",
            "obj/CACHEDIR.TAG": "",
            "obj/x.rs": "",
            "crate/Cargo.toml": "",
            "crate/target/debug/x.rs": "",
            "llvm/target/x.cpp": "",
            "build/keep.py": "",
            "dist/keep.py": "",
            "zig-out/x.zig": "",
            "pkg.egg-info/PKG-INFO": "",
        },
    )
    assert walked(root) == ["a.py", "build/keep.py", "crate/Cargo.toml", "dist/keep.py", "llvm/target/x.cpp"]


def test_a_ghostdignore_file_wins_over_gitignore_and_the_defaults(root: Path) -> None:
    write(
        root,
        {
            ".gitignore": "*.gen.py\nsecret.py\n",
            ".ghostdignore": "!*.gen.py\n!vendor/node_modules/\nfixtures/\n",
            "a.gen.py": "",
            "sub/.gitignore": "*.gen.py\n",
            "sub/b.gen.py": "",
            "secret.py": "",
            "fixtures/f.py": "",
            "vendor/node_modules/m.js": "",
            "node_modules/m.js": "",
        },
    )
    assert walked(root) == [
        ".ghostdignore",
        ".gitignore",
        "a.gen.py",
        "sub/.gitignore",
        "sub/b.gen.py",
        "vendor/node_modules/m.js",
    ]


def test_the_setting_exclude_wins_over_all(root: Path) -> None:
    write(root, {".ghostdignore": "!a.py\n!.cache/\n", "a.py": "", "b.py": "", ".cache/c.py": "", "docs/d.py": ""})
    assert walked(root, "a.py", "/docs/", ".ghostdignore") == [".cache/c.py", "b.py"]


def test_a_git_file_that_points_out_of_the_root_is_not_followed(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", {"info/exclude": "a.py\n"})
    write(root, {".git": f"gitdir: {tmp_path / 'elsewhere'}\n", "a.py": ""})
    assert walked(root) == ["a.py"]


def test_an_ignore_file_that_is_a_link_is_not_read(root: Path, tmp_path: Path) -> None:
    write(tmp_path, {"rules": "a.py\n"})
    write(root, {"a.py": ""})
    (root / ".gitignore").symlink_to(tmp_path / "rules")
    assert walked(root) == ["a.py"]


def test_patterns_that_would_take_too_long_are_refused_and_named() -> None:
    rules, refused = parse_rules("", ["a/**/b/**/c/**/d/**/e", "ok*", "**/a/**/b", *(f"*{n}" for n in range(5000))])
    assert refused == ["a/**/b/**/c/**/d/**/e", *(f"*{n}" for n in range(4899, 5000))]
    assert rules is not None
    assert rules.verdict("okay") is True
    assert rules.verdict("no") is None


@pytest.mark.parametrize(
    ("pattern", "name", "ignored"),
    [
        ("*a*a*a*a*a*a*a*a*a*b", "a" * 250, None),
        ("*a*a*a*a*a*a*a*a*a*b", "a" * 250 + "b", True),
        ("*[!b]*[!b]*[!b]*[!b]*[!b]*c", "a" * 250, None),
        ("*?*?*?*?*?*?*?*?b", "a" * 250, None),
        ("*ab*b*c", "aabbbc", True),
        ("*(*[(*]*)*x", "a((b)x", True),
        ("*a*b*", "b/ab/x", True),
    ],
)
def test_many_stars_take_time_that_is_linear_in_the_name(pattern: str, name: str, ignored: bool | None) -> None:
    """By trying all ways to share out the letters, 250 of them would take years."""
    rules, refused = parse_rules("", [pattern])
    assert refused == []
    assert rules is not None
    assert rules.verdict(name) is (None if "/" in name else ignored)
    assert (rules.any_of.search(name) is not None) is bool(ignored)


def test_brackets_in_brackets_are_taken_as_git_takes_them_and_without_a_word(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rules, refused = parse_rules("", ["[[a]x", "[+--]y"])
    assert refused == []
    assert rules is not None
    assert [rules.verdict(name) for name in ("[x", "ax", "-y", "bx")] == [True, True, True, None]
