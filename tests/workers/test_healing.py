"""Tokens that are taken back at the end of a prompt, and written anew."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from gguf_fixtures import FILL_TEXT, LOOP_WORDS, ModelFile
from workers.opening import completion, text_of

from ghostd.completion.families import fill_prompt
from ghostd.completion.fill import collect
from ghostd.config.local import LocalConfig
from ghostd.engine import Engine
from ghostd.models import FimVocabulary
from ghostd.types import Claim, CompletionRequest, Delta, FillRequest
from ghostd.workers.healing import MOST_TOKENS, agrees, pick, taken_back
from ghostd.workers.provider import LocalProvider, local_provider


@pytest.mark.parametrize(
    ("pieces", "count"),
    [
        ([b"self", b".re", b"qu"], 2),
        ([b" return", b" re"], 1),
        ([b"a", b"b", b"c", b"d", b"e"], MOST_TOKENS),
        ([b"\n", b"    "], 1),
        ([b"f", b"("], 1),
        ([b"x", b":\n"], 0),
        ([b"x", b"\r\n"], 0),
        ([b"n\xc3\xa9"], 0),
        ([b"\xa9", b"a"], 1),
        ([b"<mid>"[:0], b"re"], 1),
        ([b""], 0),
        ([], 0),
        ([b" " * 100], 0),
        ([b"long" * 10, b"word" * 10], 1),
    ],
)
def test_the_tokens_of_the_last_word_are_taken_back(pieces: list[bytes], count: int) -> None:
    assert taken_back(pieces) == count


def test_a_token_agrees_that_spells_the_beginning_or_goes_on_behind_it() -> None:
    assert agrees(b".requests", b".requ")
    assert agrees(b".re", b".requ")
    assert not agrees(b".res", b".requ")
    assert not agrees(b"", b".requ")
    assert pick([(1, b"x"), (2, b""), (3, b"requests"), (4, b"re")], b"requ") == 3
    assert pick([(1, b"x")], b"requ") is None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tiny(model_file: ModelFile, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalProvider]:
    """The model that fills every hole with FILL_TEXT, in the engine that heals."""
    pytest.importorskip("llama_cpp")
    folder = tmp_path_factory.mktemp("models")
    shutil.copy(model_file("qwen"), folder)
    async with local_provider(LocalConfig(engine="llama-cpp-python"), folder, folder) as provider:
        await provider.refresh()
        yield provider


def in_the_middle(provider: LocalProvider, fresh: str, **sampling: object) -> CompletionRequest:
    """A hole whose text begins with `fresh`."""
    fim: FimVocabulary | None = provider.models()[0].fim
    assert fim is not None
    prompt = fill_prompt(fim, "def add(a, b):\n", "\n", fresh=fresh)
    return replace(completion("qwen", prompt, max_tokens=16, **sampling), heal=True)


@pytest.mark.local_model
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("typed", ["r", "re", "ret", "return"])
async def test_a_word_that_was_begun_is_completed(tiny: LocalProvider, typed: str) -> None:
    assert await text_of(tiny.complete(in_the_middle(tiny, typed))) == FILL_TEXT[len(typed) :]


@pytest.mark.local_model
@pytest.mark.asyncio(loop_scope="module")
async def test_without_healing_the_model_does_not_know_the_word(tiny: LocalProvider) -> None:
    request = replace(in_the_middle(tiny, "ret"), heal=False)
    assert (await text_of(tiny.complete(request))).startswith(LOOP_WORDS[0])


@pytest.mark.local_model
@pytest.mark.asyncio(loop_scope="module")
async def test_what_the_model_would_not_have_written_is_spelled_all_the_same(tiny: LocalProvider) -> None:
    for typed in ("zq", "x(", "_a1", "\t"):
        reply: Delta = await collect(tiny.complete(in_the_middle(tiny, typed)))
        assert reply.usage is not None
        assert not reply.text.startswith(typed)
        assert reply.usage.completion_tokens <= 16


@pytest.mark.local_model
@pytest.mark.asyncio(loop_scope="module")
async def test_tokens_that_are_written_anew_do_not_count(tiny: LocalProvider) -> None:
    request = in_the_middle(tiny, "re")
    reply = await collect(tiny.complete(replace(request, max_tokens=2)))
    assert reply.usage is not None
    assert (reply.text, reply.finish_reason, reply.usage.completion_tokens) == ("turn a", "length", 2)
    counted = await tiny.count_tokens(request)
    assert reply.usage.prompt_tokens == counted


@pytest.mark.local_model
@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_is_taken_back_where_the_reply_is_bound_or_drawn_by_lot(tiny: LocalProvider) -> None:
    for sampling in ({"grammar": 'root ::= " wa"'}, {"temperature": 0.1, "seed": 1}, {"logprobs": 1}):
        assert (await text_of(tiny.complete(in_the_middle(tiny, "ret", **sampling)))).startswith(LOOP_WORDS[0])


@pytest.mark.local_model
@pytest.mark.asyncio(loop_scope="module")
async def test_an_open_documents_completions_are_healed_and_read_only_what_was_typed(tiny: LocalProvider) -> None:
    engine = Engine([tiny])
    above = "".join(f"value_{number} = {number}\n" for number in range(40))
    request = FillRequest(
        "qwen", above, "\n# the end\n", path=Path("a.py"), claim=Claim("interactive", "editor", "file:///a.py")
    )
    fresh = []
    for end in range(1, 5):
        typed = "return"[:end]
        reply = await collect(engine.fill(replace(request, prefix=f"{above}\n\n\n{typed}")))
        assert reply.usage is not None
        fresh.append(reply.usage.prompt_tokens - reply.usage.cached_tokens)
    assert max(fresh[1:]) <= 8
