"""A real model's tokenizer without its weights: llama.cpp ships vocabularies for its own tests.

They are in llama-cpp-python's source distribution, which pip fetches.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from completion_corpora import CACHE

_REQUIREMENT = "llama-cpp-python==0.3.36"


def vocabulary(name: str = "qwen2") -> Path:
    """The GGUF of a vocabulary; "qwen2" is the one of Qwen2.5-Coder, too."""
    folder = CACHE.parent / "vocabularies"
    file = folder / f"ggml-vocab-{name}.gguf"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            subprocess.run([*download, "--no-binary", "llama-cpp-python", "-d", scratch, _REQUIREMENT], check=True)
            (archive,) = Path(scratch).glob("*.tar.gz")
            with tarfile.open(archive) as tar:
                member = next(one for one in tar if one.name.endswith(f"/models/{file.name}"))
                source = tar.extractfile(member)
                assert source is not None
                with (Path(scratch) / file.name).open("wb") as out:
                    shutil.copyfileobj(source, out)
            (Path(scratch) / file.name).replace(file)
    return file


class Tokenizer:
    """Token ids of plain text by a vocabulary."""

    def __init__(self, file: Path) -> None:
        import llama_cpp.llama_cpp as lib

        self._lib = lib
        self._log = lib.llama_log_callback(lambda *_: None)
        lib.llama_log_set(self._log, None)
        lib.llama_backend_init()
        params = lib.llama_model_default_params()
        params.vocab_only = True
        self._model = lib.llama_model_load_from_file(str(file).encode(), params)
        self._vocab = lib.llama_model_get_vocab(self._model)

    def __call__(self, text: str) -> list[int]:
        """The ids, without a BOS."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 16
        tokens = (self._lib.llama_token * room)()
        count = self._lib.llama_tokenize(self._vocab, data, len(data), tokens, room, False, False)
        return list(tokens[:count])
