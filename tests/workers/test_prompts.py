"""Text becomes plain tokens only, also with tokenizers that add spaces or recognise special text by themselves."""

from __future__ import annotations

from dataclasses import replace

from gguf_fixtures import ModelFile

from ghostd.workers.gguf_header import read_header
from ghostd.workers.prompts import PromptEncoder


class Characters:
    """A tokenizer of single characters that always recognises "<x>" and, like SentencePiece, adds a space."""

    def __init__(self, *, adds_space: bool) -> None:
        self._adds_space = adds_space

    def __call__(self, text: str, special: bool) -> list[int]:
        ids = [ord(" ")] if self._adds_space and text else []
        for number, part in enumerate(text.split("<x>")):
            ids += [1000] * (number > 0) + [ord(character) for character in part]
        return ids


def encoder(model_file: ModelFile, *, sentencepiece: bool, bos: int | None = None) -> PromptEncoder:
    header = replace(
        read_header(model_file("chat-only")),
        special_texts=("<x>",),
        sentencepiece=sentencepiece,
        bos_id=bos,
        add_bos=bos is not None,
    )
    return PromptEncoder(header, Characters(adds_space=sentencepiece), 2000)


def text(ids: list[int]) -> str:
    return "".join(chr(token) if token < 1000 else f"[{token}]" for token in ids)


def test_text_that_spells_a_token_is_not_that_token(model_file: ModelFile) -> None:
    assert text(encoder(model_file, sentencepiece=False).encode(("a<x>b<x>",))) == "a<x>b<x>"


def test_only_the_first_text_of_a_prompt_gets_the_tokenizers_space(model_file: ModelFile) -> None:
    """Code Llama's form: the prefix has the implicit space, the suffix has not."""
    ids = encoder(model_file, sentencepiece=True).encode((1001, "pre", 1002, "suf", 1003))
    assert text(ids) == "[1001] pre[1002]suf[1003]"


def test_the_tokenizers_space_stands_before_the_prefix_wherever_that_is(model_file: ModelFile) -> None:
    """Codestral's form has the suffix first (mistral-common: `[SUFFIX]return▁a[PREFIX]▁def▁f(`)."""
    header = replace(read_header(model_file("codestral")), sentencepiece=True, add_bos=False, special_texts=())
    pre, suf = header.fim_ids["[PREFIX]"], header.fim_ids["[SUFFIX]"]
    ids = PromptEncoder(header, Characters(adds_space=True), 2000).encode((suf, "return a", pre, "def f("))
    assert "".join(chr(token) if token not in (pre, suf) else "|" for token in ids) == "|return a| def f("


def test_a_suffix_gets_no_space_where_the_prefix_is_empty(model_file: ModelFile) -> None:
    header = replace(read_header(model_file("codellama")), sentencepiece=True, add_bos=False, special_texts=())
    pre, suf = header.fim_ids["▁<PRE>"], header.fim_ids["▁<SUF>"]
    ids = PromptEncoder(header, Characters(adds_space=True), 2000).encode((pre, suf, "x"))
    assert ids == [pre, suf, ord("x")]


def test_parts_of_one_text_are_joined_without_spaces(model_file: ModelFile) -> None:
    assert text(encoder(model_file, sentencepiece=True).encode(("a<x>b",))) == " a<x>b"


def test_rendered_chats_keep_the_templates_tokens_and_not_the_messages(model_file: ModelFile) -> None:
    segments = [("<x>user: ", True), ("<x>", False), ("!", True)]
    assert text(encoder(model_file, sentencepiece=False).encode_rendered(segments)) == "[1000]user: <x>!"


def test_a_bos_is_added_once(model_file: ModelFile) -> None:
    plain = encoder(model_file, sentencepiece=False, bos=7)
    assert plain.encode(("a",)) == [7, ord("a")]
    assert plain.encode((7, "a")) == [7, ord("a")]


def test_an_input_to_embed_ends_as_the_vocabulary_wants(model_file: ModelFile) -> None:
    header = replace(read_header(model_file("chat-only")), bos_id=7, add_bos=True, end_id=8)
    encode = PromptEncoder(header, Characters(adds_space=False), 2000)
    assert encode.encode_input(("a",)) == [7, ord("a"), 8]
    assert encode.encode_input((ord("a"), 8)) == [7, ord("a"), 8]
    assert encode.encode(("a",)) == [7, ord("a")]
