"""What Gradle's scripts say literally, and its catalog of versions. https://docs.gradle.org/current/userguide/"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ghostd.analysis.manifests.manifest import (
    Dependency,
    EntryPoint,
    Manifest,
    clean,
    dependencies,
    entry_points,
    text_of,
    toml_of,
)
from ghostd.resolve.comments import without_comments
from ghostd.resolve.manifests import inside, table, text, texts

_CONFIGURATION = r"(?:^|[{;])[ \t]{0,80}([a-zA-Z]\w{2,60})[ \t]{0,20}\(?[ \t]{0,20}"
_PLATFORM = r"(?:(?:platform|enforcedPlatform|testFixtures)[ \t]{0,20}\(\s{0,80})?"
_NOTATION = re.compile(
    _CONFIGURATION + _PLATFORM + r"[\"']([\w.-]{1,150}):([\w.-]{1,150})(?::([^\"'\s:@]{1,100}))?[^\"'\n]{0,100}[\"']",
    re.MULTILINE,
)
_MAP = re.compile(
    _CONFIGURATION + r"group\s{0,9}[:=]\s{0,9}[\"']([\w.-]{1,150})[\"']\s{0,9},\s{0,80}"
    r"name\s{0,9}[:=]\s{0,9}[\"']([\w.-]{1,150})[\"'](?:\s{0,9},\s{0,80}version\s{0,9}[:=]\s{0,9}[\"']([^\"'\s]{1,100}))?",
    re.MULTILINE,
)
_KOTLIN = re.compile(_CONFIGURATION + r"kotlin\([\"']([\w-]{1,100})[\"']", re.MULTILINE)
_CATALOG = re.compile(_CONFIGURATION + _PLATFORM + r"(libs\.[\w.]{1,150})", re.MULTILINE)
_PROJECT = re.compile(
    _CONFIGURATION + r"project[ \t]{0,20}\(\s{0,80}(?:path\s{0,20}[:=]\s{0,20})?[\"']([^\"'\n]{1,200})[\"']",
    re.MULTILINE,
)
_MAIN = re.compile(r"\bmainClass(?:Name)?(?:\.set\s*\(|\s*=)\s*[\"']([\w.$]+)[\"']")
_VERSION = re.compile(r"^version[ \t]{0,20}=?[ \t]{0,20}[\"']([^\"'\n]{1,100})[\"']", re.MULTILINE)
_NAME = re.compile(r"\brootProject\.name\s{0,9}=\s{0,9}[\"']([^\"'\n]{1,200})[\"']")
_INCLUDE = re.compile(
    r"^[ \t]{0,80}include\b[ \t]{0,9}\(?((?:\s{0,80}[\"'][^\"'\n]{1,200}[\"'][ \t]{0,9},?)+)", re.MULTILINE
)
_QUOTED = re.compile(r"[\"']([^\"'\n]{1,200})[\"']")
_RUNTIME = frozenset(("implementation", "api", "compile", "runtimeOnly", "runtime"))
_USUAL = re.compile(
    r"(?i)implementation|api|compile|runtime|annotationProcessor|kapt|ksp|classpath|provided|developmentOnly"
)


def read_gradle(data: bytes) -> Manifest:
    """A build.gradle or build.gradle.kts: dependencies in the usual notations, and the main class."""
    source = without_comments(text_of(data), "//", ("/*", "*/"))
    version = _VERSION.search(source)
    mains = [EntryPoint("main", match[1].rpartition(".")[2], match[1]) for match in _MAIN.finditer(source)]
    return Manifest(
        "java",
        version=clean(version[1]) if version else "",
        dependencies=dependencies(one for one in _wanted(source) if one is not None),
        entry_points=entry_points(mains),
    )


def _wanted(source: str) -> Iterator[Dependency | None]:
    """In the order of the notations; None for what only looks like one."""
    for notation in (_NOTATION, _MAP):
        for match in notation.finditer(source):
            yield _of(match[1], f"{match[2]}:{match[3]}", match[4] or "")
    for match in _KOTLIN.finditer(source):
        yield _of(match[1], f"org.jetbrains.kotlin:kotlin-{match[2]}")
    for match in _CATALOG.finditer(source):
        yield _of(match[1], match[2].removesuffix(".get"), inherited=True)
    for match in _PROJECT.finditer(source):
        yield _of(match[1], match[2], "in the project")


def _of(configuration: str, name: str, wanted: str = "", *, inherited: bool = False) -> Dependency | None:
    if not _USUAL.search(configuration):
        return None
    tests = configuration.lower().startswith(("test", "androidtest"))
    group = "" if configuration in _RUNTIME else "test" if tests else configuration
    return Dependency(name, wanted, group, inherited)


def read_gradle_settings(data: bytes) -> Manifest:
    """A settings.gradle or settings.gradle.kts: the build's name and its projects' folders."""
    source = without_comments(text_of(data), "//", ("/*", "*/"))
    name = _NAME.search(source)
    projects = [path for match in _INCLUDE.finditer(source) for path in _QUOTED.findall(match[1])]
    folders = tuple(clean(path.strip(":").replace(":", "/")) for path in projects[:200])
    return Manifest("java", clean(name[1]) if name else "", members=folders)


def read_version_catalog(data: bytes) -> Manifest:
    """gradle/libs.versions.toml: what scripts mean by `libs.NAME` and `libs.bundles.NAME`."""
    whole = toml_of(data)
    versions = inside(whole, "versions")
    found: dict[str, list[Dependency]] = {}
    for alias, value in inside(whole, "libraries").items():
        given = table(value)
        module = text(value) or text(given.get("module")) or f"{text(given.get('group'))}:{text(given.get('name'))}"
        group, _, rest = module.partition(":")
        artifact, _, version = rest.partition(":")
        reference = table(given.get("version")).get("ref")
        wanted = version or text(given.get("version")) or text(versions.get(text(reference)))
        found[_accessor(alias)] = [Dependency(f"{group}:{artifact}", wanted)]
    for alias, names in inside(whole, "bundles").items():
        of_names = (found.get(_accessor(name), ()) for name in texts(names))
        found[f"libs.bundles.{_accessor(alias).removeprefix('libs.')}"] = [one for each in of_names for one in each]
    return Manifest("java", shared={name: dependencies(of) for name, of in found.items()})


def _accessor(alias: str) -> str:
    return "libs." + re.sub(r"[-_]", ".", alias)
