"""The self-test of fill-in-the-middle, over a scripted engine and real files' headers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from gguf_fixtures import ModelFile

from ghostd.workers.engines.contract import EndStep, Engine, GenerationOptions, Owner, PromptStep, Step, TokenStep
from ghostd.workers.fim_test import FimFinding, try_fill
from ghostd.workers.gguf_header import read_header
from ghostd.workers.prompts import PromptEncoder

IDS = {"<fim_prefix>": 1, "<fim_middle>": 2, "<fim_suffix>": 3, "<filename>": 5}
Reply = tuple[bytes, int] | None


class Scripted:
    """Answers a prompt that begins with the prefix marker, and one that begins with the suffix marker."""

    def __init__(self, prefix_first: Reply, suffix_first: Reply) -> None:
        self._replies = {1: prefix_first, 3: suffix_first}

    def open(self, prompt: Sequence[int], options: GenerationOptions, _owner: Owner) -> ScriptedFill:
        assert options.max_tokens == 1
        return ScriptedFill(self._replies[prompt[0]])

    def step(self, generations: Sequence[ScriptedFill]) -> list[tuple[ScriptedFill, Step]]:
        (generation,) = generations
        return [(generation, next(generation.steps))]


class ScriptedFill:
    """Says one reply."""

    def __init__(self, reply: Reply) -> None:
        said: list[Step] = [] if reply is None else [TokenStep(reply[0], 1, ids=(reply[1],))]
        self.steps = iter([PromptStep(0), *said, EndStep("stop" if reply is None else "length")])

    def close(self) -> None:
        self.steps = iter(())


PLUS, WORD, MARKER = (b"+ b", 90), (b"return", 91), (b"", 2)


@pytest.mark.parametrize(
    ("prefix_first", "suffix_first", "found"),
    [
        pytest.param(PLUS, PLUS, FimFinding("prefix-suffix-middle"), id="starcoder"),
        pytest.param(WORD, PLUS, FimFinding("suffix-prefix-middle"), id="mellum"),
        pytest.param(None, PLUS, FimFinding("suffix-prefix-middle"), id="mellum-silent-in-the-other-order"),
        pytest.param(WORD, WORD, FimFinding("prefix-suffix-middle"), id="too-small-to-tell"),
        pytest.param(MARKER, None, FimFinding("prefix-suffix-middle", works=False), id="never-trained-to-fill"),
    ],
)
def test_the_order_that_gives_the_right_token_is_taken(
    model_file: ModelFile, prefix_first: Reply, suffix_first: Reply, found: FimFinding
) -> None:
    header = replace(read_header(model_file("starcoder")), fim_ids=IDS, add_bos=False)
    tokenize: Callable[[str, bool], list[int]] = lambda text, special: [100 + ord(one) for one in text]  # noqa: E731
    encoder = PromptEncoder(header, tokenize, 2000)
    assert try_fill(cast(Engine, cast(Any, Scripted(prefix_first, suffix_first))), header, encoder) == found
