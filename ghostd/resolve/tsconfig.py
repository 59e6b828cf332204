"""What tsconfig.json and jsconfig.json say of imports: https://www.typescriptlang.org/tsconfig/#paths.

`extends` is followed through files of the root, a bounded number of them; each value is relative to the file it
stands in, and the nearest file that has it wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from ghostd.resolve.manifests import Table, inside, table, text, texts
from ghostd.resolve.tree import folder_of, joined

_MAX_EXTENDS = 20
_MAX_PATHS = 1000
CONFIG_DIR = "${configDir}"


@dataclass(frozen=True, slots=True)
class TsConfig:
    """The options that matter, with all folders relative to the root."""

    path: str
    base: str | None = None
    """`baseUrl`."""
    paths: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Pattern → substitutions, relative to `paths_base`."""
    paths_base: str = ""
    conditions: tuple[str, ...] = ()
    """`customConditions`."""
    root_dirs: tuple[str, ...] = ()
    out_dirs: tuple[str, ...] = ()
    """`outDir` and `declarationDir`."""
    root_dir: str | None = None
    references: tuple[str, ...] = ()
    """Paths of configs."""

    def substitutions(self, module: str) -> Iterable[str]:
        """The places that `paths` gives a module, the best first."""
        for target in _match(self.paths, module):
            found = joined(self.paths_base, target)
            if found is not None:
                yield found


def read_config(path: str, manifests: Mapping[str, Table], package: Callable[[str, str], str]) -> TsConfig:
    """The config at `path`, with all that it extends.

    `package` gives the file that a bare name in `extends` means, as seen from a folder; "" if it is not in the root.
    """
    config = _read(path, path, manifests, package, [_MAX_EXTENDS])
    references = manifests.get(path, {}).get("references")
    found: list[str] = []
    for reference in references if isinstance(references, list) else ():
        place = joined(folder_of(path), text(table(reference).get("path")))
        if place is not None:
            found.extend(p for p in (place, f"{place}/tsconfig.json" if place else "tsconfig.json") if p in manifests)
    return replace(config, references=tuple(found))


def _read(
    path: str, outermost: str, manifests: Mapping[str, Table], package: Callable[[str, str], str], left: list[int]
) -> TsConfig:
    left[0] -= 1
    manifest = manifests.get(path, {})
    folder = folder_of(path)
    config = TsConfig(path)
    for extended in texts(manifest.get("extends")):
        place = _extended(extended, folder, manifests, package)
        if place and left[0] > 0:
            config = _over(config, _read(place, outermost, manifests, package, left))
    options = inside(manifest, "compilerOptions")

    def placed(value: object) -> str | None:
        given = text(value)
        if not given:
            return None
        if given.startswith(CONFIG_DIR):
            return joined(folder_of(outermost), given[len(CONFIG_DIR) :].lstrip("/") or ".")
        return joined(folder, given)

    base = placed(options.get("baseUrl"))
    own = TsConfig(
        path,
        base=base,
        conditions=texts(options.get("customConditions")),
        root_dirs=tuple(d for d in (placed(item) for item in texts(options.get("rootDirs"))) if d is not None),
        out_dirs=tuple(d for d in (placed(options.get(key)) for key in ("declarationDir", "outDir")) if d is not None),
        root_dir=placed(options.get("rootDir")),
    )
    config = _over(config, own)
    paths = options.get("paths")
    if isinstance(paths, Mapping):
        up = "../" * len(folder.split("/")) if folder else ""
        pairs = []
        for pattern, targets in list(paths.items())[:_MAX_PATHS]:
            # `${configDir}` is written as a way up to the root and down again.
            given = tuple(
                f"{up}{folder_of(outermost)}/{t[len(CONFIG_DIR) :].lstrip('/')}" if t.startswith(CONFIG_DIR) else t
                for t in texts(targets)
            )
            pairs.append((pattern, given))
        config = replace(config, paths=tuple(pairs), paths_base=folder if base is None else base)
        if base is None and config.base is not None:
            config = replace(config, paths_base=config.base)
    return config


def _extended(extended: str, folder: str, manifests: Mapping[str, Table], package: Callable[[str, str], str]) -> str:
    if not extended.startswith("."):
        return package(folder, extended)
    place = joined(folder, extended)
    if place is None:
        return ""
    return next((p for p in (place, f"{place}.json", f"{place}/tsconfig.json") if p in manifests), "")


def _over(below: TsConfig, above: TsConfig) -> TsConfig:
    """`below`, with all that `above` says itself."""
    return TsConfig(
        above.path,
        base=below.base if above.base is None else above.base,
        paths=above.paths or below.paths,
        paths_base=above.paths_base if above.paths else below.paths_base,
        conditions=above.conditions or below.conditions,
        root_dirs=above.root_dirs or below.root_dirs,
        out_dirs=above.out_dirs or below.out_dirs,
        root_dir=below.root_dir if above.root_dir is None else above.root_dir,
    )


def _match(patterns: Iterable[tuple[str, tuple[str, ...]]], module: str) -> tuple[str, ...]:
    """The substitutions of the exact pattern, or of the one with the longest part before its `*`."""
    best: tuple[str, ...] = ()
    longest = -1
    for pattern, targets in patterns:
        before, star, after = pattern.partition("*")
        if not star:
            if pattern == module:
                return targets
            continue
        fits = len(module) >= len(before) + len(after) and module.startswith(before) and module.endswith(after)
        if fits and len(before) > longest:
            longest = len(before)
            middle = module[len(before) : len(module) - len(after)]
            best = tuple(target.replace("*", middle, 1) for target in targets)
    return best
