"""Zig's @import, by file and by the modules of build.zig."""

# ruff: noqa: E501 (lines of source in other languages)

from __future__ import annotations

from pathlib import Path

import pytest
from resolve.world import resolving

pytestmark = pytest.mark.e2e

BUILD = """
const std = @import("std");
pub fn build(b: *std.Build) void {
    const shared = b.createModule(.{ .root_source_file = b.path("shared/root.zig"), .target = target });
    const public = b.addModule("public", .{
        // .root_source_file = b.path("commented.zig"),
        .root_source_file = b.path("src/public.zig"),
        .imports = &.{ .{ .name = "inner", .module = shared } },
    });
    const dep = b.dependency("beside", .{ .target = target });
    const exe = b.addExecutable(.{ .name = "x", .root_module = b.createModule(.{ .root_source_file = b.path("src/main.zig") }) });
    exe.root_module.addImport("shared", shared);
    exe.root_module.addImport("beside", dep.module("main"));
    exe.root_module.addAnonymousImport("anon", .{ .root_source_file = b.path("src/anon.zig") });
    exe.root_module.addImport("outside", b.createModule(.{ .root_source_file = b.path("../../outside.zig") }));
}
"""
FILES = {
    "build.zig": BUILD,
    "build.zig.zon": ".{ .name = .x, .dependencies = .{ .beside = .{ .path = \"libs/beside\" }, .far = .{ .url = \"u\" } } }",
    "libs/beside/build.zig": 'pub fn build(b: anytype) void { _ = b.addModule("main", .{ .root_source_file = b.path("m.zig") }); }',
    "libs/beside/m.zig": "pub fn beside() void {}\n",
    "shared/root.zig": "pub const Shared = struct { pub fn run(self: Shared) void { _ = self; } };\n",
    "src/public.zig": "",
    "src/anon.zig": "",
    "src/list.zig": "/// A list.\npub const List = struct { len: usize };\nconst hidden = @import(\"main.zig\");\n",
    "src/lib.zig": 'const list = @import("list.zig");\npub const List = list.List;\npub usingnamespace @import("more.zig");\n',
    "src/more.zig": "pub fn more() void {}\n",
    "src/main.zig": (
        'const std = @import("std");\nconst lib = @import("lib.zig");\nconst L = @import("list.zig").List;\n'
        'const shared = @import("shared");\nconst p = @import("public");\nconst i = @import("inner");\n'
        'const b = @import("beside");\nconst a = @import("anon");\nconst o = @import("outside");\n'
        'const up = @import("../../up.zig");\nconst none = @import("none.zig");\n'
        'fn work() void {}\ntest "it works" { work(); }\ntest "other" {}\n'
    ),
}  # fmt: skip


async def test_imports_lead_to_files_and_to_modules_of_the_build(tmp_path: Path) -> None:
    """https://ziglang.org/documentation/master/#import"""
    async with resolving(tmp_path, FILES) as world:
        assert await world.targets("src/main.zig") == {
            "std": "external",
            "lib.zig": ["src/lib.zig"],
            "list.zig": ["src/list.zig"],
            "shared": ["shared/root.zig"],
            "public": ["src/public.zig"],
            "inner": ["shared/root.zig"],
            "beside": ["libs/beside/m.zig"],
            "anon": ["src/anon.zig"],
            "outside": "external",
            "../../up.zig": "nowhere",
            "none.zig": "nowhere",
        }


async def test_names_are_followed_through_fields_and_usingnamespace(tmp_path: Path) -> None:
    async with resolving(tmp_path, FILES) as world:
        for name, places in {
            "L": ["src/list.zig:2"],
            "lib.List": ["src/list.zig:2"],
            "lib.List.len": ["src/list.zig:2"],
            "lib.more": ["src/more.zig:1"],
            "shared.Shared.run": ["shared/root.zig:1"],
            "b.beside": ["libs/beside/m.zig:1"],
            "std.mem": [],
            "work": ["src/main.zig:12"],
        }.items():
            assert (name, await world.behind("src/main.zig", name)) == (name, places)
        assert await world.module_of("src/main.zig", "lib") == ["src/lib.zig"]
        assert await world.doc("src/main.zig", "L") == "A list."
        assert await world.tests_of("src/main.zig", "work") == ["src/main.zig it works"]
