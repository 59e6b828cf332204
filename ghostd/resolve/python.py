"""Python's imports: https://docs.python.org/3/reference/import.html, with the roots that a project's files declare."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ghostd.indexed import Import
from ghostd.resolve.manifests import Table, inside, table, text, texts
from ghostd.resolve.resolution import Resolution
from ghostd.resolve.tree import FileTree, folder_of, folders_above, joined

MANIFESTS = frozenset(("pyproject.toml",))
_PROJECT_FILES = frozenset(("pyproject.toml", "setup.py", "setup.cfg"))
_INITS = ("__init__.py", "__init__.pyi")
_ENDINGS = (".py", ".pyi", ".pyx", ".pyw")
_MAX_ROOTS = 2000


@dataclass(slots=True)
class PythonResolver:
    """`manifests`: path of each pyproject.toml → its content."""

    tree: FileTree
    manifests: Mapping[str, Table]
    name: str = ""
    """The root's folder: where the root is itself a package, its modules import each other by this name."""
    _roots: list[str] = field(default_factory=list)
    """Folders that projects put on sys.path, in order of depth."""
    _by_top: dict[str, list[str]] = field(default_factory=dict)
    """Top-level name → those of `_roots` that have it."""
    _tops: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Folder of a file → where its absolute imports are looked for first."""
    _folders: set[str] = field(default_factory=set)
    """Those with a Python file somewhere below: only they can be namespace packages."""

    def __post_init__(self) -> None:
        python = FileTree()
        python.add(path for path in self.tree.files if path.endswith(_ENDINGS))
        self._folders = python.folders
        roots = dict.fromkeys(("", "src", "lib", "python"))
        projects = {folder_of(path) for path in self.tree.sizes if path.rpartition("/")[2] in _PROJECT_FILES}
        for project in sorted(projects, key=lambda folder: (folder.count("/"), folder))[:_MAX_ROOTS]:
            manifest = self.manifests.get(f"{project}/pyproject.toml" if project else "pyproject.toml", {})
            for relative in (*_declared(manifest), "src", ""):
                found = joined(project, relative)
                if found is not None:
                    roots[found] = None
        self._roots = [root for root in roots if root in self._folders]

    def resolve(self, path: str, statement: Import) -> Resolution:
        """See LanguageResolver."""
        module, names = statement.module, statement.names
        if statement.kind == "exports":
            return Resolution()
        stripped = module.lstrip(".")
        if stripped != module:
            return self._relative(path, len(module) - len(stripped), stripped, names)
        top, _, rest = module.partition(".")
        known = ""
        for base in self._bases(path, top):
            found = self._files(f"{base}/{module.replace('.', '/')}" if base else module.replace(".", "/"))
            if found is not None:
                resolution = self._with_names(found, names, f"below {base or 'the root'}")
                # A mere folder of that name is one only for what lies in it: the installed package may be meant.
                if resolution.targets:
                    return resolution
            if rest and not known and self._files(f"{base}/{top}" if base else top):
                known = base or "the root"
        if top == self.name and (own := self._in_this_package(rest)) is not None:
            return self._with_names(own, names, "the root is this package")
        if known:
            return Resolution(detail=f"{top} is below {known}, but {module} is no file of it")
        return Resolution(external=True, detail="of the standard library" if top in _STANDARD else "not in the project")

    def _in_this_package(self, rest: str) -> tuple[str, tuple[str, ...]] | None:
        """As `_files`, of a module below the root, which is a package itself."""
        inits = tuple(init for init in _INITS if init in self.tree.files)
        if not inits:
            return None
        return self._files(rest.replace(".", "/")) if rest else ("", inits)

    def submodule(self, module: str, name: str) -> tuple[str, ...]:
        """See LanguageResolver."""
        folder = module
        if module.endswith((".py", ".pyi")):
            if module.rpartition("/")[2] not in _INITS:
                return ()
            folder = folder_of(module)
        found = self._files(f"{folder}/{name}" if folder else name)
        return () if found is None else found[1] or (found[0],)

    def _relative(self, path: str, level: int, module: str, names: tuple[str, ...]) -> Resolution:
        folder = folder_of(path)
        for _ in range(level - 1):
            if not folder:
                return Resolution(detail="leads out of the root")
            folder = folder_of(folder)
        if module:
            place = module.replace(".", "/")
            folder = f"{folder}/{place}" if folder else place
        found = self._files(folder)
        if found is None and not module:
            found = (folder, ())
        if found is None:
            return Resolution(detail=f"there is no {folder}.py and no folder {folder}")
        return self._with_names(found, names, "relative")

    def _with_names(self, found: tuple[str, tuple[str, ...]], names: tuple[str, ...], detail: str) -> Resolution:
        place, files = found
        submodules: dict[str, tuple[str, ...]] = {}
        if not files or files[0].rpartition("/")[2] in _INITS:
            for name in names:
                inner = self._files(f"{place}/{name}" if place else name) if name != "*" else None
                if inner is not None:
                    submodules[name] = inner[1] or (inner[0],)
        more = [file for inner in submodules.values() for file in inner if file in self.tree.files]
        return Resolution(
            (*files, *(file for file in more if file not in files)),
            detail=detail if files else f"{detail}, a namespace package",
            submodules=submodules,
        )

    def _files(self, place: str) -> tuple[str, tuple[str, ...]] | None:
        """A module's place without its ending, and its files: source first, then stub; no file: a namespace package.

        None: there is no such module. A package wins over a module of its name (PEP 420).
        """
        files = self.tree.files
        for source in (f"{place}/__init__.py", f"{place}.py", f"{place}.pyx", f"{place}.pyw"):
            if source in files:
                stub = source[:-1] + "i" if source.endswith("pyw") else f"{source}i"
                return place, (source, stub) if stub in files else (source,)
        stubs = f"{place}/__init__.pyi", f"{place}.pyi", *_stub_package(place)
        stub = self.tree.first(stubs)
        if stub:
            return place, (stub,)
        return (place, ()) if place in self._folders else None

    def _bases(self, path: str, top: str) -> Iterable[str]:
        """The folders in which a top-level module of this name may lie, as seen by the file `path`."""
        folder = folder_of(path)
        near = self._tops.get(folder)
        if near is None:
            near = self._tops[folder] = tuple(self._near(folder))
        standard = top in _STANDARD
        for base in near:
            # Only a project's own package of a standard module's name hides that.
            if not standard or path.startswith(f"{base}/{top}/" if base else f"{top}/"):
                yield base
        if standard:
            return
        found = self._by_top.get(top)
        if found is None:
            places = ((root, f"{root}/{top}" if root else top) for root in self._roots)
            found = self._by_top[top] = [root for root, place in places if self._files(place) is not None]
        yield from found

    def _near(self, folder: str) -> Iterable[str]:
        """The folder around the outermost package, then every one above that is no package."""
        for above in folders_above(folder):
            if not any(f"{above}/{init}" in self.tree.files for init in _INITS):
                yield above


def _stub_package(place: str) -> Iterable[str]:
    """PEP 561's `name-stubs` beside or instead of `name`."""
    folder, _, name = place.rpartition("/")
    before = f"{folder}/" if folder else ""
    yield f"{before}{name}-stubs/__init__.pyi"
    if folder:
        outer, _, package = folder.rpartition("/")
        yield f"{outer}/{package}-stubs/{name}.pyi" if outer else f"{package}-stubs/{name}.pyi"


