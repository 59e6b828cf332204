"""Languages that name each other's definitions, as one family: TypeScript and JavaScript, C and C++."""

from __future__ import annotations

from pathlib import PurePosixPath
from types import MappingProxyType

_SUFFIXES = {
    "python": "py pyi pyw",
    "typescript": "ts mts cts tsx js mjs cjs jsx vue svelte",
    "rust": "rs",
    "zig": "zig zon",
    "go": "go",
    "c": "c h cc cpp cxx c++ hh hpp hxx h++ ipp tpp inl cu cuh m mm",
    "java": "java",
    "lua": "lua",
    "ruby": "rb rake gemspec",
    "csharp": "cs csx",
    "shellscript": "sh bash zsh ksh",
}
_BY_SUFFIX = {f".{suffix}": family for family, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}

_IDENTIFIERS = {
    "typescriptreact": "typescript",
    "javascript": "typescript",
    "javascriptreact": "typescript",
    "typescript.tsx": "typescript",
    "javascript.jsx": "typescript",
    "cpp": "c",
    "objective-c": "c",
    "objective-cpp": "c",
    "cs": "csharp",
    "c_sharp": "csharp",
    "sh": "shellscript",
    "bash": "shellscript",
    "zsh": "shellscript",
}

FAMILIES = frozenset(_SUFFIXES)
"""The families, each by the LSP identifier of its best known language."""

WITHOUT_PARENTHESES = frozenset(("ruby", "shellscript"))
"""Where a call needs none."""

LANGUAGES_OF = MappingProxyType(
    {
        family: tuple(sorted({family, *(name for name, of in _IDENTIFIERS.items() if of == family)}))
        for family in FAMILIES
    }
)
"""Every identifier that editors use for a family."""


def family_of(path: PurePosixPath) -> str:
    """The family of a file; "" for one whose definitions are not indexed."""
    return _BY_SUFFIX.get(path.suffix.lower(), "")


def family_of_language(identifier: str) -> str:
    """The family of a language as an editor calls it; "" for one that is not indexed."""
    name = identifier.lower()
    name = _IDENTIFIERS.get(name, name)
    return name if name in FAMILIES else ""
