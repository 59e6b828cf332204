"""The order of work: what is kept, ready structures, what runs and agrees, and only then a model."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from suggestions.models import CLOUD, KEEPS, MODEL, READY, SLOW, Models, all_of, ask, service, texts, until

from ghostd.completion.stages import Stages
from ghostd.errors import WorkerCrashed
from ghostd.gateway.prometheus import figures
from ghostd.suggestions.filler import Filler
from ghostd.suggestions.generation import Generation
from ghostd.suggestions.suggestion import Suggestion
from ghostd.types import Delta, Usage

HEAD = "def load(path):\n    "


async def test_a_repeat_and_typed_text_ask_no_model() -> None:
    models = Models(MODEL)
    suggestions = service(models, speculate="never")
    first = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("return open(path)").end()
    assert await first == ["return open(path)"]
    assert await texts(suggestions, ask(HEAD)) == ["return open(path)"]
    assert await texts(suggestions, ask(HEAD + "return o")) == ["pen(path)"]
    assert await texts(suggestions, ask(HEAD + "ret")) == ["urn open(path)"]
    assert len(models.asked) == 1


async def test_a_running_generation_is_kept_while_the_typed_text_agrees() -> None:
    models = Models(MODEL)
    suggestions = service(models, speculate="never")
    first = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("return ")
    first.cancel()
    second = asyncio.create_task(all_of(suggestions, ask(HEAD + "re")))
    await asyncio.sleep(0.06)  # longer than a generation lives that nobody waits for
    models.asked[0].write("path").end()
    (found,) = await second
    assert (found.text, found.origin, len(models.asked)) == ("turn path", "running", 1)


async def test_a_running_generation_is_stopped_as_soon_as_the_typed_text_contradicts_it() -> None:
    models = Models(MODEL)
    suggestions = service(models, speculate="never")
    first = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("return ")
    await asyncio.sleep(0)
    await until(models.asked[0].pieces.empty)
    first.cancel()
    second = asyncio.create_task(texts(suggestions, ask(HEAD + "with ")))
    await until(lambda: models.asked[0].closed)
    await until(lambda: len(models.asked) == 2)
    models.asked[1].write("open(path)").end()
    assert await second == ["open(path)"]


async def test_what_is_being_written_does_not_close_again_what_the_editor_has_closed_by_itself() -> None:
    models = Models(MODEL)
    suggestions = service(models, speculate="never", inline_budget_ms=0)
    first = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("print(")
    await until(models.asked[0].pieces.empty)
    first.cancel()
    second = asyncio.create_task(texts(suggestions, ask(HEAD + "print(", ")\n", incremental=True)))
    await asyncio.sleep(0.01)
    models.asked[0].write("path)\n")
    await until(models.asked[0].pieces.empty)
    models.asked[0].write("    return path").end()
    assert await second == ["path", "path"]
    assert len(models.asked) == 1


async def test_a_generation_that_ends_with_another_text_is_followed_by_a_fresh_one() -> None:
    models = Models(MODEL)
    suggestions = service(models, speculate="never")
    first = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    first.cancel()
    second = asyncio.create_task(texts(suggestions, ask(HEAD + "x")))
    await asyncio.sleep(0.005)
    models.asked[0].write("return path").end()
    await until(lambda: len(models.asked) == 2)
    assert models.asked[1].request.prefix == HEAD + "x"
    models.asked[1].write(" = 1").end()
    assert await second == [" = 1"]


async def test_a_cancelled_request_frees_the_model() -> None:
    models = Models(MODEL)
    suggestions = service(models)
    task = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    task.cancel()
    await until(lambda: models.asked[0].closed)


async def test_a_request_that_waits_for_a_pause_and_is_cancelled_never_reaches_a_model() -> None:
    models = Models(MODEL)
    suggestions = service(models)
    for number in range(8):
        suggestions.state_of(ask(HEAD)).rhythm.key(number * 0.03)  # a burst of keys
    for typed in ("s", "se", "sel", "self"):
        task = asyncio.create_task(texts(suggestions, ask(HEAD + typed)))
        for _ in range(3):
            await asyncio.sleep(0)  # it has begun to wait
        task.cancel()
    await asyncio.sleep(0.2)
    assert models.asked == []


async def test_that_a_model_has_nothing_to_say_is_remembered() -> None:
    models = Models(MODEL)
    suggestions = service(models)
    task = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("\n  ").end()
    assert await task == []
    assert await texts(suggestions, ask(HEAD)) == []
    assert len(models.asked) == 1


async def test_a_sure_answer_of_ready_structures_asks_no_model() -> None:
    models = Models(READY, MODEL)
    models.ready[HEAD] = ("return path", 0.9)
    assert await texts(service(models), ask(HEAD)) == ["return path"]
    assert models.asked == []


async def test_a_model_is_asked_meanwhile_when_ready_structures_take_their_time() -> None:
    models = Models(READY, MODEL)
    models.ready[HEAD], models.ready_s = ("return None", 0.5), 0.02
    suggestions = service(models)
    began_s = asyncio.get_running_loop().time()
    task = asyncio.create_task(all_of(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    assert asyncio.get_running_loop().time() - began_s < 0.01  # on the loop's own clock
    models.asked[0].write("return 1").end()
    (found,) = await task
    assert (found.text, found.origin, len(models.asked)) == ("return 1", "fresh", 1)


async def test_a_model_that_was_asked_meanwhile_is_stopped_when_ready_structures_are_sure() -> None:
    models = Models(READY, MODEL)
    models.ready[HEAD], models.ready_s = ("return None", 0.95), 0.02
    suggestions = service(models, speculate="never")
    assert await texts(suggestions, ask(HEAD)) == ["return None"]
    await until(lambda: models.asked[0].closed)
    assert len(models.asked) == 1


async def test_a_model_that_costs_money_is_asked_only_when_ready_structures_are_not_sure() -> None:
    models = Models(READY, CLOUD)
    models.ready[HEAD], models.ready_s = ("return None", 0.95), 0.02
    suggestions = service(models, speculate="never")
    assert await texts(suggestions, ask(HEAD)) == ["return None"]
    assert not models.asked


@pytest.mark.parametrize(("writes_s", "origin"), [(0.0, "kept"), (0.05, "running")])
async def test_a_key_while_ready_structures_look_takes_over_what_a_model_was_asked_meanwhile(
    writes_s: float, origin: str
) -> None:
    models = Models(READY, MODEL)
    models.ready_s = 0.02
    suggestions = service(models, speculate="never")
    first = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    first.cancel()
    second = asyncio.create_task(all_of(suggestions, ask(HEAD + "re")))
    await asyncio.sleep(writes_s)
    models.asked[0].write("return 1").end()
    (found,) = await second
    assert (found.text, found.origin, len(models.asked)) == ("turn 1", origin, 1)


async def test_what_a_model_writes_goes_on_while_ready_structures_look_for_long() -> None:
    models = Models(READY, MODEL)
    models.ready_s = 0.1  # longer than a generation lives that nobody waits for
    suggestions = service(models, speculate="never")
    first = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    first.cancel()
    second = asyncio.create_task(all_of(suggestions, ask(HEAD + "re")))
    await asyncio.sleep(0.15)
    models.asked[0].write("return 1").end()
    (found,) = await second
    assert (found.text, found.origin, len(models.asked)) == ("turn 1", "running", 1)


async def test_a_model_within_the_budget_takes_the_place_of_the_ready_answer() -> None:
    models = Models(READY, MODEL)
    models.ready[HEAD] = ("return path", 0.5)
    suggestions = service(models, inline_budget_ms=5000, speculate="never")
    task = asyncio.create_task(all_of(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("return open(path)").end()
    (found,) = await task
    assert (found.text, found.model, found.final) == ("return open(path)", "model", True)


async def test_a_model_beyond_the_budget_serves_the_next_key() -> None:
    models = Models(READY, MODEL)
    models.ready[HEAD] = ("return path", 0.5)
    suggestions = service(models, inline_budget_ms=1, speculate="never")
    assert await texts(suggestions, ask(HEAD)) == ["return path"]
    await until(lambda: models.asked)
    models.asked[0].write("return open(path)").end()
    await until(lambda: not suggestions.state_of(ask(HEAD)).running)
    assert await texts(suggestions, ask(HEAD + "return ")) == ["open(path)"]


async def test_incremental_requests_get_each_better_answer() -> None:
    models = Models(READY, MODEL)
    models.ready[HEAD] = ("return path", 0.5)
    suggestions = service(models, speculate="never")
    found = suggestions.suggest(ask(HEAD, incremental=True))
    first = await anext(found)
    assert (first.text, first.final) == ("return path", False)
    rest = asyncio.create_task(_rest(found))
    await until(lambda: models.asked)
    models.asked[0].write("with open(path) as file:\n", "        return file")
    models.asked[0].end()
    seen = await rest
    assert seen[-1] == ("with open(path) as file:\n        return file", True)


async def _rest(found: object) -> list[tuple[str, bool]]:
    return [(one.text, one.final) async for one in found]  # type: ignore[attr-defined]


async def test_the_next_suggestion_is_prepared_while_one_is_shown_and_then_asks_no_model() -> None:
    models = Models(MODEL)
    suggestions = service(models)
    task = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("file = open(path)").end()
    assert await task == ["file = open(path)"]
    await until(lambda: len(models.asked) == 2)
    ahead = models.asked[1]
    assert ahead.request.prefix == HEAD + "file = open(path)"
    assert ahead.request.claim.priority == "speculative"
    ahead.write("\n    return file").end()
    await until(lambda: suggestions.state_of(ask(HEAD)).ahead is None)
    (found,) = await all_of(suggestions, ask(HEAD + "file = open(path)"))
    assert (found.text, found.origin) == ("\n    return file", "prepared")


@pytest.mark.parametrize(("gap_s", "prepared"), [(0.03, 0), (0.1, 1)])
async def test_nothing_is_prepared_in_a_burst_of_keys(gap_s: float, prepared: int) -> None:
    models = Models(MODEL)
    suggestions = service(models)
    task = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("return")
    for at in range(1, 9):
        task.cancel()
        task = asyncio.create_task(texts(suggestions, ask(HEAD + "for line"[:at])))
        await asyncio.sleep(gap_s)
    await asyncio.sleep(0.05)
    last, count = models.asked[-1], len(models.asked)
    last.write(f"{HEAD}for line in path"[len(last.request.prefix) :]).end()
    assert await task == [" in path"]
    await asyncio.sleep(0.2)
    assert len(models.asked) - count == prepared


async def test_what_is_prepared_ends_when_the_user_writes_something_else() -> None:
    models = Models(MODEL)
    suggestions = service(models)
    task = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("file = open(path)").end()
    await task
    await until(lambda: len(models.asked) == 2)
    task = asyncio.create_task(texts(suggestions, ask(HEAD + "x = (")))
    await until(lambda: models.asked[1].closed)
    task.cancel()


@pytest.mark.parametrize(("setting", "asked"), [("auto", 1), ("always", 2), ("never", 1)])
async def test_what_costs_money_is_prepared_only_on_demand(setting: str, asked: int) -> None:
    models = Models(CLOUD)
    suggestions = service(models, speculate=setting)
    task = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("return 1").end()
    await task
    await asyncio.sleep(0.1)
    assert len(models.asked) == asked
    suggestions.close()


async def test_a_model_that_is_too_slow_answers_only_on_demand() -> None:
    models = Models(READY, SLOW)
    suggestions = service(models)
    assert await texts(suggestions, ask(HEAD)) == []
    assert models.asked == []
    task = asyncio.create_task(texts(suggestions, ask(HEAD, trigger="manual")))
    await until(lambda: models.asked)
    models.asked[0].write("return 1").end()
    assert await task == ["return 1"]


async def test_a_failure_is_raised_where_nothing_else_can_be_shown_and_nothing_is_remembered() -> None:
    models = Models(MODEL)
    suggestions = service(models)
    task = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("ret").fail(WorkerCrashed("gone"))
    with pytest.raises(WorkerCrashed):
        await task
    task = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: len(models.asked) == 2)
    models.asked[1].write("return 1").end()
    assert await task == ["return 1"]


async def test_a_failure_behind_a_ready_answer_leaves_that() -> None:
    models = Models(READY, MODEL)
    models.ready[HEAD] = ("return path", 0.5)
    suggestions = service(models, inline_budget_ms=5000)
    task = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].fail(WorkerCrashed("gone"))
    assert await task == ["return path"]


async def test_what_is_shown_and_taken_goes_to_the_ledger() -> None:
    models = Models(MODEL)
    suggestions = service(models, speculate="never")
    task = asyncio.create_task(all_of(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("return open(path)").end()
    (found,) = await task
    assert models.outcomes == [(found.id, "shown", 1.0)]
    task = asyncio.create_task(all_of(suggestions, ask(HEAD + "return open(path)")))  # at once: it was accepted
    await until(lambda: len(models.outcomes) == 2)
    assert models.outcomes[1] == (found.id, "accepted", 1.0)
    task.cancel()


async def test_feedback_of_an_editor_is_noted_and_a_refused_suggestion_is_not_shown_again() -> None:
    models = Models(MODEL)
    suggestions = service(models, speculate="never")
    task = asyncio.create_task(all_of(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("return open(path)").end()
    (found,) = await task
    suggestions.accepted("s", "file:///a.py", found.id, 0.5)
    suggestions.rejected("s", "file:///a.py", found.id)
    assert models.outcomes[1:] == [(found.id, "accepted", 0.5), (found.id, "accepted", 0.0)]
    task = asyncio.create_task(all_of(suggestions, ask(HEAD)))
    await until(lambda: len(models.asked) == 2)
    models.asked[1].write("return open(path)").end()
    assert await task == []
    assert await all_of(suggestions, ask(HEAD)) == []
    assert len(models.asked) == 2  # that there is nothing else is remembered, too


async def test_a_refused_suggestion_of_ready_structures_is_not_shown_again() -> None:
    models = Models(READY)
    models.ready[HEAD] = ("return open(path)", 0.9)
    suggestions = service(models)
    (found,) = await all_of(suggestions, ask(HEAD))
    suggestions.rejected("s", "file:///a.py", found.id)
    assert await all_of(suggestions, ask(HEAD)) == []


async def test_the_figures_are_what_was_done() -> None:
    models = Models(MODEL)
    suggestions = service(models, speculate="never")
    task = asyncio.create_task(all_of(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("return open(path)").end()
    (found,) = await task
    for told in (found.id, found.id, "never shown"):
        suggestions.accepted("s", "file:///a.py", told)
    task = asyncio.create_task(all_of(suggestions, ask(HEAD + "with ")))
    await until(lambda: len(models.asked) == 2)
    task.cancel()
    await asyncio.wait([task])
    task = asyncio.create_task(all_of(suggestions, ask("x = ")))
    await until(lambda: len(models.asked) == 3)
    models.asked[2].fail(WorkerCrashed("gone"))
    await asyncio.wait([task])
    report = suggestions.report()
    assert (report.requests, report.shown, report.empty, report.unanswered, report.accepted) == (3, 1, 0, 2, 1)


async def test_a_text_that_grows_while_it_is_looked_at_counts_once_and_can_be_accepted_as_a_whole() -> None:
    models = Models(READY, MODEL)
    models.ready[HEAD] = ("return path", 0.5)
    suggestions = service(models, inline_budget_ms=100, speculate="never")
    task = asyncio.create_task(all_of(suggestions, ask(HEAD, incremental=True)))
    await until(lambda: models.asked)
    for line in ("with open(path) as file:\n", "        text = file.read()\n"):
        await asyncio.sleep(0.5)
        models.asked[0].write(line)
    await asyncio.sleep(0.5)
    models.asked[0].write("        return text").end()
    *seen, whole = [one.text for one in await task]
    assert len(seen) == 3
    report = suggestions.report()
    assert [(one.model, one.shown) for one in report.sources] == [("model", 1), ("ready", 1)]
    stages = report.sources[0].stages_ms
    assert stages["decode"] == pytest.approx(500, abs=20)  # until there was something to show
    task = asyncio.create_task(all_of(suggestions, ask(HEAD + whole)))
    await until(lambda: ("req-2", "accepted", 1.0) in models.outcomes)
    task.cancel()


async def test_figures_for_prometheus_never_go_down() -> None:
    """It would take that for a new start, and count all of it again."""
    suggestions = service(Models(MODEL))
    slow = Suggestion("req-1", "a", "model", "fresh", None, final=True, stages=Stages(decode=12_009.148407))
    suggestions.measured.shown(slow, 12_009.148407)
    quick = replace(slow, stages=Stages())
    before: dict[str, float] = {}
    for _ in range(100):
        suggestions.measured.shown(quick, 0.0)
        lines = [line for line in figures(suggestions).decode().splitlines() if "_created" not in line]
        now = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}
        assert all(now[name] >= value for name, value in before.items())
        before = now


async def test_the_time_for_another_models_text_that_did_not_fit_counts_as_waiting() -> None:
    models = Models(MODEL)
    suggestions = service(models, speculate="never")
    first = asyncio.create_task(all_of(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    second = asyncio.create_task(all_of(suggestions, ask(HEAD + "wi")))
    await asyncio.sleep(0.4)
    models.asked[0].write("return path")
    await until(lambda: len(models.asked) == 2)
    await asyncio.sleep(0.2)
    models.asked[1].write("th open(path) as file:").end()
    assert [one.text for one in await second] == ["th open(path) as file:"]
    first.cancel()
    (source,) = suggestions.report().sources
    assert source.stages_ms["queue"] == pytest.approx(400, abs=20)
    assert sum(source.stages_ms.values()) == pytest.approx(source.mean_ms, abs=20)


async def test_the_texts_of_ended_generations_do_not_wait_for_the_garbage_collection() -> None:
    models = Models(MODEL)
    suggestions = service(models, speculate="never")
    gc.collect()
    others = [one for one in gc.get_objects() if isinstance(one, Generation)]
    gc.disable()
    try:
        for typed in ("", "a", "b", "c"):  # each contradicts what is written for the one before
            task = asyncio.create_task(texts(suggestions, ask(HEAD + typed)))
            await until(lambda: models.asked and models.asked[-1].request.prefix.endswith(typed))  # noqa: B023
            models.asked[-1].write("x = ")
            await until(models.asked[-1].pieces.empty)
            task.cancel()
        suggestions.close()
        await until(lambda: all(stream.closed for stream in models.asked))
        await asyncio.sleep(0.01)
        del task
        assert [one for one in gc.get_objects() if isinstance(one, Generation)] == others
    finally:
        gc.enable()


async def test_texts_that_are_no_document_have_nothing_to_do_with_each_other() -> None:
    models = Models(MODEL)
    suggestions = service(models)
    asks = [replace(ask(f"def f{number}():\n    "), document="") for number in range(3)]
    tasks = [asyncio.create_task(texts(suggestions, one)) for one in asks]
    await until(lambda: len(models.asked) == 3)
    for number, stream in enumerate(models.asked):
        stream.write(f"return {number}").end()
    assert await asyncio.gather(*tasks) == [["return 0"], ["return 1"], ["return 2"]]
    await asyncio.sleep(1)  # nothing is got ready for what comes next
    assert (len(models.asked), models.warmed) == (3, [])


async def test_closing_a_document_ends_its_generations() -> None:
    models = Models(MODEL)
    suggestions = service(models)
    task = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    suggestions.forget_document("s", "file:///a.py")
    await until(lambda: models.asked[0].closed)
    assert models.forgotten == [("s", "file:///a.py")]
    task.cancel()


async def test_forty_keys_ask_a_model_that_agrees_once() -> None:
    models = Models(MODEL)
    suggestions = service(models, speculate="never")
    text = "return json.loads(path.read_text('utf-8'))"
    task: asyncio.Task[list[str]] | None = None
    for at in range(40):
        if task is not None:
            task.cancel()
        task = asyncio.create_task(texts(suggestions, ask(HEAD + text[:at])))
        await asyncio.sleep(0.004)
        if at == 20:
            models.asked[0].write(text[:30])
    assert task is not None
    models.asked[0].write(text[30:]).end()
    assert await task == [text[39:]]
    assert len(models.asked) == 1


async def test_a_pause_counts_from_the_key_also_where_a_running_generation_was_waited_for() -> None:
    models = Models(MODEL)
    suggestions = service(models, speculate="never")
    tasks: list[asyncio.Task[list[str]]] = []
    for at in range(8):  # a burst; nothing contradicts it yet
        if tasks:
            tasks[-1].cancel()
        tasks.append(asyncio.create_task(texts(suggestions, ask(HEAD + "for line"[: at + 1]))))
        await asyncio.sleep(0.03)
    await asyncio.sleep(0.05)
    assert len(models.asked) == 1
    models.asked[0].write("return ")
    before_s = asyncio.get_running_loop().time()
    async with asyncio.timeout(1):
        while len(models.asked) < 2:
            await asyncio.sleep(0.0001)
    assert asyncio.get_running_loop().time() - before_s < 0.001  # on the loop's own clock
    models.asked[1].write(" in path").end()
    assert await tasks[-1] == [" in path"]


async def test_an_answer_does_not_wait_for_the_streams_being_closed() -> None:
    models = Models(MODEL)
    suggestions = service(models, speculate="never")
    closing = asyncio.Event()

    async def stream() -> AsyncGenerator[Delta, None]:
        yield Delta("return 1")
        try:
            yield Delta("", "stop", Usage(1, 1))
        finally:
            await closing.wait()

    models.fill_as = lambda request, client: ("req-1", stream())  # type: ignore[method-assign]
    assert await texts(suggestions, ask(HEAD)) == ["return 1"]
    assert await texts(suggestions, ask(HEAD + "ret")) == ["urn 1"]
    closing.set()


async def test_a_model_reads_its_prompt_when_a_document_is_opened_and_when_the_user_pauses() -> None:
    models = Models(KEEPS)
    suggestions = service(models, speculate="never")
    suggestions.opened(ask("import os\n", ""))
    await until(lambda: models.warmed)
    assert models.warmed[0].claim.priority == "warm-up" and models.warmed[0].claim.document == "file:///a.py"
    task = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("return 1").end()
    await task
    assert len(models.warmed) == 1
    await until(lambda: len(models.warmed) == 2)
    assert models.warmed[1].prefix == HEAD
    suggestions.close()


async def test_nothing_is_read_in_advance_where_the_setting_says_so_or_no_prompt_is_kept() -> None:
    for models, setting in ((Models(KEEPS), False), (Models(MODEL), True)):
        suggestions = service(models, warm_up=setting)
        suggestions.opened(ask("import os\n", ""))
        await asyncio.sleep(0.02)
        assert models.warmed == []


async def test_a_connection_is_made_when_a_document_is_opened_and_when_a_stream_was_ended_early() -> None:
    models = Models(CLOUD)
    suggestions = service(models)
    suggestions.opened(ask("import os\n", ""))
    await until(lambda: models.connected == ["cloud"])
    first = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    models.asked[0].write("return ")
    await until(models.asked[0].pieces.empty)
    assert models.connected == ["cloud"]
    first.cancel()
    second = asyncio.create_task(texts(suggestions, ask(HEAD + "with ")))
    await until(lambda: models.asked[0].closed)
    await until(lambda: models.connected == ["cloud", "cloud"])
    second.cancel()


@pytest.mark.parametrize("filler", [CLOUD, MODEL], ids=lambda filler: filler.model)
async def test_no_connection_is_made_to_a_service_that_fails_nor_for_a_model_without_any(filler: Filler) -> None:
    models = Models(filler)
    suggestions = service(models, speculate="never")
    task = asyncio.create_task(texts(suggestions, ask(HEAD)))
    await until(lambda: models.asked)
    if filler.connects:
        models.asked[0].fail(WorkerCrashed("it is gone"))
        with pytest.raises(WorkerCrashed):
            await task
    else:
        models.asked[0].write("return 1").end()
        assert await task == ["return 1"]
    await asyncio.sleep(0.1)
    assert models.connected == []


async def test_a_mistake_of_ghostds_own_is_raised_where_somebody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    models = Models(MODEL)
    suggestions = service(models)
    monkeypatch.setattr(models, "fill_as", lambda request, client: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await texts(suggestions, ask(HEAD))
