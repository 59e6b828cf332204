"""go.mod and go.work. https://go.dev/ref/mod#go-mod-file, https://go.dev/ref/mod#go-work-file"""

from __future__ import annotations

from ghostd.analysis.manifests.manifest import Dependency, Manifest, clean, dependencies, text_of


def read_go_mod(data: bytes) -> Manifest:
    """A module, or a workspace of some. What is needed only by others ("// indirect") is a group of its own."""
    name, block = "", ""
    found: list[Dependency] = []
    members: list[str] = []
    for line in text_of(data).splitlines():
        code, _, comment = line.partition("//")
        words = code.split()
        if not words:
            continue
        if block:
            if words[0] == ")":
                block = ""
                continue
            verb = block
        else:
            verb, words = words[0], words[1:]
            if words == ["("]:
                block = verb
                continue
        if verb == "module" and words:
            name = words[0].strip('"`')
        elif verb == "require" and len(words) >= 2:
            group = "indirect" if comment.strip().startswith("indirect") else ""
            found.append(Dependency(words[0].strip('"`'), words[1], group))
        elif verb == "tool" and words:
            found.append(Dependency(words[0].strip('"`'), "", "tool"))
        elif verb == "use" and words:
            members.append(clean(words[0].strip('"`')))
    return Manifest("go", clean(name), dependencies=dependencies(found), members=tuple(members[:200]))
