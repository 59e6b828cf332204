"""The folders that an editor works in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ghostd_lsp.params import InitializeParams
from ghostd_lsp.uris import file_path


def roots_of(params: InitializeParams) -> list[Path]:
    """The folders to index: workspaceFolders, or the older fields that it replaced."""
    if params.workspace_folders is not None:
        return paths_of(folder.uri for folder in params.workspace_folders)
    if params.root_uri is not None:
        return paths_of([params.root_uri])
    path = Path(params.root_path) if params.root_path else None
    return [path] if path is not None and path.is_absolute() else []


def paths_of(uris: Iterable[str]) -> list[Path]:
    """The paths that these URIs name, each once."""
    return list(dict.fromkeys(path for uri in uris if (path := file_path(uri)) is not None))


def root_key(root: Path) -> Path:
    """As the index calls a root."""
    return Path(os.path.normpath(root))


def is_home_or_disk(root: Path) -> bool:
    """Whether this is what an editor names by accident, say for a home folder under version control."""
    real = os.path.realpath(root)
    return real in (os.path.realpath(Path.home()), root.anchor)
