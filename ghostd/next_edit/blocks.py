"""What a source text is made of: functions, types and other blocks. Offsets are characters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Function:
    """A function with a list of parameters."""

    name: str
    """"" for one without a name."""
    name_start: int
    head: int
    """Where the list's "(" is; for a lambda without one, where its parameters start."""
    head_end: int
    """Behind the list's ")"."""
    end: int
    """Of the whole function; where it has no body, of its head."""
    member: bool
    """Whether it stands directly in a type."""


@dataclass(frozen=True, slots=True)
class Block:
    """What a brace, or a head with a colon, begins."""

    start: int
    end: int
    type_name: str | None
    """Of a type that it is the body of; None for any other block. "" for a type without a name."""
