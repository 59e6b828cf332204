"""Which GGUF files there are: those in the models folder and those the configuration names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ghostd.config import LocalConfig, LocalModelConfig
from ghostd.workers.gguf_header import GgufHeader, is_later_part, read_header
from ghostd.workers.gguf_reader import HeaderError

MAX_FOLDER_DEPTH = 2
"""Folders below the models folder that are searched, counted downwards."""
MAX_FILES = 1000

_NOT_MODELS = frozenset(("mmproj", "adapter", "imatrix", "vocab", "controlvector"))
_FIRST_PART = re.compile(r"-00001-of-\d{5}$")


@dataclass(frozen=True, slots=True)
class Stamp:
    """Tells one version of a file from the next."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class LocalModel:
    """One model on offer, or one that cannot be (then `problem` says why and there is no header)."""

    id: str
    path: Path
    settings: LocalModelConfig | None
    """From the configuration; None for a file that was found."""
    stamp: Stamp | None
    header: GgufHeader | None
    problem: str = ""


class Catalog:
    """Scans for models and remembers the headers it has read. Its methods block on the disk."""

    def __init__(self, config: LocalConfig, models_dir: Path, config_dir: Path) -> None:
        self._configured: Mapping[str, LocalModelConfig] = config.models
        self._models_dir = models_dir
        self._config_dir = config_dir
        self._headers: dict[tuple[Path, Stamp], GgufHeader | str] = {}

    def scan(self) -> tuple[LocalModel, ...]:
        """Every model, the configured ones first, then the folder's by name."""
        models = [self._configured_model(name, settings) for name, settings in self._configured.items()]
        taken = {model.id for model in models}
        for path in _gguf_files(self._models_dir):
            name = _shown(_FIRST_PART.sub("", path.stem))
            if name in taken:
                name = _shown(path.relative_to(self._models_dir).with_suffix(""))
            if name in taken or any(model.path == path for model in models):
                continue
            model = self._read(name, path, None)
            if model.header is not None and model.header.kind in _NOT_MODELS:
                continue
            taken.add(name)
            models.append(model)
        seen = {(model.path, model.stamp) for model in models}
        self._headers = {key: value for key, value in self._headers.items() if key in seen}
        return tuple(models)

    def reread(self, model: LocalModel) -> LocalModel:
        """The same model as its file is now."""
        return self._read(model.id, model.path, model.settings)

    def _configured_model(self, name: str, settings: LocalModelConfig) -> LocalModel:
        try:
            path = Path(settings.path).expanduser()
        except RuntimeError:
            problem = f"there is no home folder of that name: {settings.path}"
            return LocalModel(name, Path(settings.path), settings, None, None, problem)
        if not path.is_absolute():
            path = self._config_dir / path
        model = self._read(name, path, settings)
        if model.header is not None and model.header.kind in _NOT_MODELS:
            return LocalModel(name, path, settings, model.stamp, None, f"a file of the kind {model.header.kind}")
        return model

    def _read(self, name: str, path: Path, settings: LocalModelConfig | None) -> LocalModel:
        if _shown(path) != str(path):
            return LocalModel(name, path, settings, None, None, f"a path that is not UTF-8; rename it: {_shown(path)}")
        try:
            if not path.is_file():
                problem = "not a regular file" if path.exists() else "no such file"
                return LocalModel(name, path, settings, None, None, f"{problem}: {path}")
            status = path.stat()
        except OSError as error:
            return LocalModel(name, path, settings, None, None, f"{error.strerror}: {path}")
        stamp = Stamp(status.st_size, status.st_mtime_ns)
        found = self._headers.get((path, stamp))
        if found is None:
            found = _header_or_problem(path)
            self._headers[path, stamp] = found
        if isinstance(found, str):
            return LocalModel(name, path, settings, stamp, None, found)
        return LocalModel(name, path, settings, stamp, found)


def _shown(path: str | Path) -> str:
    """The path as text that JSON can carry: what is not UTF-8 in it becomes an escape."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def _header_or_problem(path: Path) -> GgufHeader | str:
    try:
        header = read_header(path)
    except HeaderError as error:
        return f"{error}: {path}"
    except OSError as error:
        return f"{error.strerror}: {path}"
    if header.pooling == 4:
        return f"a reranking model, which ghostd cannot use: {path}"
    return header


def _gguf_files(folder: Path) -> list[Path]:
    """*.gguf files in the folder and up to MAX_FOLDER_DEPTH below, links to files included, sorted."""
    found: list[Path] = []
    pending = [(folder, 0)]
    while pending and len(found) < MAX_FILES:
        current, depth = pending.pop()
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if depth < MAX_FOLDER_DEPTH:
                            pending.append((Path(entry.path), depth + 1))
                    elif entry.name.endswith(".gguf") and entry.is_file() and not is_later_part(Path(entry.name)):
                        found.append(Path(entry.path))
        except OSError:
            continue  # the folder need not exist, and one that cannot be read holds nothing to offer
    return sorted(found)[:MAX_FILES]
