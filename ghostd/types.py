"""Values that cross packages. All are frozen; text is `str`, offsets into files are bytes of UTF-8.

Those that each request makes are structs, which take a tenth of a frozen dataclass's time to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from ghostd.conversation import NO_REASONING, NO_TOOLS, Message, Reasoning, ToolCallDelta, Tools

Capability = Literal["chat", "complete", "fill", "embed"]
Feature = Literal["tools", "vision", "files", "audio", "json", "reasoning"]
"""What a chat request may need beyond text; "json" is a reply that follows a schema."""
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
Verbosity = Literal["low", "medium", "high"]
"""How much a model says."""
VERBOSITIES: tuple[Verbosity, ...] = ("low", "medium", "high")
Trigger = Literal["automatic", "manual"]
"""Who asked: the editor while the user types, or the user (a key, a command, an HTTP request)."""

Priority = Literal["interactive", "speculative", "chat", "warm-up", "embedding"]
"""What a request is for, the most urgent first: an editor waits for it; it may be wanted next; somebody reads along; a
model's cache is got ready; vectors are made in the background."""
PRIORITIES: tuple[Priority, ...] = ("interactive", "speculative", "chat", "warm-up", "embedding")

Prompt = tuple[str | int, ...]
"""Text for a model, in pieces: `str` is plain text, never parsed for special tokens; `int` is a token id.

A marker string such as `<|fim_middle|>` inside a `str` piece stays ordinary text, so text from a repository
cannot inject control tokens. Only a piece of Markup may hold them.
"""


class Markup(str):
    """A text piece of a Prompt whose control tokens are meant as such: the caller has laid the prompt out himself."""

    __slots__ = ()


# --- generation ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are picked. None means the model's default; `temperature` 0 is greedy."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None
    """Alternatives to report for each token; 0 reports only the token taken; None reports nothing."""
    grammar: str | None = None
    """GBNF grammar (llama.cpp `grammars/README.md`)."""
    json_schema: str | None = None
    """JSON schema as JSON text. `{}` asks for any JSON value. At most one of grammar and json_schema is set."""
    optional: bool = False
    """Whether a model that lacks one of the samplers may answer without it; else that is an error. It says nothing of
    what shows in the reply: logprobs, grammar, json_schema."""


class Timeouts(msgspec.Struct, frozen=True, gc=False):
    """How long an upstream may take; enforced where its bytes are read."""

    connect_s: float = 5.0
    """To connect, TLS included."""
    first_byte_s: float = 60.0
    """From the request's last byte to the reply's first."""
    idle_s: float = 60.0
    """Between two reads of the reply."""
    deadline_s: float | None = None
    """Point on the event loop's clock by which the whole reply must have come."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Where a text ends, besides its length and its stop strings; it then ends for "length"."""

    max_ms: float | None = None
    """Milliseconds from its first piece after which it ends, once it has a line break."""
    min_indent: int = 0
    """It ends at the first character of a new line that is indented by fewer spaces and tabs."""


NO_ENDING = Ending()


@dataclass(frozen=True, slots=True)
class LocalSampling:
    """What only this machine's models can be asked for; others refuse it."""

    ignore_end: bool = False
    """Go on after the token that ends a text."""
    text_bias: Mapping[str, float] = field(default_factory=dict)
    """Like Sampling.logit_bias, of each token of a text."""

    @property
    def param(self) -> str | None:
        """llama.cpp's name of what is asked for; None if nothing is."""
        return "ignore_eos" if self.ignore_end else "logit_bias" if self.text_bias else None


PLAIN = LocalSampling()


@dataclass(frozen=True, slots=True)
class DraftSources:
    """What tokens may be drafted from for a local model to verify: the reply is the same, and may come sooner."""

    expected: str = ""
    """What somebody who knows the place holds for the beginning of the reply."""
    texts: tuple[str, ...] = ()
    """Texts like those that the reply may repeat; the most valuable last."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request may claim of a local model that others want, too."""

    priority: Priority = "chat"
    """A more urgent one goes first, and interrupts work that is less urgent."""
    client: str = ""
    """Whose it is: clients of one priority take turns. "" for all who did not say."""
    document: str = ""
    """Requests about one document of a client find each other's prompts in the model's cache; "" for none."""


