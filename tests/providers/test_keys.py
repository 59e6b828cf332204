"""A provider's keys: which is used next, how long one rests, and what people are told."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest

from ghostd.errors import (
    KeyRefused,
    NoUsableKey,
    QuotaExhausted,
    RateLimited,
    SecretError,
    UpstreamError,
    UpstreamFailed,
    UpstreamRejected,
    UpstreamUnreachable,
)
from ghostd.models import KeyState
from ghostd.providers.keys import Key, KeyPool
from ghostd.testing.memory_secrets import MemorySecrets


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """A pool with its clock and its secrets."""

    def __init__(self, *references: str, optional: bool = False, missing: Sequence[str] = ()) -> None:
        self.clock = Clock()
        self.secrets = MemorySecrets({r: f"value-of-{r.partition(':')[2]}" for r in references if r not in missing})
        self.pool = KeyPool("openai", references, self.secrets, self.clock, optional=optional)

    async def lease(self) -> Key:
        key = await self.pool.lease()
        assert key is not None
        return key

    async def turns(self, count: int) -> str:
        """The last letters of the references of so many leases."""
        return "".join([(await self.lease()).reference[-1] for _ in range(count)])

    async def none(self) -> NoUsableKey:
        with pytest.raises(NoUsableKey) as raised:
            await self.pool.lease()
        return raised.value

    async def rest_s(self, error: UpstreamError) -> float:
        """Use the key, let it fail, and wait until it is used again: the seconds that took, as NoUsableKey tells."""
        self.pool.rest(await self.lease(), error)
        wait_s = (await self.none()).retry_after_s
        assert wait_s is not None
        self.clock.now += wait_s
        return wait_s


def refused() -> KeyRefused:
    return KeyRefused("401 Incorrect API key provided", "openai")


# --- turns -------------------------------------------------------------------------------


async def test_keys_are_used_by_turns() -> None:
    assert await World("env:A", "env:B", "env:C").turns(7) == "ABCABCA"


async def test_requests_at_the_same_time_share_the_keys() -> None:
    world = World("env:A", "env:B", "env:C")
    keys = await asyncio.gather(*(world.lease() for _ in range(9)))
    assert sorted(key.reference for key in keys) == ["env:A"] * 3 + ["env:B"] * 3 + ["env:C"] * 3


async def test_a_resting_key_is_passed_over_until_its_rest_is_over() -> None:
    world = World("env:A", "env:B", "env:C")
    world.pool.rest(await world.lease(), RateLimited("429", retry_after_s=30))
    assert await world.turns(4) == "BCBC"
    world.clock.now += 29.9
    assert await world.turns(2) == "BC"
    world.clock.now += 0.2
    assert await world.turns(3) == "ABC"


async def test_an_empty_list_of_keys_sends_none() -> None:
    assert await World().pool.lease() is None
    assert World().pool.states() == []


async def test_a_reference_that_stands_twice_is_one_key() -> None:
    world = World("env:A", "env:A")
    assert len(world.pool.states()) == 1
    world.pool.rest(await world.lease(), refused())
    await world.none()


async def test_a_thousand_keys_are_used_by_turns() -> None:
    world = World(*(f"env:K{number}" for number in range(1000)))
    used = [(await world.lease()).reference for _ in range(2000)]
    assert used[:1000] == used[1000:] == [f"env:K{number}" for number in range(1000)]


# --- rests ---------------------------------------------------------------------------------


async def test_a_rate_limit_rests_for_its_own_figure_up_to_an_hour() -> None:
    for own, expected in [(0.25, 0.25), (7, 7), (3600, 3600), (1e12, 3600), (math.inf, 3600), (0, 1), (-5, 1)]:
        assert await World("env:A").rest_s(RateLimited("429", retry_after_s=own)) == pytest.approx(expected)


async def test_a_rate_limit_without_a_figure_rests_longer_each_time() -> None:
    world = World("env:A")
    assert [await world.rest_s(RateLimited("429")) for _ in range(11)] == [
        10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600,
    ]  # fmt: skip
    assert await World("env:A").rest_s(RateLimited("429", retry_after_s=math.nan)) == 10


async def test_an_exhausted_quota_rests_a_quarter_of_an_hour_to_six_hours() -> None:
    world = World("env:A")
    assert [await world.rest_s(QuotaExhausted("insufficient_quota")) / 60 for _ in range(7)] == [
        15, 30, 60, 120, 240, 360, 360,
    ]  # fmt: skip


async def test_a_refused_key_rests_five_minutes_to_an_hour() -> None:
    world = World("env:A")
    assert [await world.rest_s(refused()) / 60 for _ in range(6)] == [5, 10, 20, 40, 60, 60]


async def test_rests_stay_bounded_however_often_a_key_fails() -> None:
    world = World("env:A")
    for _ in range(5000):
        await world.rest_s(refused())
    assert await world.rest_s(refused()) == 3600


async def test_success_ends_the_doubling() -> None:
    world = World("env:A")
    for _ in range(3):
        await world.rest_s(QuotaExhausted("gone"))
    world.pool.succeeded(await world.lease())
    assert await world.rest_s(QuotaExhausted("gone")) == 900


async def test_requests_that_fail_together_count_once() -> None:
    world = World("env:A")
    keys = [await world.lease() for _ in range(20)]
    for key in keys:
        world.pool.rest(key, RateLimited("429"))
    assert (await world.none()).retry_after_s == 10
    world.clock.now += 10
    assert await world.rest_s(RateLimited("429")) == 20


async def test_a_longer_rest_is_not_shortened_by_a_later_failure_or_success() -> None:
    world = World("env:A")
    first, second, third = [await world.lease() for _ in range(3)]
    world.pool.rest(first, QuotaExhausted("gone"))
    world.pool.rest(second, RateLimited("429", retry_after_s=1))
    world.pool.succeeded(third)
    assert (await world.none()).retry_after_s == 900
    assert "gone" in world.pool.states()[0].detail


@pytest.mark.parametrize(
    "error",
    [
        UpstreamFailed("503", 503, retry_after_s=60),
        UpstreamUnreachable("reset"),
        UpstreamRejected("bad request", 400),
        NoUsableKey("nested", retry_after_s=60),
    ],
)
async def test_other_errors_rest_no_key(error: UpstreamError) -> None:
    world = World("env:A")
    world.pool.rest(await world.lease(), error)
    assert await world.turns(1) == "A"


async def test_a_key_of_another_pool_is_ignored() -> None:
    world = World("env:A")
    world.pool.rest(Key("env:B", "value-of-B"), refused())
    world.pool.succeeded(Key("env:B", "value-of-B"))
    assert await world.turns(2) == "AA"


async def test_a_clock_that_is_set_back_does_not_prolong_a_rest_for_ever() -> None:
    world = World("env:A")
    world.pool.rest(await world.lease(), RateLimited("429", retry_after_s=30))
    world.clock.now -= 500_000
    assert (await world.none()).retry_after_s == 30
    world.clock.now += 30
    assert await world.turns(1) == "A"


# --- secrets -------------------------------------------------------------------------------


async def test_a_refused_secret_is_read_anew_before_the_next_use() -> None:
    world = World("env:A")
    world.pool.rest(await world.lease(), refused())
    world.secrets.values["env:A"] = "value-that-came-after"
    await world.none()
    world.clock.now += 300
    assert (await world.lease()).value == "value-that-came-after"
    assert world.secrets.reads == ["env:A"] * 2


async def test_other_rests_do_not_read_the_secret_again() -> None:
    world = World("env:A")
    for error in (RateLimited("429"), QuotaExhausted("gone")):
        await world.rest_s(error)
    await world.lease()
    assert world.secrets.reads == ["env:A"]


async def test_a_refused_key_that_used_to_work_is_looked_for_at_once() -> None:
    """It has been rotated, or was a token of a command that expires every hour."""
    for reference in ("keyring:a", "command:gcloud auth print-access-token"):
        world = World(reference)
        first = await world.lease()
        world.pool.succeeded(first)
        world.secrets.values[reference] = "value-that-came-after"
        world.pool.rest(first, refused())
        second = await world.lease()
        assert second.value == "value-that-came-after"
        world.pool.rest(second, refused())  # this one never worked: no endless loop over ever new tokens
        world.secrets.values[reference] = "yet-another-value"
        await world.none()


async def test_a_key_that_was_replaced_in_the_keyring_ends_its_rest() -> None:
    world = World("keyring:a")
    world.pool.rest(await world.lease(), refused())
    world.clock.now += 16
    await world.none()  # looked, and it was the same
    world.secrets.values["keyring:a"] = "value-that-came-after"
    await world.none()
    world.clock.now += 16
    assert (await world.lease()).value == "value-that-came-after"
    assert world.pool.states()[0].state == "ready"


async def test_a_key_that_its_user_has_replaced_is_used_with_the_next_request() -> None:
    """`ghostctl secret set` and `rotate` tell the daemon."""
    world = World("keyring:a", "keyring:b", missing=["keyring:b"])
    world.pool.rest(await world.lease(), QuotaExhausted("gone"))
    await world.none()
    for reference in ("keyring:a", "keyring:b"):
        world.secrets.values[reference] = "value-that-came-after"
        world.pool.replaced(reference)
    assert await world.turns(4) == "abab"
    world.secrets.values.clear()
    world.pool.replaced("keyring:a")
    world.pool.replaced("keyring:b")
    assert "keyring:a cannot be read: there is no such secret; keyring:b cannot be read" in str(await world.none())


async def test_a_key_that_was_not_replaced_after_all_goes_on_resting() -> None:
    world = World("keyring:a")
    world.pool.rest(await world.lease(), QuotaExhausted("gone"))
    world.pool.replaced("keyring:a")
    world.pool.replaced("keyring:unknown")
    assert (await world.none()).retry_after_s == 900


async def test_a_command_is_not_run_again_and_again_for_a_refused_key() -> None:
    world = World("command:op read x")
    world.pool.rest(await world.lease(), refused())
    for _ in range(100):
        world.clock.now += 2
        await world.none()
    assert len(world.secrets.reads) == 1


async def test_a_late_refusal_of_the_value_before_does_not_rest_the_new_one() -> None:
    world = World("keyring:a")
    first, late = await world.lease(), await world.lease()
    world.pool.succeeded(first)
    world.secrets.values["keyring:a"] = "value-that-came-after"
    world.pool.rest(first, refused())
    await world.lease()
    world.pool.rest(late, refused())
    assert (await world.lease()).value == "value-that-came-after"


async def test_keys_that_cannot_be_read_are_passed_over_and_looked_for_again_later() -> None:
    world = World("env:A", "env:B", missing=["env:A"])
    assert await world.turns(4) == "BBBB"
    assert world.secrets.reads.count("env:A") == 1
    world.secrets.values["env:A"] = "value-of-A"
    world.clock.now += 5
    assert sorted(await world.turns(2)) == ["A", "B"]


async def test_the_look_for_an_unreadable_secret_is_put_off_for_a_minute_at_most() -> None:
    world = World("env:A", missing=["env:A"])
    looks: list[float] = []
    start = world.clock.now
    for _ in range(300):
        before = len(world.secrets.reads)
        await world.none()
        if len(world.secrets.reads) > before:
            looks.append(world.clock.now - start)
        world.clock.now += 1
    assert looks == [0, 5, 15, 35, 75, 135, 195, 255]


async def test_an_optional_secret_that_does_not_exist_means_no_key() -> None:
    world = World("env:A", "env:B", optional=True, missing=["env:A", "env:B"])
    assert [await world.pool.lease() for _ in range(3)] == [None] * 3
    world.clock.now += 5
    world.secrets.values["env:B"] = "value-of-B"
    assert await world.turns(1) == "B"


async def test_an_optional_secret_that_exists_is_sent_and_can_be_refused() -> None:
    world = World("env:A", "env:B", optional=True, missing=["env:B"])
    world.pool.rest(await world.lease(), refused())
    assert "env:A rests for 300 s" in str(await world.none())


async def test_an_optional_secret_behind_a_locked_keyring_is_not_left_out_silently() -> None:
    class Locked(MemorySecrets):
        async def get(self, reference: str) -> str:
            raise SecretError(f"{reference}: the keyring is locked: unlock it")

    pool = KeyPool("openai", ["keyring:a"], Locked(), Clock(), optional=True)
    with pytest.raises(NoUsableKey, match="keyring:a cannot be read: the keyring is locked: unlock it"):
        await pool.lease()


async def test_a_key_that_is_refused_while_another_request_reads_it_is_not_handed_out() -> None:
    class Slow(MemorySecrets):
        wait: asyncio.Event | None = None
        waiting = asyncio.Event()

        async def get(self, reference: str) -> str:
            if self.wait is not None:
                self.waiting.set()
                await self.wait.wait()
            return await super().get(reference)

    secrets = Slow({"env:A": "value-of-A"})
    pool = KeyPool("openai", ["env:A"], secrets, Clock())
    first = await pool.lease()
    assert first is not None
    secrets.wait = asyncio.Event()
    second = asyncio.create_task(pool.lease())
    await secrets.waiting.wait()
    pool.rest(first, refused())
    secrets.wait.set()
    with pytest.raises(NoUsableKey):
        await second


# --- for people --------------------------------------------------------------------------------


async def test_states_tell_how_each_key_fares() -> None:
    references = ("keyring:a", "env:B", "env:C", "command:op read op://x/y", "env:E")
    world = World(*references, missing=["env:C"])
    a, _, _ = await world.lease(), await world.lease(), await world.lease()
    world.pool.rest(a, refused())
    world.clock.now += 30.5
    assert world.pool.states() == [
        KeyState("keyring:a", "resting", "rests for 270 s: openai: 401 Incorrect API key provided"),
        KeyState("env:B", "ready"),
        KeyState("env:C", "missing", "cannot be read: there is no such secret"),
        KeyState("command:op", "ready"),
        KeyState("env:E", "unused"),
    ]


async def test_no_usable_key_says_why_for_each_and_when_the_first_is_back() -> None:
    world = World("env:A", "env:B", "env:C", missing=["env:C"])
    world.pool.rest(await world.lease(), RateLimited("429 slow down", "openai", retry_after_s=50))
    world.pool.rest(await world.lease(), QuotaExhausted("no credit", "openai"))
    error = await world.none()
    assert str(error) == (
        "openai: no API key can be used: env:A rests for 50 s: openai: 429 slow down; "
        "env:B rests for 900 s: openai: no credit; env:C cannot be read: there is no such secret"
    )
    assert (error.retry_after_s, error.upstream, error.retryable) == (50, "openai", True)


async def test_keys_that_cannot_be_read_give_no_time_to_come_back() -> None:
    assert (await World("env:A", missing=["env:A"]).none()).retry_after_s is None


async def test_what_an_upstream_says_is_shown_short_and_without_the_key() -> None:
    world = World("env:A")
    key = await world.lease()
    world.pool.rest(key, KeyRefused(f"the key\n{key.value}\tis wrong " + "x" * 10_000))
    told = str(await world.none())
    assert "the key [redacted] is wrong xxx" in told
    assert (key.value in told, "\n" in told, len(told) < 500) == (False, False, True)
    assert key.value not in repr(key) + repr(world.pool) + repr(world.pool.states())


async def test_the_reasons_of_many_keys_are_cut() -> None:
    world = World(*(f"env:K{number}" for number in range(1000)))
    for _ in range(1000):
        world.pool.rest(await world.lease(), refused())
    told = str(await world.none())
    assert told.endswith("; and 990 more")
    assert len(world.pool.states()) == 1000


async def test_a_key_pasted_as_a_reference_is_not_shown() -> None:
    pool = KeyPool("openai", ["sk-pasted-by-mistake"], MemorySecrets(), Clock())
    with pytest.raises(NoUsableKey) as raised:
        await pool.lease()
    assert "sk-pasted" not in str(raised.value) + str(pool.states())
    assert 'a key is given by reference: "keyring:NAME"' in str(raised.value)
