"""Writing other programs' stores of models, as those programs write them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

REVISION = "a" * 40
NEWER = "b" * 40


class OllamaStore:
    """A folder as OLLAMA_MODELS names it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def blob(self, data: bytes) -> dict[str, object]:
        """Put a blob and return its layer, without a media type."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.folder / "blobs" / f"sha256-{digest}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def manifest(self, name: str, layers: list[dict[str, object]]) -> Path:
        """Write registry/namespace/model/tag; layers' media types are Ollama's short names."""
        path = self.folder / "manifests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = [{**layer, "mediaType": f"application/vnd.ollama.image.{layer['mediaType']}"} for layer in layers]
        config = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": "sha256:0", "size": 2}
        path.write_text(json.dumps({"schemaVersion": 2, "config": config, "layers": whole}))
        return path

    def pull(self, name: str, model: Path) -> Path:
        """What `ollama pull` leaves behind."""
        layer = {"mediaType": "model", **self.blob(model.read_bytes())}
        template = {"mediaType": "template", **self.blob(b"{{ .Prompt }}")}
        return self.manifest(name, [layer, template])


class HubCache:
    """A folder as HF_HUB_CACHE names it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def download(self, repository: str, file: str, model: Path, revision: str = REVISION, main: bool = True) -> Path:
        """What `huggingface_hub` leaves behind: a blob, a link to it in a snapshot, and a ref."""
        base = self.folder / f"models--{repository.replace('/', '--')}"
        blob = base / "blobs" / hashlib.sha256(model.read_bytes() + file.encode()).hexdigest()
        link = base / "snapshots" / revision / file
        for folder in (blob.parent, link.parent, base / "refs"):
            folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(model, blob)
        link.symlink_to(Path(*[".."] * (len(Path(file).parts) + 1), "blobs", blob.name))
        if main:
            (base / "refs" / "main").write_text(revision)
        return link
