"""Stores that are plain folders of GGUF files: LM Studio's and llama.cpp's download cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ghostd.workers.stores.contract import FoundModel, Search, Store, model_name, shown

_LM_STUDIO_DEPTH = 3
"""publisher/repository/file, and one folder more."""
_MAX_POINTER_BYTES = 4096


def _look_lm_studio(search: Search) -> Iterator[FoundModel]:
    home = search.home
    if home is None:
        return
    homes = [home / ".lmstudio", home / ".cache" / "lm-studio"]
    # LM Studio writes down where its folder is when that was moved.
    pointer = home / ".lmstudio-home-pointer"
    if pointer.exists() and (data := search.read_small(pointer, _MAX_POINTER_BYTES)) is not None:
        moved = data.decode("utf-8", "replace").strip()
        if moved.startswith("/") and "\0" not in moved and Path(moved) not in homes:
            homes.insert(0, Path(moved))
    for folder in homes:
        yield from _files(search, folder / "models", _LM_STUDIO_DEPTH)


def _look_llama_cpp(search: Search) -> Iterator[FoundModel]:
    if search.environ.get("LLAMA_CACHE"):
        configured = search.folder("LLAMA_CACHE")
        folders = [configured] if configured is not None else []
    else:
        caches = [search.folder("XDG_CACHE_HOME")]
        if search.home is not None:
            caches = [caches[0] or search.home / ".cache", search.home / "Library" / "Caches"]
        folders = [cache / "llama.cpp" for cache in caches if cache is not None]
    for folder in folders:
        yield from _files(search, folder, 0)


def _files(search: Search, folder: Path, depth: int) -> Iterator[FoundModel]:
    for path in search.files(folder, depth):
        yield FoundModel(model_name(path), path, shown(path.relative_to(folder).with_suffix("")))


LM_STUDIO = Store("lm-studio", "LM Studio", _look_lm_studio)
LLAMA_CPP = Store("llama.cpp", "llama.cpp cache", _look_llama_cpp)
