"""A manifest made to keep its reader busy is read in time that is linear in its length."""

from __future__ import annotations

import pytest

from ghostd.resolve.manifests import read_json
from ghostd.resolve.zig_build import read_build, read_dependencies

LENGTH = 300_000
"""At a square of it each of these would take minutes."""

UNITS = ('\\"', '"', "/*", "//", ",  ", "a", "a.", "const a:", ". ", 'dependency("a"', ".a=.{", '.file="', "'")


@pytest.mark.parametrize("unit", UNITS)
def test_a_manifest_that_repeats_itself_is_read_through(unit: str) -> None:
    text = unit * (LENGTH // len(unit))
    assert read_json(f'{{"{text}'.encode()) == {}
    assert read_json(f"{{{text}".encode()) == {}
    assert not read_build(f'"{text}').offered
    assert not read_build(text).offered
    assert isinstance(read_dependencies(text), dict)


def test_comments_and_trailing_commas_are_no_part_of_a_json_object() -> None:
    text = '{"a//b": "/* kept */", // gone "it\'s"\n "c": [1, 2,], /* "gone": 1, */ "d": "\\"//",}'
    assert read_json(text.encode()) == {"a//b": "/* kept */", "c": [1, 2], "d": '"//'}
    assert read_json(b'{"a": 1 /* open') == {}


def test_comments_of_a_build_script_say_nothing() -> None:
    found = read_build(
        'const lib = b.addModule("lib", .{ .root_source_file = b.path("src/lib.zig") });\n'
        '// const old = b.addModule("old", .{ .root_source_file = b.path("old.zig") });\n'
        'const url = "http://x"; exe.root_module.addImport("lib", lib);\n'
    )
    assert (found.offered, found.imports) == ({"lib": "src/lib.zig"}, {"lib": "src/lib.zig"})
