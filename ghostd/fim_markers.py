"""The fill-in-the-middle markers that models are trained with, and the order in which each form wants them.

One table for both sides: the header reader finds these texts in a vocabulary, `completion.families` lays out
the prompt. A model is recognised by its vocabulary alone, never by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Order = Literal["prefix-suffix-middle", "suffix-prefix-middle", "suffix-prefix"]


@dataclass(frozen=True, slots=True)
class FimForm:
    """One trained form: three marker texts and their order. "suffix-prefix" has no marker before the middle."""

    prefix: str
    suffix: str
    middle: str
    order: Order = "prefix-suffix-middle"

    @property
    def markers(self) -> tuple[str, ...]:
        """The markers that a prompt of this form needs."""
        if self.order == "suffix-prefix":
            return (self.prefix, self.suffix)
        return (self.prefix, self.suffix, self.middle)


DECLARED = FimForm("fim_pre", "fim_suf", "fim_mid")
"""Markers that a file declares by id (`tokenizer.ggml.fim_pre_token_id` …) under texts that no form here has.

llama.cpp's own infill lays such models out prefix first.
"""

FORMS = (
    # Qwen2.5-Coder, CodeQwen, Granite 4, CodeGemma (the last with a BOS, which its vocabulary asks for).
    FimForm("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    # StarCoder, StarCoder2, Stable Code, Refact, Granite Code and Granite 3.
    FimForm("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    # SantaCoder.
    FimForm("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    # DeepSeek-Coder: begin, prefix, hole, suffix, end.
    FimForm("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    # Code Llama. The texts hold SentencePiece's word mark, so the markers bring their own spaces.
    FimForm("▁<PRE>", "▁<SUF>", "▁<MID>"),
    # CodeGeeX4, GLM-4.
    FimForm("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    # Codestral: `[SUFFIX]` suffix `[PREFIX]` prefix, and the model writes on from there.
    FimForm("[PREFIX]", "[SUFFIX]", "[MIDDLE]", "suffix-prefix"),
    # Seed-Coder.
    FimForm("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>", "suffix-prefix-middle"),
    DECLARED,
)


@dataclass(frozen=True, slots=True)
class RepositoryForm:
    """How other files of the project are put before a fill prompt, by models that were trained with them."""

    repository: str
    """Begins the project's name."""
    file: str
    """Begins each file's name."""


REPOSITORY_FORMS = (
    # Qwen2.5-Coder (https://arxiv.org/abs/2409.12186).
    RepositoryForm("<|repo_name|>", "<|file_sep|>"),
    # StarCoder2 (https://arxiv.org/abs/2402.19173).
    RepositoryForm("<repo_name>", "<file_sep>"),
)

MARKER_TEXTS = frozenset(text for form in FORMS[:-1] for text in (form.prefix, form.suffix, form.middle)) | frozenset(
    text for form in REPOSITORY_FORMS for text in (form.repository, form.file)
)


def form_of(ids: Mapping[str, int]) -> FimForm | None:
    """The first form whose markers are all in a vocabulary's `ids`; None when the model cannot fill."""
    for form in FORMS:
        if all(marker in ids for marker in form.markers):
            return form
    return None


def repository_form_of(ids: Mapping[str, int]) -> RepositoryForm | None:
    """The form for other files whose markers are in a vocabulary's `ids`; None when it has none."""
    for form in REPOSITORY_FORMS:
        if form.repository in ids and form.file in ids:
            return form
    return None
