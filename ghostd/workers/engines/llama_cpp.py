"""llama-cpp-python's low-level calls: one context, token by token.

The high-level `Llama` class is not used: it is slower per token, keeps logits of whole prompts for logprobs, and
cannot be stopped inside a prompt.
"""

from __future__ import annotations

import ctypes
import importlib.util
import math
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from ghostd.workers.engines import llama_sampling
from ghostd.workers.engines.contract import (
    PENALTY_WINDOW_TOKENS,
    EndStep,
    EngineFailed,
    GenerationOptions,
    Interrupted,
    LoadError,
    LoadOptions,
    Logprob,
    PromptStep,
    Step,
    TokenStep,
)

_ABORTED = 2
"""llama_decode: stopped by the abort callback (llama.h)."""
_EMBEDDING_CONTEXT_TOKENS = 2048
_POOLING_NONE = 0
_POOLING_LAST = 3
_LOG_WARN = 3


def _bindings() -> Any:
    """The module llama_cpp.llama_cpp, without the package's `__init__`.

    That one imports the high-level API, NumPy and more: 0.4 s at every start of a worker.
    """
    if "llama_cpp" not in sys.modules:
        spec = importlib.util.find_spec("llama_cpp")
        if spec is None or spec.submodule_search_locations is None:
            raise LoadError("llama-cpp-python is not installed")
        package = ModuleType("llama_cpp")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["llama_cpp"] = package
    import llama_cpp.llama_cpp as bindings

    return bindings


