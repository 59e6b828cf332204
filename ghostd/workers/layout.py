"""From a request to what the engine takes: prompts laid out and counted, options checked. Answers questions, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ghostd.text_stream import TextStream
from ghostd.workers.engines.contract import Engine, GenerationOptions, RequestInvalid
from ghostd.workers.gguf_header import GgufHeader
from ghostd.workers.grammar_bounds import check_grammar
from ghostd.workers.json_schema import checked_schema
from ghostd.workers.messages import (
    Answer,
    Detokenize,
    Embed,
    Generate,
    Message,
    Pieces,
    Question,
    Rendered,
    Tokenize,
    Tokens,
)
from ghostd.workers.prompts import PromptEncoder
from ghostd.workers.reply import Reply, TurnReply

if TYPE_CHECKING:
    from ghostd.workers.turns.turn import Turn, Turns

_BINDING = {"json_schema": "response_format", "grammar": "grammar"}
"""Fields of sampling that bind the whole reply, and the parameter that sets them."""


class TooLong(Exception):
    """The prompt has more tokens than fit; `param` names the field."""

    def __init__(self, prompt_tokens: int, limit: int, param: str) -> None:
        super().__init__()
        self.numbers = [prompt_tokens, limit]
        self.param = param


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A generation that can begin."""

    prompt: list[int]
    options: GenerationOptions
    reply: Reply | TurnReply

    @property
    def tokens(self) -> int:
        """Of the prompt and the longest reply."""
        return len(self.prompt) + self.options.max_tokens


class Layout:
    """Lays out requests for one model."""

    def __init__(
        self, engine: Engine, header: GgufHeader, chat_template_timeout_s: float, send: Callable[[Message], None]
    ) -> None:
        self._engine = engine
        self._header = header
        self._chat_template_timeout_s = chat_template_timeout_s
        self._send = send
        self.encoder = PromptEncoder(
            header, lambda text, special: engine.tokenize(text, special=special), engine.vocabulary_size
        )
        self._turns: Turns | None = None

    def generation(self, request: Generate) -> LaidOut:
        """Raises RequestInvalid, TooLong, EngineFailed."""
        turn, prompt = self._laid_out(request)
        if not prompt:
            raise RequestInvalid("The prompt is empty, and this model needs at least one token.", "prompt")
        room = self._engine.context_tokens - len(prompt)
        if room < 1:
            param = "messages" if request.messages else "prompt"
            raise TooLong(len(prompt), self._engine.context_tokens, param)
        wanted = room if request.max_tokens is None else min(request.max_tokens, room)
        options = _options(request.sampling, wanted, self._engine)
        reply: Reply | TurnReply = Reply(self._send, request.id, len(prompt), TextStream(request.stop))
        if turn is not None and turn.reader is not None:
            reply = TurnReply(self._send, request.id, len(prompt), turn.reader, request.stop)
            options = replace(options, late_grammar=turn.late, markers=turn.markers)
            if turn.grammar is not None:
                options = replace(options, grammar=turn.grammar, grammar_param="tools")
        return LaidOut(prompt, options, reply)

    def inputs(self, request: Embed) -> list[list[int]]:
        """Raises RequestInvalid, TooLong, EngineFailed."""
        limit = self._engine.embedding_context_tokens
        if not all(any(piece != "" for piece in pieces) for pieces in request.inputs):
            raise RequestInvalid("An input to embed is empty.", "input")
        prompts = [self.encoder.encode_input(pieces) for pieces in request.inputs]
        longest = max(map(len, prompts), default=0)
        if longest > limit:
            raise TooLong(longest, limit, "input")
        return prompts

    def answer(self, question: Question | Generate) -> Answer:
        """Raises RequestInvalid and EngineFailed."""
        if isinstance(question, Tokenize):
            ids = self.encoder.encode_text(question.text, special=question.special, bos=question.bos)
            return Tokens(question.id, ids)
        if isinstance(question, Detokenize):
            self.encoder.check(question.tokens, "tokens")
            return Pieces(question.id, [piece.decode("latin-1") for piece in self._engine.pieces(question.tokens)])
        turn, prompt = self._laid_out(question)
        text = "".join(text for text, _ in turn.segments) if turn is not None else ""
        return Rendered(question.id, text, len(prompt))

    def _laid_out(self, request: Generate) -> tuple[Turn | None, list[int]]:
        """The turn that messages ask for, and the prompt's tokens."""
        if not request.messages:
            return None, self.encoder.encode(request.prompt)
        bound = next((param for key, param in _BINDING.items() if request.sampling.get(key) is not None), None)
        turn = self._chats().turn(request.messages, request.tools, request.effort, bound)
        return turn, self.encoder.encode_rendered(turn.segments)

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
                    timeout_s=self._chat_template_timeout_s,
                )

            with_tools = self._header.tool_template
            self._turns = Turns(template(self._header.chat_template), template(with_tools) if with_tools else None)
        return self._turns


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
    if references := sampling.pop("references", ()):
        sampling["references"] = tuple(references)
    if (schema := sampling.pop("json_schema", None)) is not None:
        sampling["json_schema"] = checked_schema(schema)
    if (grammar := sampling.get("grammar")) is not None:
        check_grammar(grammar)
    return replace(GenerationOptions(max_tokens), logit_bias=bias, **sampling)
