"""Drafted tokens are checked by the model: the reply is the same as without them, in fewer steps."""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from gguf_fixtures import CHAT_TEXT, LOOP_WORDS, ModelFile
from workers.opening import chat, completion, pieces_of

from ghostd.completion.fill import collect
from ghostd.config.local import LocalConfig
from ghostd.types import CompletionRequest, Delta, DraftSources
from ghostd.workers.provider import LocalProvider, local_provider

pytestmark = [pytest.mark.local_model, pytest.mark.asyncio(loop_scope="module")]

MODEL = "random"
LOOPING = "qwen"
"""Writes LOOP_WORDS over and over behind anything that it does not know."""
GRAMMAR = 'root ::= ("return" | "def" | " a" | " b" | " +" | "\\n")+'
TEXT = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n\n\ndef mul(a, b):\n    "


async def opened(
    draft_tokens: int, model_file: ModelFile, folders: pytest.TempPathFactory
) -> AsyncIterator[LocalProvider]:
    pytest.importorskip("llama_cpp")
    folder = folders.mktemp("models")
    for name in (MODEL, LOOPING):
        shutil.copy(model_file(name), folder / f"{name}.gguf")
    config = LocalConfig(engine="llama-cpp-python", draft_tokens=draft_tokens, context_tokens=2048)
    async with local_provider(config, folder, folder) as provider:
        yield provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def drafting(model_file: ModelFile, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalProvider]:
    """A model whose tokens may be drafted."""
    async for provider in opened(8, model_file, tmp_path_factory):
        yield provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain(model_file: ModelFile, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalProvider]:
    """The same one without drafts."""
    async for provider in opened(0, model_file, tmp_path_factory):
        yield provider


def with_drafts(request: CompletionRequest, expected: str = "", *texts: str) -> CompletionRequest:
    return replace(request, drafts=DraftSources(expected, texts))


async def whole(provider: LocalProvider, request: CompletionRequest) -> Delta:
    """The reply as one delta, with the ids of all its tokens."""
    pieces = await pieces_of(provider.complete(request))
    ids = tuple(token for piece in pieces for token in piece.tokens)
    return replace(pieces[-1], text="".join(piece.text for piece in pieces), tokens=ids)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sampling", [{}, {"repeat_penalty": 1.3}, {"logprobs": 2}, {"grammar": GRAMMAR}])
async def test_the_reply_is_the_same(
    drafting: LocalProvider, plain: LocalProvider, seed: int, sampling: dict[str, object]
) -> None:
    rng = random.Random(seed)
    prompt = TEXT[: rng.randrange(20, len(TEXT))] * rng.randrange(1, 4)
    request = completion(MODEL, (prompt,), max_tokens=rng.randrange(1, 64), **sampling)
    without = await whole(plain, request)
    half = without.text[: len(without.text) // 2]
    for asked in (
        request,
        with_drafts(request, without.text),
        with_drafts(request, half + " and then something else"),
        with_drafts(request, "", "nothing of use", prompt[-24:] + without.text, without.text),
    ):
        found = await whole(drafting, asked)
        assert (found.text, found.tokens) == (without.text, without.tokens)
        assert (found.finish_reason, found.usage is not None) == (without.finish_reason, True)
        assert found.usage is not None and without.usage is not None
        assert found.usage.completion_tokens == without.usage.completion_tokens


@pytest.mark.parametrize(
    "drafts",
    [
        DraftSources("".join(LOOP_WORDS * 3)),
        DraftSources("".join(LOOP_WORDS[:8])),
        DraftSources("", ("".join(LOOP_WORDS * 2), "of no use")),
        DraftSources(),  # it repeats itself
    ],
    ids=["all of it is expected", "some of it is expected", "a text has it", "it repeats itself"],
)
async def test_what_is_known_comes_in_fewer_steps(
    model_file: ModelFile, tmp_path_factory: pytest.TempPathFactory, drafts: DraftSources
) -> None:
    request = replace(completion(LOOPING, ("hm",), max_tokens=48), drafts=drafts)
    # By a model that has measured no step yet: later on it depends on the machine how much is drafted.
    async for provider in opened(8, model_file, tmp_path_factory):
        pieces = await pieces_of(provider.complete(request))
    assert "".join(piece.text for piece in pieces) == "".join(LOOP_WORDS * 3)
    timings = pieces[-1].timings
    assert timings is not None and timings.drafted_tokens >= timings.accepted_tokens > 0
    assert sum(bool(piece.tokens) for piece in pieces) <= 48 - timings.accepted_tokens


async def test_a_chat_is_drafted_from_what_the_client_predicts(
    model_file: ModelFile, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asked = replace(chat(LOOPING, "hello"), drafts=DraftSources(CHAT_TEXT, (CHAT_TEXT,)))
    async for provider in opened(8, model_file, tmp_path_factory):
        pieces = await pieces_of(provider.chat(asked))
    assert "".join(piece.text for piece in pieces) == CHAT_TEXT
    assert pieces[-1].timings is not None and pieces[-1].timings.accepted_tokens > 0
    assert pieces[-1].finish_reason == "stop"


async def test_without_drafts_none_are_counted(plain: LocalProvider) -> None:
    last = (await pieces_of(plain.complete(with_drafts(completion(MODEL, (TEXT,)), TEXT, TEXT))))[-1]
    assert last.timings is not None
    assert (last.timings.drafted_tokens, last.timings.accepted_tokens) == (0, 0)


async def test_what_a_seed_promises_is_not_drafted(drafting: LocalProvider) -> None:
    request = completion(LOOPING, ("hm",), max_tokens=40, temperature=0.5, seed=7)
    last = (await pieces_of(drafting.complete(with_drafts(request, "".join(LOOP_WORDS * 3)))))[-1]
    assert last.timings is not None and last.timings.drafted_tokens == 0


async def test_a_text_that_stops_amid_a_draft_ends_there(drafting: LocalProvider, plain: LocalProvider) -> None:
    request = completion(MODEL, (TEXT,), max_tokens=48)
    text = (await collect(plain.complete(request))).text
    stop = text[len(text) // 2 :][:3]
    stopped = replace(request, stop=(stop,))
    found = await whole(drafting, with_drafts(stopped, text))
    assert found.text == text[: text.index(stop)]
    assert (found.finish_reason, found.stop_sequence) == ("stop", stop)
    assert (await whole(drafting, with_drafts(request, text))).text == text  # what it has cached is in order


async def test_a_prompt_that_goes_on_after_drafts_is_found_cached(drafting: LocalProvider) -> None:
    prompt = TEXT + "# another one\n"
    request = completion(MODEL, (prompt,), max_tokens=24)
    first = await whole(drafting, request)
    again = await whole(drafting, with_drafts(request, first.text[:10] + "??", first.text))
    assert again.text == first.text
    longer = await whole(drafting, completion(MODEL, (prompt + first.text,), max_tokens=4))
    assert longer.usage is not None and longer.usage.cached_tokens >= first.usage.prompt_tokens - 1  # type: ignore[union-attr]
