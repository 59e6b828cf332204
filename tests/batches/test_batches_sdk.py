"""Batches as the official SDK uses them, from upload to output. Source: the OpenAI API reference, "Batch"."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import openai
import pytest
from batches.batch_world import MODEL, chat_line, echo, jsonl, limited, said, world

from ghostd.config.files import BatchesConfig
from ghostd.testing.scripted_upstream import Answer, Seen, json_answer

RAW = {"Content-Type": "application/json"}
DAY_S = 86_400


# --- the whole life ------------------------------------------------------------------


@pytest.mark.covers("openai.batches")
@pytest.mark.covers("openai.batches", "metadata")
@pytest.mark.covers("openai.batches", "completion_window")
async def test_a_batch_is_answered_line_by_line_in_order(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        lines = [chat_line(f"r{number}", f"number {number}") for number in range(20)]
        made = await w.begin(lines, metadata={"job": "nightly"})
        assert (made.object, made.status, made.endpoint) == ("batch", "validating", "/v1/chat/completions")
        assert (made.completion_window, made.metadata) == ("24h", {"job": "nightly"})
        assert made.expires_at == made.created_at + DAY_S
        batch = await w.until(made.id)
        assert (batch.status, batch.errors, batch.error_file_id) == ("completed", None, None)
        assert batch.request_counts is not None
        assert batch.request_counts.model_dump() == {"total": 20, "completed": 20, "failed": 0}
        times = [batch.created_at, batch.in_progress_at, batch.finalizing_at, batch.completed_at]
        assert all(times)
        assert times == sorted(map(int, filter(None, times)))
        assert batch.usage is not None
        assert (batch.usage.input_tokens, batch.usage.output_tokens, batch.usage.total_tokens) == (200, 80, 280)
        assert batch.usage.input_tokens_details.cached_tokens == 60
        assert batch.model == MODEL
        outputs = await w.outputs(batch)
        assert [line["custom_id"] for line in outputs] == [f"r{number}" for number in range(20)]
        assert len({line["id"] for line in outputs}) == 20
        for number, line in enumerate(outputs):
            assert set(line) == {"id", "custom_id", "response", "error"}
            assert line["id"].startswith("batch_req_")
            assert line["error"] is None
            assert line["response"]["status_code"] == 200
            assert line["response"]["request_id"].startswith("req_")
            assert line["response"]["body"]["choices"][0]["message"]["content"] == f"you said number {number}"
        output = await w.client.files.retrieve(str(batch.output_file_id))
        assert (output.purpose, output.filename) == ("batch_output", f"{batch.id}_output.jsonl")
        await w.until_clean()
        assert len(w.ledger.rows) == 20


async def test_requests_that_fail_are_in_a_file_of_their_own(tmp_path: Path) -> None:
    def serve(seen: Seen) -> Answer:
        if "bad" in said(seen):
            told = {"message": "no such thing", "type": "invalid_request_error", "param": "x", "code": "newer"}
            return json_answer({"error": told}, 400)
        return echo(seen)

    async with world(tmp_path, serve) as w:
        lines = [
            chat_line("good"),
            chat_line("bad", "bad"),
            chat_line("unknown", model="nobody"),
            chat_line("streaming", stream=True),
            chat_line("elsewhere", api_base="http://evil.test"),
            {**chat_line("modelless"), "body": {"messages": []}},
        ]
        batch = await w.until((await w.begin(lines)).id)
        assert batch.status == "completed"
        assert batch.request_counts is not None
        assert batch.request_counts.model_dump() == {"total": 6, "completed": 1, "failed": 5}
        assert batch.model is None
        assert [line["custom_id"] for line in await w.outputs(batch)] == ["good"]
        errors = {line["custom_id"]: line["response"] for line in await w.errors(batch)}
        assert list(errors) == ["bad", "unknown", "streaming", "elsewhere", "modelless"]
        assert {name: error["status_code"] for name, error in errors.items()} == {
            "bad": 400, "unknown": 404, "streaming": 400, "elsewhere": 400, "modelless": 400,
        }  # fmt: skip
        assert errors["bad"]["body"]["error"]["code"] == "newer"
        assert errors["unknown"]["body"]["error"]["code"] == "model_not_found"
        assert errors["streaming"]["body"]["error"]["param"] == "stream"
        assert errors["elsewhere"]["body"]["error"]["param"] == "api_base"
        assert errors["modelless"]["body"]["error"]["param"] == "model"


async def test_embeddings_are_made_in_batches_too(tmp_path: Path) -> None:
    def serve(seen: Seen) -> Answer:
        data = [{"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}]
        usage = {"prompt_tokens": 2, "total_tokens": 2}
        return json_answer({"object": "list", "data": data, "model": "e", "usage": usage})

    async with world(tmp_path, serve) as w:
        body = {"model": "acme/text-embedding-3-small", "input": "hi"}
        line = {"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": body}
        batch = await w.until((await w.begin([line], "/v1/embeddings")).id)
        (output,) = await w.outputs(batch)
        assert output["response"]["body"]["data"][0]["embedding"] == [0.6, 0.8]


@pytest.mark.covers("openai.batches", "after, limit")
async def test_batches_are_listed_page_by_page_the_newest_first(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        made = [(await w.begin([chat_line("a")])).id for _ in range(5)]
        for batch_id in made:
            await w.until(batch_id)
        assert [batch.id async for batch in w.client.batches.list(limit=2)] == made[::-1]
        page = await w.client.batches.list(limit=2, after=made[2])
        assert ([batch.id for batch in page.data], page.has_more) == ([made[1], made[0]], False)


# --- what is refused -----------------------------------------------------------------


GOOD = json.dumps(chat_line("a")).encode()


def changed(**changes: Any) -> bytes:
    line = {**chat_line("b"), **changes}
    return json.dumps({name: value for name, value in line.items() if value != "absent"}).encode()


@pytest.mark.parametrize(
    ("content", "code", "line", "param"),
    [
        (b"", "empty_file", None, None),
        (b"\n \r\n", "empty_file", None, None),
        (GOOD + b"\n{broken\n", "invalid_json_line", 2, None),
        (GOOD + b"\n[]\n", "invalid_json_line", 2, None),
        (GOOD + b"\n" + b"[" * 100_000, "invalid_json_line", 2, None),
        (GOOD + b"\n\n" + GOOD, "duplicate_custom_id", 3, "custom_id"),
        (GOOD + b"\n" + changed(custom_id="absent"), "missing_required_parameter", 2, "custom_id"),
        (changed(custom_id=7), "invalid_value", 1, "custom_id"),
        (changed(custom_id=""), "invalid_value", 1, "custom_id"),
        (changed(method="GET"), "invalid_method", 1, "method"),
        (changed(method="absent"), "missing_required_parameter", 1, "method"),
        (changed(url="/v1/embeddings"), "mismatched_url", 1, "url"),
        (changed(url="absent"), "missing_required_parameter", 1, "url"),
        (changed(body="absent"), "missing_required_parameter", 1, "body"),
        (changed(body=[1]), "invalid_value", 1, "body"),
        (changed(body=None), "invalid_value", 1, "body"),
        (b"\xff\xfe\x00", "invalid_json_line", 1, None),
    ],
)
async def test_a_bad_input_file_fails_the_batch_with_the_line(
    tmp_path: Path, content: bytes, code: str, line: int | None, param: str | None
) -> None:
    async with world(tmp_path) as w:
        batch = await w.until((await w.begin(content)).id)
        assert batch.status == "failed"
        assert batch.failed_at
        assert batch.errors is not None
        assert batch.errors.data is not None
        (problem,) = batch.errors.data
        assert (problem.code, problem.line, problem.param) == (code, line, param)
        assert problem.message
        assert w.upstream.requests == []
        await w.until_clean()


async def test_many_problems_are_told_up_to_a_limit(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        batch = await w.until((await w.begin(b"x\n" * 5000)).id)
        assert batch.errors is not None
        assert batch.errors.data is not None
        assert [problem.line for problem in batch.errors.data] == list(range(1, 101))


async def test_a_batch_has_a_limit_of_requests(tmp_path: Path) -> None:
    async with world(tmp_path, config=BatchesConfig(max_requests=3)) as w:
        lines = [chat_line(f"{number}") for number in range(4)]
        batch = await w.until((await w.begin(lines)).id)
        assert batch.errors is not None
        assert batch.errors.data is not None
        assert [problem.code for problem in batch.errors.data] == ["too_many_requests"]
        assert (await w.until((await w.begin(lines[:3])).id)).status == "completed"


async def test_windows_files_are_read(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        batch = await w.until((await w.begin(b"\xef\xbb\xbf" + GOOD + b"\r\n\r\n" + changed() + b"\r\n")).id)
        assert [line["custom_id"] for line in await w.outputs(batch)] == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"endpoint": "/v1/files"}, "endpoint"),
        ({"endpoint": 7}, "endpoint"),
        ({"completion_window": "48h"}, "completion_window"),
        ({"completion_window": None}, "completion_window"),
        ({"input_file_id": "file-nobody"}, "input_file_id"),
        ({"input_file_id": "../../etc/passwd"}, "input_file_id"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
        ({"metadata": {"k" * 65: "x"}}, "metadata"),
        ({"metadata": {"k": "x" * 513}}, "metadata"),
        ({"output_expires_after": {"anchor": "now", "seconds": 3600}}, "output_expires_after.anchor"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, "output_expires_after.seconds"),
        ({"output_expires_after": 5}, "output_expires_after"),
    ],
)
async def test_a_batch_says_which_parameter_is_wrong(tmp_path: Path, changes: dict[str, Any], param: str) -> None:
    async with world(tmp_path) as w:
        file = await w.upload(jsonl([chat_line("a")]))
        body = {"endpoint": "/v1/chat/completions", "input_file_id": file, "completion_window": "24h", **changes}
        with pytest.raises(openai.BadRequestError) as caught:
            await w.client.post("/batches", body=body, cast_to=object)
        assert str(caught.value.param).startswith(param)
        assert [batch async for batch in w.client.batches.list()] == []


async def test_a_file_for_something_else_is_no_input(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        file = await w.client.files.create(file=("a", GOOD), purpose="user_data")
        with pytest.raises(openai.BadRequestError, match="its purpose is 'user_data'"):
            await w.client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )


async def test_what_is_not_there_is_a_404(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for ask in (w.client.batches.retrieve, w.client.batches.cancel):
            with pytest.raises(openai.NotFoundError, match="No batch found with id 'batch_nobody'"):
                await ask("batch_nobody")
        with pytest.raises(openai.BadRequestError) as caught:
            await w.client.batches.list(after="batch_nobody")
        assert caught.value.param == "after"
        for limit in (0, 101):
            with pytest.raises(openai.BadRequestError):
                await w.client.batches.list(limit=limit)


async def test_batches_that_run_have_a_limit(tmp_path: Path) -> None:
    def serve(seen: Seen) -> Answer:
        return Answer(silent=True, ending="hang")

    async with world(tmp_path, serve, BatchesConfig(max_active=2)) as w:
        first = await w.begin([chat_line("a")])
        await w.begin([chat_line("a")])
        with pytest.raises(openai.APIStatusError, match=r"batches\.max_active") as caught:
            await w.begin([chat_line("a")])
        assert caught.value.status_code == 503
        await w.client.batches.cancel(first.id)
        await w.until(first.id)
        await w.begin([chat_line("a")])


# --- limits, failures, cancelling ------------------------------------------------------


async def test_rate_limited_requests_wait_and_go_on(tmp_path: Path) -> None:
    """However often they are told so; each is answered once."""
    tries: Counter[str] = Counter()

    def serve(seen: Seen) -> Answer:
        tries[said(seen)] += 1
        return limited() if tries[said(seen)] <= 8 else echo(seen)

    async with world(tmp_path, serve, BatchesConfig(max_attempts=2)) as w:
        batch = await w.until((await w.begin([chat_line(f"{n}", f"{n}") for n in range(3)])).id)
        assert batch.status == "completed"
        assert batch.request_counts is not None
        assert batch.request_counts.completed == 3
        assert len(await w.outputs(batch)) == 3


async def test_other_failures_are_tried_again_so_many_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ghostd.batches.patience._FIRST_PAUSE_S", 0.01)
    tries: Counter[str] = Counter()

    def serve(seen: Seen) -> Answer:
        tries[said(seen)] += 1
        if said(seen) == "mends" and tries["mends"] > 2:
            return echo(seen)
        return json_answer({"error": {"message": "boom"}}, 500)

    async with world(tmp_path, serve, BatchesConfig(max_attempts=4, concurrency=1)) as w:
        batch = await w.until((await w.begin([chat_line("a", "mends"), chat_line("b", "stays")])).id)
        assert batch.request_counts is not None
        assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 1)
        (error,) = await w.errors(batch)
        assert (error["custom_id"], error["response"]["status_code"]) == ("b", 502)


async def test_a_spent_account_is_not_asked_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ghostd.batches.patience._FIRST_PAUSE_S", 0.01)

    def serve(seen: Seen) -> Answer:
        told = {
            "message": "You exceeded your current quota",
            "type": "insufficient_quota",
            "code": "insufficient_quota",
        }
        return json_answer({"error": told}, 429)

    async with world(tmp_path, serve, BatchesConfig(max_attempts=2)) as w:
        batch = await w.until((await w.begin([chat_line("a")])).id)
        (error,) = await w.errors(batch)
        assert error["response"]["body"]["error"]["code"] == "insufficient_quota"


@pytest.mark.covers("openai.batches", "cancel")
async def test_a_batch_is_cancelled_and_keeps_what_was_answered(tmp_path: Path) -> None:
    def serve(seen: Seen) -> Answer:
        return echo(seen) if said(seen) == "quick" else Answer(silent=True, ending="hang")

    async with world(tmp_path, serve, BatchesConfig(concurrency=2)) as w:
        lines = [chat_line("a", "quick"), *(chat_line(f"{n}", "slow") for n in range(5))]
        made = await w.begin(lines)
        await w.upstream.requested(3)
        async with asyncio.timeout(10):
            while (await w.client.batches.retrieve(made.id)).request_counts.completed < 1:  # type: ignore[union-attr]
                await asyncio.sleep(0.01)
        cancelled = await w.client.batches.cancel(made.id)
        assert cancelled.status in ("cancelling", "cancelled")
        assert cancelled.cancelling_at
        batch = await w.until(made.id)
        await w.upstream.abandoned(2)
        assert (batch.status, bool(batch.cancelled_at)) == ("cancelled", True)
        assert batch.request_counts is not None
        assert batch.request_counts.model_dump() == {"total": 6, "completed": 1, "failed": 0}
        assert [line["custom_id"] for line in await w.outputs(batch)] == ["a"]
        errors = await w.errors(batch)
        assert [line["custom_id"] for line in errors] == ["0", "1", "2", "3", "4"]
        assert {line["error"]["code"] for line in errors} == {"batch_cancelled"}
        assert all(line["response"] is None for line in errors)
        with pytest.raises(openai.ConflictError, match="Cannot cancel a batch with status 'cancelled'"):
            await w.client.batches.cancel(made.id)


async def test_a_batch_expires_with_its_window(tmp_path: Path) -> None:
    def serve(seen: Seen) -> Answer:
        return echo(seen) if said(seen) == "quick" else Answer(silent=True, ending="hang")

    config = BatchesConfig(completion_windows=("24h", "2s"))
    async with world(tmp_path, serve, config) as w:
        made = await w.begin([chat_line("a", "quick"), chat_line("b", "slow")], completion_window="2s")
        batch = await w.until(made.id)
        assert (batch.status, bool(batch.expired_at)) == ("expired", True)
        assert [line["custom_id"] for line in await w.outputs(batch)] == ["a"]
        (error,) = await w.errors(batch)
        assert (error["custom_id"], error["error"]["code"]) == ("b", "batch_expired")


async def test_two_batches_run_at_once(tmp_path: Path) -> None:
    """The second one does not wait for the first one's end."""
    hold = asyncio.Event()

    def serve(seen: Seen) -> Answer:
        return Answer(silent=True, ending="hang") if said(seen) == "slow" and not hold.is_set() else echo(seen)

    async with world(tmp_path, serve, BatchesConfig(concurrency=2)) as w:
        first = await w.begin([chat_line("s", "slow"), *(chat_line(f"{n}", f"one {n}") for n in range(30))])
        second = await w.begin([chat_line(f"{n}", f"two {n}") for n in range(30)])
        assert (await w.until(second.id)).status == "completed"
        assert (await w.client.batches.retrieve(first.id)).status == "in_progress"
        outputs = await w.outputs(await w.client.batches.retrieve(second.id))
        assert [line["response"]["body"]["choices"][0]["message"]["content"] for line in outputs] == [
            f"you said two {n}" for n in range(30)
        ]


