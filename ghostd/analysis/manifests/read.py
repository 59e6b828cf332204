"""Which files are manifests, and their reader: bytes in, Manifest out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ghostd.analysis.manifests.build_files import read_cmake, read_dockerfile, read_justfile, read_makefile
from ghostd.analysis.manifests.cpp_packages import read_conanfile_py, read_conanfile_txt, read_meson, read_vcpkg
from ghostd.analysis.manifests.dotnet import read_csproj
from ghostd.analysis.manifests.go import read_go_mod
from ghostd.analysis.manifests.gradle import read_gradle, read_gradle_settings, read_version_catalog
from ghostd.analysis.manifests.java import read_pom
from ghostd.analysis.manifests.lua import read_rockspec
from ghostd.analysis.manifests.manifest import Manifest
from ghostd.analysis.manifests.node import read_package_json, read_pnpm_workspace
from ghostd.analysis.manifests.pipfile import read_pipfile
from ghostd.analysis.manifests.python import read_pyproject, read_requirements, read_setup_cfg, read_setup_py
from ghostd.analysis.manifests.ruby import read_gemfile, read_gemspec
from ghostd.analysis.manifests.rust import read_cargo
from ghostd.analysis.manifests.zig import read_build, read_zon

Reader = Callable[[bytes], Manifest]

_BY_NAME: Mapping[str, Reader] = {
    "pyproject.toml": read_pyproject,
    "setup.cfg": read_setup_cfg,
    "setup.py": read_setup_py,
    "Pipfile": read_pipfile,
    "package.json": read_package_json,
    "pnpm-workspace.yaml": read_pnpm_workspace,
    "Cargo.toml": read_cargo,
    "build.zig.zon": read_zon,
    "build.zig": read_build,
    "go.mod": read_go_mod,
    "go.work": read_go_mod,
    "pom.xml": read_pom,
    "build.gradle": read_gradle,
    "build.gradle.kts": read_gradle,
    "settings.gradle": read_gradle_settings,
    "settings.gradle.kts": read_gradle_settings,
    "libs.versions.toml": read_version_catalog,
    "Directory.Packages.props": read_csproj,
    "CMakeLists.txt": read_cmake,
    "conanfile.txt": read_conanfile_txt,
    "conanfile.py": read_conanfile_py,
    "vcpkg.json": read_vcpkg,
    "meson.build": read_meson,
    "Gemfile": read_gemfile,
    "Makefile": read_makefile,
    "makefile": read_makefile,
    "GNUmakefile": read_makefile,
    "justfile": read_justfile,
    "Justfile": read_justfile,
    ".justfile": read_justfile,
    "Dockerfile": read_dockerfile,
    "Containerfile": read_dockerfile,
}
_BY_ENDING: Mapping[str, Reader] = {
    ".csproj": read_csproj,
    ".fsproj": read_csproj,
    ".vbproj": read_csproj,
    ".gemspec": read_gemspec,
    ".rockspec": read_rockspec,
    ".dockerfile": read_dockerfile,
}
_REQUIREMENTS = re.compile(r"(?:[\w.-]*[-_.])?requirements(?:[-_.][\w.-]*)?\.(?:txt|in)$")


def reader_of(path: str) -> Reader | None:
    """What reads this file, by its name; None where it is no manifest. Readers raise ManifestProblem, nothing else."""
    folder, _, name = path.rpartition("/")
    found = _BY_NAME.get(name)
    if found is not None:
        return found
    if _REQUIREMENTS.match(name) or (folder.rpartition("/")[2] == "requirements" and name.endswith((".txt", ".in"))):
        return read_requirements
    if name.startswith("Dockerfile."):
        return read_dockerfile
    return _BY_ENDING.get("." + name.rpartition(".")[2]) if "." in name else None