def _declared(manifest: Table) -> Iterable[str]:
    """Folders that a pyproject.toml puts on sys.path."""
    tool = inside(manifest, "tool")
    yield from texts(inside(tool, "setuptools", "packages", "find").get("where"))
    yield from (text(value) for value in inside(tool, "setuptools", "package-dir").values())
    packages = inside(tool, "poetry").get("packages")
    for package in packages if isinstance(packages, list) else ():
        yield text(table(package).get("from"))
    for target in inside(tool, "hatch", "build", "targets").values():
        yield from (package.rpartition("/")[0] for package in texts(table(target).get("packages")))
        yield from table(target.get("sources") if isinstance(target, dict) else None)
        yield from texts(table(target).get("sources"))
    yield text(inside(tool, "pdm", "build").get("package-dir"))
    yield text(inside(tool, "maturin").get("python-source"))
    yield text(inside(tool, "uv", "build-backend").get("module-root"))
    yield from texts(inside(tool, "pytest", "ini_options").get("pythonpath"))
    yield from texts(inside(tool, "pytest").get("pythonpath"))
    yield from (
        part for item in texts(inside(tool, "mypy").get("mypy_path")) for part in item.replace(",", ":").split(":")
    )
    yield from texts(inside(tool, "pyright").get("extraPaths"))
    yield from texts(inside(tool, "ruff").get("src"))


_STANDARD = sys.stdlib_module_names | {"_typeshed"}