CHAT = Claim()


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a reply's time went, in milliseconds, as far as the provider tells."""

    queue_ms: float
    """Until the model began with it."""
    prefill_ms: float
    """To read the prompt, as far as it was not cached."""
    decode_ms: float
    """To write the text."""
    drafted_tokens: int = 0
    """That were drafted for the model to check."""
    accepted_tokens: int = 0
    """Of these, part of the text."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A conversation to continue by one assistant message."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    tools: Tools = NO_TOOLS
    reasoning: Reasoning = NO_REASONING
    user: str | None = None
    """The end user's id, for the upstream's abuse detection."""
    timeouts: Timeouts = field(default=Timeouts(), compare=False)
    schema_name: str = "reply"
    """Name of sampling.json_schema, which some dialects want."""
    schema_strict: bool | None = None
    tell_stop: bool = False
    """Whether the reply must say which of `stop` has ended it (Delta.stop_sequence)."""
    verbosity: Verbosity | None = None
    """A mere hint."""
    drafts: DraftSources | None = field(default=None, compare=False)
    claim: Claim = field(default=CHAT, compare=False)


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A prompt to continue; with `suffix` (also "") a hole to fill between prompt and suffix."""

    model: str
    prompt: Prompt
    suffix: str | None = None
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    """None: the model's own limit; 0: nothing is asked of any model, and the text is empty. Also of a FillRequest."""
    stop: tuple[str, ...] = ()
    path: Path | None = None
    """The file the prompt is from: absolute, or relative to `root` (or to any indexed root)."""
    root: Path | None = None
    min_confidence: float | None = None
    """See FillRequest.min_confidence."""
    ending: Ending = NO_ENDING
    local: LocalSampling = PLAIN
    heal: bool = False
    """Whether the prompt ends in the middle of what is being written: where the model writes greedily, its provider may
    take the last tokens back and have them written anew, so that the text goes on as if it had been one."""
    drafts: DraftSources | None = field(default=None, compare=False)
    timeouts: Timeouts = field(default=Timeouts(), compare=False)
    claim: Claim = field(default=CHAT, compare=False)


