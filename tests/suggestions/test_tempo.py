"""When a model is asked: the rhythm of keys, the pause that follows it, and whatever keys may come, nothing stale."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_clock import pytest_asyncio_loop_factories as loop_factories
from suggestions.models import MODEL, READY, Models, Stream, ask, service, texts

from ghostd.suggestions.service import SuggestionService
from ghostd.suggestions.tempo import MAX_DELAY_S, Latency, Rhythm, delay_s
from ghostd.types import Delta, Usage

HEAD = "def load(path):\n    "
BURST_S = 0.05
"""Keys that are closer together are a burst, as docs/completion.md says."""
gaps = st.floats(0.0, 3.0) | st.floats(0.001, 0.06)


def rhythm_of(intervals: list[float]) -> Rhythm:
    rhythm, now_s = Rhythm(), 50.0
    rhythm.key(now_s)
    for interval in intervals:
        now_s += interval
        rhythm.key(now_s)
    return rhythm


# --- the pause ----------------------------------------------------------------------


@given(st.lists(gaps, max_size=40), st.text(max_size=3), st.floats(0, 30) | st.none(), st.booleans())
def test_the_pause_is_short_whatever_the_keys(
    intervals: list[float], before: str, expected_s: float | None, busy: bool
) -> None:
    rhythm = rhythm_of(intervals)
    delay = delay_s(before, rhythm, Latency(expected_s), busy=busy)
    assert 0 <= delay <= MAX_DELAY_S
    if rhythm.usual_s < BURST_S:
        assert delay >= min(rhythm.usual_s, MAX_DELAY_S), "an idle key of the burst would ask"
    elif not busy:
        assert delay == 0


@given(st.lists(gaps, min_size=1, max_size=40))
def test_the_usual_time_between_keys_is_one_that_was_seen_and_pauses_are_none(intervals: list[float]) -> None:
    rhythm = rhythm_of(intervals)
    seen = [interval for interval in intervals if 0 < interval < 1.001]
    assert rhythm.late_s > rhythm.usual_s
    if any(0.001 < interval < 0.999 for interval in intervals):
        assert min(seen) - 1e-9 <= rhythm.usual_s <= max(seen) + 1e-9


def test_a_clock_that_stands_still_or_goes_back_is_no_rhythm() -> None:
    rhythm = Rhythm()
    for now_s in (5.0, 5.0, 3.0, 3.0):
        rhythm.key(now_s)
    assert rhythm.usual_s == Rhythm().usual_s


@pytest.mark.parametrize(("spread_ms", "late_ms"), [(0, 32), (1, 34), (4, 46)])
def test_in_a_burst_the_next_key_is_late_by_what_its_keys_differ(spread_ms: int, late_ms: int) -> None:
    rhythm = rhythm_of([0.03 + sign * spread_ms / 1000 for sign in (-1, 1) * 6])
    assert delay_s("x", rhythm, Latency(), busy=False) == pytest.approx(late_ms / 1000)


# --- whole sessions -----------------------------------------------------------------


@dataclass(frozen=True)
class Typed:
    """A key."""

    after_s: float
    """Since the one before."""
    follows: bool
    """Whether it is what the model says; else something else."""
    good: bool
    """Whether a word ends with it."""


@dataclass(frozen=True)
class Ready:
    """Ready structures before the model."""

    takes_s: float
    sure: float


class Timed(Models):
    """A model that says the same line everywhere behind HEAD, and something else behind what contradicts it."""

    def __init__(self, latency_s: float, first_share: float, ready: Ready | None = None) -> None:
        super().__init__(*([] if ready is None else [READY]), MODEL)
        self.latency_s, self.first_share = latency_s, first_share
        self.ready_s, self.sure = (ready.takes_s, ready.sure) if ready is not None else (0.0, 0.0)
        self.began: list[float] = []
        self.closed = 0

    def reply(self, prefix: str) -> str:
        rest = prefix.removeprefix(HEAD)
        line = "return json.loads(path.read_text('utf-8'))[0:12].strip().decode()"
        return line[len(rest) :] if line.startswith(rest) else f"said_{len(rest)}_{sum(map(ord, rest)) % 97}()"

    async def _at_once(self, text: str, confidence: float) -> AsyncGenerator[Delta, None]:
        said = self.reply(self.streams[-1].request.prefix)
        async for delta in super()._at_once(said[:5] if self.sure > 0.2 else "", self.sure):
            yield delta

    async def _written(self, stream: Stream) -> AsyncGenerator[Delta, None]:
        self.began.append(asyncio.get_running_loop().time())
        text, ended = self.reply(stream.request.prefix), False
        pieces = [text[at : at + 4] for at in range(0, len(text), 4)] or [""]
        try:
            await asyncio.sleep(self.latency_s * self.first_share)
            for piece in pieces:
                await asyncio.sleep(self.latency_s * (1 - self.first_share) / len(pieces))
                yield Delta(piece)
            ended = True
            yield Delta("", "stop", Usage(1, 1))
        finally:
            stream.closed = not ended
            self.closed += 1

    @property
    def open(self) -> int:
        """How many requests it works on."""
        return len(self.began) - self.closed


def type_on(text: str, key: Typed, model: Timed) -> str:
    said = model.reply(text)
    if key.follows and said:
        return text + said[0]
    return text + (" " if key.good else "q")


async def type_all(model: Timed, suggestions: SuggestionService, keys: list[Typed]) -> tuple[str, list[str], float]:
    """What stands in the document in the end, what the last request gave, and how long after its key."""
    loop = asyncio.get_running_loop()
    text = HEAD
    task: asyncio.Task[list[str]] | None = None
    pressed_s = loop.time()
    for key in keys:
        await asyncio.sleep(key.after_s)
        if task is not None and task.done():
            for shown in task.result():
                assert_not_stale(model, text, shown)
        text = type_on(text, key, model)
        pressed_s = loop.time()
        if task is not None:
            task.cancel()
        task = asyncio.create_task(texts(suggestions, ask(text)))
        await asyncio.sleep(0.001)
        assert model.open <= 1, "what nobody can be shown any more goes on"
    assert task is not None
    return text, await task, loop.time() - pressed_s


def assert_not_stale(model: Timed, text: str, shown: str) -> None:
    """It goes on as the model says here, or as it said some keys ago, of which the rest is shown."""
    places = [text[:at] for at in range(len(HEAD), len(text) + 1)]
    assert any((place + model.reply(place)).startswith(text + shown) for place in places), (text, shown)


def run(keys: list[Typed], latency_s: float, first_share: float, ready: Ready | None) -> None:
    async def session() -> None:
        model = Timed(latency_s, first_share, ready)
        suggestions = service(model, speculate="never", warm_up=False, timeout_ms=60_000)
        text, found, took_s = await type_all(model, suggestions, keys)
        for shown in found:
            assert_not_stale(model, text, shown)
        assert found or model.reply(text) == ""
        wait_s = max(MAX_DELAY_S, latency_s)  # for a pause, or for a generation that turns out to say something else
        wait_s += model.ready_s
        assert took_s <= wait_s + latency_s + 0.01
        assert len(model.began) <= len(keys) + 1
        suggestions.close()
        await asyncio.sleep(0.001)
        assert model.open == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=loop_factories()["own clock"]) as runner:
        runner.run(session())


keys_of = st.lists(
    st.builds(
        Typed, st.floats(0.002, 0.06) | st.floats(0.06, 0.15) | st.floats(0.15, 2.0), st.booleans(), st.booleans()
    ),
    min_size=1,
    max_size=25,
)


@settings(deadline=None)
@given(
    keys_of,
    st.floats(0.005, 0.9),
    st.floats(0.0, 1.0),
    st.none() | st.builds(Ready, st.floats(0.0, 0.2), st.floats(0.0, 1.0)),
)
def test_whatever_is_typed_the_last_key_is_answered_in_time_with_nothing_stale(
    keys: list[Typed], latency_s: float, first_share: float, ready: Ready | None
) -> None:
    run(keys, latency_s, first_share, ready)


@pytest.mark.parametrize("jitter_s", [0.0005, 0.002, 0.008])
@pytest.mark.parametrize("seed", range(5))
def test_a_storm_that_says_something_else_asks_little_and_is_answered_once_the_next_key_is_late(
    seed: int, jitter_s: float
) -> None:
    async def session() -> None:
        rng = random.Random(seed)
        model = Timed(0.25, 0.6)
        suggestions = service(model, speculate="never", warm_up=False)
        # On a machine with other work to do some keys come much later than most.
        keys = [Typed(0.03 + rng.expovariate(1 / jitter_s), False, rng.random() < 0.2) for _ in range(40)]
        text, found, took_s = await type_all(model, suggestions, keys)
        assert found == [model.reply(text)]
        assert took_s <= 0.25 + 2 * (0.03 + 2 * jitter_s)
        assert len(model.began) <= 6
        suggestions.close()

    with asyncio.Runner(loop_factory=loop_factories()["own clock"]) as runner:
        runner.run(session())


async def test_a_start_by_a_burst_that_only_seemed_to_be_over_holds_up_no_later_key() -> None:
    model = Timed(0.25, 0.6)
    suggestions = service(model, speculate="never", warm_up=False)
    gaps_s = [0.03] * 12 + [0.04] + [0.03] * 2
    text, found, took_s = await type_all(model, suggestions, [Typed(gap_s, False, False) for gap_s in gaps_s])
    assert found == [model.reply(text)]
    assert len(model.began) == 3  # at the first key, in the longer gap, after the last key
    assert took_s == pytest.approx(0.25 + 0.034, abs=0.002)  # the next one was given twice as long
    suggestions.close()
