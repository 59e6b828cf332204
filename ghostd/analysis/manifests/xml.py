"""XML as a flat list of elements. No document type is accepted, so no entity is ever expanded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.parsers import expat

from ghostd.analysis.manifests.manifest import MAX_BYTES, ManifestProblem

_MAX_DEPTH = 64
_MAX_ELEMENTS = 50_000


@dataclass(slots=True)
class Element:
    """One element, with the names around it, and without those inside of it."""

    path: tuple[str, ...]
    """Local names, the root's first, its own last."""
    parents: tuple[int, ...]
    """Numbers of the elements around it, the root's first."""
    attributes: Mapping[str, str]
    text: str = ""


def elements_of(data: bytes) -> list[Element]:
    """All elements in document order; raises ManifestProblem."""
    if len(data) > MAX_BYTES:
        raise ManifestProblem(f"it is larger than {MAX_BYTES // 1024} KiB")
    found: list[Element] = []
    open_: list[int] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(open_) >= _MAX_DEPTH or len(found) >= _MAX_ELEMENTS:
            raise ManifestProblem("it has too many elements, or is nested too deeply")
        around = found[open_[-1]].path if open_ else ()
        found.append(Element((*around, name.rpartition(":")[2]), tuple(open_), attributes))
        open_.append(len(found) - 1)

    def end(name: str) -> None:
        open_.pop()

    def characters(text: str) -> None:
        if open_ and len(found[open_[-1]].text) < 1000:
            found[open_[-1]].text += text

    def refuse(*_: object) -> None:
        raise ManifestProblem("it has a document type, which is not read")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ManifestProblem(f"it is no XML: {error}") from None
    except (ValueError, LookupError):
        raise ManifestProblem("it is no XML of a known encoding") from None
    return found
