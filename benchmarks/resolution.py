"""Import resolution against the languages' own resolvers, and what it costs.

Run: python benchmarks/resolution.py [--cache DIR] [--only python|node|rust|zig|speed]

Python: the packages of completion_corpora.py; every import that `ast` finds whose module is inside of the package is
looked for by `importlib.machinery.PathFinder`, which runs nothing. TypeScript: npm's `effect` and `rxjs`; every import
that `ts.preProcessFile` finds is given to `ts.resolveModuleName` (moduleResolution bundler). Zig: every relative
`@import` of the standard library and its kin in PyPI's ziglang. Rust: the crates of some of Debian's librust-*-dev
packages; the files that `rustc --emit dep-info` reads for a library must be reached by our `mod` edges from its root.
What is fetched is kept in --cache (default: ghostd-resolution in the user's cache folder).
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path, PurePosixPath

from completion_corpora import APART, REPORTED, fetch
from index_throughput import django
from platformdirs import user_cache_path

from ghostd.config.projects import IndexConfig
from ghostd.index.service import SqliteIndex, open_index
from ghostd.resolve.resolver import Resolver

PYTHON = ("scrapy", "networkx", "aiohttp", "werkzeug", "pytest", "django")
NPM = ("effect@3.22.4", "rxjs@7.8.2", "typescript@5.9.3")
DEBIAN = (
    "librust-regex-automata-dev",
    "librust-serde-dev",
    "librust-tokio-dev",
    "librust-syn-dev",
    "librust-rayon-dev",
)

ASK_TYPESCRIPT = """
const ts = require('typescript'), fs = require('fs');
const options = {moduleResolution: ts.ModuleResolutionKind.Bundler, module: ts.ModuleKind.ESNext, allowJs: true,
                 resolveJsonModule: true, allowImportingTsExtensions: true, noEmit: true};
