"""xllamacpp: llama.cpp's own server in the worker process computes several generations together.

Its Python calls cannot be stopped before the first token; a closed connection stops it at the next batch or token.
So a generation that has to stand still is broken off, and goes on later as a new one from the tokens it has: the
server keeps what was computed. Prompts go in as token ids, so nothing in them is parsed again.
"""

from __future__ import annotations

import http.client
import json
import math
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from ghostd.workers.engines.contract import (
    EngineFailed,
    Failure,
    Generation,
    GenerationOptions,
    Interrupted,
    LateGrammar,
    LoadOptions,
    Owner,
    Step,
)
from ghostd.workers.engines.devices import gpus_of_xllamacpp, names_of
from ghostd.workers.engines.vocabulary import Vocabulary
from ghostd.workers.engines.xllamacpp_generation import Event, XllamaCppGeneration
from ghostd.workers.engines.xllamacpp_server import Connection, Server, refusal
from ghostd.workers.engines.xllamacpp_slots import Slots
from ghostd.workers.gguf_reader import HeaderError

_EMBEDDING_BATCH_TOKENS = 512
"""A pooled vector needs its whole input in one batch, and a batch of n tokens reserves n × vocabulary × 4 bytes."""
_MAX_CPU_BATCH_TOKENS = 32
"""The server looks for a cancellation between batches only. 32 tokens read about a tenth slower than 128
(benchmarks/worker_overhead.py's models) and stop four times sooner."""
_TRIGGER_WORD = 1
"""llama.cpp's common_grammar_trigger_type; a word that is one token triggers as that token."""
_REPLACED = "\ufffd"


