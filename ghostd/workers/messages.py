"""What pool and child say to each other, and how it goes over their socket. Standard library only.

A frame is a 4-byte big-endian length and that many bytes of UTF-8 JSON: `[kind, field, …]` with the fields in
the order of the dataclass. Token bytes travel as latin-1 text, vectors as base64 of little-endian float32.
"""

from __future__ import annotations

import json
import struct
from array import array
from base64 import b64decode, b64encode
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

MAX_FRAME_BYTES = 128 * 1024 * 1024
"""Enough for the largest HTTP body allowed by default, and for a batch of embeddings."""

_LENGTH = struct.Struct(">I")


class FrameError(Exception):
    """The other side sent something that is not a message."""


# --- pool → child -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Load:
    """The first message: what to load and how. Answered by Ready or Failed with id 0."""

    path: str
    engine: str
    context_tokens: int
    threads: int
    n_batch: int
    n_gpu_layers: int
    """-1: all."""
    chat_template_timeout_s: float
    scratch: str
    """A folder of mode 0700 for sockets, removed by the pool; "" where the engine needs none."""
    sequences: int = 1
    """Prompts that are kept at once."""
    cache_tokens: int = 0
    """Tokens of all of them together; at least `context_tokens`."""
    draft_tokens: int = 0
    """Of a draft at most; 0: none are drafted."""
    prompts: str = ""
    """A folder of mode 0700 for prompts that outlive the process; "": none do."""
    prompts_bytes: int = 0
    """Of all models' prompts there."""


@dataclass(frozen=True, slots=True)
class Generate:
    """Continue `prompt`, or answer `messages` through the chat template (then `prompt` is empty)."""

    id: int
    prompt: list[str | int | list[str]]
    """Plain texts, token ids, and lists of one text whose control tokens are meant as such."""
    messages: list[dict[str, Any]]
    """`role` and `content`; of assistants `thoughts` and `calls` ([id, name, arguments] each); of tools `call_id`
    and `name`."""
    max_tokens: int | None
    """0: only read the prompt."""
    stop: list[str]
    sampling: dict[str, Any]
    """Fields of ghostd.types.Sampling that are set; `logit_bias` as pairs."""
    tools: dict[str, Any] | None = None
    """`tools` ([name, description, JSON schema as text, strict] each), `choice`, `named` (the one that must be called,
    or None) and `parallel`."""
    effort: str | None = None
    """As in ghostd.conversation.Reasoning; "on" where only a budget of thoughts is given."""
    render_only: bool = False
    """Only lay out the prompt and count it, as a question; answered by Rendered."""
    rank: int = 0
    """Place of its priority in ghostd.types.PRIORITIES: 0 is the most urgent."""
    client: str = ""
    document: str = ""
    """As in ghostd.types.Claim."""


@dataclass(frozen=True, slots=True)
class Embed:
    """Embed each input."""

    id: int
    inputs: list[list[str | int]]
    rank: int = 0
    client: str = ""


@dataclass(frozen=True, slots=True)
class Tokenize:
    """A question, as every message down to Cancel: it is answered between two steps of what the child computes."""

    id: int
    text: str
    special: bool
    """Whether control tokens are recognised in the text."""
    bos: bool
    """Whether to begin with a BOS where the vocabulary asks for one."""


@dataclass(frozen=True, slots=True)
class Detokenize:
    """The bytes of each token."""

    id: int
    tokens: list[int]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop this request; it ends with Ended, or had ended already."""

    id: int


@dataclass(frozen=True, slots=True)
class Finish:
    """End, whatever is computed, after what has been read is saved for the next process."""

    within_s: float


# --- child → pool -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded, has passed its self-test and is calibrated."""

    context_tokens: int
    vocabulary_size: int
    embedding_size: int
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    engine: str
    threads: int
    fim_order: str = ""
    """The order of fill-in-the-middle that the self-test has found; "" where there was nothing to find."""
    fim_works: bool = True
    """Whether what the model wrote into a hole was text."""
    gpu_layers: int = 0
    """Of the model that are on GPUs; the output is one."""
    gpus: str = ""
    """Their names."""


