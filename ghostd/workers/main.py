"""The child process: `python -m ghostd.workers.main FD PARENT_PID`. Nothing else imports a native engine.

One thread reads the socket and notices a cancellation at once; the main thread computes and is the only one to
write. The process ends with its parent, with its socket, or when the model cannot be loaded.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostd.text_stream import TextStream
from ghostd.workers.calibration import calibrate
from ghostd.workers.engines.contract import (
    Engine,
    EngineFailed,
    GenerationOptions,
    Interrupted,
    LoadError,
    LoadOptions,
    RequestInvalid,
    Step,
)
from ghostd.workers.fim_test import FimFinding, try_fill
from ghostd.workers.gguf_header import GgufHeader, read_header
from ghostd.workers.gguf_reader import HeaderError
from ghostd.workers.grammar_bounds import check_grammar
from ghostd.workers.inbox import Inbox
from ghostd.workers.json_schema import checked_schema
from ghostd.workers.messages import (
    Answer,
    Detokenize,
    Embed,
    Ended,
    Failed,
    Generate,
    Load,
    Loading,
    Message,
    Pieces,
    Progress,
    Question,
    Ready,
    Rendered,
    Tokenize,
    Tokens,
    Vectors,
    encode,
    pack_vector,
)
from ghostd.workers.prompts import PromptEncoder
from ghostd.workers.reply import Reply, TurnReply

if TYPE_CHECKING:
    from ghostd.workers.turns.turn import Turn, Turns

_PR_SET_PDEATHSIG = 1
_OOM_SCORE_ADJ = "800"
"""Of -1000 to 1000: where memory runs out, a model goes before the user's other programs."""
_SWITCH_INTERVAL_S = 0.001
_EXIT_LOAD_FAILED = 3
_BINDING = {"json_schema": "response_format", "grammar": "grammar"}
"""Fields of sampling that bind the whole reply, and the parameter that sets them."""


class Worker:
    """Answers requests with one loaded model."""

    def __init__(self, connection: socket.socket, inbox: Inbox, load: Load) -> None:
        self._connection = connection
        self._inbox = inbox
        self._load = load
        self._header = _checked_header(Path(load.path))
        self._percent = 0
        self._engine = _load_engine(load, self._header, self._tell_progress)
        inbox.serve(self._engine)
        self._encoder = PromptEncoder(
            self._header,
            lambda text, special: self._engine.tokenize(text, special=special),
            self._engine.vocabulary_size,
        )
        self._turns: Turns | None = None

    def ready(self) -> Ready:
        """Test and calibrate the model. Raises LoadError when it cannot compute."""
        try:
            speeds = calibrate(self._engine, self._load.n_batch, embedding_only=self._header.embedding_only)
            fim = FimFinding()
            if not self._header.embedding_only:
                fim = try_fill(self._engine, self._header, self._encoder)
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
        )

    def _tell_progress(self, done: float) -> None:
        percent = int(done * 100)
        if percent > self._percent:
            self._percent = percent
            self.send(Loading(percent))

    def send(self, message: Message) -> None:
        """Send to the pool."""
        self._connection.sendall(encode(message))

    def answer(self, request: Generate | Embed) -> None:
        """Serve one request to its last message."""
        if not self._inbox.begin(request.id):
            self.send(Ended(request.id, None, 0, 0, 0))
            return
        try:
            if isinstance(request, Embed):
                self._embed(request)
            else:
                self._generate(request)
        except RequestInvalid as error:
            self.send(Failed(request.id, "invalid_request", str(error), error.param))
        except EngineFailed as error:
            self.send(Failed(request.id, "failed", str(error)))
        except Interrupted:
            self.send(Ended(request.id, None, 0, 0, 0))
        finally:
            self._inbox.end()

    def answer_questions(self) -> None:
        """Answer what has been asked about tokens; cheap if nothing has."""
        for question in self._inbox.questions():
            try:
                self.send(self._answer_to(question))
            except RequestInvalid as error:
                self.send(Failed(question.id, "invalid_request", str(error), error.param))
            except EngineFailed as error:
                self.send(Failed(question.id, "failed", str(error)))

    def _answer_to(self, question: Question | Generate) -> Answer:
        if isinstance(question, Tokenize):
            ids = self._encoder.encode_text(question.text, special=question.special, bos=question.bos)
            return Tokens(question.id, ids)
        if isinstance(question, Detokenize):
            self._encoder.check(question.tokens, "tokens")
            return Pieces(question.id, [piece.decode("latin-1") for piece in self._engine.pieces(question.tokens)])
        turn, prompt = self._laid_out(question)
        text = "".join(text for text, _ in turn.segments) if turn is not None else ""
        return Rendered(question.id, text, len(prompt))

    def _with_questions(self, steps: Iterator[Step]) -> Iterator[Step]:
        for step in steps:
            self.answer_questions()
            yield step

    def _generate(self, request: Generate) -> None:
        turn, prompt = self._laid_out(request)
        if not prompt:
            raise RequestInvalid("The prompt is empty, and this model needs at least one token.", "prompt")
        room = self._engine.context_tokens - len(prompt)
        if room < 1:
            self._too_long(request.id, len(prompt), self._engine.context_tokens, request)
            return
        wanted = room if request.max_tokens is None else min(request.max_tokens, room)
        options = _options(request.sampling, wanted, self._engine)
        reply: Reply | TurnReply = Reply(self.send, request.id, len(prompt), TextStream(request.stop))
        if turn is not None and turn.reader is not None:
            reply = TurnReply(self.send, request.id, len(prompt), turn.reader, request.stop)
            options = replace(options, late_grammar=turn.late, markers=turn.markers)
            if turn.grammar is not None:
                options = replace(options, grammar=turn.grammar, grammar_param="tools")
        steps = self._engine.generate(prompt, options)
        try:
            reply.follow(self._with_questions(steps))
        finally:
            _close(steps)

    def _laid_out(self, request: Generate) -> tuple[Turn | None, list[int]]:
        """The turn that messages ask for, and the prompt's tokens."""
        if not request.messages:
            return None, self._encoder.encode(request.prompt)
        bound = next((param for key, param in _BINDING.items() if request.sampling.get(key) is not None), None)
        turn = self._chats().turn(request.messages, request.tools, request.effort, bound)
        return turn, self._encoder.encode_rendered(turn.segments)

    def _chats(self) -> Turns:
        if self._turns is None:
            from ghostd.workers.chat_template import ChatTemplate
            from ghostd.workers.turns.turn import Turns

            if self._header.chat_template is None:
                raise RequestInvalid("The model has no chat template.", "model")

            def template(source: str) -> ChatTemplate:
                return ChatTemplate(
                    source,
                    bos=self._header.bos_text,
                    eos=self._header.eos_text,
                    special_texts=self._header.special_texts,
                    timeout_s=self._load.chat_template_timeout_s,
                )

            with_tools = self._header.tool_template
            self._turns = Turns(template(self._header.chat_template), template(with_tools) if with_tools else None)
        return self._turns

    def _embed(self, request: Embed) -> None:
        limit = self._engine.embedding_context_tokens
        if not all(any(piece != "" for piece in pieces) for pieces in request.inputs):
            raise RequestInvalid("An input to embed is empty.", "input")
        prompts = [self._encoder.encode_input(pieces) for pieces in request.inputs]
        longest = max(map(len, prompts), default=0)
        if longest > limit:
            self._too_long(request.id, longest, limit, request)
            return
        vectors = []
        for prompt in prompts:
            vectors.append(pack_vector(self._engine.embed(prompt)))
            self.send(Progress(request.id))
            self.answer_questions()
        self.send(Vectors(request.id, vectors, sum(map(len, prompts))))

    def _too_long(self, request_id: int, prompt_tokens: int, limit: int, request: Generate | Embed) -> None:
        param = "input" if isinstance(request, Embed) else "messages" if request.messages else "prompt"
        self.send(Failed(request_id, "context_too_long", "", param, [prompt_tokens, limit]))


