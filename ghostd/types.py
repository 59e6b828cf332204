"""Values that cross packages. All are frozen; text is `str`, offsets into files are bytes of UTF-8.

Those that each request makes are structs, which take a tenth of a frozen dataclass's time to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from ghostd.conversation import NO_REASONING, NO_TOOLS, Message, Reasoning, ToolCallDelta, Tools

Capability = Literal["chat", "complete", "fill", "embed"]
Feature = Literal["tools", "vision", "files", "audio", "json", "reasoning"]
"""What a chat request may need beyond text; "json" is a reply that follows a schema."""
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
Trigger = Literal["automatic", "manual"]
"""Who asked: the editor while the user types, or the user (a key, a command, an HTTP request)."""

Prompt = tuple[str | int, ...]
"""Text for a model, in pieces: `str` is plain text, never parsed for special tokens; `int` is a token id.

A marker string such as `<|fim_middle|>` inside a `str` piece stays ordinary text, so text from a repository
cannot inject control tokens. Only a piece of Markup may hold them.
"""


class Markup(str):
    """A text piece of a Prompt whose control tokens are meant as such: the caller has laid the prompt out himself."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open byte range of one version of one file."""

    start: int
    end: int


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


class Timeouts(msgspec.Struct, frozen=True):
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
    timeouts: Timeouts = field(default=Timeouts(), compare=False)


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
    quote_documents: bool = False
    """Whether the prompt of a model with FIM tokens may quote the open documents, as far as they fit."""
    ending: Ending = NO_ENDING
    timeouts: Timeouts = field(default=Timeouts(), compare=False)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """Log probability (natural log) of one generated token, with the best alternatives, best first."""

    token_id: int
    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()
    top_ids: tuple[int, ...] = ()
    """Ids of the alternatives, where the provider knows them."""


class Usage(msgspec.Struct, frozen=True):
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
        )


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts (or token sequences) to embed."""

    model: str
    inputs: tuple[Prompt, ...]
    dimensions: int | None = None
    """Length of the vectors; None: the model's own."""
    timeouts: Timeouts = field(default=Timeouts(), compare=False)


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


# --- models -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FimVocabulary:
    """A model's fill-in-the-middle tokens, read from its vocabulary and never guessed from its name.

    `ids` maps each FIM marker text that is a token of the vocabulary to its id, e.g.
    {"<|fim_prefix|>": 151659, …}; `completion.families` decides order and form from them.
    """

    ids: Mapping[str, int]
    architecture: str = ""
    bos_id: int | None = None
    """Beginning-of-sequence token, where the vocabulary says that prompts start with one."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a provider offers under one name."""

    id: str
    owned_by: str
    capabilities: frozenset[Capability]
    created: int = 0
    """Seconds since the epoch."""
    context_tokens: int | None = None
    fim: FimVocabulary | None = None
    path: Path | None = None
    size_bytes: int | None = None
    state: Literal["ready", "unloaded", "loading", "failed"] = "ready"
    detail: str = ""
    """One line for people: why it failed, its calibrated speed, …"""
    features: frozenset[Feature] | None = None
    """What it can do beyond text; None where nobody knows, which is taken for everything."""
    relays: frozenset[Operation] = frozenset()
    """Operations that its provider takes as the client sent them."""
    remote: bool = False
    """Whether requests leave this machine."""
    max_output_tokens: int | None = None
    source: str = ""
    """Where a found model came from: "models folder", "ollama store", "configuration", …"""
    family: str = ""
    """Its architecture or family ("llama", "qwen3"), where that is known; likewise below."""
    parameter_size: str = ""
    """For people: "7.6B"."""
    quantization: str = ""
    """In GGUF's words: "Q4_K_M"."""
    digest: str = ""
    """SHA-256 that the server gives the model, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory."""

    info: ModelInfo
    memory_bytes: int
    """Estimated."""
    expires_s: float | None
    """When it is unloaded unless it is used before, in seconds since the epoch; None: not while ghostd runs."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What a model's file says about itself."""

    keys: Mapping[str, str | int | float | bool]
    """GGUF's keys, without the arrays, which are large."""
    chat_template: str = ""
    license: str = ""


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a model's download is."""

    status: str
    """In words."""
    digest: str = ""
    """SHA-256 of the file that is being fetched; "" between files."""
    total_bytes: int = 0
    """Of that file."""
    completed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class KeyState:
    """One key of a provider, without its value."""

    reference: str
    """As configured, e.g. "keyring:openai"; for a command its first word only."""
    state: Literal["ready", "resting", "missing", "unused"]
    detail: str = ""
    """Why it rests or is missing, and until when."""


