"""Prompts of llama.cpp's sequences that outlive their process: saved at its end, brought back where a prompt begins
like one of them."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ghostd.workers.engines.contract import LoadOptions
from ghostd.workers.engines.llama_sequences import KvSequence, KvSequences
from ghostd.workers.engines.prefix import common_prefix
from ghostd.workers.gguf_header import other_parts
from ghostd.workers.prompt_files import KeptPrompt, PromptFiles, PromptKey

LEAST_TOKENS = 256
"""Prompts that have so many more tokens than another are worth a file, and the time to bring it back."""
Tell = Callable[[str], None]


Stamp = tuple[tuple[int, int, int], ...]
"""Which file is at a path. Of each part: bytes, the times of its last change (of content, then of anything) in ns."""


def stamp(path: Path) -> Stamp | None:
    """Of the file, and of the other parts of a split model; None where they cannot be looked at."""
    try:
        found = [part.stat() for part in (path, *other_parts(path))]
    except OSError:
        return None
    return tuple((one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in found)


def _key(lib: Any, path: Path, loaded: Stamp, settings: Sequence[object]) -> PromptKey:
    """What tells this model, as it is loaded, from others. Raises OSError."""
    model = f"{loaded} {_build(lib)}".encode()
    return PromptKey(_digest(os.fsencode(path), 8), _digest(model, 8), _digest(repr(settings).encode(), 4))


def _build(lib: Any) -> str:
    """The engine, down to the very files: one that is built anew may lay its data out otherwise."""
    folder = Path(lib._lib._name).parent
    files = sorted((one.name, one.stat().st_size, one.stat().st_mtime_ns) for one in folder.iterdir())
    return f"{importlib.metadata.version('llama-cpp-python')} {files}"


def _digest(data: bytes, size: int) -> str:
    return blake2b(data, digest_size=size).hexdigest()


@dataclass(frozen=True, slots=True)
class Found:
    """A saved prompt, and what llama.cpp has computed of it."""

    kept: KeptPrompt
    data: memoryview


class SavedPrompts:
    """Implements llama_sequences.Saved for one context."""

    def __init__(self, lib: Any, context: int, sequences: KvSequences, files: PromptFiles, tell: Tell) -> None:
        """What the sequences hold now is not worth saving."""
        self._lib, self._context, self._sequences, self._files, self._tell = lib, context, sequences, files, tell
        self._began = sequences.uses

    @classmethod
    def open(
        cls, lib: Any, context: int, sequences: KvSequences, options: LoadOptions, loaded: Stamp | None
    ) -> SavedPrompts | None:
        """Those of this model with these options. None, and why is told, where the file is not the one that was
        `loaded`."""
        where = options.prompts
        assert where is not None
        settings = (lib.llama_n_ctx(context), options.context_tokens, options.sequences, options.n_gpu_layers)
        if loaded is None or stamp(options.path) != loaded:
            where.tell("prompts are not kept: the model's file has changed while it was loaded")
            return None
        try:
            key = _key(lib, options.path, loaded, settings)
        except OSError as error:
            where.tell(f"prompts are not kept: {error}")
            return None
        return cls(lib, context, sequences, PromptFiles(where.folder, where.limit_bytes, key, where.tell), where.tell)

    def find(self, tokens: Sequence[int], limit: int, known: int) -> Found | None:
        """The one that has most of the first `limit` tokens, if clearly more than the `known` ones."""
        kept, common = self._files.best(tokens, limit)
        if kept is None or common < known + LEAST_TOKENS or (data := self._files.data(kept)) is None:
            return None
        return Found(kept, data)

    def put(self, found: Found, sequence: int, make_room: Callable[[], bool]) -> list[int]:
        """Put it into an empty sequence; its tokens, [] where that cannot be done. `make_room` is called while there is
        no room; False: there will be none."""
        size, tokens = len(found.data), found.kept.tokens
        buffer = (ctypes.c_uint8 * size).from_buffer(found.data)
        while self._lib.llama_state_seq_set_data(self._context, buffer, size, sequence) != size:
            used = sum(len(one.cached) for one in self._sequences.all)
            if used + len(tokens) <= self._lib.llama_n_ctx(self._context):
                self._files.drop(found.kept, "llama.cpp refuses it")
                return []
            if not make_room():
                return []
        self._files.use(found.kept)
        return list(tokens)

    def save(self, until_s: float) -> None:
        """Save those that are worth it, the latest first, as far as there is time and room."""
        began_s = time.monotonic()
        worth = [one for one in self._sequences.all if len(one.cached) >= LEAST_TOKENS and one.used > self._began]
        worth.sort(key=lambda one: one.used, reverse=True)
        saved: list[list[int]] = []
        try:
            for sequence in worth:
                new = all(_worth(sequence.cached, other) for other in saved)
                if new and time.monotonic() < until_s and self._save(sequence, until_s):
                    saved.append(sequence.cached)
        except OSError as error:
            self._tell(f"cannot keep prompts: {error.strerror}")
        for kept in list(self._files.kept):  # earlier states of what is saved now
            if any(kept.tokens != one and not _worth(kept.tokens, one) for one in saved):
                self._files.drop(kept)
        sys.stderr.write(f"saved {len(saved)} prompts in {time.monotonic() - began_s:.3f} s\n")

    def _save(self, sequence: KvSequence, until_s: float) -> bool:
        for kept in self._files.kept:
            if kept.tokens == sequence.cached:
                self._files.use(kept, spare=True)
                return True
        size = self._lib.llama_state_seq_get_size(self._context, sequence.number)
        data = (ctypes.c_uint8 * size)()
        if self._lib.llama_state_seq_get_data(self._context, data, size, sequence.number) != size:
            return False
        return self._files.write(sequence.cached, memoryview(data).cast("B"), until_s)


def _worth(tokens: Sequence[int], saved: Sequence[int]) -> bool:
    """Whether they have clearly more than what a saved one has of them."""
    return len(tokens) - common_prefix(tokens, saved, min(len(tokens), len(saved))) >= LEAST_TOKENS
