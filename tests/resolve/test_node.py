"""Imports of TypeScript and JavaScript, as the TypeScript handbook's modules reference and Node.js have them."""

# ruff: noqa: E501 (lines of source in other languages)

from __future__ import annotations

import json
from pathlib import Path

import pytest
from resolve.world import resolving

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("files", "module", "target"),
    [
        # Extensionless, replaced and given endings; folders.
        (["src/a.ts"], "./a", "src/a.ts"),
        (["src/a.tsx"], "./a", "src/a.tsx"),
        (["src/a.d.ts"], "./a", "src/a.d.ts"),
        (["src/a.ts", "src/a.js"], "./a.js", "src/a.ts"),
        (["src/a.mts"], "./a.mjs", "src/a.mts"),
        (["src/a.cts"], "./a.cjs", "src/a.cts"),
        (["src/a.jsx"], "./a", "src/a.jsx"),
        (["src/a.js"], "./a.js", "src/a.js"),
        (["src/a.ts"], "./a.ts", "src/a.ts"),
        (["src/a/index.ts"], "./a", "src/a/index.ts"),
        (["src/a.ts", "src/a/index.ts"], "./a", "src/a.ts"),
        (["src/a.ts", "src/a/index.ts"], "./a/", "src/a/index.ts"),
        (["index.ts"], "..", "index.ts"),
        (["src/data.json"], "./data.json", "src/data.json"),
        (["src/page.vue"], "./page.vue", "src/page.vue"),
        (["src/icon.d.svg.ts"], "./icon.svg", "src/icon.d.svg.ts"),
        (["src/a.ts"], "./a?worker", "src/a.ts"),
        ([], "./missing", "nowhere"),
        ([], "../../outside", "nowhere"),
        ([], "react", "external"),
        ([], "node:fs", "external"),
    ],
)
async def test_relative_imports_and_endings(tmp_path: Path, files: list[str], module: str, target: str) -> None:
    """https://www.typescriptlang.org/docs/handbook/modules/reference.html#file-extension-substitution"""
    contents = {"src/use.ts": f"import x from '{module}'\n", **dict.fromkeys(files, "{}")}
    async with resolving(tmp_path, contents) as world:
        found = (await world.targets("src/use.ts"))[module]
        assert found == (target if target in ("nowhere", "external") else [target])


TSCONFIG = """{
  // comments and trailing commas are allowed
  "extends": "./base/tsconfig.base",
  "compilerOptions": { /* here, too */ "paths": {"@app/*": ["src/*", "generated/*"], "exact": ["src/one.ts"], "@app/x/*": ["x/*"],}, },
}
"""


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("@app/one", "src/one.ts"),
        ("@app/made", "generated/made.ts"),
        ("exact", "src/one.ts"),
        ("@app/x/y", "x/y.ts"),  # the longest prefix wins
        ("@app/none", "external"),
        ("fromBase", "base/lib/fromBase.ts"),  # baseUrl of what is extended, relative to that
    ],
)
async def test_tsconfig_paths_base_url_and_extends(tmp_path: Path, module: str, target: str) -> None:
    """https://www.typescriptlang.org/tsconfig/#paths"""
    files = {
        "tsconfig.json": TSCONFIG.replace('"src/', '"../../src/').replace('"generated/', '"../../generated/').replace('"x/', '"../../x/'),
        "base/tsconfig.base.json": '{"compilerOptions": {"baseUrl": "./lib"}}',
        "base/lib/fromBase.ts": "", "src/one.ts": "", "generated/made.ts": "", "x/y.ts": "",
        "src/use.ts": f"import x from '{module}'\n",
    }  # fmt: skip
    async with resolving(tmp_path, files) as world:
        found = (await world.targets("src/use.ts"))[module]
        assert found == (target if target == "external" else [target])


async def test_paths_of_an_extended_config_are_relative_to_it(tmp_path: Path) -> None:
    files = {
        "tsconfig.base.json": '{"compilerOptions": {"paths": {"@lib/*": ["./libs/*/src/index.ts"]}}}',
        "apps/web/tsconfig.json": '{"extends": ["../../tsconfig.base.json"]}',
        "apps/web/use.ts": "import '@lib/ui'\n",
        "libs/ui/src/index.ts": "",
    }
    async with resolving(tmp_path, files) as world:
        assert await world.targets("apps/web/use.ts") == {"@lib/ui": ["libs/ui/src/index.ts"]}


