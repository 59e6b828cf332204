"""Fill-in-the-middle forms, chosen by the markers that a model's vocabulary holds, never by its name."""

from __future__ import annotations

from ghostd.types import FimVocabulary, Prompt


def fill_prompt(fim: FimVocabulary, prefix: str, suffix: str) -> Prompt:
    """The prompt that asks the model for the text between `prefix` and `suffix`.

    Raises ValueError when no family that ghostd knows matches the vocabulary.
    """
    raise NotImplementedError
