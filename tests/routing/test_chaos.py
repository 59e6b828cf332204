"""Whatever upstreams and callers do, in whatever order: one row for each call, nothing left behind or half told."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import aclosing

import pytest
from routing_harness import World, chat, deltas, said, stream, whole

from ghostd.errors import (
    GhostdError,
    KeyRefused,
    Overloaded,
    RateLimited,
    UnsupportedParameter,
    UpstreamError,
    UpstreamFailed,
    UpstreamMalformed,
    UpstreamModelMissing,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ghostd.testing.scripted import ScriptedProvider, ScriptedUpstreamProvider, Step
from ghostd.types import RelayRequest

SETTINGS = """
[routes.r]
deployments = ["a/m", {model = "b/m", weight = 2}, {model = "c/m", order = 2}]
fallbacks = ["second"]
fallback_on = ["error", "context", "content_filter"]
timeout_s = 60
hedge = true
[routes.second]
deployments = ["c/m", "tiny"]
policy = "balanced"
local_last_resort = true
[providers.a]
max_concurrency = 4
[providers.b]
rpm = 60
tpm = 3000
[routing]
rest_s = 3
max_rest_s = 20
breaker_window = 5
"""


def errors(rng: random.Random) -> GhostdError:
    return rng.choice(
        [
            UpstreamUnreachable("refused"),
            UpstreamTimeout("silence", "first byte"),
            UpstreamMalformed("HTML"),
            UpstreamFailed("down", 500, retry_after_s=rng.choice([None, 0.0, 1.0, 1e9])),
            UpstreamModelMissing("no such model"),
            RateLimited("slow down", retry_after_s=rng.choice([None, -1.0, 0.5, 30.0])),
            KeyRefused("wrong key"),
            Overloaded("busy"),
            UnsupportedParameter("no", "n"),
            UpstreamRejected("no", 400, reason=rng.choice([None, "context", "content_filter"])),
        ]
    )


class Wild(ScriptedUpstreamProvider):
    """Answers well, slowly, wrongly, half, or never."""

    def __init__(self, rng: random.Random, name: str, relays: tuple[str, ...]) -> None:
        super().__init__(name=name, endpoint=f"http://{name}.test", relays=relays)
        self.rng = rng

    def script_for(self, request: object) -> list[Step]:
        rng = self.rng
        if isinstance(request, RelayRequest):
            good = stream("x", "y", "z") if request.stream else whole("xyz")
        else:
            good = deltas("x", "y", "z")
        kind = rng.random()
        if kind < 0.5:
            return good
        if kind < 0.7:
            return [self.later(), *good]
        if kind < 0.85:
            return [errors(rng)]
        if kind < 0.9:
            return [asyncio.Event()]
        begun = good[: rng.randrange(len(good))]
        return [*begun, *([self.later()] if rng.random() < 0.5 else []), *([errors(rng)] if rng.random() < 0.5 else [])]

    def later(self) -> asyncio.Event:
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(self.rng.uniform(0, 15), event.set)
        return event

    async def check(self, timeout_s: float) -> None:
        await asyncio.sleep(self.rng.uniform(0, 1))
        if self.rng.random() < 0.4 and isinstance(error := errors(self.rng), UpstreamError):
            raise error


async def caller(w: World, rng: random.Random, outcomes: Counter[str]) -> None:
    """One caller: impatient or not, of a stream or of a whole reply. It sees all, an error, or leaves."""
    await asyncio.sleep(rng.uniform(0, 120))
    call = chat(stream=rng.random() < 0.5, prompt_tokens=rng.choice([1, 100, 1000]))
    limit_s = rng.choice([None, 0.0, 1.0, 5.0])
    texts: list[str] = []
    w.calls += 1
    try:
        async with asyncio.timeout(limit_s), aclosing(w.engine.serve(call)) as items:
            async for item in items:
                texts.append(said([item]))
                if rng.random() < 0.02:
                    break
            else:
                assert "".join(texts) in ("xyz", "hello world"), "a reply that is not whole, told as whole"
                assert call.id in {row.id for row in w.ledger.rows}
    except GhostdError:
        pass
    except TimeoutError:
        pass
    rows = [row for row in w.ledger.rows if row.id == call.id]
    if not rows:
        w.calls -= 1  # it left before it asked
        return
    (row,) = rows
    outcomes[row.status] += 1


@pytest.mark.parametrize("seed", range(12))
async def test_every_call_has_one_row_and_leaves_nothing_behind(seed: int) -> None:
    rng = random.Random(seed)
    random.seed(seed)
    before = len(asyncio.all_tasks())
    wild = [Wild(rng, name, relays) for name, relays in (("a", ("openai.chat",)), ("b", ()), ("c", ("openai.chat",)))]
    w = World(SETTINGS, *wild, local=[ScriptedProvider(model="tiny")])
    outcomes: Counter[str] = Counter()
    async with asyncio.timeout(100_000):
        await asyncio.gather(*(caller(w, rng, outcomes) for _ in range(150)))
    await w.router.close()
    w.check()
    assert len(asyncio.all_tasks()) == before
    assert outcomes["ok"] > 30
    assert outcomes["cancelled"] > 0
