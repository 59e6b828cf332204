"""Which files belong to which language's resolver, and which manifests it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ghostd.resolve.manifests import decoded, read_json, read_toml
from ghostd.resolve.node import NodeResolver
from ghostd.resolve.python import PythonResolver
from ghostd.resolve.resolution import LanguageResolver
from ghostd.resolve.rust import Mod, RustResolver
from ghostd.resolve.tree import FileTree, folder_of
from ghostd.resolve.zig import ZigResolver

Family = Literal["python", "node", "rust", "zig"]

_ENDINGS: Mapping[str, Family] = {
    **dict.fromkeys(("py", "pyi", "pyw", "pyx"), "python"),
    **dict.fromkeys(("ts", "tsx", "mts", "cts", "js", "jsx", "mjs", "cjs"), "node"),
    "rs": "rust",
    "zig": "zig",
}


def family_of(path: str) -> Family | None:
    """The family of a file by its ending; None where imports are not resolved."""
    return _ENDINGS.get(path.rpartition(".")[2])


def manifest_family(path: str) -> Family | None:
    """The family that reads this file as a manifest."""
    name = path.rpartition("/")[2]
    if name in ("pyproject.toml", "setup.py", "setup.cfg"):
        return "python"
    if name in ("package.json", "pnpm-workspace.yaml") or (
        name.startswith(("tsconfig", "jsconfig")) and name.endswith(".json")
    ):
        return "node"
    if name == "Cargo.toml":
        return "rust"
    return "zig" if name in ("build.zig", "build.zig.zon") else None


def build(
    family: Family,
    tree: FileTree,
    texts: Mapping[str, bytes | None],
    mods: Mapping[str, tuple[Mod, ...]],
    name: str = "",
) -> LanguageResolver:
    """A family's resolver, from the texts of its manifests; `name` is the root's folder."""
    if family == "python":
        manifests = {path: read_toml(text) for path, text in texts.items() if path.endswith("pyproject.toml")}
        return PythonResolver(tree, manifests, name)
    if family == "node":
        objects = {path: read_json(text) for path, text in texts.items() if path.endswith(".json")}
        pnpm = {folder_of(path): decoded(text) for path, text in texts.items() if path.endswith(".yaml")}
        return NodeResolver(tree, objects, pnpm)
    if family == "rust":
        return RustResolver(tree, {path: read_toml(text) for path, text in texts.items()}, mods)
    return ZigResolver(tree, {path: decoded(text) for path, text in texts.items()})
