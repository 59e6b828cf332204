"""What every ModelStore must do, as tests. Needs pytest and pytest-asyncio (auto mode).

Subclass ModelStoreContract in a test module and override the fixture `subject`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from ghostd.errors import InvalidRequest, ModelNotFound
from ghostd.models import PullProgress
from ghostd.ports import ModelStore

_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Subject:
    """A store under test."""

    store: ModelStore
    own: str
    """A model that may be removed."""
    foreign: str
    """A model that may not."""
    pullable: str
    """A name that can be pulled and has not been."""
    unpullable: str


class ModelStoreContract:
    """The contract's tests."""

    @pytest.fixture
    def subject(self) -> Subject:
        """The store under test; override it."""
        raise NotImplementedError("override the fixture `subject`")

    async def test_it_holds_its_models_and_no_others(self, subject: Subject) -> None:
        """Whoever they belong to."""
        found = [subject.store.holds(name) for name in (subject.own, subject.foreign, "nobody", "")]
        assert found == [True, True, False, False]
        assert (await subject.store.describe(subject.own)).keys["general.architecture"]

    async def test_a_name_that_is_not_there_is_not_found(self, subject: Subject) -> None:
        """By every method for one model."""
        store = subject.store
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: store.describe("nobody"),
            lambda: store.load("nobody"),
            lambda: store.unload("nobody"),
            lambda: store.copy("nobody", "x"),
            lambda: store.delete("nobody"),
        ]
        for call in calls:
            with pytest.raises(ModelNotFound):
                await call()
        with pytest.raises(ModelNotFound):
            store.keep("nobody", 5)

    async def test_what_is_loaded_is_seen_until_it_is_unloaded(self, subject: Subject) -> None:
        """With its memory and the time of its end."""
        store = subject.store
        assert list(store.loaded()) == []
        await store.load(subject.own)
        (found,) = store.loaded()
        assert (found.info.id, found.memory_bytes > 0) == (subject.own, True)
        assert found.expires_s is not None
        assert found.expires_s > time.time()
        await store.unload(subject.own)
        assert list(store.loaded()) == []

    async def test_a_model_is_kept_for_as_long_as_is_said(self, subject: Subject) -> None:
        """A negative time is for ever, and none at all ends it once it is idle."""
        store = subject.store
        await store.load(subject.own)
        store.keep(subject.own, 7200)
        (found,) = store.loaded()
        assert found.expires_s == pytest.approx(time.time() + 7200, abs=60)
        store.keep(subject.own, -1)
        assert [found.expires_s for found in store.loaded()] == [None]
        store.keep(subject.own, 0)
        async with asyncio.timeout(_TIMEOUT_S):
            while store.loaded():  # noqa: ASYNC110 - the port has no event for it
                await asyncio.sleep(0.01)

    async def test_a_pulled_model_answers_to_the_name_it_was_pulled_by(self, subject: Subject) -> None:
        """Once the download has ended, and not before."""
        store = subject.store
        assert store.pulled(subject.pullable) is None
        steps = []
        async with aclosing(store.pull(subject.pullable)) as progress:
            async for step in progress:
                assert store.pulled(subject.pullable) is None
                steps.append(step)
        sized: list[PullProgress] = [step for step in steps if step.total_bytes]
        assert sized
        assert sized[-1].completed_bytes == sized[-1].total_bytes
        name = store.pulled(subject.pullable)
        assert name is not None
        assert store.holds(name)
        await store.delete(name)
        assert store.pulled(subject.pullable) is None

    async def test_a_pull_that_is_given_up_offers_nothing(self, subject: Subject) -> None:
        """And can be begun again."""
        store = subject.store
        async with aclosing(store.pull(subject.pullable)) as progress:
            await anext(progress)
        assert store.pulled(subject.pullable) is None
        async with aclosing(store.pull(subject.pullable)) as progress:
            async for _ in progress:
                pass
        assert store.pulled(subject.pullable) is not None

    async def test_what_cannot_be_pulled_is_refused(self, subject: Subject) -> None:
        """Before anything is fetched."""
        with pytest.raises(InvalidRequest):
            async with aclosing(subject.store.pull(subject.unpullable)) as progress:
                async for _ in progress:
                    pass

    async def test_a_copy_outlives_its_source(self, subject: Subject) -> None:
        """And is a model like any other."""
        store = subject.store
        await store.copy(subject.own, "a-copy")
        assert store.holds("a-copy")
        await store.delete(subject.own)
        assert (store.holds(subject.own), store.holds("a-copy")) == (False, True)
        await store.load("a-copy")
        await store.delete("a-copy")
        assert (store.holds("a-copy"), list(store.loaded())) == (False, [])

    @pytest.mark.parametrize("destination", ["a/b", "../b"])
    async def test_a_copy_has_a_name_of_its_own(self, subject: Subject, destination: str) -> None:
        """Neither a path nor a name that is taken."""
        for name in (destination, subject.own):
            with pytest.raises(InvalidRequest):
                await subject.store.copy(subject.own, name)
        assert not subject.store.holds(destination)

    async def test_what_belongs_to_others_is_neither_copied_nor_removed(self, subject: Subject) -> None:
        """It may be loaded like any other."""
        store = subject.store
        with pytest.raises(InvalidRequest):
            await store.copy(subject.foreign, "a-copy")
        with pytest.raises(InvalidRequest):
            await store.delete(subject.foreign)
        assert (store.holds(subject.foreign), store.holds("a-copy")) == (True, False)
        await store.load(subject.foreign)
        await store.unload(subject.foreign)
