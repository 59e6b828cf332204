"""The campaign's own tools: its faults are faults, and its judge is not easily satisfied."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from faults.caller import Answer, Call, Verdict, ask, judge
from faults.catalogue import FAULTS
from faults.fault import Fault, Mode
from faults.replies import DONE, Asked, chunk, completion, contents, event, events, failure, role

_STRICT = {"103 first", "packed by gzip", "chunk extensions and a trailer"}
"""Legitimate replies that the campaign's own caller, a simple client, does not understand."""
CASES = [pytest.param(fault, mode, id=f"{fault.name}, {mode}") for fault in FAULTS for mode in fault.modes]


@pytest.fixture(scope="module")
def direct() -> dict[tuple[Fault, Mode], Verdict]:
    """What a caller of each faulty upstream itself gets."""

    async def ask_all() -> dict[tuple[Fault, Mode], Verdict]:
        found: dict[tuple[Fault, Mode], Verdict] = {}
        waiting = iter([(fault, mode) for fault in FAULTS for mode in fault.modes])

        async def worker() -> None:
            for fault, mode in waiting:
                call = Call("scripted", "direct-1", mode == "stream")
                async with fault.serve(fault.upstream()) as upstream:
                    answer = await ask(upstream.port, call, 10.0 if fault.phase == "odd" else 0.5)
                found[fault, mode] = judge(call, answer)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(10):
                tasks.create_task(worker())
        return found

    return asyncio.run(ask_all())


@pytest.mark.parametrize(("fault", "mode"), CASES)
def test_without_a_gateway_a_caller_feels_the_fault(
    direct: dict[tuple[Fault, Mode], Verdict], fault: Fault, mode: Mode
) -> None:
    verdict = direct[fault, mode]
    if fault.phase == "odd":
        assert verdict.outcome == "ok" or fault.name in _STRICT, verdict
    else:
        assert verdict.outcome != "ok", verdict


ASKED = Asked("n1", stream=True, with_usage=False)


def streamed(*blocks: bytes, whole: bool = True, status: int = 200, kind: str = "text/event-stream") -> str:
    answer = Answer(status, {"content-type": kind}, bytearray(b"".join(blocks)), whole, ended=True)
    return judge(Call("m", "n1", stream=True), answer).outcome


def test_the_right_stream_is_ok() -> None:
    assert streamed(*events(ASKED)) == "ok"


def test_a_stream_that_ends_early_but_cleanly_is_a_silent_error() -> None:
    assert streamed(role(ASKED), *contents(ASKED)[:4], DONE) == "silent"
    assert streamed(role(ASKED), *contents(ASKED)[:4]) == "silent"
    assert streamed(role(ASKED), *contents(ASKED)[:4], chunk(ASKED, {}, "stop"), DONE) == "silent"


def test_another_requests_text_is_a_silent_error() -> None:
    assert streamed(*events(Asked("n2", stream=True, with_usage=False))) == "silent"


def test_an_error_event_behind_the_beginning_of_the_text_is_an_honest_failure() -> None:
    assert streamed(role(ASKED), *contents(ASKED)[:4], event(failure("it broke"))) == "partial"


def test_an_error_event_is_not_honest_behind_a_wrong_finish_or_before_done_or_behind_a_wrong_text() -> None:
    broke = event(failure("it broke"))
    assert streamed(role(ASKED), *contents(ASKED)[:4], chunk(ASKED, {}, "stop"), broke) == "broken"
    assert streamed(role(ASKED), *contents(ASKED)[:4], broke, DONE) == "broken"
    assert streamed(role(ASKED), *contents(ASKED)[3:6], broke) == "broken"


def test_a_cut_connection_is_no_error_event() -> None:
    assert streamed(role(ASKED), *contents(ASKED)[:4], whole=False) == "broken"


def test_an_error_that_is_no_openai_error_object_is_broken() -> None:
    assert streamed(b"<html>Bad Gateway</html>", status=502, kind="text/html") == "broken"
    assert streamed(b'{"detail":"Not Found"}', status=404, kind="application/json") == "broken"


@pytest.mark.parametrize("field", ["choices", "usage"])
def test_a_plain_reply_without_its_parts_is_a_silent_error(field: str) -> None:
    reply = completion(Asked("n1", stream=False, with_usage=False))
    del reply[field]
    answer = Answer(200, {"content-type": "application/json"}, bytearray(msgspec.json.encode(reply)), True, ended=True)
    assert judge(Call("m", "n1", stream=False), answer).outcome == "silent"
