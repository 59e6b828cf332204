"""Python's manifests: pyproject.toml, requirements files, setup.cfg and setup.py, which is read and never run.

https://packaging.python.org/en/latest/specifications/pyproject-toml/, PEP 508 (requirements), PEP 735 (groups).
"""

from __future__ import annotations

import ast
import configparser
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping

from ghostd.analysis.manifests.manifest import (
    Dependency,
    EntryPoint,
    Manifest,
    ManifestProblem,
    clean,
    dependencies,
    entry_points,
    text_of,
    toml_of,
)
from ghostd.resolve.manifests import Table, inside, table, text, texts

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(\[[^\]]{0,200}\])?\s*([^;#]{0,200})")
_EGG = re.compile(r"#egg=([A-Za-z0-9._-]+)")
_OPTION = re.compile(r"-(?:r|c|-requirement|-constraint|e|-editable)\b")
_MAX_SETUP_BYTES = 128 * 1024
_MAX_NESTING = 60
_MAX_DEPTH = 8
_MAX_ITEMS = 1000


def requirement(line: str, group: str = "") -> Dependency | None:
    """A requirement as PEP 508 has it; None for what is none."""
    found = _REQUIREMENT.match(line)
    if found is None:
        return None
    wanted = found[3].strip().removeprefix("(").removesuffix(")")
    return Dependency(found[1], clean(wanted), group)


def _requirements(lines: Iterable[str], group: str = "") -> Iterator[Dependency]:
    for line in lines:
        if (found := requirement(line, group)) is not None:
            yield found


def read_pyproject(data: bytes) -> Manifest:
    """PEP 621, PEP 735, Poetry and Flit's older table."""
    whole = toml_of(data)
    project, poetry = inside(whole, "project"), inside(whole, "tool", "poetry")
    flit = inside(whole, "tool", "flit", "metadata")
    found: list[Dependency] = list(_requirements(texts(project.get("dependencies"))))
    for name, wanted in inside(project, "optional-dependencies").items():
        found += _requirements(texts(wanted), f"optional:{name}")
    for name, wanted in inside(whole, "dependency-groups").items():
        found += _requirements(texts(wanted), name)
    found += _poetry(inside(poetry, "dependencies"), "")
    found += _poetry(inside(poetry, "dev-dependencies"), "dev")
    for name, group in inside(poetry, "group").items():
        found += _poetry(inside(table(group), "dependencies"), name)
    found += _requirements(texts(flit.get("requires")))
    for name, wanted in inside(whole, "tool", "pdm", "dev-dependencies").items():
        found += _requirements(texts(wanted), name)
    found += _requirements(texts(inside(whole, "tool", "uv").get("dev-dependencies")), "dev")
    found += _requirements(texts(inside(whole, "build-system").get("requires")), "build")
    points: list[EntryPoint] = []
    for key in ("scripts", "gui-scripts"):
        points += [EntryPoint("script", name, text(of)) for name, of in inside(project, key).items()]
    for name, of in inside(poetry, "scripts").items():
        points.append(
            EntryPoint("script", name, text(of) or text(table(of).get("reference") or table(of).get("callable")))
        )
    for group, plugins in inside(project, "entry-points").items():
        points += [EntryPoint("library", f"{group}: {name}", text(of)) for name, of in table(plugins).items()]
    return Manifest(
        "python",
        clean(text(project.get("name")) or text(poetry.get("name")) or text(flit.get("dist-name"))),
        clean(text(project.get("version")) or text(poetry.get("version"))),
        clean(text(project.get("description")) or text(poetry.get("description"))),
        dependencies(found),
        entry_points(points),
        texts(inside(whole, "tool", "uv", "workspace").get("members"))[:200],
    )


def _poetry(wanted: Table, group: str) -> Iterator[Dependency]:
    for name, of in wanted.items():
        if name != "python":
            given = table(of[0] if isinstance(of, list) and of else of)
            place = next((f"{key}: {text(given[key])}" for key in ("path", "git", "url") if text(given.get(key))), "")
            yield Dependency(name, text(of) or text(given.get("version")) or place, group)


def read_requirements(data: bytes) -> Manifest:
    """A requirements file; what it names by file is left out."""
    found: list[Dependency] = []
    for line in map(str.strip, text_of(data).replace("\\\n", " ").splitlines()):
        if not line or line[0] == "#":
            continue
        if egg := _EGG.search(line):
            found.append(Dependency(egg[1], line.partition("#")[0]))
        elif not _OPTION.match(line) and line[0] not in "-./" and "://" not in line.partition("@")[0]:
            found += _requirements([line.partition(" #")[0].partition(" --")[0]])
    return Manifest("python", dependencies=dependencies(found))


def read_setup_cfg(data: bytes) -> Manifest:
    """setuptools' declarative setup.cfg."""
    if len(data) > _MAX_SETUP_BYTES:  # the parser takes quadratic time to complain
        raise ManifestProblem(f"it is larger than {_MAX_SETUP_BYTES // 1024} KiB")
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text_of(data))
    except configparser.Error as error:
        raise ManifestProblem(f"it is no INI file: {clean(str(error))}") from None

    def value(section: str, key: str) -> str:
        return parser.get(section, key, fallback="") or ""

    found = list(_requirements(_items(value("options", "install_requires"))))
    found += _requirements(_items(value("options", "setup_requires")), "build")
    if parser.has_section("options.extras_require"):
        for name, lines in parser.items("options.extras_require"):
            found += _requirements(_items(lines or ""), f"optional:{name}")
    points: list[EntryPoint] = []
    if parser.has_section("options.entry_points"):
        points = [
            point
            for group, lines in parser.items("options.entry_points")
            for point in _entry_lines(group, (lines or "").splitlines())
        ]
    version = value("metadata", "version")
    return Manifest(
        "python",
        clean(value("metadata", "name")),
        "" if version.startswith(("attr:", "file:")) else clean(version),
        clean(value("metadata", "description")),
        dependencies(found),
        entry_points(points),
    )


def _items(value: str) -> list[str]:
    """One on each line or, on a single line, one behind each semicolon."""
    return value.splitlines() if "\n" in value else value.split(";")


def _entry_lines(group: str, lines: Iterable[str]) -> Iterator[EntryPoint]:
    for line in lines:
        name, equals, target = line.partition("=")
        if equals and name.strip():
            if group in ("console_scripts", "gui_scripts"):
                yield EntryPoint("script", name.strip(), target.strip())
            else:
                yield EntryPoint("library", f"{group}: {name.strip()}", target.strip())


def read_setup_py(data: bytes) -> Manifest:
    """What setup.py gives `setup()` literally, or by a name that the file gives a literal."""
    source = text_of(data)
    _check_nesting(source)
    try:
        with warnings.catch_warnings(action="ignore"):  # of escapes and numbers: its authors' business
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ManifestProblem("it is no Python of this version, or nested too deeply") from None
    known: dict[str, ast.expr] = {}
    call: ast.Call | None = None
    for statement in _statements(tree.body):
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            if isinstance(statement.targets[0], ast.Name):
                known[statement.targets[0].id] = statement.value
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            called = statement.value.func
            name = (
                called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
            )
            if name == "setup":
                call = statement.value
    given = {each.arg: _value(each.value, known) for each in call.keywords if each.arg} if call is not None else {}
    found = list(_requirements(texts(given.get("install_requires"))))
    found += _requirements(texts(given.get("setup_requires")), "build")
    found += _requirements(texts(given.get("tests_require")), "test")
    for extra, wanted in table(given.get("extras_require")).items():
        found += _requirements(texts(wanted), f"optional:{extra}")
    points: list[EntryPoint] = []
    for group, lines in table(given.get("entry_points")).items():
        points += _entry_lines(group, texts(lines) if isinstance(lines, list) else text(lines).splitlines())
    points += [EntryPoint("script", path.rpartition("/")[2], path) for path in texts(given.get("scripts"))]
    return Manifest(
        "python",
        clean(text(given.get("name"))),
        clean(text(given.get("version"))),
        clean(text(given.get("description"))),
        dependencies(found),
        entry_points(points),
    )


def _check_nesting(source: str) -> None:
    """Python's own parser takes memory and C stack by depth: deeper text is not given to it."""
    if len(source) > _MAX_SETUP_BYTES:
        raise ManifestProblem(f"it is larger than {_MAX_SETUP_BYTES // 1024} KiB")
    depth = 0
    for bracket in re.findall(r"[(\[{)\]}]", source):
        depth += 1 if bracket in "([{" else -1
        if depth > _MAX_NESTING:
            raise ManifestProblem("it is nested too deeply")
    if re.search(r"(?:[-+~]\s{0,9}){50}|(?:\bnot\s{1,9}){50}", source) or source.count("lambda") > 200:
        raise ManifestProblem("it is nested too deeply")
    if source.count(".") > 5000 or source.count("else") > 1000 or max(map(source.count, "+*-/|&^@<>")) > 5000:
        raise ManifestProblem("it has too many operators")


def _statements(body: list[ast.stmt], depth: int = 4) -> Iterator[ast.stmt]:
    """The statements of the file, and those inside of `if` and `try` and functions."""
    for statement in body:
        yield statement
        if depth:
            for part in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, part, []), depth - 1)


