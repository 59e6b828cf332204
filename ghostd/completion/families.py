"""Fill-in-the-middle forms, chosen by the markers that a model's vocabulary holds, never by its name."""

from __future__ import annotations

from collections.abc import Sequence

from ghostd.fim_markers import form_of, repository_form_of
from ghostd.models import FimVocabulary
from ghostd.types import Prompt

_PROJECT = "project\n"
_FILE = "file\n"
"""Names of the project and of the file at hand, which a request need not tell."""


def fill_prompt(fim: FimVocabulary, prefix: str, suffix: str, quoted: Sequence[tuple[str, str]] = ()) -> Prompt:
    """The prompt that asks the model for the text between `prefix` and `suffix`.

    `quoted` are other texts with their names, put before it as the model was trained to see them, or as they are.

    Markers and BOS are token ids and the two texts stay plain text, so text that looks like a marker cannot
    become one. Raises ValueError when no form that ghostd knows matches the vocabulary.
    """
    form = form_of(fim.ids)
    if form is None:
        raise ValueError("the model's vocabulary has no fill-in-the-middle markers that ghostd knows")
    before: Prompt = (fim.ids[form.prefix], prefix)
    after: Prompt = (fim.ids[form.suffix], suffix)
    match form.order:
        case "prefix-suffix-middle":
            prompt = (*before, *after, fim.ids[form.middle])
        case "suffix-prefix-middle":
            prompt = (*after, *before, fim.ids[form.middle])
        case "suffix-prefix":
            prompt = (*after, *before)
    bos: Prompt = () if fim.bos_id is None else (fim.bos_id,)
    return (*bos, *(piece for piece in (*_quotation(fim, quoted), *prompt) if piece != ""))


def _quotation(fim: FimVocabulary, quoted: Sequence[tuple[str, str]]) -> Prompt:
    if not quoted:
        return ()
    form = repository_form_of(fim.ids)
    if form is None:
        return ("".join(f"{text}\n" for _, text in quoted),)
    file = fim.ids[form.file]
    files = [piece for name, text in quoted for piece in (file, f"{name}\n{text}")]
    return (fim.ids[form.repository], _PROJECT, *files, file, _FILE)
