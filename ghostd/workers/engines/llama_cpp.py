"""llama-cpp-python's low-level calls: one context with several sequences, step by step.

The high-level `Llama` class is not used: it is slower per token, keeps logits of whole prompts for logprobs, and
cannot be stopped inside a prompt.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ghostd.workers.engines.contract import (
    EngineFailed,
    Failure,
    Generation,
    GenerationOptions,
    LoadError,
    LoadOptions,
    Owner,
    PromptStep,
    RequestInvalid,
    Step,
)
from ghostd.workers.engines.devices import gpus_of_llama_cpp, names_of
from ghostd.workers.engines.drafting import Drafting
from ghostd.workers.engines.llama_bindings import ABORTED, NO_ROOM, AbortFlag, Batch, bindings, write_log
from ghostd.workers.engines.llama_embedding import LlamaEmbedder
from ghostd.workers.engines.llama_generation import LlamaGeneration
from ghostd.workers.engines.llama_saved import SavedPrompts, stamp
from ghostd.workers.engines.llama_sequences import KvSequence, KvSequences
from ghostd.workers.engines.llama_vocabulary import LlamaVocabulary

_EMBEDDING_CONTEXT_TOKENS = 2048
_POOLING_NONE = 0


class LlamaCppEngine:
    """One model and its contexts: one that generates and keeps prompts, one for embeddings made at first use."""

    name = "llama-cpp-python"

    def __init__(self, options: LoadOptions) -> None:
        self._lib = lib = bindings()
        self._log = lib.llama_log_callback(write_log)
        lib.llama_log_set(self._log, ctypes.c_void_p(0))
        lib.llama_backend_init()
        self._stamp = stamp(options.path)
        params = lib.llama_model_default_params()
        gpus = gpus_of_llama_cpp(lib)
        self.gpu_layers = params.n_gpu_layers = options.layers_on(gpus)
        self.gpus = names_of(gpus) if self.gpu_layers else ""
        if not self.gpu_layers:
            # Without layers there, a GPU would still be sent the weights for each long piece of a prompt.
            none = ctypes.c_void_p(None)
            params.devices = ctypes.addressof(none)
        if (on_progress := options.on_progress) is not None:
            # True goes on; kept until loading is over, since the engine holds no reference.
            told = lib.llama_progress_callback(lambda done, _data: on_progress(done) is None)
            params.progress_callback = told
        self._model = lib.llama_model_load_from_file(str(options.path).encode(), params)
        if not self._model:
            raise options.not_loaded(self.gpu_layers)
        self._vocabulary = LlamaVocabulary(lib, self._model)
        self._abort = AbortFlag(lib)
        self._options = options
        self.vocabulary_size = self._vocabulary.size
        self.embedding_size = int(lib.llama_model_n_embd_out(self._model))
        trained = int(lib.llama_model_n_ctx_train(self._model))
        self.context_tokens = min(options.context_tokens, trained) if trained > 0 else options.context_tokens
        self.embedding_context_tokens = min(self.context_tokens, _EMBEDDING_CONTEXT_TOKENS)
        self.slots = options.sequences
        self.together = 1
        self.cache_tokens = max(self.context_tokens, options.cache_tokens)
        self._embedder: LlamaEmbedder | None = None
        self._context: int | None = None
        self._drafting: Drafting | None = None
        self._saved: SavedPrompts | None = None
        self._batch_tokens = min(options.n_batch, self.context_tokens)
        self._batch = Batch(lib, self._batch_tokens)
        if not options.embedding_only:
            self._context = self._new_context(self.cache_tokens, self._batch_tokens, embeddings=False)
            recurrent = bool(lib.llama_model_is_recurrent(self._model) or lib.llama_model_is_hybrid(self._model))
            self._sequences = KvSequences(lib, self._context, self.slots, recurrent=recurrent)
            if options.draft_tokens and not recurrent:  # their state cannot go back behind a wrong token
                self._drafting = Drafting(partial(self.tokenize, special=False), options.draft_tokens)

    def _new_context(self, tokens: int, batch: int, *, embeddings: bool) -> int:
        lib, options = self._lib, self._options
        params = lib.llama_context_default_params()
        params.n_ctx = tokens
        params.n_batch = params.n_ubatch = batch
        params.n_threads = params.n_threads_batch = options.threads
        params.n_seq_max = 1 if embeddings else options.sequences
        params.kv_unified = True
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
        return self._vocabulary.tokenize(text, special=special)

    def pieces(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes of each token."""
        return self._vocabulary.pieces(tokens)

    # --- generating ---------------------------------------------------------------

    def open(self, prompt: Sequence[int], options: GenerationOptions, owner: Owner) -> LlamaGeneration:
        """Prepare to continue the prompt."""
        if self._context is None:
            raise EngineFailed("the model makes embeddings only")
        return LlamaGeneration(
            self._lib, self._context, self._vocabulary, self._sequences, prompt, options, owner, self._drafting
        )

    def step(self, generations: Sequence[Generation]) -> Sequence[tuple[Generation, Step | Failure]]:
        """One llama_decode for all of them, and the tokens that come of it."""
        done: list[tuple[Generation, Step | Failure]] = []
        wanting: list[LlamaGeneration] = []
        for generation in generations:
            assert isinstance(generation, LlamaGeneration)
            if not generation.wants:
                done.extend(_resumed(generation))
            if generation.wants:
                wanting.append(generation)
        if not done and wanting:
            done.extend(self._compute(wanting))
        return done

    def _compute(self, group: Sequence[LlamaGeneration]) -> Iterator[tuple[Generation, Step | Failure]]:
        """Compute as much of what they want as a batch holds: parts of prompts, and single tokens."""
        parts = self._fill_batch(group)
        began_s = time.perf_counter()
        if status := self._decode(group):
            for part in parts:
                self._sequences.truncate(part.sequence, len(part.sequence.cached))
            if status == ABORTED or self._abort.is_set:
                return
            if status == NO_ROOM and len(group) > 1:
                yield from self._compute(group[:1])
                return
            raise EngineFailed(f"llama.cpp could not compute the step (status {status})")
        for part in parts:
            part.sequence.cached.extend(part.tokens)
        for part in parts:
            generation = part.generation
            if part.row is None or not generation.told:
                generation.told = True
                yield generation, PromptStep(generation.cached_tokens)
            if part.row is not None:
                found = list(_resumed(generation, part.row, part.drafted))
                if self._drafting is not None:
                    self._go_back(part, self._drafting)
                    if len(group) == 1 and len(part.tokens) == 1 + len(part.drafted):
                        self._drafting.costs.took(len(part.tokens), time.perf_counter() - began_s)
                yield from found

    def _go_back(self, part: _Part, drafting: Drafting) -> None:
        """Drop what was computed for drafted tokens that did not come true."""
        if not part.drafted:
            return
        computed = len(part.generation.tokens) - 1
        if len(part.sequence.cached) > computed:
            self._sequences.truncate(part.sequence, computed)
            if len(part.sequence.cached) < computed:  # this model's cache cannot go back
                drafting.stop()

    def _fill_batch(self, group: Sequence[LlamaGeneration]) -> list[_Part]:
        batch = self._batch
        batch.clear()
        parts: list[_Part] = []
        for later, generation in enumerate(group, 1 - len(group)):
            sequence = self._sequence_of(generation, group)
            start = len(sequence.cached)
            room = self._batch_tokens - batch.size + later  # each of those behind it has a token
            tokens = generation.tokens[start : start + room]
            whole = start + len(tokens) == len(generation.tokens)
            drafted = generation.draft[: room - len(tokens)] if whole and tokens and len(group) == 1 else []
            row = batch.size + len(tokens) - 1 if whole else None
            tokens += drafted
            batch.add(tokens, start, sequence.number, logits=1 + len(drafted) if whole and tokens else 0)
            parts.append(_Part(generation, sequence, tokens, row, drafted))
        return parts

    def _sequence_of(self, generation: LlamaGeneration, group: Sequence[LlamaGeneration]) -> KvSequence:
        sequence = generation.sequence
        if sequence is None:
            sequence = generation.sequence = self._sequences.take(generation, generation.owner, group)
            if not generation.told:
                generation.cached_tokens = len(sequence.cached)
        self._sequences.touch(sequence)
        return sequence

    def _decode(self, group: Sequence[LlamaGeneration]) -> int:
        """llama.cpp's status; idle prompts are dropped where there is no room."""
        assert self._context is not None
        if self._abort.is_set:
            return ABORTED
        if not self._batch.size:  # all of a prompt to be read is cached
            return 0
        while (status := self._batch.decode(self._context)) == NO_ROOM:
            if not self._sequences.make_room(group):
                break
        return status

    # --- prompts that outlive the process -------------------------------------------

    def find_prompts(self) -> None:
        """Look for them, unless the model's state cannot be saved as it is."""
        options = self._options
        if options.prompts is None or self._context is None or not self._savable():
            return
        self._saved = SavedPrompts.open(self._lib, self._context, self._sequences, options, self._stamp)
        self._sequences.saved = self._saved

    def _savable(self) -> bool:
        """Recurrent states cannot go back, and of a sliding window llama.cpp saves only what the end needs: one that
        is brought back could not go back either."""
        lib, model = self._lib, self._model
        back = lib.llama_model_is_recurrent(model) or lib.llama_model_is_hybrid(model)
        return not back and lib.llama_model_n_swa(model) <= 0

    def save_prompts(self, until_s: float) -> None:
        """Save those that are worth it."""
        if self._saved is not None:
            self._saved.save(until_s)

    # --- embedding ----------------------------------------------------------------

    def embed(self, prompt: Sequence[int]) -> list[float]:
        """The pooled vector of one input."""
        if self._embedder is None:
            options = self._options
            batch = self._batch_tokens if options.causal else self.embedding_context_tokens
            context = self._new_context(self.embedding_context_tokens, batch, embeddings=True)
            self._embedder = LlamaEmbedder(
                self._lib,
                context,
                self._abort,
                self.embedding_size,
                batch,
                causal=options.causal,
                pooling=options.pooling,
            )
        return self._embedder.embed(prompt)

    # --- from any thread ------------------------------------------------------------

    def interrupt(self) -> None:
        """Stop the running call."""
        self._abort.set()

    def wake(self) -> None:
        """Nothing waits here."""

    def rearm(self) -> None:
        """Forget an earlier interrupt."""
        self._abort.clear()

    def close(self) -> None:
        """Free the contexts and the model."""
        if self._embedder is not None:
            self._embedder.close()
        if self._context is not None:
            self._lib.llama_free(self._context)
        self._lib.llama_model_free(self._model)
        self._embedder = self._context = None


@dataclass(frozen=True, slots=True)
class _Part:
    """What a batch has of one generation."""

    generation: LlamaGeneration
    sequence: KvSequence
    tokens: list[int]
    row: int | None
    """Index of its last token in the batch; None where more tokens are to come before there are logits."""
    drafted: list[int]
    """The last ones of `tokens`, behind that row."""


def _resumed(
    generation: LlamaGeneration, row: int = -1, drafted: Sequence[int] = ()
) -> Iterator[tuple[Generation, Step | Failure]]:
    """What the generation says next; nothing where it wants to be computed."""
    try:
        step = generation.resume(row, drafted)
    except (RequestInvalid, EngineFailed) as error:
        generation.wants = False
        yield generation, error
        return
    if step is not None:
        yield generation, step