class XllamaCppEngine:
    """One model in a server that generates, and a second server for embeddings made at first use."""

    name = "xllamacpp"

    def __init__(self, options: LoadOptions, scratch: Path) -> None:
        self._options = options
        self._scratch = scratch
        self._lock = threading.Lock()
        self._interrupted = False
        self._connection: Connection | None = None
        self._vocabulary: Vocabulary | None = None
        self._pieces: dict[int, bytes] = {}
        self._single: dict[str, bool] = {}
        self._open: list[XllamaCppGeneration] = []
        self._slots = Slots(options.sequences)
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        """What the generations say; None: there is a reason to look up."""
        trained = options.trained_tokens
        self.context_tokens = min(options.context_tokens, trained) if trained else options.context_tokens
        longest = self.context_tokens if options.embedding_only else _EMBEDDING_BATCH_TOKENS
        self.embedding_context_tokens = min(self.context_tokens, longest)
        self.slots = self.together = options.sequences
        self.cache_tokens = max(self.context_tokens, options.cache_tokens)
        gpus = gpus_of_xllamacpp()
        self.gpu_layers = options.layers_on(gpus)
        self.gpus = names_of(gpus) if self.gpu_layers else ""
        self._embedder: Server | None = None
        self._server = self._embedder = self._start_embedder() if options.embedding_only else None
        if self._server is None:
            batch = options.n_batch if self.gpu_layers else min(options.n_batch, _MAX_CPU_BATCH_TOKENS)
            path = scratch / "generate.sock"
            self._server = Server(options, self.cache_tokens, batch, path, gpu_layers=self.gpu_layers, slots=self.slots)
        meta = self._json("GET", self._server, "/v1/models", None)["data"][0]["meta"]
        self.vocabulary_size = int(meta["n_vocab"])
        self.embedding_size = int(meta["n_embd"])

    def _start_embedder(self) -> Server:
        tokens = self.embedding_context_tokens
        path = self._scratch / "embed.sock"
        return Server(self._options, tokens, tokens, path, gpu_layers=self.gpu_layers, embedding=True)

    # --- tokens ---------------------------------------------------------------------

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`."""
        body = {"content": text, "add_special": False, "parse_special": special}
        return [int(token) for token in self._ask("/tokenize", body)["tokens"]]

    def pieces(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes of each token."""
        for token in tokens:
            if token not in self._pieces:
                self._pieces[token] = self._piece(token)
        return [self._pieces[token] for token in tokens]

    def _piece(self, token: int) -> bytes:
        text = str(self._ask("/detokenize", {"tokens": [token]})["content"])
        if _REPLACED not in text:
            return text.encode("utf-8", "replace")
        try:  # a part of a character, which JSON cannot hold
            self._vocabulary = self._vocabulary or Vocabulary(self._options.path)
        except (HeaderError, OSError) as error:
            raise EngineFailed(f"the vocabulary cannot be read ({type(error).__name__})") from None
        return self._vocabulary.piece(token)

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        """A quick question on a connection of its own, which no interrupt breaks off."""
        assert self._server is not None
        connection = Connection(self._server.path)
        try:
            response = connection.exchange("POST", path, body)
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._broken(error) from None
        finally:
            connection.close()
        if response.status != 200:
            raise refusal(answer)
        return answer

    # --- generating -----------------------------------------------------------------

    def open(self, prompt: Sequence[int], options: GenerationOptions, owner: Owner) -> XllamaCppGeneration:
        """Prepare to continue the prompt."""
        if self._options.embedding_only or self._server is None:
            raise EngineFailed("the model makes embeddings only")
        late = self._late(options.late_grammar) if options.late_grammar is not None else {}
        generation = XllamaCppGeneration(
            self._server.path, self._slots, prompt, options, owner, late, self._events, self._open.remove
        )
        self._open.append(generation)
        return generation

    def _late(self, late: LateGrammar) -> dict[str, Any]:
        """The server looks for the beginnings itself: for those that are one token, which can be nothing else."""
        for opener in late.openers:
            if opener not in self._single:
                self._single[opener] = len(self.tokenize(opener, special=True)) == 1
        triggers = [{"type": _TRIGGER_WORD, "value": opener} for opener in late.openers if self._single[opener]]
        if not triggers:
            return {}
        return {"grammar": late.text(), "grammar_lazy": True, "grammar_triggers": triggers}

    def step(self, generations: Sequence[Generation]) -> Sequence[tuple[Generation, Step | Failure]]:
        """Let these go on, and others stand still as far as they can; wait until something is said, or for `wake`."""
        for other in self._open:
            if other.running and other.pausable and other not in generations:
                other.pause()
        for generation in generations:
            assert isinstance(generation, XllamaCppGeneration)
            generation.go_on()
        found: list[tuple[Generation, Step | Failure]] = []
        while not found:
            event = self._events.get()
            if event is None:
                break
            found.extend(_heard(event))
        while not self._events.empty():
            if (event := self._events.get_nowait()) is not None:
                found.extend(_heard(event))
        return found

    # --- embedding ------------------------------------------------------------------

    def embed(self, prompt: Sequence[int]) -> list[float]:
        """The pooled vector of one input."""
        if self._embedder is None:
            self._embedder = self._start_embedder()
        answer = self._json("POST", self._embedder, "/v1/embeddings", {"input": [list(prompt)]})
        return _unit([float(value) for value in answer["data"][0]["embedding"]])

    def _json(self, method: str, server: Server, path: str, body: dict[str, Any] | None) -> Any:
        connection = self._connect(server)
        try:
            response = connection.exchange(method, path, body)
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._broken(error) from None
        finally:
            with self._lock:
                self._connection = None
                connection.close()
        if response.status != 200:
            raise refusal(answer)
        return answer

    def _connect(self, server: Server) -> Connection:
        with self._lock:
            if self._interrupted:
                raise Interrupted
            self._connection = Connection(server.path)
            return self._connection

    def _broken(self, error: Exception) -> Exception:
        if self._interrupted:
            return Interrupted()
        return EngineFailed(f"the engine's server broke off ({type(error).__name__})")

    # --- prompts that outlive the process ---------------------------------------------

    def find_prompts(self) -> None:
        """The server keeps them in memory only."""

    def save_prompts(self, until_s: float) -> None:
        """Nothing is saved."""

    # --- from any thread --------------------------------------------------------------

    def interrupt(self) -> None:
        """Break an embedding off, and let `step` return; the server ends a request whose connection is gone."""
        with self._lock:
            self._interrupted = True
            if self._connection is not None:
                self._connection.shut()
        self.wake()

    def wake(self) -> None:
        """Let `step` return."""
        self._events.put(None)

    def rearm(self) -> None:
        """Forget an earlier interrupt."""
        with self._lock:
            self._interrupted = False

    def close(self) -> None:
        """Stop the servers."""
        self._server = self._embedder = None


def _heard(event: Event) -> Iterable[tuple[Generation, Step | Failure]]:
    generation, leg, step = event
    return ((generation, step),) if generation.heard(leg, step) else ()


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector))
    if not math.isfinite(length):
        raise EngineFailed("the model computed a vector with values that are not finite")
    return [value / length for value in vector] if length else list(vector)
