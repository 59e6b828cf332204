"""Ollama's store: manifests/REGISTRY/NAMESPACE/MODEL/TAG say which blobs a model is made of.

Names and digests come from files that anybody may have written, so each is checked before it becomes part of a path.
Format: ollama's `manifest` and `types/model` packages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ghostd.workers.stores.contract import FoundModel, Search, Store

_SYSTEM_STORE = Path("/usr/share/ollama/.ollama/models")
"""Where the Linux installer's service keeps them."""
_MAX_MANIFEST_BYTES = 1024 * 1024
_KIND = "application/vnd.ollama.image."
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class _Layer(msgspec.Struct):
    media_type: str = msgspec.field(name="mediaType", default="")
    digest: str = ""
    size: int = -1


class _Manifest(msgspec.Struct):
    layers: list[_Layer] = []


def _look(search: Search) -> Iterator[FoundModel]:
    for store in _stores(search):
        for registry in search.folders(store / "manifests"):
            for namespace in search.folders(registry):
                for model in search.folders(namespace):
                    for entry in search.entries(model):
                        tag = Path(entry.path)
                        parts = (registry.name, namespace.name, model.name, tag.name)
                        if (blob := _blob(search, store, tag, parts)) is not None:
                            yield FoundModel(_name(*parts), blob, "/".join(parts))


def _stores(search: Search) -> list[Path]:
    if search.environ.get("OLLAMA_MODELS"):
        configured = search.folder("OLLAMA_MODELS")
        return [configured] if configured is not None else []
    own = [search.home / ".ollama" / "models"] if search.home is not None else []
    return [*own, _SYSTEM_STORE]


def _name(registry: str, namespace: str, model: str, tag: str) -> str:
    """As `ollama list` shows it: defaults are left out."""
    name = f"{model}:{tag}"
    if namespace != "library" or registry != "registry.ollama.ai":
        name = f"{namespace}/{name}"
    return name if registry == "registry.ollama.ai" else f"{registry}/{name}"


def _blob(search: Search, store: Path, tag: Path, parts: tuple[str, ...]) -> Path | None:
    if not all(_PART.fullmatch(part) for part in parts):
        search.skip(tag, "not a name that Ollama gives")
        return None
    data = search.read_small(tag, _MAX_MANIFEST_BYTES)
    if data is None:
        return None
    try:
        manifest = msgspec.json.decode(data, type=_Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        search.skip(tag, f"not a manifest: {error}")
        return None
    found = [layer for layer in manifest.layers if layer.media_type == _KIND + "model"]
    if len(found) != 1:
        search.skip(tag, "no GGUF file" if not found else "a model in several files")
        return None
    if any(layer.media_type == _KIND + "adapter" for layer in manifest.layers):
        search.skip(tag, "a model with an adapter, which ghostd does not apply")
        return None
    return _checked(search, store, tag, found[0])


def _checked(search: Search, store: Path, tag: Path, layer: _Layer) -> Path | None:
    match = _DIGEST.fullmatch(layer.digest)
    if match is None:
        search.skip(tag, "its digest is not a SHA-256")
        return None
    blob = store / "blobs" / f"sha256-{match[1]}"
    if not search.is_regular(blob):
        return None
    if layer.size >= 0 and blob.stat().st_size != layer.size:
        search.skip(blob, f"has {blob.stat().st_size} bytes where {tag.name} says {layer.size}")
        return None
    return blob


OLLAMA = Store("ollama", "Ollama store", _look)
