"""The fill-in-the-middle markers that models are trained with, and the order in which each form wants them.

One table for both sides: the header reader finds these texts in a vocabulary, `completion.families` lays out
the prompt. A model is recognised by its vocabulary alone, never by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Order = Literal["prefix-suffix-middle", "suffix-prefix-middle", "suffix-prefix"]
Files = Literal["comments", "repository", "repository-in-prefix", "filenames", "separator", "plus-lines", "references"]
"""How texts of other files stand in a prompt; see `completion.families`."""


@dataclass(frozen=True, slots=True)
class FimForm:
    """One trained form: three marker texts and their order. "suffix-prefix" has no marker before the middle."""

    family: str
    """For people."""
    prefix: str
    suffix: str
    middle: str
    order: Order = "prefix-suffix-middle"
    or_order: Order | None = None
    """An order in which other models with the same vocabulary were trained; the self-test at load tells."""
    needs: tuple[str, ...] = ()
    """Further texts that must be in the vocabulary."""
    lacks: tuple[str, ...] = ()
    """Texts that must not."""
    files: Files = "comments"
    or_files: Files = "comments"
    """Likewise, in `or_order`."""

    @property
    def markers(self) -> tuple[str, ...]:
        """The markers that a prompt of this form needs."""
        if self.order == "suffix-prefix":
            return (self.prefix, self.suffix)
        return (self.prefix, self.suffix, self.middle)

    def fits(self, ids: Mapping[str, int]) -> bool:
        """Whether a vocabulary of these texts is one of this form."""
        return all(text in ids for text in (*self.markers, *self.needs)) and not any(text in ids for text in self.lacks)


_BARS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
_PLAIN = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
_CODE = ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>")

DECLARED = FimForm("declared by the file", "fim_pre", "fim_suf", "fim_mid")
"""Markers that a file declares by id (`tokenizer.ggml.fim_pre_token_id` …) under texts that no form here has.

llama.cpp's own infill lays such models out prefix first.
"""

FORMS = (
    # arxiv.org/abs/2409.12186; the cards of Qwen2.5-Coder and Qwen3-Coder.
    FimForm("Qwen-Coder", *_BARS, needs=("<|repo_name|>", "<|file_sep|>"), files="repository"),
    # ai.google.dev/gemma/docs/codegemma/prompt-structure. Its vocabulary asks for a BOS.
    FimForm("CodeGemma", *_BARS, needs=("<|file_separator|>",), files="separator"),
    # Granite 4, CodeQwen and others.
    FimForm("Granite 4", *_BARS),
    # arxiv.org/abs/2402.19173, section 5.1.
    FimForm("StarCoder2", *_PLAIN, needs=("<repo_name>", "<file_sep>"), files="repository-in-prefix"),
    # StarCoder, Granite Code and 3, Refact, Stable Code; and Mellum, which was trained suffix first with the same
    # vocabulary (huggingface.co/JetBrains/Mellum-4b-base).
    FimForm(
        "StarCoder or Mellum", *_PLAIN, or_order="suffix-prefix-middle", needs=("<filename>",), or_files="filenames"
    ),
    FimForm("Stable Code", *_PLAIN, or_order="suffix-prefix-middle"),
    # huggingface.co/bigcode/santacoder
    FimForm("SantaCoder", "<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    # github.com/deepseek-ai/DeepSeek-Coder: begin, prefix, hole, suffix, end; files below comments with their names.
    FimForm("DeepSeek-Coder", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    # github.com/meta-llama/codellama, `infilling_prompt_tokens`. The texts hold SentencePiece's word mark.
    FimForm("Code Llama", "▁<PRE>", "▁<SUF>", "▁<MID>"),
    FimForm("Code Llama, other spelling", "<PRE>", "<SUF>", "<MID>"),
    # GLM-4.5 has the markers of CodeGeeX4 and is asked without its headings (llama.cpp, Zed).
    FimForm("GLM", *_CODE, needs=("<think>",)),
    # github.com/THUDM/CodeGeeX4, guides/Infilling_guideline.md
    FimForm("CodeGeeX4", *_CODE, "suffix-prefix-middle", needs=("<|user|>", "<|assistant|>"), files="references"),
    FimForm("GLM-4", *_CODE),
    # mistral-common, `encode_fim`: `[SUFFIX]` suffix `[PREFIX]` prefix, and the model writes on from there.
    FimForm("Codestral", "[PREFIX]", "[SUFFIX]", "[MIDDLE]", "suffix-prefix", files="plus-lines"),
    # arxiv.org/abs/2506.03524
    FimForm("Seed-Coder", "<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>", "suffix-prefix-middle"),
    # Falcon-H1-Tiny-Coder, as llama.cpp reads its vocabulary.
    FimForm("Falcon-H1 Coder", "<|prefix|>", "<|suffix|>", "<|middle|>"),
    DECLARED,
)

_ENDS = (
    "<|fim_pad|>", "<fim_pad>", "<fim-pad>", "<PAD>", "▁<EOT>", "<EOT>", "<|repo_name|>", "<|file_sep|>", "<repo_name>",
    "<file_sep>", "<|file_separator|>", "<filename>", "<reponame>",
)  # fmt: skip
"""What models write where a fill is over, besides their end tokens: the next file begins."""

MARKER_TEXTS = frozenset(
    text for form in FORMS if form is not DECLARED for text in (form.prefix, form.suffix, form.middle)
) | frozenset(_ENDS)
WITNESS_TEXTS = frozenset(text for form in FORMS for text in (*form.needs, *form.lacks)) - MARKER_TEXTS
"""Other texts whose presence in a vocabulary tells forms apart."""


def form_of(ids: Mapping[str, int]) -> FimForm | None:
    """The first form that a vocabulary's `ids` fit; None when the model cannot fill."""
    return next((form for form in FORMS if form.fits(ids)), None)


def ordered(form: FimForm, order: Order, ids: Mapping[str, int], prefix: str, suffix: str) -> tuple[str | int, ...]:
    """Markers and texts in this order, without empty texts."""
    before, after = (ids[form.prefix], prefix), (ids[form.suffix], suffix)
    pieces: tuple[str | int, ...]
    match order:
        case "prefix-suffix-middle":
            pieces = (*before, *after, ids[form.middle])
        case "suffix-prefix-middle":
            pieces = (*after, *before, ids[form.middle])
        case "suffix-prefix":
            pieces = (*after, *before)
    return tuple(piece for piece in pieces if piece != "")


def stop_ids(ids: Mapping[str, int]) -> frozenset[int]:
    """The tokens that end a fill when the model writes one: none of them is text."""
    names = (DECLARED.prefix, DECLARED.suffix, DECLARED.middle)
    return frozenset(number for text, number in ids.items() if text in MARKER_TEXTS or text in names)


PROBE = ("def add(a, b):\n    return a ", " b\n\n\ndef sub(a, b):\n    return a - b\n", "+")
"""A hole of one token, for the self-test: prefix, suffix, and what any code model fills in."""
