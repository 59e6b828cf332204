"""What a conversation is made of: messages, their parts, tools, and the parts of a streamed reply.

Every upstream dialect translates from these and to them without loss.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "developer", "user", "assistant", "tool"]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
_TEXT_TYPES = frozenset(
    f"application/{name}"
    for name in ("javascript", "json", "sql", "toml", "x-httpd-php", "x-javascript", "x-sh", "x-yaml", "xml", "yaml")
)
"""Media types of texts, beside text/…"""


def is_text(media_type: str) -> bool:
    """Whether documents of the type are text that every model can read."""
    return media_type.startswith("text/") or media_type in _TEXT_TYPES


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text."""

    text: str
    cache_ttl: str | None = None
    """Anthropic `cache_control` breakpoint behind this part: its ttl ("5m", "1h"); None: no breakpoint."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image: exactly one of `url` and `data` is set."""

    url: str | None = None
    data: str | None = None
    """Base64."""
    media_type: str = "image/png"
    detail: str | None = None
    """OpenAI's "low", "high", "auto"."""
    cache_ttl: str | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A document, such as a PDF: exactly one of `url`, `data` and `file_id` is set."""

    url: str | None = None
    data: str | None = None
    """Base64; text documents (media type text/plain) hold their text itself."""
    file_id: str | None = None
    """The upstream's own id of an uploaded file."""
    media_type: str = "application/pdf"
    name: str | None = None
    cache_ttl: str | None = None

    @property
    def text(self) -> str | None:
        """What a document of text says, for models that take no others; None where it is none, or is not here."""
        if self.data is None or self.media_type == "text/plain":
            return self.data
        if not is_text(self.media_type):
            return None
        try:
            return base64.b64decode(self.data, validate=True).decode("utf-8")
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Audio:
    """Recorded sound."""

    data: str
    """Base64."""
    format: str
    """"wav", "mp3", …"""


@dataclass(frozen=True, slots=True)
class Thinking:
    """A model's reasoning, as it must be sent back in a tool loop."""

    text: str = ""
    signature: str | None = None
    """The upstream's proof that it wrote the text."""
    redacted: str | None = None
    """Encrypted reasoning instead of text (Anthropic `redacted_thinking`)."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool."""

    id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it: it need not be valid."""
    signature: str | None = None
    """Proof that goes back with the call (Gemini `thoughtSignature`)."""
    cache_ttl: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool said, to the call of this id. In messages of role "tool"."""

    call_id: str
    content: tuple[Text | Image | File, ...]
    is_error: bool = False
    name: str | None = None
    """The tool's name where the dialect repeats it."""
    cache_ttl: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The assistant's refusal, in the model's words."""

    text: str


Part = Text | Image | File | Audio | Thinking | ToolCall | ToolResult | Refusal


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Role "assistant" holds Text, Thinking, ToolCall and Refusal; "tool" holds ToolResults only; the others hold
    Text, Image, File and Audio. A `str` content is one Text.
    """

    role: Role
    content: str | tuple[Part, ...]
    name: str | None = None
    """The participant's name."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The content as parts."""
        return (Text(self.content),) if isinstance(self.content, str) else self.content

    @property
    def text(self) -> str:
        """The text parts, a line break between two."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, Text | Refusal))


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call."""

    name: str
    description: str = ""
    parameters: str = '{"type":"object","properties":{}}'
    """JSON schema as JSON text."""
    strict: bool | None = None
    cache_ttl: str | None = None


ToolChoice = Literal["auto", "none", "required"]


@dataclass(frozen=True, slots=True)
class NamedTool:
    """The one tool that must be called."""

    name: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How much the model should think before it answers; at most one of both is set, None: the model's default."""

    effort: ReasoningEffort | None = None
    budget_tokens: int | None = None
    """Anthropic's and Gemini's budget; 0 turns thinking off."""
    include: bool = False
    """Whether the reply should show (a summary of) the thoughts."""
    optional: bool = False
    """Whether a model that cannot think so may answer as it can; else it is an error."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of a request."""

    tools: tuple[Tool, ...] = ()
    choice: ToolChoice | NamedTool | None = None
    parallel: bool | None = None
    """Whether several calls may come in one message; None: the model's default."""
    strict_optional: bool = False
    """Whether a service that holds no call to its schema may answer all the same; else `strict` is an error there."""


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A streamed piece of one tool call; id and name come once, in its first piece."""

    index: int
    """Counts the message's calls from 0."""
    arguments: str = ""
    id: str | None = None
    name: str | None = None
    signature: str | None = None


NO_TOOLS = Tools()
NO_REASONING = Reasoning()