async def test_a_solution_s_referenced_config_gives_its_paths(tmp_path: Path) -> None:
    """https://www.typescriptlang.org/docs/handbook/project-references.html"""
    files = {
        "tsconfig.json": '{"files": [], "references": [{"path": "./tsconfig.app.json"}]}',
        "tsconfig.app.json": '{"compilerOptions": {"paths": {"~/*": ["./src/*"]}}}',
        "src/use.ts": "import '~/lib'\n",
        "src/lib.ts": "",
    }
    async with resolving(tmp_path, files) as world:
        assert await world.targets("src/use.ts") == {"~/lib": ["src/lib.ts"]}


async def test_hostile_configs_end(tmp_path: Path) -> None:
    files = {
        "a/tsconfig.json": '{"extends": "./other.json"}',
        "a/other.json": '{"extends": "./tsconfig.json"}',
        "a/tsconfig.other.json": '{"extends": "./tsconfig.json"}',
        "a/use.ts": "import 'x'\nimport './y'\n",
        "a/y.ts": "",
        "deep/tsconfig.json": '{"compilerOptions":' * 3000 + "{}" + "}" * 3000,
        "deep/use.ts": "import 'x'\n",
        "many/tsconfig.json": json.dumps({"extends": ["./tsconfig.json"] * 1000}),
        "many/use.ts": "import 'x'\n",
        "odd/package.json": '[1, "exports"]',
        "odd/tsconfig.json": '{"extends": 5, "compilerOptions": {"paths": {"x": 5, "*": [7]}, "baseUrl": []}, "references": [4]}',
        "odd/use.ts": "import 'x'\n",
        "out/tsconfig.json": '{"compilerOptions": {"paths": {"x": ["../../../etc/passwd", "/etc/passwd"]}}}',
        "out/use.ts": "import 'x'\n",
    }  # fmt: skip
    async with resolving(tmp_path, files) as world:
        assert await world.targets("a/use.ts") == {"x": "external", "./y": ["a/y.ts"]}
        for folder in ("deep", "many", "odd", "out"):
            assert await world.targets(f"{folder}/use.ts") == {"x": "external"}


EXPORTS = {
    ".": {"types": "./dist/index.d.ts", "default": "./dist/index.js"},
    "./feature": {"node": {"import": "./src/feature.ts"}},
    "./parts/*": "./src/parts/*.js",
    "./parts/private/*": None,
    "./wide/*/deep.js": "./src/wide/*.ts",
    "./list": ["./missing.js", "./src/feature.ts"],
}


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("@me/lib", "packages/lib/src/index.ts"),  # dist is not built yet: the source it comes from
        ("@me/lib/feature", "packages/lib/src/feature.ts"),
        ("@me/lib/parts/one", "packages/lib/src/parts/one.ts"),
        ("@me/lib/parts/private/two", "nowhere"),
        ("@me/lib/wide/x/deep.js", "packages/lib/src/wide/x.ts"),
        ("@me/lib/list", "packages/lib/src/feature.ts"),
        ("@me/lib/src/index.ts", "nowhere"),  # exports hides the rest
        ("@me/plain", "packages/plain/lib/main.js"),
        ("@me/plain/other", "packages/plain/other.js"),
        ("@me/typed", "packages/typed/types.d.ts"),
        ("linked", "elsewhere/index.js"),
        ("outsider", "external"),
    ],
)
@pytest.mark.parametrize("manager", ["npm", "pnpm"])
async def test_workspaces_and_exports(tmp_path: Path, module: str, target: str, manager: str) -> None:
    """https://nodejs.org/api/packages.html#package-entry-points"""
    files = {
        "package.json": json.dumps({"workspaces": ["packages/*"]} if manager == "npm" else {}),
        "pnpm-workspace.yaml": "packages:\n  - 'packages/*'\n" if manager == "pnpm" else "",
        "packages/lib/package.json": json.dumps({"name": "@me/lib", "exports": EXPORTS}),
        "packages/lib/src/index.ts": "", "packages/lib/src/feature.ts": "", "packages/lib/src/parts/one.ts": "",
        "packages/lib/src/parts/private/two.ts": "", "packages/lib/src/wide/x.ts": "",
        "packages/plain/package.json": '{"name": "@me/plain", "main": "lib/main.js"}',
        "packages/plain/lib/main.js": "", "packages/plain/other.js": "",
        "packages/typed/package.json": '{"name": "@me/typed", "types": "types.d.ts", "main": "main.js"}',
        "packages/typed/types.d.ts": "", "packages/typed/main.js": "",
        "fixtures/outsider/package.json": '{"name": "outsider"}', "fixtures/outsider/index.js": "",
        "elsewhere/index.js": "", "elsewhere/package.json": "{}",
        "packages/app/package.json": '{"name": "app", "dependencies": {"linked": "file:../../elsewhere"}}',
        "packages/app/use.ts": f"import '{module}'\n",
    }  # fmt: skip
    async with resolving(tmp_path, files) as world:
        found = (await world.targets("packages/app/use.ts"))[module]
        assert found == (target if target in ("nowhere", "external") else [target])