# --- the ledger ---------------------------------------------------------------------


class LedgerRow(msgspec.Struct, frozen=True):
    """What one request was and cost. It holds no prompt, no reply and no secret."""

    id: str
    """Unique: the request's own, made by ghostd."""
    time_s: float
    """When it began, in seconds since the epoch."""
    operation: str
    """"openai.chat", "fill", …"""
    client: str
    """Who asked: the client's own name, from `x-client`, Zeke's tags or its user agent; "" if unknown."""
    project: str
    """`x-project`, Zeke's tags, or the root's path; "" if unknown."""
    model: str
    """As asked."""
    route: str
    """The route it resolved to; "" if the request never got so far."""
    deployment: str
    """What answered, e.g. "openai/gpt-4.1"; "" if none did."""
    provider: str
    status: Literal["ok", "partial", "error", "cancelled", "refused"]
    """partial: broke off after the first byte; cancelled: the client left; refused: the caller's mistake."""
    http_status: int
    error: str = ""
    """Class name of the error."""
    attempts: int = 1
    stream: bool = False
    latency_ms: float = 0.0
    """Until the last byte."""
    first_byte_ms: float | None = None
    prompt_tokens: int | None = None
    """None where nobody said; the other token counts likewise."""
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    """None where the price is unknown, never 0 for that."""
    cache: Literal["", "hit", "miss"] = ""
    """ghostd's own reply cache; "" where none was asked."""
    reason: str = ""
    """Why it went where it went."""
    experiment: str = ""
    """"name/arm" of an A/B split."""
    session: str = ""
    """A/B subject, hashed."""
    features: str = ""
    """The router's features as JSON, for the replay of policies; no text of the request."""


OutcomeKind = Literal["shown", "accepted", "thumb"]
"""shown: a completion was put before the user; accepted: and taken; thumb: the user's verdict."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a reply after it was given; the last one of a kind counts."""

    id: str
    """Unique: made by ghostd."""
    request_id: str
    """LedgerRow.id."""
    time_s: float
    """Seconds since the epoch."""
    kind: OutcomeKind
    value: float = 1.0
    """1 for yes; of a thumb +1 (up) or -1 (down)."""


# --- index --------------------------------------------------------------------

SymbolKind = Literal[
    "class", "function", "method", "variable", "constant", "field", "enum", "enum_member", "interface",
    "type", "struct", "trait", "module", "macro", "property", "union", "test",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition in one file."""

    name: str
    kind: SymbolKind
    path: PurePosixPath
    """Relative to the root."""
    span: Span
    """The whole definition."""
    name_span: Span
    line: int
    """1-based line of the name."""
    container: str = ""
    """Dotted names of the enclosing definitions in this file; "" at the top level."""
    signature: str = ""
    """The definition's head on one line, at most 200 characters, without its body."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A use of a name."""

    name: str
    path: PurePosixPath
    span: Span
    line: int


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement's target, as written."""

    path: PurePosixPath
    module: str
    """"package.module", "./file", "std::collections", "<stdio.h>" as "stdio.h"."""
    names: tuple[str, ...]
    """Imported names, empty for a whole module; "*" for all."""
    line: int


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """One file as the index saw it."""

    path: PurePosixPath
    language: str
    size_bytes: int
    mtime_ns: int
    content_hash: bytes
    """BLAKE2b-128 of the bytes."""


@dataclass(frozen=True, slots=True)
class Skip:
    """A path that was left out, with the reason in words that name the limit or rule."""

    path: PurePosixPath
    reason: str


@dataclass(frozen=True, slots=True)
class RootStatus:
    """One indexed root, now."""

    root: Path
    state: Literal["scanning", "indexing", "ready", "failed"]
    files: int
    symbols: int
    generation: int
    pending: int = 0
    """Files still to be parsed."""
    skipped: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one complete pass over a root did."""

    root: Path
    files: int
    parsed: int
    """Files whose content had changed since the last pass."""
    symbols: int
    references: int
    imports: int
    size_bytes: int
    seconds: float
    skips: tuple[Skip, ...]
    """Ignored paths (by .gitignore and the like) are not skips."""


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """One committed transaction of a root's index."""

    root: Path
    generation: int
    changed: tuple[PurePosixPath, ...]
    removed: tuple[PurePosixPath, ...]