@dataclass(frozen=True, slots=True)
class Loading:
    """How much of the weights the engine has taken in; engines that do not know never send it."""

    percent: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong beside the requests, for the log."""

    what: str


@dataclass(frozen=True, slots=True)
class Progress:
    """The worker has begun with this request, or has read more of its prompt."""

    id: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that is final, and the tokens computed for it."""

    id: int
    text: str
    logprobs: list[list[Any]]
    """[token id, bytes, logprob, [[bytes, logprob, token id], …]] each."""
    tokens: list[int] = field(default_factory=list)
    """Ids of the tokens that were generated since the last piece."""
    prompt_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TurnPiece:
    """What became clear of an assistant's turn that is more than text: thoughts, then text, then calls."""

    id: int
    thoughts: str
    text: str
    calls: list[list[Any]]
    """[index, id, name, arguments] each; id and name in a call's first piece, else None."""
    logprobs: list[list[Any]]
    """As in Piece, of tokens of the answer."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The request is over; `finish_reason` is None when it was cancelled."""

    id: int
    finish_reason: Literal["stop", "length", "tool_calls"] | None
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    thought_tokens: int = 0
    """Of the completion's."""
    stop_text: str | None = None
    """The stop string that ended it."""
    timings_ms: list[float] = field(default_factory=list)
    """Waited since it came here, reading the prompt, writing; [] for one that was cancelled."""
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    """Of those drafted."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """The answer to Embed; the request is over."""

    id: int
    vectors: list[str]
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """The answer to a Generate with `render_only`."""

    id: int
    text: str
    """What the chat template made of messages; "" for a prompt."""
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """The answer to Tokenize."""

    id: int
    tokens: list[int]


@dataclass(frozen=True, slots=True)
class Pieces:
    """The answer to Detokenize: the bytes of each token as latin-1 text."""

    id: int
    pieces: list[str]


FailureKind = Literal["invalid_request", "context_too_long", "failed", "model_invalid"]


@dataclass(frozen=True, slots=True)
class Failed:
    """The request is over, or with id 0 the model cannot be loaded and the process ends."""

    id: int
    kind: FailureKind
    message: str
    param: str | None = None
    numbers: list[int] | None = None
    """For "context_too_long": prompt tokens and context tokens."""


Request = Generate | Embed
Question = Tokenize | Detokenize
"""What the child answers between two steps of its work; so it does a Generate with `render_only`."""
Answer = Tokens | Pieces | Rendered
Message = (
    Load
    | Request
    | Question
    | Cancel
    | Finish
    | Ready
    | Loading
    | Trouble
    | Progress
    | Piece
    | TurnPiece
    | Ended
    | Vectors
    | Answer
    | Failed
)

_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in get_args(Message)}
_FIELDS = {kind: tuple(each.name for each in fields(kind)) for kind in _KINDS.values()}
_encode_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False).encode


def encode(message: Message) -> bytes:
    """The message as one frame. Raises FrameError when it is larger than MAX_FRAME_BYTES."""
    kind = type(message)
    body = _encode_json([kind.__name__, *(getattr(message, name) for name in _FIELDS[kind])]).encode()
    if len(body) > MAX_FRAME_BYTES:
        raise FrameError(f"a message of {len(body)} bytes exceeds the limit of {MAX_FRAME_BYTES}")
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Frames from a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises FrameError."""
        self._buffer += data
        messages: list[Message] = []
        start = 0
        while len(self._buffer) - start >= 4:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {length} bytes exceeds the limit of {MAX_FRAME_BYTES}")
            if len(self._buffer) - start - 4 < length:
                break
            body = bytes(self._buffer[start + 4 : start + 4 + length])
            start += 4 + length
            messages.append(_decode(body))
        del self._buffer[:start]
        return messages


def _decode(body: bytes) -> Message:
    try:
        kind, *values = json.loads(body)
        return _KINDS[kind](*values)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FrameError(f"not a message: {type(error).__name__}") from None


def pack_vector(vector: list[float]) -> str:
    """A vector for Vectors."""
    return b64encode(array("f", vector).tobytes()).decode()


def unpack_vector(text: str) -> tuple[float, ...]:
    """The vector that pack_vector packed."""
    vector = array("f")
    vector.frombytes(b64decode(text))
    return tuple(vector)