async def test_an_input_file_may_be_deleted_while_its_batch_runs(tmp_path: Path) -> None:
    async with world(tmp_path, lambda seen: limited() if not w_open.is_set() else echo(seen)) as w:
        w_open = asyncio.Event()
        made = await w.begin([chat_line("a")])
        running = await w.until(made.id, "in_progress")
        await w.client.files.delete(running.input_file_id)
        w_open.set()
        assert (await w.until(made.id)).status == "completed"


async def test_the_ledger_tells_batches_from_other_requests(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        file = await w.upload(jsonl([chat_line("a")]))
        made = await w.client.batches.create(
            input_file_id=file,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            extra_headers={"x-client": "nightly", "x-project": "shop"},
        )
        await w.until(made.id)
        (row,) = w.ledger.rows
        assert (row.client, row.project, row.operation) == ("nightly", "shop", "openai.chat")
        assert json.loads(row.features)["intent"] == "batch"


@pytest.mark.covers("openai.batches", "output_expires_after")
async def test_output_files_expire_when_the_batch_says_so(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        made = await w.begin([chat_line("a")], output_expires_after={"anchor": "created_at", "seconds": 3600})
        batch = await w.until(made.id)
        output = await w.client.files.retrieve(str(batch.output_file_id))
        assert output.expires_at == output.created_at + 3600
