"""xllamacpp: llama.cpp's own server inside the worker process, reached over a Unix socket in a private folder.

Its Python calls cannot be stopped before the first token; a closed connection stops it at the next batch or
token. Prompts go in as token ids, so nothing in them is parsed again.
"""

from __future__ import annotations

import http.client
import json
import math
import secrets
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ghostd.workers.engines.contract import (
    PENALTY_WINDOW_TOKENS,
    EndStep,
    EngineFailed,
    GenerationOptions,
    Interrupted,
    LateGrammar,
    LoadError,
    LoadOptions,
    Logprob,
    PromptStep,
    RequestInvalid,
    Step,
    TokenStep,
)
from ghostd.workers.engines.vocabulary import Vocabulary
from ghostd.workers.gguf_reader import HeaderError

_EMBEDDING_BATCH_TOKENS = 512
"""A pooled vector needs its whole input in one batch, and a batch of n tokens reserves n × vocabulary × 4 bytes."""
_MAX_BATCH_TOKENS = 32
"""The server looks for a cancellation between batches only. 32 tokens read about a tenth slower than 128
(benchmarks/worker_overhead.py's models) and stop four times sooner."""
_SAMPLERS = ["penalties", "top_k", "top_p", "min_p", "temperature"]
_NO_PROBABILITY = -1e4
_JSON_STARTS = b'{["-0123456789tfn'
_LOG_WARNINGS = 1
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
        self._connection: _Connection | None = None
        self._vocabulary: Vocabulary | None = None
        self._pieces: dict[int, bytes] = {}
        self._single: dict[str, bool] = {}
        trained = options.trained_tokens
        self.context_tokens = min(options.context_tokens, trained) if trained else options.context_tokens
        longest = self.context_tokens if options.embedding_only else _EMBEDDING_BATCH_TOKENS
        self.embedding_context_tokens = min(self.context_tokens, longest)
        self._embedder: _Server | None = None
        self._server = self._embedder = self._start_embedder() if options.embedding_only else None
        if self._server is None:
            batch = min(options.n_batch, _MAX_BATCH_TOKENS)
            self._server = _Server(options, self.context_tokens, batch, scratch / "generate.sock")
        meta = self._json("GET", self._server, "/v1/models", None)["data"][0]["meta"]
        self.vocabulary_size = int(meta["n_vocab"])
        self.embedding_size = int(meta["n_embd"])

    def _start_embedder(self) -> _Server:
        tokens = self.embedding_context_tokens
        return _Server(self._options, tokens, tokens, self._scratch / "embed.sock", embedding=True)

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`."""
        body = {"content": text, "add_special": False, "parse_special": special}
        return [int(token) for token in self._ask("/tokenize", body)["tokens"]]

    def _late(self, late: LateGrammar) -> dict[str, Any]:
        """The server looks for the beginnings itself: for those that are one token, which can be nothing else."""
        for opener in late.openers:
            if opener not in self._single:
                self._single[opener] = len(self.tokenize(opener, special=True)) == 1
        triggers = [{"type": _TRIGGER_WORD, "value": opener} for opener in late.openers if self._single[opener]]
        if not triggers:
            return {}
        return {"grammar": late.text(), "grammar_lazy": True, "grammar_triggers": triggers}

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
        connection = _Connection(self._server.path)
        try:
            response = connection.exchange("POST", path, body)
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._broken(error) from None
        finally:
            connection.close()
        if response.status != 200:
            raise _refusal(answer)
        return answer

    def generate(self, prompt: Sequence[int], options: GenerationOptions) -> Iterator[Step]:
        """Continue the prompt."""
        if self._options.embedding_only or self._server is None:
            raise EngineFailed("the model makes embeddings only")
        body = _body(prompt, options)
        if options.late_grammar is not None:
            body |= self._late(options.late_grammar)
        connection = self._open(self._server)
        try:
            response = connection.exchange("POST", "/completion", body)
            if response.status != 200:
                raise _refusal(json.loads(response.read()))
            steps = _steps(response, options)
            yield from steps if options.json_schema is None else _checked_json(steps)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._broken(error) from None
        finally:
            self._close(connection)

    def embed(self, prompt: Sequence[int]) -> list[float]:
        """The pooled vector of one input."""
        if self._embedder is None:
            self._embedder = self._start_embedder()
        answer = self._json("POST", self._embedder, "/v1/embeddings", {"input": [list(prompt)]})
        return _unit([float(value) for value in answer["data"][0]["embedding"]])

    def _json(self, method: str, server: _Server, path: str, body: dict[str, Any] | None) -> Any:
        connection = self._open(server)
        try:
            response = connection.exchange(method, path, body)
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._broken(error) from None
        finally:
            self._close(connection)
        if response.status != 200:
            raise _refusal(answer)
        return answer

    def _open(self, server: _Server) -> _Connection:
        with self._lock:
            if self._interrupted:
                raise Interrupted
            self._connection = _Connection(server.path)
            return self._connection

    def _close(self, connection: _Connection) -> None:
        with self._lock:
            self._connection = None
            connection.close()

    def _broken(self, error: Exception) -> Exception:
        if self._interrupted:
            return Interrupted()
        return EngineFailed(f"the engine's server broke off ({type(error).__name__})")

    def interrupt(self) -> None:
        """Stop the running call: the server ends a request whose connection is gone."""
        with self._lock:
            self._interrupted = True
            if self._connection is not None:
                self._connection.shut()

    def rearm(self) -> None:
        """Forget an earlier interrupt."""
        with self._lock:
            self._interrupted = False

    def close(self) -> None:
        """Stop the servers."""
        self._server = self._embedder = None


class _Server:
    """A llama-server on a Unix socket."""

    def __init__(self, options: LoadOptions, context: int, batch: int, path: Path, *, embedding: bool = False) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(options.path)
        params.hostnames = [str(path)]
        params.n_ctx, params.n_parallel = context, 1
        params.n_batch = params.n_ubatch = min(batch, context)
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
        params.n_gpu_layers = options.n_gpu_layers
        params.n_threads_http = 2
        params.cache_ram_mib = 0  # its cache of old prompts takes up to 8 GiB by default
        params.ctx_shift = params.fit_params = params.warmup = params.ui = False
        # The server tries the file's own template out while it loads, without any limit; ghostd renders it itself.
        params.chat_template, params.use_jinja = "chatml", False
        params.verbosity = _LOG_WARNINGS
        params.embedding = embedding
        if embedding and options.causal and not options.embedding_only:
            params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        self.path = path
        try:
            self._server = xllamacpp.Server(params)
        except RuntimeError:
            raise LoadError("llama.cpp cannot load it (an unknown architecture, or damaged tensors)") from None


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket, for one request."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = str(path)
        self._socket: socket.socket | None = None  # http.client forgets its own once the response has begun

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)

    def exchange(self, method: str, path: str, body: dict[str, Any] | None) -> http.client.HTTPResponse:
        """Send the request; the response's head has been read."""
        data = None if body is None else json.dumps(body)
        self.request(method, path, data, {"Content-Type": "application/json", "Connection": "close"})
        return self.getresponse()

    def shut(self) -> None:
        """Break the connection off, from any thread."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def _body(prompt: Sequence[int], options: GenerationOptions) -> dict[str, Any]:
    body: dict[str, Any] = {
        "prompt": list(prompt),
        "n_predict": options.max_tokens,
        "temperature": max(options.temperature, 0.0),
        "top_k": options.top_k,
        "top_p": options.top_p,
        "min_p": options.min_p,
        "repeat_last_n": PENALTY_WINDOW_TOKENS,
        "repeat_penalty": options.repeat_penalty,
        "presence_penalty": options.presence_penalty,
        "frequency_penalty": options.frequency_penalty,
        "samplers": _SAMPLERS,
        "seed": secrets.randbits(31) if options.seed is None else options.seed & 0x7FFFFFFF,
        "logit_bias": [[token, bias] for token, bias in options.logit_bias.items()],
        "ignore_eos": options.ignore_end,
        "cache_prompt": True,
        "stream": True,
        "return_tokens": True,
        "return_progress": True,
    }
    if options.markers:
        body["preserved_tokens"] = list(options.markers)
    if options.logprobs is not None:
        body["n_probs"] = max(options.logprobs, 1)
    if options.json_schema is not None:
        body["json_schema"] = _schema(options.json_schema)
    elif options.grammar:
        body["grammar"] = options.grammar
    return body


def _schema(text: str) -> dict[str, Any]:
    # llguidance allows white space between tokens unless told otherwise, and small models never stop to write it.
    return {**json.loads(text), "x-guidance": {"whitespace_flexible": False}}


def _steps(response: http.client.HTTPResponse, options: GenerationOptions) -> Iterator[Step]:
    cached = 0
    control: TokenStep | None = None  # the end token comes as a step of no text, and is not part of the reply
    while line := response.readline():
        if not line.startswith(b"data: "):
            continue
        event = json.loads(line[6:])
        if "error" in event:
            raise _refusal(event)
        if event.get("stop"):
            if control is not None and event.get("stop_type") != "eos":
                yield control
            yield EndStep("length" if event.get("stop_type") == "limit" else "stop")
            return
        if control is not None:
            yield control
            control = None
        if progress := event.get("prompt_progress"):
            cached = int(progress["cache"])
            yield PromptStep(cached)
            continue
        ids = tuple(map(int, event.get("tokens", ())))
        step = TokenStep(event["content"].encode("utf-8", "replace"), len(ids) or 1, _logprobs(event, options), ids)
        if step.data:
            yield step
        else:
            control = step
    raise http.client.IncompleteRead(b"")


def _checked_json(steps: Iterator[Step]) -> Iterator[Step]:
    """The steps, as long as they make JSON: the server drops a schema that it cannot use without a word."""
    data = bytearray()
    for step in steps:
        if isinstance(step, TokenStep):
            data += step.data
            start = data.lstrip()[:1]
            if start and start not in _JSON_STARTS:
                raise _schema_ignored()
        elif isinstance(step, EndStep) and step.reason == "stop":
            try:
                json.loads(data)
            except ValueError:
                raise _schema_ignored() from None
        yield step


def _schema_ignored() -> EngineFailed:
    return EngineFailed("xllamacpp cannot enforce this JSON schema; use simpler keywords or llama-cpp-python")


def _logprobs(event: dict[str, Any], options: GenerationOptions) -> tuple[Logprob, ...]:
    if options.logprobs is None:
        return ()
    return tuple(
        Logprob(
            int(entry["id"]),
            bytes(entry["bytes"]),
            _logprob(entry),
            tuple((bytes(other["bytes"]), _logprob(other)) for other in entry["top_logprobs"][: options.logprobs]),
            tuple(int(other["id"]) for other in entry["top_logprobs"][: options.logprobs]),
        )
        for entry in event.get("completion_probabilities", ())
    )


def _logprob(entry: dict[str, Any]) -> float:
    value = entry.get("logprob")
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else _NO_PROBABILITY


def _refusal(answer: Any) -> Exception:
    """The server's error object as an exception of ours, by its type."""
    error = answer.get("error", {}) if isinstance(answer, dict) else {}
    message = str(error.get("message", "no reason given"))[:500]
    if error.get("type") == "invalid_request_error":
        return RequestInvalid(f"The engine refuses the request: {message}", None)
    return EngineFailed(f"the engine failed: {message}")


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector))
    if not math.isfinite(length):
        raise EngineFailed("the model computed a vector with values that are not finite")
    return [value / length for value in vector] if length else list(vector)