async def test_imports_of_package_json_and_a_package_s_own_name(tmp_path: Path) -> None:
    """https://nodejs.org/api/packages.html#imports and #self-referencing-a-package-using-its-name"""
    files = {
        "package.json": json.dumps({
            "name": "me",
            "exports": {"./x": "./src/x.ts"},
            "imports": {"#x": "./src/x.ts", "#in/*": {"default": "./src/in/*.ts"}, "#dep": "react"},
        }),
        "src/x.ts": "", "src/in/y.ts": "",
        "src/use.ts": "import '#x'\nimport '#in/y'\nimport '#dep'\nimport 'me/x'\nimport 'me/y'\n",
    }  # fmt: skip
    async with resolving(tmp_path, files) as world:
        assert await world.targets("src/use.ts") == {
            "#x": ["src/x.ts"], "#in/y": ["src/in/y.ts"], "#dep": "external", "me/x": ["src/x.ts"], "me/y": "nowhere",
        }  # fmt: skip


async def test_names_are_followed_through_exports(tmp_path: Path) -> None:
    """https://developer.mozilla.org/docs/Web/JavaScript/Reference/Statements/export"""
    files = {
        "shapes.ts": (
            "export class Circle {\n  /** How far.\n   * @returns metres */\n  radius(): number { return 1 }\n}\n"
            "class Hidden {}\nexport { Hidden as Shown }\nexport default Circle\nexport const { a } = {}\n"
        ),
        "named.ts": "export default function made() {}\n",
        "index.ts": (
            "export * from './shapes'\nexport { default as made } from './named'\n"
            "export { default } from './shapes'\nexport * as all from './shapes'\n"
        ),
        "old.js": "class Old {}\nmodule.exports = Old\n",
        "use.ts": (
            "import Round, { Circle, Shown as S, made, all } from './index'\nimport * as ns from './index'\n"
            "import type { Circle as C } from './shapes'\n"
        ),
        "use.js": "const Old = require('./old')\nconst { Circle: Kreis } = require('./shapes')\n",
    }
    async with resolving(tmp_path, files) as world:
        for name, places in {
            "Circle": ["shapes.ts:1"],
            "C": ["shapes.ts:1"],
            "Round": ["shapes.ts:1"],
            "S": ["shapes.ts:6"],
            "made": ["named.ts:1"],
            "all.Circle": ["shapes.ts:1"],
            "ns.Shown": ["shapes.ts:6"],
            "Circle.radius": ["shapes.ts:4"],
            "nobody": [],
        }.items():
            assert (name, await world.behind("use.ts", name)) == (name, places)
        assert await world.module_of("use.ts", "ns") == ["index.ts"]
        assert await world.behind("use.js", "Old") == ["old.js:1"]
        assert await world.behind("use.js", "Kreis") == ["shapes.ts:1"]
        assert await world.doc("use.ts", "Circle.radius") == "How far."


async def test_members_include_those_of_what_is_extended_and_implemented(tmp_path: Path) -> None:
    files = {
        "base.ts": "export interface Named<T> { name: string }\nexport class Base<T> { run(x: T): void {} }\n",
        "leaf.ts": (
            "import { Base, Named } from './base'\n"
            "export class Leaf<K extends Map<string, number>> extends Base<K> implements Named<K> {\n  own = 1\n}\n"
        ),
    }
    async with resolving(tmp_path, files) as world:
        assert await world.members("leaf.ts", "Leaf") == ["own = 1", "run(x: T): void", "name: string"]
