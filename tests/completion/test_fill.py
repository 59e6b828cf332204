"""The fill engine, over scripted models."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from routing_harness import deltas, upstream, world

from ghostd.completion.fill import collect
from ghostd.conversation import Message
from ghostd.engine import Engine
from ghostd.errors import ContextTooLong, ModelNotFound, WorkerCrashed
from ghostd.models import FimVocabulary, ModelInfo
from ghostd.ports import Provider
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import Capability, ChatRequest, CompletionRequest, Delta, FillRequest, OpenDocument, Sampling, Usage

QWEN = FimVocabulary({"<|fim_prefix|>": 1, "<|fim_suffix|>": 2, "<|fim_middle|>": 3})
REQUEST = FillRequest(model="auto", prefix="def f(", suffix=")\n")
CHAT: frozenset[Capability] = frozenset(("chat",))
FILLER: frozenset[Capability] = frozenset(("fill",))


@dataclass(slots=True)
class GgufLike(ScriptedProvider):
    """A scripted model with FIM tokens, whose tokenizer counts every character as one token."""

    def models(self) -> tuple[ModelInfo, ...]:
        return (
            ModelInfo(
                self.model, self.name, frozenset(("complete", "fill")), context_tokens=self.context_tokens, fim=QWEN
            ),
        )

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        size = sum(len(piece) if isinstance(piece, str) else 1 for piece in request.prompt)
        assert self.context_tokens
        if size > self.context_tokens:
            self.requests.append(request)
            raise ContextTooLong(size, self.context_tokens)
        async with aclosing(ScriptedProvider.complete(self, request)) as deltas:
            async for delta in deltas:
                yield delta


def fill(providers: Sequence[Provider], request: FillRequest) -> AsyncGenerator[Delta, None]:
    return Engine(providers).fill(request)


async def test_auto_takes_the_models_that_answer_at_once_first() -> None:
    project = ScriptedProvider(["a, b"], model="ghostd/project", capabilities=FILLER)
    gguf = GgufLike(["x"], model="gguf")
    reply = await collect(fill([project, gguf], REQUEST))
    assert (reply.text, reply.model, gguf.started) == ("a, b", "ghostd/project", 0)


async def test_auto_asks_the_next_tier_when_the_first_is_not_sure() -> None:
    silent = ScriptedProvider([], model="ghostd/project", capabilities=FILLER)
    gguf = GgufLike(["x, ", "y"], model="gguf")
    reply = await collect(fill([silent, gguf], REQUEST))
    assert reply == Delta("x, y", "stop", Usage(7, 2), model="gguf")
    (request,) = gguf.requests
    assert isinstance(request, CompletionRequest)
    assert request.prompt == (1, "def f(", 2, ")\n", 3)
    assert request.sampling.temperature == 0.0


async def test_auto_skips_a_tier_that_fails_before_it_spoke() -> None:
    broken = ScriptedProvider(model="ghostd/project", capabilities=FILLER, error=WorkerCrashed("gone"))
    reply = await collect(fill([broken, GgufLike(["ok"], model="gguf")], REQUEST))
    assert (reply.text, reply.model) == ("ok", "gguf")


@dataclass(slots=True)
class Endless(ScriptedProvider):
    """A model that writes on for ever, whatever it is told; by its markers or in a conversation."""

    piece: str = ""
    fim: FimVocabulary = QWEN
    ended: bool = False

    def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo(self.model, self.name, self.capabilities, context_tokens=4096, fim=self.fim),)

    async def _on(self) -> AsyncGenerator[Delta, None]:
        try:
            while True:
                yield Delta(self.piece)
        finally:
            self.ended = True

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        return self._on()

    def chat(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        return self._on()


@pytest.mark.parametrize("piece", ["f(a)+[", "a + ", "    ", "'", "x" * 1_000_000, "(" * 1_000_000])
@pytest.mark.parametrize("works", [True, False])
@pytest.mark.parametrize(("tidy", "halt"), [(True, False), (False, True)])
async def test_a_model_that_never_ends_is_ended(piece: str, works: bool, tidy: bool, halt: bool) -> None:
    able: frozenset[Capability] = frozenset(("chat", "complete", "fill"))
    model = Endless(model="m", capabilities=able, piece=piece, fim=replace(QWEN, works=works))
    request = replace(REQUEST, model="m", path=Path("a.py"), max_tokens=32, tidy=tidy, halt=halt)
    async with asyncio.timeout(50):
        reply = await collect(fill([model], request))
    assert model.ended
    assert len(reply.text) <= 16 * 32


async def test_auto_raises_the_last_tiers_failure() -> None:
    silent = ScriptedProvider([], model="ghostd/project", capabilities=FILLER)
    broken = GgufLike(model="gguf", error=WorkerCrashed("gone"))
    with pytest.raises(WorkerCrashed):
        await collect(fill([silent, broken], REQUEST))


async def test_without_any_model_that_fills_auto_is_not_found() -> None:
    with pytest.raises(ModelNotFound):
        await collect(fill([ScriptedProvider(capabilities=CHAT)], REQUEST))


async def test_a_model_that_only_converses_is_asked_in_words_where_it_is_named() -> None:
    model = ScriptedProvider(["```python\n", "a, b\n", "```"], model="m", capabilities=CHAT)
    request = replace(REQUEST, model="m", path=Path("a.py"), tidy=True)
    assert (await collect(fill([model], request))).text == "a, b"
    (asked,) = model.requests
    assert isinstance(asked, ChatRequest)
    assert asked.sampling == Sampling(temperature=0.0, optional=True)  # not every model takes one


@pytest.mark.parametrize("context", [None, 1000, 1_000_000])
@pytest.mark.parametrize("able", [("fill",), ("chat",)])
async def test_a_service_is_sent_what_stands_around_the_cursor(context: int | None, able: tuple[Capability]) -> None:
    """And not all of a large file, which is paid for at each key."""
    info = ModelInfo("", "a", frozenset(able), context_tokens=context, remote=True)
    before, after = "a = 1\n" * 50_000 + "b = ", "\nc = 2" * 50_000
    async with world("", a := upstream("a", deltas("3"), info=info)) as w:
        w.calls += 1
        request = FillRequest("a/m", before, after, max_tokens=64, tidy=True)
        assert (await collect(w.engine.fill(request))).text == "3"
    (asked,) = a.asked
    if isinstance(asked, ChatRequest):
        sent, _, behind = asked.messages[1].text.partition("<CURSOR>")
    else:
        assert isinstance(asked, FillRequest)
        sent, behind = asked.prefix, asked.suffix
    assert before.endswith(sent)
    assert after.startswith(behind)
    tokens = min(context or 4096, 4096) - 64
    assert 1000 < len(sent) + len(behind) < 3 * tokens


async def test_a_silent_last_tier_ends_with_an_empty_text() -> None:
    reply = await collect(fill([ScriptedProvider([], capabilities=FILLER)], REQUEST))
    assert (reply.text, reply.finish_reason) == ("", "stop")


@pytest.mark.parametrize(("prefix", "suffix"), [("", "x\n"), ("x", ""), ("", "")])
async def test_a_hole_at_an_end_of_its_file_is_filled_like_any_other(prefix: str, suffix: str) -> None:
    gguf = GgufLike(["y"], model="gguf")
    at_end = replace(REQUEST, model="gguf", prefix=prefix, suffix=suffix)
    reply = await collect(fill([gguf], replace(at_end, open_documents=(OpenDocument(Path("empty.py"), ""),))))
    assert (reply.text, reply.finish_reason) == ("y", "stop")


async def test_a_window_that_is_too_long_for_the_tokenizer_is_made_smaller() -> None:
    gguf = GgufLike(["x"], model="gguf", context_tokens=1000)
    long = replace(REQUEST, model="gguf", prefix="p" * 5000, suffix="s" * 5000, max_tokens=100)
    assert (await collect(fill([gguf], long))).text == "x"
    assert gguf.started == 1


async def test_the_generation_ends_with_the_last_line_that_is_wanted() -> None:
    gguf = GgufLike(["a\n", "b\n", "c\n"], model="gguf")
    reply = await collect(fill([gguf], replace(REQUEST, model="gguf", max_lines=2)))
    assert (reply.text, reply.finish_reason, gguf.closed) == ("a\nb", "stop", 1)


async def test_closing_the_stream_ends_the_generation_behind_it() -> None:
    gguf = GgufLike(["a", "b", "c"], model="gguf")
    stream = fill([gguf], replace(REQUEST, model="gguf", max_lines=4))
    await anext(stream)
    await stream.aclose()
    assert gguf.closed == 1


@dataclass(slots=True)
class Counting(GgufLike):
    """Also counts tokens, as local models do; one that is too long for the reply does not fail by itself."""

    async def count_tokens(self, request: CompletionRequest | ChatRequest) -> int:
        assert isinstance(request, CompletionRequest)
        return sum(len(piece) if isinstance(piece, str) else 1 for piece in request.prompt)


async def test_a_window_leaves_room_for_the_text_by_the_tokenizers_count() -> None:
    gguf = Counting(["x"], model="gguf", context_tokens=1000)
    long = replace(REQUEST, model="gguf", prefix="p" * 5000, suffix="s" * 5000, max_tokens=400)
    assert (await collect(fill([gguf], long))).text == "x"
    (request,) = gguf.requests
    assert isinstance(request, CompletionRequest)
    assert 400 < await gguf.count_tokens(request) <= 600


async def test_a_text_for_an_editor_comes_whole_and_without_what_stands_there() -> None:
    gguf = GgufLike(["a, ", "b", ")", "\n", "more"], model="gguf")
    stream = fill([gguf], replace(REQUEST, model="gguf", path=Path("a.py"), prefix="f(", tidy=True))
    deltas = [delta async for delta in stream]
    assert [(delta.text, delta.finish_reason) for delta in deltas] == [("a, b", "stop")]
    assert gguf.closed == 1


async def test_a_model_that_does_not_know_its_markers_is_asked_in_words() -> None:
    @dataclass(slots=True)
    class Unable(ScriptedProvider):
        def models(self) -> tuple[ModelInfo, ...]:
            able: frozenset[Capability] = frozenset(("chat", "complete", "fill"))
            return (ModelInfo(self.model, self.name, able, context_tokens=2000, fim=replace(QWEN, works=False)),)

    model = Unable(["```python\n", "a, b\n", "```"], model="chatty")
    request = replace(REQUEST, model="chatty", path=Path("a.py"), prefix="x = <CURSOR> + f(", tidy=True)
    assert (await collect(fill([model], request))).text == "a, b"
    (asked,) = model.requests
    assert isinstance(asked, ChatRequest)
    assert asked.messages[1] == Message("user", "File a.py:\nx = <CURSOR> + f(<CURSOR-1>)\n")
