"""What a route says of itself in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Doc:
    """One operation. Types are msgspec structs, or anything else whose JSON schema msgspec can tell."""

    summary: str
    """One line, without a full stop."""
    tag: str = "OpenAI"
    """The group that it is listed in."""
    description: str = ""
    body: Any = None
    """The type of the JSON body; None: it takes none."""
    form: Mapping[str, str] | None = None
    """Fields of a multipart/form-data body and what they are; "file" in the text makes it a file."""
    required: Sequence[str] = ()
    """Fields of the form that must be there."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the query and what they are; all are optional."""
    path: Mapping[str, str] = field(default_factory=dict)
    """What the parts of the path in braces are. A route of a prefix has `id` at its end."""
    reply: Any = None
    """The type of the JSON reply; None: any JSON."""
    media: str = JSON
    """The type of a reply that is no JSON."""
    status: int = 200
    streams: str = ""
    """The media type of a streamed reply."""
    event: Any = None
    """The type of a stream's events."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Smallest and largest value of members of the body."""
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What members of the body may say."""
    absent: bool = False
    """Whether it only says that ghostd does not offer it; then it is not listed."""