@dataclass(frozen=True, slots=True)
class OpenDocument:
    """Text of an editor's buffer, which wins over the disk's."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class FillRequest:
    """A hole in a file, between `prefix` and `suffix`, to fill (fill-in-the-middle)."""

    model: str
    prefix: str
    suffix: str = ""
    path: Path | None = None
    """Absolute, or relative to `root`; None for a text that is no file."""
    root: Path | None = None
    language: str | None = None
    """LSP language identifier ("python", "typescriptreact"); None: by the path's extension."""
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    max_lines: int | None = None
    """Lines of text at most; None: the model's own limit."""
    stop: tuple[str, ...] = ()
    trigger: Trigger = "manual"
    min_confidence: float | None = None
    """Show nothing below this estimated probability (0..1) of being what the user will write.
    None: the model's calibrated default; 0: always answer. Models that give no estimate ignore it."""
    open_documents: tuple[OpenDocument, ...] = ()
    """The session's other open buffers, most recently used first."""
    session: str = ""
    """The editor's session, whose open documents stand in for their files; "" for none."""
    quote_documents: bool = False
    """Whether the prompt of a model with FIM tokens may quote the open documents, as far as they fit."""
    halt: bool = False
    """Whether it ends where the code around the cursor says."""
    tidy: bool = False
    """Whether the text is for an editor to show: it ends where the code around the cursor says, and without what
    stands there already. It then comes whole, in one delta."""
    ending: Ending = NO_ENDING
    timeouts: Timeouts = field(default=Timeouts(), compare=False)
    claim: Claim = field(default=CHAT, compare=False)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """Log probability (natural log) of one generated token, with the best alternatives, best first."""

    token_id: int
    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()
    top_ids: tuple[int, ...] = ()
    """Ids of the alternatives, where the provider knows them."""


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one request."""

    prompt_tokens: int
    """All of the prompt, cached ones included."""
    completion_tokens: int
    """All that was generated, reasoning included."""
    cached_tokens: int = 0
    """Of the prompt, read from a cache."""
    cache_write_tokens: int = 0
    """Of the prompt, written to a cache (Anthropic bills them apart)."""
    reasoning_tokens: int = 0
    """Of what was generated, not shown."""


@dataclass(frozen=True, slots=True)
class Delta:
    """A streamed piece of a reply. The last delta of a stream carries `finish_reason` and `usage`."""

    text: str = ""
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    confidence: float | None = None
    """Estimated probability (0..1) that the whole reply is what the user will write; None: no estimate."""
    model: str | None = None
    """The model that answers, where a virtual model was asked; set by the engine on every delta."""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    reasoning: str = ""
    """A piece of the model's thoughts."""
    reasoning_signature: str | None = None
    """Ends the current block of thoughts (Anthropic)."""
    redacted_reasoning: str | None = None
    """A block of encrypted thoughts."""
    refusal: str = ""
    choice: int = 0
    """Which of the generations that a call asks for; set by the engine."""
    tokens: tuple[int, ...] = ()
    """Ids of the tokens that were generated since the last delta, where the provider knows them."""
    stop_sequence: str | None = None
    """The stop text that ended the reply, where the provider tells; on the last delta."""
    counted: Usage | None = None
    """What has been counted so far, where the provider tells: the usage of a text that is cut here."""
    timings: Timings | None = None
    """On the last delta, where the provider tells."""

    def said_by(self, model: str, choice: int = 0) -> Delta:
        """The same delta with its model and choice. Spelled out: `dataclasses.replace` costs several times as much."""
        return Delta(
            self.text,
            self.finish_reason,
            self.usage,
            self.logprobs,
            self.confidence,
            model,
            self.tool_calls,
            self.reasoning,
            self.reasoning_signature,
            self.redacted_reasoning,
            self.refusal,
            choice,
            self.tokens,
            self.stop_sequence,
            self.counted,
            self.timings,
        )


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts (or token sequences) to embed."""

    model: str
    inputs: tuple[Prompt, ...]
    dimensions: int | None = None
    """Length of the vectors; None: the model's own."""
    timeouts: Timeouts = field(default=Timeouts(), compare=False)
    claim: Claim = field(default=CHAT, compare=False)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One unit-length vector for each input, in order."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage


# --- the same dialect in and out --------------------------------------------------

Operation = str
"""A wire dialect and one of its calls: "openai.chat", "openai.completions", "openai.embeddings", "openai.responses",
"openai.moderations", "openai.images.generations", "openai.images.edits", "openai.images.variations",
"openai.audio.speech", "openai.audio.transcriptions", "openai.audio.translations", "anthropic.messages",
"anthropic.count_tokens", "gemini.generate", "mistral.fim", "ollama.chat", "ollama.generate", "ollama.embed",
"llamacpp.infill", … Plug-ins may add their own."""


class RelayRequest(msgspec.Struct, frozen=True):
    """A request whose body goes upstream as the client sent it, but for the model's name and what ghostd must add."""

    operation: Operation
    model: str
    """The provider's own name of the model."""
    body: bytes
    """As the client sent it."""
    fields: Mapping[str, bytes]
    """The JSON body's top-level members, each value as JSON text; empty for other bodies."""
    stream: bool
    with_usage: bool = True
    """Whether the client wants the usage in a stream (OpenAI `stream_options.include_usage`)."""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The client's headers that belong to the dialect, lower case ("anthropic-beta", "openai-organization")."""
    content_type: str = "application/json"
    timeouts: Timeouts = Timeouts()


class Relayed(msgspec.Struct, frozen=True):
    """A piece of a reply in the client's own dialect: the whole body, or one or more whole events of a stream."""

    data: bytes
    last: bool = False
    """Whether the reply is complete; set on exactly the last piece."""
    usage: Usage | None = None
    """Of the whole reply; on the last piece, None where the upstream did not say."""
    finish_reason: str | None = None
    """In the upstream's words; on the last piece."""
    content_type: str = "application/json"
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The upstream's headers that are worth passing on, lower case; on the first piece."""
