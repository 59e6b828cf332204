"""Fill-in-the-middle forms, chosen by the markers that a model's vocabulary holds, never by its name."""

from __future__ import annotations

from ghostd.fim_markers import form_of
from ghostd.types import FimVocabulary, Prompt


def fill_prompt(fim: FimVocabulary, prefix: str, suffix: str) -> Prompt:
    """The prompt that asks the model for the text between `prefix` and `suffix`.

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
    return (*bos, *(piece for piece in prompt if piece != ""))
