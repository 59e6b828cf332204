"""Texts that come from a project, on one line of a prompt or a terminal."""

from __future__ import annotations


def one_line(text: str) -> str:
    """The text with a replacement character for each control character and line break."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
