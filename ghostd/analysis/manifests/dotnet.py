"""*.csproj, *.fsproj and *.vbproj, and Directory.Packages.props. https://learn.microsoft.com/dotnet/core/project-sdk/msbuild-props"""

from __future__ import annotations

from dataclasses import replace

from ghostd.analysis.manifests.manifest import Dependency, EntryPoint, Manifest, clean, dependencies, entry_points
from ghostd.analysis.manifests.xml import Element, elements_of


def read_csproj(data: bytes) -> Manifest:
    """A project: its packages, projects it refers to, and whether it is a program."""
    found = elements_of(data)
    fields: dict[str, str] = {}
    wanted: list[Dependency] = []
    central: list[Dependency] = []
    for number, element in enumerate(found):
        kind = element.path[-1]
        if element.path[1:2] == ("PropertyGroup",) and len(element.path) == 3:
            fields.setdefault(kind, element.text.strip())
        elif kind == "PackageReference":
            name = element.attributes.get("Include") or element.attributes.get("Update", "")
            given = (_given(found, number, of) for of in ("Version", "VersionOverride"))
            version = next((one for one in given if one), "")
            wanted.append(Dependency(name, version, inherited=not version))
        elif kind == "PackageVersion":
            name = element.attributes.get("Include") or element.attributes.get("Update", "")
            central.append(Dependency(name, _given(found, number, "Version")))
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
        shared={one.name: (one,) for one in dependencies(central)},
    )


def named_by_file(project: Manifest, name: str) -> Manifest:
    """A project that does not say its name has that of its file."""
    if project.name:
        return project
    points = tuple(replace(point, name=name) for point in project.entry_points)
    return replace(project, name=name, entry_points=points)


def _given(found: list[Element], number: int, name: str) -> str:
    """An element's attribute, or the text of its child."""
    if found[number].attributes.get(name):
        return found[number].attributes[name]
    for element in found[number + 1 : number + 20]:
        if number not in element.parents:
            break
        if element.path[-1] == name:
            return element.text.strip()
    return ""