def _value(node: ast.expr, known: Mapping[str, ast.expr], depth: int = _MAX_DEPTH) -> object:
    """A literal's value; None for what is computed."""
    found: object = None
    if depth == 0:
        return None
    if isinstance(node, ast.Constant):
        found = node.value if isinstance(node.value, str) else None
    elif isinstance(node, ast.List | ast.Tuple | ast.Set):
        items = [_value(item, known, depth - 1) for item in node.elts[:_MAX_ITEMS]]
        found = [item for item in items if item is not None]
    elif isinstance(node, ast.Dict):
        pairs = [(key, item) for key, item in zip(node.keys, node.values, strict=True) if key is not None][:_MAX_ITEMS]
        values = [(_value(key, known, depth - 1), _value(item, known, depth - 1)) for key, item in pairs]
        found = {key: item for key, item in values if isinstance(key, str)}
    elif isinstance(node, ast.Name) and node.id in known:
        found = _value(known[node.id], {}, depth - 1)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        found = _sum(_value(node.left, known, depth - 1), _value(node.right, known, depth - 1))
    return found


def _sum(left: object, right: object) -> object:
    """What is known of both texts' or lists' sum."""
    if isinstance(left, list) and isinstance(right, list):
        return [*left, *right]
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return left if isinstance(left, list) else right if isinstance(right, list) else None
