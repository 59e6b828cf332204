"""What the HTTP API says of next edits, shared by the daemon's side and its clients."""

from __future__ import annotations

from typing import Literal

import msgspec


class ListedProposal(msgspec.Struct, frozen=True):
    """A piece of a file to be replaced. Lines and columns count from 1, columns in characters (code points)."""

    root: str
    path: str
    """Relative to the root, with slashes."""
    start_line: int
    start_column: int
    end_line: int
    end_column: int
    """Behind the last character."""
    old_text: str
    """What stands there."""
    new_text: str
    kind: Literal["rename", "signature", "repeat", "import", "model"]
    reason: str
    confidence: float
    """0 to 1."""
    placeholder: bool
    """Whether something in `new_text` stands for what only the user can know."""
    version: str
    """BLAKE2b-128 of the file's text in UTF-8, in hexadecimal digits: the proposal is for this text alone."""


class ProposalList(msgspec.Struct, frozen=True):
    """Next edits, the nearest behind the cursor first, then those before it, then those in other files."""

    data: list[ListedProposal]
    object: str = "list"
