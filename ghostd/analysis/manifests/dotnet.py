"""*.csproj, *.fsproj and *.vbproj. https://learn.microsoft.com/dotnet/core/project-sdk/msbuild-props"""

from __future__ import annotations

from ghostd.analysis.manifests.manifest import Dependency, EntryPoint, Manifest, clean, dependencies, entry_points
from ghostd.analysis.manifests.xml import Element, elements_of


def read_csproj(data: bytes) -> Manifest:
    """A project: its packages, projects it refers to, and whether it is a program."""
    found = elements_of(data)
    fields: dict[str, str] = {}
    wanted: list[Dependency] = []
    for number, element in enumerate(found):
        kind = element.path[-1]
        if element.path[1:2] == ("PropertyGroup",) and len(element.path) == 3:
            fields.setdefault(kind, element.text.strip())
        elif kind == "PackageReference":
            name = element.attributes.get("Include") or element.attributes.get("Update", "")
            wanted.append(Dependency(name, element.attributes.get("Version") or _inner(found, number, "Version")))
        elif kind == "ProjectReference":
            path = element.attributes.get("Include", "").replace("\\", "/")
            wanted.append(Dependency(path.rpartition("/")[2].rpartition(".")[0], f"path: {path}"))
    points = []
    name = fields.get("AssemblyName") or fields.get("PackageId", "")
    sdk = found[0].attributes.get("Sdk", "") if found else ""
    if fields.get("OutputType", "").lower() in ("exe", "winexe") or sdk.startswith("Microsoft.NET.Sdk.Web"):
        points.append(EntryPoint("program", name or "program", fields.get("StartupObject", "")))
    return Manifest(
        "dotnet",
        clean(name),
        clean(fields.get("Version") or fields.get("VersionPrefix", "")),
        clean(fields.get("Description", "")),
        dependencies(wanted),
        entry_points(points),
    )


def _inner(found: list[Element], number: int, name: str) -> str:
    """The text of an element's child."""
    for element in found[number + 1 : number + 20]:
        if number not in element.parents:
            break
        if element.path[-1] == name:
            return element.text.strip()
    return ""
