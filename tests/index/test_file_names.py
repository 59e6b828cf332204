"""What a file's name and the start of its text tell: its language, that it holds secrets, or that it is mere data."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from ghostd.config.projects import IndexConfig
from ghostd.index.languages import PLAIN, language_of
from ghostd.index.service import index_once, open_index

SECRET = "its name says that it holds secrets (index.secret_files)"


@pytest.mark.parametrize(
    ("name", "text", "language"),
    [
        ("run", b"#!/usr/bin/env python3\n", "python"),
        ("run", b"#!/usr/bin/env -S python3.11 -u\n", "python"),
        ("run", b"#! /bin/bash -e\n", "shellscript"),
        ("run", b"#!/usr/local/bin/node\n", "javascript"),
        ("run", b"#!/opt/thing\n", PLAIN),
        ("run", b"#!", PLAIN),
        ("run", b"# !/bin/sh\n", PLAIN),
        ("run.py", b"#!/bin/sh\n", "python"),
        ("curl", b"# bash completion for curl          -*- shell-script -*-\n", "shellscript"),
        ("vector", b"// <vector> -*- C++ -*-\n", "cpp"),
        ("tool", b"#!/opt/thing\n# -*- mode: python; coding: utf-8 -*-\n", PLAIN),
        ("tool", b"# -*- mode: python; coding: utf-8 -*-\n", "python"),
        ("notes", b"-*- org -*-\n", PLAIN),
        ("Dockerfile.alpine", b"", "dockerfile"),
        ("Dockerfile", b"", "dockerfile"),
        ("dockerfile.py", b"", "python"),
        ("a.h", b"#pragma once\nint namespaces;\n", "c"),
        ("a.h", b"#pragma once\nnamespace one {\n}\n", "cpp"),
        ("a.h", b"#include <vector>\nint f(void);\n", "cpp"),
        ("a.h", b"#include <stdio.h>\nstruct class_a;\nint f(struct class_a *);\n", "c"),
        ("a.h", b"class Shape\n{\npublic:\n  int sides();\n};\n", "cpp"),
        ("a.c", b"namespace one {\n}\n", "c"),
    ],
)
def test_a_language_is_told_by_the_name_or_by_how_the_text_begins(name: str, text: bytes, language: str) -> None:
    assert language_of(name, text) == language


@pytest.mark.e2e
async def test_a_script_without_an_extension_and_a_header_of_cpp_are_parsed(root: Path, store: Path) -> None:
    (root / "tool").write_text("#!/usr/bin/env python3\ndef started(): ...\n")
    (root / "shape.h").write_text("namespace shapes {\nclass Round {\npublic:\n  int sides();\n};\n}\n")
    async with open_index(store, IndexConfig()) as index:
        await index.add_root(root)
        await index.wait_ready(root)
        assert [s.name for s in await index.outline(root, PurePosixPath("tool"))] == ["started"]
        assert {"Round", "sides"} <= {s.name for s in await index.outline(root, PurePosixPath("shape.h"))}


@pytest.mark.e2e
async def test_what_holds_secrets_by_its_name_is_never_read_and_said(root: Path, store: Path) -> None:
    secret = [".env", ".env.local", "id_rsa", "server.PEM", "pkg/.netrc", "credentials", "credentials.json"]
    plain = [".env.example", "id_rsa.py", "credentials.py", "environment"]
    (root / "pkg").mkdir()
    for name in (*secret, *plain):
        (root / name).write_text(f"token = opensesame  # {name}\n")
    async with open_index(store, IndexConfig()) as index:
        await index.add_root(root)
        report = await index.wait_ready(root)
        assert {str(skip.path): skip.reason for skip in report.skips} == dict.fromkeys(secret, SECRET)
        found = {str(item.chunk.path) for item in await index.search(root, {"opensesame": 1.0})}
        assert found == set(plain)
        assert await index.text(root, PurePosixPath(".env")) is None
        index.overlay("one", root / ".env", "token = opensesame\n")
        await index.wait_seen("one")
        assert await index.seen_by("one").text(root, PurePosixPath(".env")) is None


@pytest.mark.e2e
async def test_which_names_are_secret_can_be_set_and_takes_effect_on_what_is_indexed(root: Path, store: Path) -> None:
    (root / ".env").write_text("token = 1\n")
    (root / "hush.txt").write_text("token = 1\n")
    assert (await index_once(store, root, IndexConfig(secret_files=("!.env",)))).files == 2
    report = await index_once(store, root, IndexConfig(secret_files=("hush.*",)))
    assert {str(skip.path): skip.reason for skip in report.skips} == {"hush.txt": SECRET}


@pytest.mark.e2e
async def test_translations_locks_and_minified_code_are_indexed_without_chunks(root: Path, store: Path) -> None:
    texts = {
        "de.po": 'msgid "needle"\n',
        "package-lock.json": '{"needle": 1}\n',
        "app.min.js": "var needle=1\n",
        "minified.js": "var needle=1;" * 400,
        "app.js": "var needle = 1\n",
        "prose.md": "needle and thread " * 400,
    }
    for name, text in texts.items():
        (root / name).write_text(text)
    async with open_index(store, IndexConfig()) as index:
        await index.add_root(root)
        assert (await index.wait_ready(root)).files == len(texts)
        found = {str(item.chunk.path) for item in await index.search(root, {"needle": 1.0})}
        assert found == {"app.js", "prose.md"}
        assert [s.path.name for s in await index.definitions(root, "needle")].count("app.min.js") == 1