class LlamaCppEngine:
    """One model and its contexts: one that generates and keeps its cache, one for embeddings made at first use."""

    name = "llama-cpp-python"

    def __init__(self, options: LoadOptions) -> None:
        self._lib = lib = _bindings()
        self._log = lib.llama_log_callback(_write_log)
        lib.llama_log_set(self._log, ctypes.c_void_p(0))
        lib.llama_backend_init()
        params = lib.llama_model_default_params()
        params.n_gpu_layers = options.n_gpu_layers if lib.llama_supports_gpu_offload() else 0
        if (on_progress := options.on_progress) is not None:
            # True goes on; kept until loading is over, since the engine holds no reference.
            told = lib.llama_progress_callback(lambda done, _data: on_progress(done) is None)
            params.progress_callback = told
        self._model = lib.llama_model_load_from_file(str(options.path).encode(), params)
        if not self._model:
            raise LoadError("llama.cpp cannot load it (an unknown architecture, or damaged tensors)")
        self._vocab = lib.llama_model_get_vocab(self._model)
        self._abort = _AbortFlag(lib)
        self._options = options
        self.vocabulary_size = int(lib.llama_vocab_n_tokens(self._vocab))
        self.embedding_size = int(lib.llama_model_n_embd_out(self._model))
        trained = int(lib.llama_model_n_ctx_train(self._model))
        self.context_tokens = min(options.context_tokens, trained) if trained > 0 else options.context_tokens
        self.embedding_context_tokens = min(self.context_tokens, _EMBEDDING_CONTEXT_TOKENS)
        self._embedder: int | None = None
        self._context: int | None = None
        if not options.embedding_only:
            self._context = self._new_context(self.context_tokens, options.n_batch, embeddings=False)
        self._cached: list[int] = []
        self._pieces: dict[int, bytes] = {}
        self._token = (lib.llama_token * 1)()

    def _new_context(self, tokens: int, batch: int, *, embeddings: bool) -> int:
        lib, options = self._lib, self._options
        params = lib.llama_context_default_params()
        params.n_ctx = tokens
        params.n_batch = params.n_ubatch = min(batch, tokens)
        params.n_threads = params.n_threads_batch = options.threads
        params.n_seq_max = 1
        params.no_perf = True
        params.embeddings = embeddings
        if embeddings and options.causal:
            # Vectors of single tokens, pooled here: llama.cpp pools only within one batch.
            params.pooling_type = _POOLING_NONE
        context = lib.llama_init_from_model(self._model, params)
        if not context:
            raise LoadError(f"llama.cpp cannot make a context of {tokens} tokens for it")
        self._abort.attach(context)
        return int(context)

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 16
        tokens = (self._lib.llama_token * room)()
        count = self._lib.llama_tokenize(self._vocab, data, len(data), tokens, room, False, special)
        if count < 0:
            raise EngineFailed("llama.cpp cannot tokenise the prompt")
        return list(tokens[:count])

    def generate(self, prompt: Sequence[int], options: GenerationOptions) -> Iterator[Step]:
        """Continue the prompt."""
        if self._context is None:
            raise EngineFailed("the model makes embeddings only")
        with llama_sampling.Sampler(self._lib, self._vocab, self.vocabulary_size, options, prompt) as sampler:
            yield from self._prefill(self._context, prompt)
            yield from self._decode(self._context, sampler, options, prompt)

    def _prefill(self, context: int, prompt: Sequence[int]) -> Iterator[Step]:
        kept = self._reuse(context, prompt)
        yield PromptStep(kept)
        for start in range(kept, len(prompt), self._options.n_batch):
            self._compute(context, prompt[start : start + self._options.n_batch])
            yield PromptStep(kept)

    def _decode(
        self, context: int, sampler: llama_sampling.Sampler, options: GenerationOptions, prompt: Sequence[int]
    ) -> Iterator[Step]:
        lib = self._lib
        shown = self._shown(options.markers)
        written: list[int] = []
        late = options.late_grammar
        for number in range(1, options.max_tokens + 1):
            token = sampler.sample(context)
            if lib.llama_vocab_is_eog(self._vocab, token) and not options.ignore_end:
                yield EndStep("stop")
                return
            data = self._piece(token, special=token in shown)
            logprobs: tuple[Logprob, ...] = ()
            if options.logprobs is not None:
                logprobs = (self._logprob(context, token, data, options.logprobs),)
            yield TokenStep(data, 1, logprobs, (token,))
            if late is not None:
                written.append(token)
                if (opening := late.opened()) is not None:
                    self._bind(sampler, late.text(), opening.encode(), written, prompt)
            if number < options.max_tokens:
                self._compute(context, (token,))
        yield EndStep("length")

    def _shown(self, markers: Sequence[str]) -> frozenset[int]:
        """Ids of the control tokens that are part of the text."""
        ids = (self.tokenize(marker, special=True) for marker in markers)
        return frozenset(found[0] for found in ids if len(found) == 1)

    def _bind(
        self, sampler: llama_sampling.Sampler, grammar: str, opening: bytes, written: list[int], prompt: Sequence[int]
    ) -> None:
        """Let the grammar take over from `opening` on, the end of what was written."""
        size, first = 0, len(written)
        while size < len(opening) and first:
            first -= 1
            size += len(self._piece(written[first], special=True))
        sampler.bind(grammar, opening, written[first:], (*prompt[-PENALTY_WINDOW_TOKENS:], *written))

    def _reuse(self, context: int, prompt: Sequence[int]) -> int:
        """Keep the cache of the longest common prefix; at least the last token is computed, for its logits."""
        common = 0
        limit = min(len(self._cached), len(prompt) - 1)
        while common < limit and self._cached[common] == prompt[common]:
            common += 1
        return self._truncate(context, common)

    def _truncate(self, context: int, kept: int) -> int:
        memory = self._lib.llama_get_memory(context)
        if not self._lib.llama_memory_seq_rm(memory, 0, kept, -1):
            # Recurrent models cannot go back.
            self._lib.llama_memory_clear(memory, True)
            kept = 0
        del self._cached[kept:]
        return kept

    def _compute(self, context: int, tokens: Sequence[int]) -> None:
        """Append tokens to the cache. An aborted step leaves the cache as before it."""
        if self._abort.is_set:
            raise Interrupted
        count = len(tokens)
        if count == 1:
            buffer = self._token
            buffer[0] = tokens[0]
        else:
            buffer = (self._lib.llama_token * count)(*tokens)
        status = self._lib.llama_decode(context, self._lib.llama_batch_get_one(buffer, count))
        if status == 0:
            self._cached.extend(tokens)
            return
        self._truncate(context, len(self._cached))
        if status == _ABORTED or self._abort.is_set:
            raise Interrupted
        raise EngineFailed(f"llama.cpp could not compute the step (status {status})")

    def pieces(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes of each token."""
        for token in tokens:
            if token not in self._pieces:
                self._pieces[token] = self._piece(token, special=True)
        return [self._pieces[token] for token in tokens]

    def _piece(self, token: int, *, special: bool = False) -> bytes:
        buffer = ctypes.create_string_buffer(64)
        size = self._lib.llama_token_to_piece(self._vocab, token, buffer, 64, 0, special)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = self._lib.llama_token_to_piece(self._vocab, token, buffer, -size, 0, special)
        return buffer.raw[:size]

    def _logprob(self, context: int, token: int, data: bytes, alternatives: int) -> Logprob:
        """From the full distribution, before penalties and truncation."""
        best = llama_sampling.log_probabilities(self._lib, context, self.vocabulary_size, token, alternatives)
        top = tuple((self._piece(other), value) for other, value in best.top)
        return Logprob(token, data, best.own, top, tuple(other for other, _ in best.top))

    def embed(self, prompt: Sequence[int]) -> list[float]:
        """The pooled vector of one input."""
        if self._embedder is None:
            batch = self._options.n_batch if self._options.causal else self.embedding_context_tokens
            self._embedder = self._new_context(self.embedding_context_tokens, batch, embeddings=True)
        memory = self._lib.llama_get_memory(self._embedder)
        if memory:
            self._lib.llama_memory_clear(memory, True)
        vector = self._embed_causal(prompt) if self._options.causal else self._embed_pooled(prompt)
        return _unit(vector)

    def _embed_causal(self, prompt: Sequence[int]) -> list[float]:
        """Mean over all tokens, or the last one's where the file says so."""
        total = [0.0] * self.embedding_size
        last_only = self._options.pooling == _POOLING_LAST
        for start in range(0, len(prompt), self._options.n_batch):
            part = prompt[start : start + self._options.n_batch]
            self._run_embedder(part)
            for index in range(len(part)):
                if last_only and start + index < len(prompt) - 1:
                    continue
                vector = self._lib.llama_get_embeddings_ith(self._embedder, index)
                total = [a + b for a, b in zip(total, vector[: self.embedding_size], strict=True)]
        return total

    def _embed_pooled(self, prompt: Sequence[int]) -> list[float]:
        self._run_embedder(prompt)
        vector = self._lib.llama_get_embeddings_seq(self._embedder, 0)
        if not vector:
            raise EngineFailed("the model gives no pooled vector")
        return list(vector[: self.embedding_size])

    def _run_embedder(self, tokens: Sequence[int]) -> None:
        if self._abort.is_set:
            raise Interrupted
        lib, count = self._lib, len(tokens)
        batch = lib.llama_batch_init(count, 0, 1)
        try:
            batch.n_tokens = count
            memory = lib.llama_get_memory(self._embedder)
            start = lib.llama_memory_seq_pos_max(memory, 0) + 1 if memory else 0
            for index, token in enumerate(tokens):
                batch.token[index] = token
                batch.pos[index] = start + index
                batch.n_seq_id[index] = 1
                batch.seq_id[index][0] = 0
                batch.logits[index] = 1
            status = lib.llama_decode(self._embedder, batch)
        finally:
            lib.llama_batch_free(batch)
        if status == _ABORTED or self._abort.is_set:
            raise Interrupted
        if status != 0:
            raise EngineFailed(f"llama.cpp could not embed the input (status {status})")

    def interrupt(self) -> None:
        """Stop the running call."""
        self._abort.set()

    def rearm(self) -> None:
        """Forget an earlier interrupt."""
        self._abort.clear()

    def close(self) -> None:
        """Free the contexts and the model."""
        for context in (self._embedder, self._context):
            if context is not None:
                self._lib.llama_free(context)
        self._lib.llama_model_free(self._model)
        self._embedder = self._context = None


class _AbortFlag:
    """A native abort callback that needs neither the GIL nor a compiler: libc's strlen over two bytes.

    `bool callback(void *data)` is called before each graph node. strlen(data) is 0 while the first byte is zero
    and 1 once it is set. A C bool is the low byte of the return register on x86-64 and arm64, so size_t's 0 and 1
    read right. A Python callback instead would take the GIL thousands of times a second.
    """

    def __init__(self, lib: Any) -> None:
        self._lib = lib
        self._data = ctypes.create_string_buffer(2)
        strlen = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p).value
        self._callback = lib.ggml_abort_callback(strlen)

    def attach(self, context: int) -> None:
        """Let the flag stop this context's computations."""
        self._lib.llama_set_abort_callback(context, self._callback, ctypes.addressof(self._data))

    @property
    def is_set(self) -> bool:
        """Whether computations are to stop."""
        return self._data.raw[0] != 0

    def set(self) -> None:
        """Stop."""
        self._data[0] = b"\x01"

    def clear(self) -> None:
        """Go on."""
        self._data[0] = b"\x00"


def _write_log(level: int, text: bytes, _data: object) -> None:
    """Warnings and errors of the engine go to stderr, which the pool reads into ghostd's log."""
    if level >= _LOG_WARN and level != 5:
        sys.stderr.write(text.decode("utf-8", "replace"))


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector))
    if not math.isfinite(length):
        raise EngineFailed("the model computed a vector with values that are not finite")
    return [value / length for value in vector] if length else list(vector)
