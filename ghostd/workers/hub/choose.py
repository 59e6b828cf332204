"""Which of a repository's files are models, and which one is meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ghostd.errors import GhostdError

_PART = re.compile(r"-(\d{5})-of-(\d{5})$")
_NO_MODEL = re.compile(r"mmproj|imatrix", re.IGNORECASE)
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a repository."""

    path: str
    """In the repository, with slashes."""
    size_bytes: int
    sha256: str | None
    """Of a file in large file storage."""
    git_sha1: str | None
    """Git's own hash of its blob, which small files have."""

    @property
    def name(self) -> str:
        """Without the folders it is in."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """One model: a file, or all parts of a split one in order."""

    name: str
    """The path without `.gguf` and a part's number."""
    files: tuple[RemoteFile, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for file in self.files)


def models_of(files: Sequence[RemoteFile]) -> list[RemoteModel]:
    """The repository's models by name; split ones that lack a part, and names that are none, are left out."""
    groups: dict[str, list[RemoteFile]] = {}
    for file in sorted(files, key=lambda file: file.path):
        if file.path.endswith(".gguf") and _is_plain(file.name) and not _NO_MODEL.search(file.name):
            groups.setdefault(_PART.sub("", file.path.removesuffix(".gguf")), []).append(file)
    return [RemoteModel(name, tuple(parts)) for name, parts in groups.items() if _is_whole(parts)]


def _is_plain(name: str) -> bool:
    """Whether a name from a server may become a file's name here."""
    return len(name) <= 200 and not name.startswith(".") and name.isprintable() and not set(name) & set('/\\:*?"<>|')


def _is_whole(parts: Sequence[RemoteFile]) -> bool:
    numbers = [_PART.search(file.name.removesuffix(".gguf")) for file in parts]
    if len(parts) == 1 and numbers[0] is None:
        return True
    return all(
        match is not None and (int(match[1]), int(match[2])) == (position, len(parts))
        for position, match in enumerate(numbers, 1)
    )


def choose(repository: str, models: Sequence[RemoteModel], wanted: str) -> RemoteModel:
    """The model that `wanted` (a file's name or a quantisation; "": the only one) means.

    Raises GhostdError that lists the choices when there are none or several.
    """
    if not models:
        raise GhostdError(f"The repository {repository} holds no GGUF model.")
    fitting = [model for model in models if _fits(model, wanted)] if wanted else list(models)
    exact = [model for model in fitting if wanted in (model.name, *(file.path for file in model.files))]
    if len(exact or fitting) == 1:
        return (exact or fitting)[0]
    if fitting:
        said = f"{repository}{':' if wanted else ''}{wanted} may be any of these"
    else:
        said = f"The repository {repository} has no {wanted!r}; it has these"
        fitting = list(models)
    lines = [f"  {repository}:{model.files[0].path}  {model.size_bytes / 1e6:.0f} MB" for model in fitting[:_SHOWN]]
    if len(fitting) > _SHOWN:
        lines.append(f"  and {len(fitting) - _SHOWN} more")
    raise GhostdError("\n".join([f"{said}:", *lines]))


def _fits(model: RemoteModel, wanted: str) -> bool:
    """By file name, or by a quantisation such as Q4_K_M as a whole word of the name."""
    plain = wanted.removesuffix(".gguf")
    names = {model.name, PurePosixPath(model.name).name, *(file.path.removesuffix(".gguf") for file in model.files)}
    if plain in names or plain in {PurePosixPath(name).name for name in names}:
        return True
    word = rf"(?<![A-Za-z0-9]){re.escape(wanted)}(?![A-Za-z0-9_])"
    return re.search(word, PurePosixPath(model.name).name, re.IGNORECASE) is not None
