"""The Hugging Face cache: models--ORG--REPO/snapshots/REVISION/… are links to blobs; refs/ names the revisions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ghostd.workers.stores.contract import FoundModel, Search, Store, model_name, shown

_SNAPSHOT_DEPTH = 2
"""Repositories put the parts of large files into folders of their own."""
_MAX_REVISIONS = 20
_REVISION = re.compile(r"[0-9a-f]{40}")


def _look(search: Search) -> Iterator[FoundModel]:
    cache = _cache(search)
    if cache is None:
        return
    for repository in search.folders(cache):
        kind, _, name = repository.name.partition("--")
        if kind == "models":
            yield from _models(search, repository, shown(name.replace("--", "/")))


def _cache(search: Search) -> Path | None:
    """As `huggingface_hub.constants` finds it."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if search.environ.get(variable):
            return search.folder(variable)
    if search.environ.get("HF_HOME"):
        home = search.folder("HF_HOME")
        return home / "hub" if home is not None else None
    cache = search.folder("XDG_CACHE_HOME") or (search.home / ".cache" if search.home is not None else None)
    return cache / "huggingface" / "hub" if cache is not None else None


def _models(search: Search, repository: Path, name: str) -> Iterator[FoundModel]:
    """Each file once, as the newest revision that has it has it."""
    seen: set[Path] = set()
    for revision in _revisions(search, repository):
        snapshot = repository / "snapshots" / revision
        for path in search.files(snapshot, _SNAPSHOT_DEPTH):
            inside = path.relative_to(snapshot)
            if inside not in seen:
                seen.add(inside)
                yield FoundModel(model_name(path), path, f"{name}/{shown(inside.with_suffix(''))}")


def _revisions(search: Search, repository: Path) -> list[str]:
    """What `main` names, then the others, the newest first."""
    ages = {}
    for entry in search.entries(repository / "snapshots"):
        if _REVISION.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            ages[entry.name] = entry.stat(follow_symlinks=False).st_mtime_ns
    main = _named(search, repository / "refs" / "main") if (repository / "refs" / "main").exists() else None
    return sorted(ages, key=lambda revision: (revision != main, -ages[revision]))[:_MAX_REVISIONS]


def _named(search: Search, ref: Path) -> str | None:
    data = search.read_small(ref, 128)
    return data.decode("ascii", "replace").strip() if data is not None else None


HUGGINGFACE = Store("huggingface", "Hugging Face cache", _look)
