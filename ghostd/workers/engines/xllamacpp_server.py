"""llama.cpp's own server inside the worker process, reached over a Unix socket in a private folder."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from ghostd.workers.engines.contract import EngineFailed, LoadOptions, RequestInvalid

_LOG_WARNINGS = 1


class Server:
    """A llama-server on a Unix socket."""

    def __init__(
        self,
        options: LoadOptions,
        context: int,
        batch: int,
        path: Path,
        *,
        gpu_layers: int,
        slots: int = 1,
        embedding: bool = False,
    ) -> None:
        """`context`: tokens of all slots together. Raises LoadError."""
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(options.path)
        params.hostnames = [str(path)]
        params.n_ctx, params.n_parallel, params.kv_unified = context, slots, True
        params.n_batch = params.n_ubatch = min(batch, context)
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
        params.n_gpu_layers = gpu_layers
        params.n_threads_http = slots + 2
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
            raise options.not_loaded(gpu_layers) from None


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket, for one request."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = str(path)
        self._socket: socket.socket | None = None  # http.client forgets its own once the response has begun
        self._is_shut = False

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)
        if self._is_shut:
            raise ConnectionAbortedError

    def exchange(self, method: str, path: str, body: dict[str, Any] | None) -> http.client.HTTPResponse:
        """Send the request; the response's head has been read."""
        data = None if body is None else json.dumps(body)
        self.request(method, path, data, {"Content-Type": "application/json", "Connection": "close"})
        return self.getresponse()

    def shut(self) -> None:
        """Break the connection off, from any thread; also one that is still to be made."""
        self._is_shut = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def refusal(answer: Any) -> RequestInvalid | EngineFailed:
    """The server's error object as an exception of ours, by its type."""
    error = answer.get("error", {}) if isinstance(answer, dict) else {}
    message = str(error.get("message", "no reason given"))[:500]
    if error.get("type") == "invalid_request_error":
        return RequestInvalid(f"The engine refuses the request: {message}", None)
    return EngineFailed(f"the engine failed: {message}")
