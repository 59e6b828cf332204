"""What a client says that it can do, which it may say in any shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def member(of: Any, name: str) -> Any:
    """A member of a capability; None where the client says something else."""
    return of.get(name) if isinstance(of, dict) else None


def says(of: Any, name: str) -> bool:
    """Whether a member is true."""
    return member(of, name) is True


def items(of: Any, name: str) -> Sequence[Any]:
    """A member that is a list; () where it is none."""
    found = member(of, name)
    return found if isinstance(found, list) else ()