const cache = ts.createModuleResolutionCache(process.cwd(), x => x, options);
const found = {};
for (const file of JSON.parse(fs.readFileSync(0, 'utf8'))) {
  const own = found[file] = {};
  for (const {fileName} of ts.preProcessFile(fs.readFileSync(file, 'utf8'), true, true).importedFiles) {
    const {resolvedModule} = ts.resolveModuleName(fileName, file, options, ts.sys, cache);
    own[fileName] = resolvedModule?.resolvedFileName ?? null;
  }
}
console.log(JSON.stringify(found));
"""


def spec_of(module: str, base: Path) -> Path | None:
    """The file of a module below `base`, found without running anything; a folder for a namespace package."""
    places: Iterable[str] = [str(base)]
    origin: Path | None = None
    for part in module.split("."):
        # By its last name alone: for the whole one the finder would ask for imported parents.
        spec = PathFinder.find_spec(part, list(places))
        if spec is None:
            return None
        places = spec.submodule_search_locations or []
        origin = Path(spec.origin) if spec.origin else Path(next(iter(places)))
    return origin


def python_truth(base: Path, file: Path) -> dict[tuple[int, str], set[Path]]:
    """(line, module as written) → the files that an import means, for those inside of `base`."""
    found: dict[tuple[int, str], set[Path]] = {}
    package = list(file.relative_to(base).parts[:-1])
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                origin = spec_of(alias.name, base)
                if origin is not None and origin.is_file():
                    found.setdefault((node.lineno, alias.name), set()).add(origin)
        elif isinstance(node, ast.ImportFrom):
            outer = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*outer, *([node.module] if node.module else [])])
            origin = spec_of(module, base) if module else None
            if origin is None:
                continue
            inner = (spec_of(f"{module}.{alias.name}", base) for alias in node.names if alias.name != "*")
            files = {path for path in (origin, *inner) if path is not None and path.is_file()}
            if files:
                found.setdefault((node.lineno, "." * node.level + (node.module or "")), set()).update(files)
    return found


async def judge_python(index: SqliteIndex, root: Path, examples: list[str]) -> tuple[int, int]:
    """(imports, resolved to the same files)."""
    resolver = Resolver(index)
    total = right = 0
    for file in await index.files(root):
        if file.path.suffix != ".py":
            continue
        try:
            truth = await asyncio.to_thread(python_truth, root, root / file.path)
        except (SyntaxError, ValueError):
            continue
        ours: dict[tuple[int, str], set[Path]] = {}
        for found in await resolver.imports(root, file.path):
            key = found.statement.line, found.statement.module
            ours.setdefault(key, set()).update(root / target for target in found.targets)
        for key, files in truth.items():
            total += 1
            given = ours.get(key, set())
            if {path for path in given if path.suffix != ".pyi"} == {path for path in files if path.suffix == ".py"}:
                right += 1
            else:
                examples.append(
                    f"{file.path}:{key[0]} {key[1]}: {sorted(map(str, given))} for {sorted(map(str, files))}"
                )
    resolver.close()
    return total, right


async def judge_node(
    index: SqliteIndex, root: Path, truth: dict[str, dict[str, str | None]], examples: list[str]
) -> tuple[int, int]:
    """(imports, resolved as TypeScript does); what leads outside the root, or to a skipped file, counts as nowhere."""
    resolver = Resolver(index)
    indexed = {str(root / file.path) for file in await index.files(root)}
    total = right = 0
    for path, wanted in truth.items():
        ours = {}
        for found in await resolver.imports(root, PurePosixPath(path).relative_to(root)):
            ours[found.statement.module] = str(root / found.targets[0]) if found.targets else None
        for module, answer in wanted.items():
            total += 1
            place = answer if answer in indexed else None
            if ours.get(module) == place:
                right += 1
            else:
                examples.append(f"{path} {module}: {ours.get(module)} for {place}")
    resolver.close()
    return total, right


async def judge_zig(index: SqliteIndex, root: Path, examples: list[str]) -> tuple[int, int]:
    """(relative imports, those that lead to the file that is there)."""
    resolver = Resolver(index)
    total = right = 0
    for file in await index.files(root):
        for found in await resolver.imports(root, file.path):
            if found.statement.module.endswith(".zig"):
                total += 1
                place = os.path.normpath(root / file.path.parent / found.statement.module)
                if [str(root / target) for target in found.targets] == [place] and Path(place).is_file():
                    right += 1
                else:
                    examples.append(f"{file.path} {found.statement.module}: {found.targets}")
    resolver.close()
    return total, right


async def judge_rust(index: SqliteIndex, root: Path, examples: list[str]) -> tuple[int, int, int, int]:
    """(files rustc reads, those that we reach), (crate-internal uses, those with a target)."""
    resolver = Resolver(index)
    read = reached = uses = led = 0
    graph = await resolver.graph(root)
    for library in sorted(root.glob("*/src/lib.rs")):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                "rustc",
                "--edition",
                "2021",
                "--crate-type",
                "lib",
                "--emit",
                f"dep-info={folder}/d",
                str(library),
            ]
            subprocess.run([*command, "--cap-lints", "allow"], capture_output=True, check=False)
            info = Path(folder, "d").read_text() if Path(folder, "d").exists() else ""
        files = {line.removesuffix(":") for line in info.splitlines() if line.endswith(".rs:")}
        seen = {PurePosixPath(library.relative_to(root))}
        waiting = list(seen)
        while waiting:
            for target in graph.imports_of(waiting.pop()):
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        read += len(files)
        for name in files:
            if PurePosixPath(name).relative_to(root) in seen:
                reached += 1
            else:
                examples.append(f"{library} reads {name}")
    for path in graph.paths:
        for found in await resolver.imports(root, path):
            if found.statement.kind == "mod" or found.statement.module.split("::")[0] in ("crate", "self", "super"):
                uses += 1
                led += bool(found.targets)
                if not found.targets:
                    examples.append(f"{path}:{found.statement.line} {found.statement.module}: {found.detail}")
    resolver.close()
    return read, reached, uses, led


async def speed(index: SqliteIndex, root: Path) -> None:
    """CPU milliseconds of the keystroke path's questions on one root."""

    async def timed(ask: object) -> float:
        began = time.process_time()
        await ask  # type: ignore[misc]
        return (time.process_time() - began) * 1000

    resolver = Resolver(index)
    files = [file.path for file in await index.files(root) if file.path.suffix == ".py"]
    print(
        f"  first question of the root (files, manifests)  {await timed(resolver.imports(root, files[0])):.1f} ms CPU"
    )
    sample = files[:: max(1, len(files) // 300)]
    for warm in ("cold", "warm"):
        show(f"imports, {warm}", [await timed(resolver.imports(root, path)) for path in sample])
    names: list[tuple[PurePosixPath, str]] = []
    for path in sample:
        for statement in await index.imports(root, path):
            names.extend((path, name) for name in (statement.as_names or statement.names)[:2] if name != "*")
    resolver.close()
    resolver = Resolver(index)
    await resolver.imports(root, files[0])
    for warm in ("cold", "warm"):
        show(f"behind, {warm} ({len(names)} names)", [await timed(resolver.behind(root, *item)) for item in names])
    resolver.close()
    resolver = Resolver(index)
    print(f"  graph                                          {await timed(resolver.graph(root)):.0f} ms CPU")
    graph = await resolver.graph(root)
    print(f"    {len(graph.paths)} files, {graph.total} imports, {sum(map(len, graph.imports))} edges")
    resolver.close()


def show(name: str, values: list[float]) -> None:
    """Print the quantiles of a list of milliseconds."""
    values = sorted(values)
    p50, p95 = values[len(values) // 2], values[int(len(values) * 0.95)]
    print(f"  {name:45}  p50 {p50:.2f}, p95 {p95:.2f}, max {values[-1]:.2f} ms CPU")


def npm(cache: Path) -> Path:
    """node_modules with the packages."""
    folder = cache / "npm"
    if not (folder / "node_modules" / "typescript").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        command = [
            "npm",
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--ignore-scripts",
            *NPM,
        ]
        subprocess.run(command, cwd=folder, check=True)
    return folder / "node_modules"


def crates(cache: Path) -> Path:
    """Debian's crates, unpacked."""
    folder = cache / "debian"
    registry = folder / "x" / "usr" / "share" / "cargo" / "registry"
    if not registry.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", *DEBIAN], cwd=folder, check=True, capture_output=True)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(folder / "x")], check=True)
    return registry


def report(name: str, total: int, right: int, examples: list[str]) -> None:
    """Print one line of the table."""
    share = f"{100 * right / total:.2f} %" if total else "none"
    print(f"  {name:45}  {right} of {total} ({share})")
    for example in examples[:5]:
        print(f"    e.g. {example}")


async def main(cache: Path, only: str) -> None:
    """Print the table."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with open_index(Path(folder), IndexConfig()) as index:

            async def indexed(root: Path) -> Path:
                await index.add_root(root)
                await index.wait_ready(root)
                return root

            if only in ("", "python"):
                print("Python, imports within the package, against importlib")
                for corpus in (c for c in REPORTED if c.name in PYTHON):
                    root = next(fetch(corpus).iterdir()) if corpus.sdist else fetch(corpus)
                    examples: list[str] = []
                    report(corpus.requirement, *await judge_python(index, await indexed(root), examples), examples)
            if only in ("", "node"):
                print("TypeScript, against typescript's resolveModuleName")
                modules = await asyncio.to_thread(npm, cache)
                for package in NPM[:2]:
                    root = await indexed(modules / package.partition("@")[0])
                    suffixes = (".ts", ".tsx", ".mts", ".cts")
                    files = [str(root / f.path) for f in await index.files(root) if f.path.name.endswith(suffixes)]
                    answer = await asyncio.to_thread(
                        subprocess.run,
                        ["node", "-e", ASK_TYPESCRIPT],
                        input=json.dumps(files),
                        capture_output=True,
                        text=True,
                        check=True,
                        cwd=modules.parent,
                    )
                    examples = []
                    report(package, *await judge_node(index, root, json.loads(answer.stdout), examples), examples)
            if only in ("", "zig"):
                print("Zig, relative @import")
                root = await indexed(fetch(next(c for c in APART if c.name == "ziglang")))
                examples = []
                report("ziglang's lib", *await judge_zig(index, root, examples), examples)
            if only in ("", "rust") and shutil.which("rustc"):
                print("Rust, against rustc's dep-info")
                root = await indexed(await asyncio.to_thread(crates, cache))
                examples = []
                read, reached, uses, led = await judge_rust(index, root, examples)
                report("files of libraries reached", read, reached, examples)
                report("crate-internal imports with a target", uses, led, [])
            if only in ("", "speed"):
                root = await indexed(django())
                print(f"Speed on {root.name}")
                await speed(index, root)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=user_cache_path("ghostd-resolution"))
    parser.add_argument("--only", choices=("python", "node", "rust", "zig", "speed"), default="")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.cache, arguments.only))
