"""The child process: `python -m ghostd.workers.main FD PARENT_PID`. Nothing else imports a native engine.

One thread reads the socket and breaks into what is computed where something cannot wait; the main thread computes and
is the only one to write. The process ends with its parent, with its socket, or when the model cannot be loaded.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ghostd.workers.calibration import calibrate
from ghostd.workers.engines.contract import Engine, EngineFailed, LoadError, LoadOptions, RequestInvalid, SavedIn
from ghostd.workers.fim_test import FimFinding, try_fill
from ghostd.workers.gguf_header import GgufHeader, read_header
from ghostd.workers.gguf_reader import HeaderError
from ghostd.workers.inbox import Inbox
from ghostd.workers.layout import Layout
from ghostd.workers.messages import Failed, Load, Loading, Message, Ready, Trouble, encode
from ghostd.workers.scheduler import Scheduler

_PR_SET_PDEATHSIG = 1
_OOM_SCORE_ADJ = "800"
"""Of -1000 to 1000: where memory runs out, a model goes before the user's other programs."""
_SWITCH_INTERVAL_S = 0.001
_EXIT_LOAD_FAILED = 3


class Worker:
    """One loaded model."""

    def __init__(self, connection: socket.socket, inbox: Inbox, load: Load) -> None:
        """Raises LoadError."""
        self._connection = connection
        self._load = load
        self._header = _checked_header(Path(load.path))
        self._percent = 0
        self._engine = _load_engine(load, self._header, self._tell_progress, lambda what: self.send(Trouble(what)))
        self._layout = Layout(self._engine, self._header, load.chat_template_timeout_s, self.send)
        self.scheduler = Scheduler(self._engine, self._layout, inbox, self.send)
        inbox.serve(self._engine)

    def ready(self) -> Ready:
        """Test and calibrate the model. Raises LoadError when it cannot compute."""
        try:
            speeds = calibrate(self._engine, self._load.n_batch, embedding_only=self._header.embedding_only)
            fim = FimFinding()
            if not self._header.embedding_only:
                fim = try_fill(self._engine, self._header, self._layout.encoder)
            if self._load.prompts:
                self._engine.find_prompts()
        except (EngineFailed, RequestInvalid) as error:
            raise LoadError(f"its self-test failed: {error}") from None
        return Ready(
            context_tokens=self._engine.context_tokens,
            vocabulary_size=self._engine.vocabulary_size,
            embedding_size=self._engine.embedding_size,
            prefill_tokens_per_s=speeds.prefill_tokens_per_s,
            decode_tokens_per_s=speeds.decode_tokens_per_s,
            engine=self._engine.name,
            threads=self._load.threads,
            fim_order=fim.order or "",
            fim_works=fim.works,
            gpu_layers=self._engine.gpu_layers,
            gpus=self._engine.gpus,
        )

    def _tell_progress(self, done: float) -> None:
        percent = int(done * 100)
        if percent > self._percent:
            self._percent = percent
            self.send(Loading(percent))

    def send(self, message: Message) -> None:
        """Send to the pool."""
        self._connection.sendall(encode(message))


def _checked_header(path: Path) -> GgufHeader:
    try:
        return read_header(path)
    except (HeaderError, OSError) as error:
        raise LoadError(str(error)) from None


def _load_engine(
    load: Load, header: GgufHeader, on_progress: Callable[[float], None], tell: Callable[[str], None]
) -> Engine:
    options = LoadOptions(
        path=Path(load.path),
        context_tokens=load.context_tokens,
        trained_tokens=header.context_tokens,
        threads=load.threads,
        n_batch=load.n_batch,
        n_gpu_layers=load.n_gpu_layers,
        blocks=header.blocks,
        embedding_only=header.embedding_only,
        causal=header.causal,
        pooling=header.pooling,
        sequences=load.sequences,
        cache_tokens=load.cache_tokens,
        draft_tokens=load.draft_tokens,
        prompts=SavedIn(Path(load.prompts), load.prompts_bytes, tell) if load.prompts else None,
        on_progress=on_progress,
    )
    if load.engine == "xllamacpp":
        from ghostd.workers.engines.xllamacpp import XllamaCppEngine

        return XllamaCppEngine(options, Path(load.scratch))
    from ghostd.workers.engines.llama_cpp import LlamaCppEngine

    return LlamaCppEngine(options)


def _tie_to_parent(parent_pid: int) -> None:
    """Die with the daemon, also when that is killed; be the first to go when memory runs out (both Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE_ADJ)
    if os.getppid() != parent_pid:  # it died before the tie was made
        os._exit(0)


def run(fd: int, parent_pid: int) -> None:
    """Serve the pool at the other end of the socket `fd` until it closes, or says Finish."""
    _tie_to_parent(parent_pid)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)  # the reader must get a word in between two tokens
    connection = socket.socket(fileno=fd)
    inbox = Inbox(connection)
    inbox.start()
    load = inbox.load()
    try:
        worker = Worker(connection, inbox, load)
        worker.send(worker.ready())
    except LoadError as error:
        connection.sendall(encode(Failed(0, "model_invalid", str(error))))
        os._exit(_EXIT_LOAD_FAILED)
    worker.scheduler.run()
    os._exit(0)  # at once: what an orderly end of the engine frees is gone with the process


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]))
