"""Which GGUF files there are: those the configuration names, those in the models folder, and other programs'."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ghostd.config.local import LocalConfig, LocalModelConfig
from ghostd.workers.gguf_header import GgufHeader, is_later_part, other_parts, read_header
from ghostd.workers.gguf_reader import HeaderError
from ghostd.workers.header_cache import Headers, Stamp, load_headers, save_headers
from ghostd.workers.stores.contract import FoundModel, Store, model_name, shown
from ghostd.workers.stores.search import Found, search_stores

MAX_FOLDER_DEPTH = 2
"""Folders below the models folder that are searched, counted downwards."""
MAX_FILES = 1000

_NOT_MODELS = frozenset(("mmproj", "adapter", "imatrix", "vocab", "controlvector"))
_STORES_AGE_S = 10.0
"""Other programs' stores are searched again after so long."""


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
    source: str = ""
    """As in ModelInfo.source."""
    unread: bool = False
    """Whether the header is still to be read; there is neither a header nor a problem then."""


class _ReadingTime:
    """How long one scan may read headers. One is read in any case, so that every scan gets on."""

    def __init__(self, seconds: float | None) -> None:
        self._until_s = None if seconds is None else time.monotonic() + seconds
        self._used = False

    def lasts(self) -> bool:
        """Whether another header may be read; it is, then."""
        if self._used and self._until_s is not None and time.monotonic() > self._until_s:
            return False
        self._used = True
        return True


class Catalog:
    """Scans for models and remembers the headers it has read. Its methods block on the disk.

    `headers_file` is where headers are kept for the next start; None keeps none.
    """

    def __init__(
        self,
        config: LocalConfig,
        models_dir: Path,
        config_dir: Path,
        stores: Sequence[Store] = (),
        environ: Mapping[str, str] | None = None,
        headers_file: Path | None = None,
    ) -> None:
        self._configured: Mapping[str, LocalModelConfig] = config.models
        self._models_dir = models_dir
        self._config_dir = config_dir
        self._stores = stores
        self._environ = os.environ if environ is None else environ
        self._headers_file = headers_file
        self._headers: Headers = load_headers(headers_file) if headers_file is not None else {}
        self._kept = set(self._headers)
        self._in_stores = Found()
        self._searched_s: float | None = None

    @property
    def skips(self) -> Sequence[tuple[str, str]]:
        """What the last search of the stores left out, and why: (path, reason) pairs."""
        return self._in_stores.skips

    def scan(self, read_for_s: float | None = None, *, stores: bool = True) -> tuple[LocalModel, ...]:
        """Every model: the configured ones first, then the folder's by name, then the stores' in their order.

        Headers that are not known yet are read for about `read_for_s` seconds (None: all), one at least; models whose
        turn has not come are `unread`. Without `stores` those are left as they were found last.
        """
        if stores and self._stores:
            self._search_stores()
        reading = _ReadingTime(read_for_s)
        models: list[LocalModel] = []
        taken: set[str] = set()
        offered: dict[tuple[int, int], str] = {}
        for name, settings in self._configured.items():
            model = self._configured_model(name, settings, reading)
            models.append(model)
            taken.add(name)
            _remember(offered, model.path, model.source)
        for names, path, source in self._candidates():
            if not _remember(offered, path, source):
                continue  # the same file under another name, which the user chose
            free = next((name for name in names if name not in taken), None)
            if free is None:
                continue
            model = self._read(free, path, None, source, reading)
            if model.header is not None and model.header.kind in _NOT_MODELS:
                continue
            taken.add(free)
            models.append(model)
        self._forget_gone(models)
        return tuple(models)

    def reread(self, model: LocalModel) -> LocalModel:
        """The same model as its file is now."""
        return self._read(model.id, model.path, model.settings, model.source, _ReadingTime(None))

    def _search_stores(self) -> None:
        now_s = time.monotonic()
        if self._searched_s is None or now_s - self._searched_s > _STORES_AGE_S:
            self._in_stores = search_stores(self._stores, self._environ)
            self._searched_s = time.monotonic()

    def search_anew(self) -> None:
        """Let the next scan search the stores, however recently it was done."""
        self._searched_s = None

    def _candidates(self) -> Iterator[tuple[tuple[str, ...], Path, str]]:
        """(names from the shortest to the surest, path, source) of every file found."""
        for path in _gguf_files(self._models_dir):
            longer = shown(path.relative_to(self._models_dir).with_suffix(""))
            yield (model_name(path), longer), path, "models folder"
        for store, found in self._in_stores.models:
            yield _names(store, found), found.path, store.source

    def _configured_model(self, name: str, settings: LocalModelConfig, reading: _ReadingTime) -> LocalModel:
        source = "configuration"
        try:
            path = Path(settings.path).expanduser()
        except RuntimeError:
            problem = f"there is no home folder of that name: {settings.path}"
            return LocalModel(name, Path(settings.path), settings, None, None, problem, source)
        if not path.is_absolute():
            path = self._config_dir / path
        model = self._read(name, path, settings, source, reading)
        if model.header is not None and model.header.kind in _NOT_MODELS:
            problem = f"a file of the kind {model.header.kind}"
            return LocalModel(name, path, settings, model.stamp, None, problem, source)
        return model

    def _read(
        self, name: str, path: Path, settings: LocalModelConfig | None, source: str, reading: _ReadingTime
    ) -> LocalModel:
        stamp, found = self._look_up(path, reading)
        if isinstance(found, GgufHeader):
            return LocalModel(name, path, settings, stamp, found, source=source)
        return LocalModel(name, path, settings, stamp, None, found or "", source, unread=found is None)

    def _look_up(self, path: Path, reading: _ReadingTime) -> tuple[Stamp | None, GgufHeader | str | None]:
        """The file's stamp, and its header, or what is wrong with it; None when reading it has to wait."""
        if shown(path) != str(path):
            return None, f"a path that is not UTF-8; rename it: {shown(path)}"
        stamp = None
        try:
            stamp = _stamp(path)
            found = self._headers.get((path, stamp))
            if found is None and reading.lasts():
                found = self._headers[path, stamp] = _header_or_problem(path)
        except HeaderError as error:
            found = f"{error}: {path}"
        except (FileNotFoundError, NotADirectoryError):
            found = f"no such file: {path}"
        except OSError as error:  # not remembered: rights may change without a trace in the stamp
            found = f"{error.strerror}: {path}"
        return stamp, found

    def _forget_gone(self, models: Sequence[LocalModel]) -> None:
        """Drop headers of files that are gone or have changed, and keep the others for the next start."""
        if self._stores and self._searched_s is None:
            return  # the stores' headers would look gone
        seen = {(model.path, model.stamp) for model in models}
        # A projector is no model, but its header need not be read again.
        known = list(self._headers.items())
        self._headers = {key: value for key, value in known if key in seen or _is_no_model(value)}
        if self._headers_file is not None and not any(model.unread for model in models):
            keys = {key for key, value in self._headers.items() if not isinstance(value, str)}
            if keys != self._kept:
                save_headers(self._headers_file, self._headers)
                self._kept = keys