def _options(sampling: dict[str, Any], max_tokens: int, engine: Engine) -> GenerationOptions:
    bias = {int(token): float(value) for token, value in sampling.pop("logit_bias", ())}
    for token in bias:
        if not 0 <= token < engine.vocabulary_size:
            raise RequestInvalid(
                f"The token id {token} is not in the model's vocabulary (0 to {engine.vocabulary_size - 1}).",
                "logit_bias",
            )
    for text, value in sampling.pop("text_bias", ()):
        bias.update(dict.fromkeys(engine.tokenize(text, special=False), float(value)))
    if (schema := sampling.pop("json_schema", None)) is not None:
        sampling["json_schema"] = checked_schema(schema)
    if (grammar := sampling.get("grammar")) is not None:
        check_grammar(grammar)
    return replace(GenerationOptions(max_tokens), logit_bias=bias, **sampling)


def _close(steps: Iterator[Step]) -> None:
    close = getattr(steps, "close", None)
    if close is not None:
        close()


def _checked_header(path: Path) -> GgufHeader:
    try:
        return read_header(path)
    except (HeaderError, OSError) as error:
        raise LoadError(str(error)) from None


def _load_engine(load: Load, header: GgufHeader, on_progress: Callable[[float], None]) -> Engine:
    options = LoadOptions(
        path=Path(load.path),
        context_tokens=load.context_tokens,
        trained_tokens=header.context_tokens,
        threads=load.threads,
        n_batch=load.n_batch,
        n_gpu_layers=load.n_gpu_layers,
        embedding_only=header.embedding_only,
        causal=header.causal,
        pooling=header.pooling,
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
    """Serve the pool at the other end of the socket `fd` until it closes."""
    _tie_to_parent(parent_pid)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)  # the reader must get a word in between two tokens
    connection = socket.socket(fileno=fd)
    inbox = Inbox(connection)
    inbox.start()
    load = inbox.work.get()
    assert isinstance(load, Load)
    try:
        worker = Worker(connection, inbox, load)
        worker.send(worker.ready())
    except LoadError as error:
        connection.sendall(encode(Failed(0, "model_invalid", str(error))))
        os._exit(_EXIT_LOAD_FAILED)
    while True:
        request = inbox.work.get()
        assert not isinstance(request, Load)
        if request is None:
            worker.answer_questions()
        else:
            worker.answer(request)


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]))
