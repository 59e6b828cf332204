"""What the tokens of a fill may be drafted from, and when anything is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from completion.test_prompting import ABOVE, BELOW, CLAIM, REQUEST, Local, local

from ghostd import engine
from ghostd.completion.drafting import draft_sources
from ghostd.completion.fill import collect
from ghostd.engine import Engine
from ghostd.models import Speed
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import CompletionRequest, DraftSources, FillRequest, OpenDocument

SLOW, FAST = Speed(200.0, 20.0), Speed(5000.0, 1000.0)


async def drafts(request: FillRequest, model: Local, *others: ScriptedProvider) -> DraftSources | None:
    await collect(Engine([*others, model]).fill(request))
    (asked,) = model.requests
    assert isinstance(asked, CompletionRequest)
    return asked.drafts


async def test_a_model_that_writes_slowly_is_given_the_file_and_what_is_expected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "_EXPECTED_S", 20.0)
    knowing = ScriptedProvider(["ret", "urn 1"], model="project", capabilities=frozenset({"fill"}))
    found = await drafts(REQUEST, local(speed=SLOW), knowing)
    assert found is not None
    assert found.expected == "return 1"
    assert any("value_10 " in text for text in found.texts)
    (asked,) = knowing.requests
    assert isinstance(asked, FillRequest)
    assert (asked.min_confidence, asked.prefix) == (0.0, REQUEST.prefix)


@pytest.mark.parametrize("speed", [FAST, None, Speed(100.0, 0.0)])
async def test_others_are_given_nothing(speed: Speed | None) -> None:
    assert await drafts(REQUEST, local(speed=speed)) is None


async def test_a_native_model_that_fails_or_hangs_costs_the_fill_nothing() -> None:
    for knowing in (
        ScriptedProvider(["x"], model="project", capabilities=frozenset({"fill"}), hold=asyncio.Event()),
        ScriptedProvider(["x"], model="project", capabilities=frozenset({"chat"})),
    ):
        found = await drafts(REQUEST, local(speed=SLOW), knowing)
        assert found is not None
        assert found.expected == ""


def test_blocks_are_the_same_from_key_to_key() -> None:
    before = draft_sources(REQUEST, "", ())
    after = draft_sources(replace(REQUEST, prefix=ABOVE + "    total = su"), "", ())
    below = draft_sources(replace(REQUEST, suffix=BELOW.removeprefix("\n")), "", ())
    assert before.texts == after.texts
    assert len(set(below.texts) - set(before.texts)) <= 1


def test_the_nearest_texts_come_last_and_all_are_bounded() -> None:
    documents = tuple(OpenDocument(Path(f"{name}.py"), f"{name} = {name}\n" * 5000) for name in "abc")
    long = replace(REQUEST, prefix="x = 1\n" * 100_000 + "near = 2\n" * 64 + "y", open_documents=documents)
    texts = draft_sources(long, "", [("quoted.py", "q = 1\n")]).texts
    assert "near" in texts[-1]
    assert sum(map(len, texts)) <= 64 * 1024
    small = draft_sources(replace(REQUEST, prefix="", open_documents=documents[:1]), "", [("quoted.py", "q = 1\n")])
    assert [texts[0] for texts in (small.texts[0],)] == ["a"]
    assert small.texts.index("q = 1\n") > 0
    assert small.texts[-1].startswith("\ndef below_0(")


def test_a_file_of_one_long_line_is_no_source() -> None:
    assert draft_sources(FillRequest("m", "x" * 200_000, "y" * 200_000, claim=CLAIM), "", ()).texts == ()