def _stamp(path: Path) -> Stamp:
    """Of a split model: of all parts that are there, since they come one after the other.

    Raises OSError, and HeaderError for what is no file.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise HeaderError("not a regular file")
    size, mtime_ns = status.st_size, status.st_mtime_ns
    for part in other_parts(path):
        with suppress(OSError):
            status = part.stat()
            size, mtime_ns = size + status.st_size, max(mtime_ns, status.st_mtime_ns)
    return Stamp(size, mtime_ns)


def _is_no_model(found: GgufHeader | str) -> bool:
    return not isinstance(found, str) and found.kind in _NOT_MODELS


def _names(store: Store, found: FoundModel) -> tuple[str, ...]:
    longer = (f"{store.prefix}/{found.longer_name}",) if found.longer_name else ()
    return (found.name, f"{store.prefix}/{found.name}", *longer)


def _remember(offered: dict[tuple[int, int], str], path: Path, source: str) -> bool:
    """Whether no other source offers this very file already; one source may give it several names."""
    try:
        status = path.stat()
    except OSError:
        return True  # listed with what is wrong with it
    return offered.setdefault((status.st_dev, status.st_ino), source) == source


def _header_or_problem(path: Path) -> GgufHeader | str:
    try:
        header = read_header(path)
    except HeaderError as error:
        return f"{error}: {path}"
    if header.pooling == 4:
        return f"a reranking model, which ghostd cannot use: {path}"
    # Thousands for some vocabularies, and only the worker needs them, which reads the file itself.
    return replace(header, special_texts=())


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
