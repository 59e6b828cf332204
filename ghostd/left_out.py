"""What a provider leaves out of a request because its service has no place for it: told in `x-ghostd-reason`."""

from __future__ import annotations

from contextvars import ContextVar

left_out: ContextVar[list[str] | None] = ContextVar("left_out", default=None)
"""Parameters that the attempt under way goes without, by their names on the wire; None where nobody wants to know."""


def note(param: str) -> None:
    """A parameter is left out."""
    names = left_out.get()
    if names is not None and param not in names:
        names.append(param)
