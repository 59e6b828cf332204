"""Values that cross packages. All are frozen; text is `str`, offsets into files are bytes of UTF-8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

Role = Literal["system", "developer", "user", "assistant", "tool"]
Capability = Literal["chat", "complete", "fill", "embed"]
FinishReason = Literal["stop", "length"]
Trigger = Literal["automatic", "manual"]
"""Who asked: the editor while the user types, or the user (a key, a command, an HTTP request)."""

Prompt = tuple[str | int, ...]
"""Text for a model, in pieces: `str` is plain text, never parsed for special tokens; `int` is a token id.

A marker string such as `<|fim_middle|>` inside a `str` piece stays ordinary text, so text from a repository
cannot inject control tokens.
"""


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


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. First form: text only."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A conversation to continue by one assistant message."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A prompt to continue; with `suffix` (also "") a hole to fill between prompt and suffix."""

    model: str
    prompt: Prompt
    suffix: str | None = None
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    path: Path | None = None
    """The file the prompt is from: absolute, or relative to `root` (or to any indexed root)."""
    root: Path | None = None
    min_confidence: float | None = None
    """See FillRequest.min_confidence."""


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


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """Log probability (natural log) of one generated token, with the best alternatives, best first."""

    token_id: int
    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request; `cached_tokens` of the prompt were not computed again."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


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

    def said_by(self, model: str) -> Delta:
        """The same delta with its model. Spelled out: `dataclasses.replace` costs several times as much."""
        return Delta(self.text, self.finish_reason, self.usage, self.logprobs, self.confidence, model)


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts (or token sequences) to embed."""

    model: str
    inputs: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One unit-length vector for each input, in order."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage


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
