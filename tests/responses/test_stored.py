"""Responses and conversations that are kept on this machine."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest
from responses_harness import CALLED, Door, before, call, events_of, judged
from routing_harness import USAGE, deltas, upstream

from ghostd.config.responses import ResponsesConfig
from ghostd.conversation import Message, Text, Thinking, ToolCall
from ghostd.errors import StoreError, UpstreamFailed
from ghostd.responses.service import FILE, open_responses
from ghostd.testing.scripted import ScriptedUpstreamProvider
from ghostd.types import ChatRequest, Delta

CHAT = ("openai.chat",)
DAY_S = 86_400


def chat(*scripts: Any) -> ScriptedUpstreamProvider:
    return upstream("a", *(scripts or (deltas("ok"),)), relays=CHAT)


def told(provider: ScriptedUpstreamProvider, number: int = -1) -> list[tuple[str, str]]:
    """Roles and texts of what was asked."""
    request = provider.asked[number]
    assert isinstance(request, ChatRequest)
    return [(message.role, message.text) for message in request.messages]


async def ask(d: Door, **fields: Any) -> Any:
    status, body = await d.post(model="r", **fields)
    assert status == 200, body
    return body


@pytest.mark.covers("openai.responses", "GET, DELETE /{id}")
async def test_a_response_is_shown_as_it_was_given_until_it_is_deleted() -> None:
    async with before(chat()) as d:
        reply = await ask(d, input="hi", metadata={"a": "b"})
        path = f"/v1/responses/{reply['id']}"
        assert await d.get(path) == (200, reply)
        assert await d.delete(path) == (200, {"id": reply["id"], "object": "response", "deleted": True})
        for found in (await d.get(path), await d.delete(path), await d.get(f"{path}/input_items")):
            assert (found[0], found[1]["error"]["code"]) == (404, "response_not_found")


async def test_a_streamed_response_is_shown_likewise() -> None:
    async with before(chat()) as d:
        reply = (await d.stream(input="hi"))[-1]["response"]
        assert await d.get(f"/v1/responses/{reply['id']}") == (200, reply)
        status, body = await d.get(f"/v1/responses/{reply['id']}?stream=true")
        assert (status, body["error"]["param"]) == (400, "stream")


async def test_a_response_that_is_not_to_be_stored_leaves_nothing_behind(tmp_path: Path) -> None:
    async with before(chat(), folder=tmp_path) as d:
        reply = await ask(d, input="the secret word", store=False)
        await d.stream(input="the secret word", store=False)
        assert reply["store"] is False
        assert (await d.get(f"/v1/responses/{reply['id']}"))[0] == 404
    assert all(b"secret word" not in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.covers("openai.responses", "previous_response_id")
async def test_a_conversation_goes_on_from_a_response() -> None:
    async with before(a := chat(deltas("one"), deltas("two"), deltas("three"))) as d:
        first = await ask(d, input="1", instructions="once")
        second = await ask(d, input="2", previous_response_id=first["id"])
        assert second["previous_response_id"] == first["id"]
        await ask(d, input="3", previous_response_id=second["id"])
        assert told(a) == [
            ("user", "1"), ("assistant", "one"), ("user", "2"), ("assistant", "two"), ("user", "3"),
        ]  # fmt: skip
        assert told(a, 0)[0] == ("system", "once"), "instructions are not carried over"


async def test_two_conversations_may_go_on_from_one_response() -> None:
    async with before(a := chat(deltas("one"), deltas("two"), deltas("three"))) as d:
        first = await ask(d, input="1")
        for text in ("left", "right"):
            await ask(d, input=text, previous_response_id=first["id"])
            assert told(a) == [("user", "1"), ("assistant", "one"), ("user", text)]


async def test_thoughts_and_signatures_go_along() -> None:
    thinking = [Delta(reasoning="hm"), Delta(reasoning_signature="s"), *call(0, "{}", name="f", signature="cs"), CALLED]
    async with before(a := chat(thinking, deltas("done"), deltas("done"))) as d:
        first = await ask(d, input="1", tools=[{"type": "function", "name": "f"}])
        output = {"type": "function_call_output", "call_id": "call_0", "output": "x"}
        await ask(d, input=[output], previous_response_id=first["id"])
        request = a.asked[-1]
        assert isinstance(request, ChatRequest)
        assert request.messages[1].content == (Thinking("hm", "s"), ToolCall("call_0", "f", "{}", "cs"))
        # A client that sends the thoughts by their id, or by a reference, gets them back, too.
        call_item = first["output"][1]
        bare = {"type": "reasoning", "id": first["output"][0]["id"], "summary": []}
        reference = {"type": "item_reference", "id": call_item["id"]}
        await ask(d, input=[{"role": "user", "content": "1"}, bare, reference, output])
        request = a.asked[-1]
        assert isinstance(request, ChatRequest)
        assert request.messages[1].content == (Thinking("hm", "s"), ToolCall("call_0", "f", "{}", "cs"))


@pytest.mark.covers("openai.responses", "/{id}/input_items")
async def test_input_items_are_listed_by_pages() -> None:
    async with before(chat()) as d:
        items: list[Any] = [{"role": "user", "content": str(number)} for number in range(5)]
        items.append({"role": "assistant", "content": "a"})
        reply = await ask(d, input=items)
        path = f"/v1/responses/{reply['id']}/input_items"
        _, page = await d.get(f"{path}?order=asc&limit=4")
        assert [item["content"][0]["text"] for item in page["data"]] == ["0", "1", "2", "3"]
        assert page["has_more"] is True
        assert page["data"][0]["content"][0]["type"] == "input_text"
        _, rest = await d.get(f"{path}?order=asc&limit=4&after={page['last_id']}")
        assert [item["content"][0]["type"] for item in rest["data"]] == ["input_text", "output_text"]
        assert (rest["has_more"], rest["first_id"]) == (False, rest["data"][0]["id"])
        _, newest = await d.get(path)
        assert [item["id"] for item in newest["data"]] == [
            *(item["id"] for item in reversed(rest["data"])),
            *(item["id"] for item in reversed(page["data"])),
        ]
        for query, param in (("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("order=up", "order")):
            status, body = await d.get(f"{path}?{query}")
            assert (status, body["error"]["param"]) == (400, param)
        assert (await d.get(f"{path}?after=msg_unknown"))[0] == 404


async def test_a_history_that_is_too_long_is_refused() -> None:
    async with before(chat(), config=ResponsesConfig(max_history_bytes=2000)) as d:
        first = await ask(d, input="x" * 2000)
        status, body = await d.post(model="r", input="y", previous_response_id=first["id"])
        assert (status, body["error"]["param"]) == (400, "previous_response_id")
        assert "max_history_bytes" in body["error"]["message"]


async def test_what_was_deleted_cannot_be_gone_on_from() -> None:
    async with before(chat()) as d:
        first = await ask(d, input="1")
        second = await ask(d, input="2", previous_response_id=first["id"])
        await d.delete(f"/v1/responses/{first['id']}")
        status, body = await d.post(model="r", input="3", previous_response_id=second["id"])
        assert (status, body["error"]["code"]) == (400, "previous_response_not_found")
        assert body["error"]["param"] == "previous_response_id"


async def test_nothing_is_kept_where_the_setting_says_so() -> None:
    async with before(chat(), config=ResponsesConfig(enabled=False)) as d:
        reply = await ask(d, input="hi")
        assert reply["store"] is False
        for path in (f"/v1/responses/{reply['id']}", "/v1/conversations/conv_1"):
            status, body = await d.get(path)
            assert (status, body["error"]["code"]) == (501, "not_offered")
        status, body = await d.post(model="r", input="x", previous_response_id=reply["id"])
        assert body["error"]["code"] == "previous_response_not_found"


# --- conversations ----------------------------------------------------------------------


@pytest.mark.covers("openai.responses", "conversation, /v1/conversations")
async def test_a_conversation_holds_what_is_said_in_it() -> None:
    async with before(a := chat(deltas("one"), deltas("two"))) as d:
        _, conversation = await d.post(
            "/v1/conversations", items=[{"role": "user", "content": "0"}], metadata={"k": "v"}
        )
        assert set(conversation) == {"id", "object", "created_at", "metadata"}
        first = await ask(d, input="1", conversation=conversation["id"])
        assert first["conversation"] == {"id": conversation["id"]}
        await ask(d, input="2", conversation={"id": conversation["id"]})
        assert told(a) == [("user", "0"), ("user", "1"), ("assistant", "one"), ("user", "2")]
        _, listed = await d.get(f"/v1/conversations/{conversation['id']}/items?order=asc")
        assert [item["content"][0]["text"] for item in listed["data"]] == ["0", "1", "one", "2", "two"]


async def test_conversations_are_changed_and_deleted() -> None:
    async with before(chat()) as d:
        _, made = await d.post("/v1/conversations")
        path = f"/v1/conversations/{made['id']}"
        assert await d.post(path, metadata={"a": "b"}) == (200, {**made, "metadata": {"a": "b"}})
        assert (await d.get(path))[1]["metadata"] == {"a": "b"}
        status, added = await d.post(f"{path}/items", items=[{"role": "user", "content": "x"}] * 2)
        assert (status, len(added["data"])) == (200, 2)
        one = added["data"][0]
        assert await d.get(f"{path}/items/{one['id']}") == (200, one)
        assert (await d.delete(f"{path}/items/{one['id']}"))[1]["id"] == made["id"]
        assert (await d.get(f"{path}/items/{one['id']}"))[0] == 404
        assert (await d.delete(f"{path}/items/{one['id']}"))[0] == 404
        gone = {"id": made["id"], "object": "conversation.deleted", "deleted": True}
        assert await d.delete(path) == (200, gone)
        for found in (
            await d.get(path),
            await d.delete(path),
            await d.post(path, metadata={}),
            await d.get(f"{path}/items"),
            await d.post(f"{path}/items", items=[]),
        ):
            assert (found[0], found[1]["error"]["code"]) == (404, "conversation_not_found")
        status, body = await d.post(model="r", input="x", conversation=made["id"])
        assert (status, body["error"]["code"]) == (404, "conversation_not_found")


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("", {"items": [{"role": "user"}]}, "items[0].content"),
        ("", {"items": [{"content": "x"}]}, "items[0].role"),
        ("", {"items": ["x"]}, "items[0]"),
        ("", {"items": 5}, "items"),
        ("", {"items": [{"role": "user", "content": "x"}] * 21}, "items"),
        ("", {"metadata": {"a": 5}}, "metadata[...]"),
        ("", {"metadata": {"a": "b" * 513}}, "metadata"),
        ("/ID", {}, "metadata"),
        ("/ID/items", {}, "items"),
    ],
)
async def test_a_wrong_field_of_a_conversation_is_refused_by_name(path: str, fields: Any, param: str) -> None:
    async with before(chat()) as d:
        _, made = await d.post("/v1/conversations")
        status, body = await d.post(f"/v1/conversations{path.replace('ID', made['id'])}", **fields)
        assert (status, body["error"]["param"]) == (400, param), body


async def test_unknown_paths_are_refused_in_openais_shape() -> None:
    async with before(chat()) as d:
        _, made = await d.post("/v1/conversations")
        for found in (
            await d.get("/v1/responses/x/y"),
            await d.post("/v1/responses/x"),
            await d.get(f"/v1/conversations/{made['id']}/x"),
            await d.delete(f"/v1/conversations/{made['id']}/items"),
        ):
            assert (found[0], found[1]["error"]["code"]) == (404, "unknown_url")


# --- in the background -------------------------------------------------------------------


async def finished(d: Door, response_id: str) -> Any:
    while True:
        _, found = await d.get(f"/v1/responses/{response_id}")
        if found["status"] not in ("queued", "in_progress"):
            return found
        await asyncio.sleep(0)


@pytest.mark.covers("openai.responses", "background")
async def test_a_response_is_made_while_nobody_waits() -> None:
    go = asyncio.Event()
    async with before(a := chat([go, *deltas("made")], deltas("more"))) as d:
        queued = await ask(d, input="hi", background=True)
        assert (queued["status"], queued["background"], queued["output"]) == ("queued", True, [])
        await a.until_asked()
        _, found = await d.get(f"/v1/responses/{queued['id']}")
        assert (found["status"], found["background"]) == ("in_progress", True)
        go.set()
        done = await finished(d, queued["id"])
        assert (done["status"], done["id"], done["output"][0]["content"][0]["text"]) == (
            "completed",
            queued["id"],
            "made",
        )
        assert done["usage"]["output_tokens"] == USAGE.completion_tokens
        await ask(d, input="x", previous_response_id=queued["id"])
        assert told(a) == [("user", "hi"), ("assistant", "made"), ("user", "x")]


@pytest.mark.covers("openai.responses", "/{id}/cancel")
async def test_a_response_in_the_background_can_be_cancelled() -> None:
    async with before(a := chat([asyncio.Event()])) as d:
        queued = await ask(d, input="hi", background=True)
        await a.until_asked()
        status, found = await d.post(f"/v1/responses/{queued['id']}/cancel")
        assert (status, found["status"]) == (200, "cancelled")
        assert a.closed == 1
        assert (await d.post(f"/v1/responses/{queued['id']}/cancel"))[1] == found, "again"


async def test_only_a_response_in_the_background_can_be_cancelled() -> None:
    async with before(chat()) as d:
        reply = await ask(d, input='"background":true')
        assert (await d.post(f"/v1/responses/{reply['id']}/cancel"))[0] == 400
        assert (await d.post("/v1/responses/resp_x/cancel"))[0] == 404


async def test_a_failure_in_the_background_is_told_in_the_response() -> None:
    async with before(chat([UpstreamFailed("out of order", 500)])) as d:
        queued = await ask(d, input="hi", background=True)
        failed = await finished(d, queued["id"])
        assert failed["status"] == "failed"
        assert failed["error"]["code"]
        assert "out of order" in failed["error"]["message"]


async def test_an_unknown_response_is_told_in_the_background_too() -> None:
    async with before(chat()) as d:
        queued = await ask(d, input="hi", background=True, previous_response_id="resp_x")
        assert (await finished(d, queued["id"]))["error"]["code"] == "previous_response_not_found"


async def test_what_was_being_made_when_ghostd_ended_has_failed(tmp_path: Path) -> None:
    async with before(a := chat([asyncio.Event()]), folder=tmp_path) as d:
        queued = await ask(d, input="hi", background=True)
        await a.until_asked()
    async with before(chat(), folder=tmp_path) as d:
        _, found = await d.get(f"/v1/responses/{queued['id']}")
        assert (found["status"], found["error"]["code"]) == ("failed", "server_error")


async def test_a_stream_in_the_background_goes_on_without_its_listener_and_is_heard_again() -> None:
    go = asyncio.Event()
    script = [Delta("one"), go, Delta("two"), Delta(finish_reason="stop", usage=USAGE)]
    async with before(chat(script, deltas("more"))) as d:
        stream = await d.openai.responses.create(model="r", input="hi", background=True, stream=True)
        async for event in stream:
            if event.type == "response.created":
                made = event.response
                assert made.background is True
            if event.type == "response.output_text.delta":
                break
        await stream.close()
        heard = event.sequence_number
        assert (await d.openai.responses.retrieve(made.id)).status == "in_progress"
        again = await d.openai.responses.retrieve(made.id, stream=True, starting_after=heard)
        go.set()
        rest = [event async for event in again]
        assert [event.sequence_number for event in rest] == list(range(heard + 1, heard + 1 + len(rest)))
        assert rest[0].type == "response.output_text.delta"
        assert rest[-1].type == "response.completed"
        async with d.http.get(f"{d.served.url}/v1/responses/{made.id}?stream=true") as reply:
            whole = judged(await reply.read())
        assert whole[-1]["response"] == rest[-1].response.model_dump(mode="json", exclude_unset=True)
        assert (await d.openai.responses.retrieve(made.id)).output_text == "onetwo"
        reply = await ask(d, input="x", previous_response_id=made.id)
        for query, param in (("stream=true", "stream"), ("stream=true&starting_after=x", "stream")):
            status, body = await d.get(f"/v1/responses/{reply['id']}?{query}")
            assert (status, body["error"]["param"]) == (400, param)
        status, body = await d.get(f"/v1/responses/{made.id}?stream=true&starting_after=x")
        assert (status, body["error"]["param"]) == (400, "starting_after")


async def test_a_stream_in_the_background_is_cancelled_or_fails() -> None:
    broken = [Delta("one"), UpstreamFailed("out of order", 500)]
    async with before(chat([Delta("one"), asyncio.Event()], broken, [UpstreamFailed("down", 500)])) as d:
        stream = await d.openai.responses.create(model="r", input="hi", background=True, stream=True)
        async for event in stream:
            if event.type == "response.created":
                made = event.response
            if event.type == "response.output_text.delta":
                assert (await d.openai.responses.cancel(made.id)).status == "cancelled"
        assert (await d.openai.responses.retrieve(made.id)).status == "cancelled"
        for message in ("out of order", "down"):
            events = events_of(await d.raw_stream(input="hi", background=True))
            assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
            assert message in events[-1]["response"]["error"]["message"]
            _, kept = await d.get(f"/v1/responses/{events[-1]['response']['id']}")
            assert (kept["status"], kept["background"]) == ("failed", True)


async def test_only_so_many_are_made_at_once() -> None:
    go = asyncio.Event()
    async with before(a := chat([go, *deltas()]), config=ResponsesConfig(max_background=1)) as d:
        first = await ask(d, input="1", background=True)
        second = await ask(d, input="2", background=True)
        await a.until_asked()
        assert (await d.get(f"/v1/responses/{second['id']}"))[1]["status"] == "queued"
        go.set()
        assert [(await finished(d, made["id"]))["status"] for made in (first, second)] == ["completed"] * 2


async def test_only_so_many_may_wait() -> None:
    async with before(chat([asyncio.Event()]), config=ResponsesConfig(max_background=1)) as d:
        for _ in range(100):
            await ask(d, input="x", background=True)
        status, body = await d.post(model="r", input="x", background=True)
        assert (status, body["error"]["code"]) == (503, "overloaded")


# --- the store itself ------------------------------------------------------------------------


async def test_what_was_not_used_for_long_expires(tmp_path: Path) -> None:
    now = 1_000_000.0
    async with before(chat(), folder=tmp_path, config=ResponsesConfig(keep_days=2), clock=lambda: now) as d:
        first = await ask(d, input="1")
        other = await ask(d, input="other")
        _, conversation = await d.post("/v1/conversations")
        now += 1.5 * DAY_S
        second = await ask(d, input="2", previous_response_id=first["id"])
        now += 1.0 * DAY_S
        assert (await d.get(f"/v1/responses/{other['id']}"))[0] == 404
        assert (await d.get(f"/v1/conversations/{conversation['id']}"))[0] == 404
        assert (await d.get(f"/v1/responses/{first['id']}"))[0] == 200, "what another one goes on from is in use"
        await ask(d, input="3", previous_response_id=second["id"])
        now += 3 * DAY_S
        last = await ask(d, input="4")
        assert (await d.get(f"/v1/responses/{second['id']}"))[0] == 404
    async with before(chat(), folder=tmp_path, config=ResponsesConfig(keep_days=2), clock=lambda: now) as d:
        assert (await d.get(f"/v1/responses/{last['id']}"))[0] == 200
    data = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert second["id"].encode() not in data, "what has expired is gone from the file"
    assert last["id"].encode() in data


async def test_what_was_used_least_recently_makes_room(tmp_path: Path) -> None:
    ticks = iter(range(1_000_000, 2_000_000))
    async with before(
        chat(), folder=tmp_path, config=ResponsesConfig(max_bytes=20_000), clock=lambda: float(next(ticks))
    ) as d:
        replies = [await ask(d, input="x" * 5_000) for _ in range(6)]
        found = [(await d.get(f"/v1/responses/{reply['id']}"))[0] for reply in replies]
        assert found == [404, 404, 404, 200, 200, 200]


async def test_the_files_are_the_users_alone_and_survive(tmp_path: Path) -> None:
    async with before(chat(), folder=tmp_path / "new") as d:
        reply = await ask(d, input="hi")
        for file in (tmp_path / "new").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    async with before(chat(), folder=tmp_path / "new") as d:
        assert await d.get(f"/v1/responses/{reply['id']}") == (200, reply)


async def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database " * 100)
    async with before(chat(), folder=tmp_path) as d:
        await ask(d, input="hi")
    assert (tmp_path / f"{FILE}.damaged-1").exists()


async def test_a_file_of_a_newer_ghostd_is_left_alone_and_replies_are_given_all_the_same(tmp_path: Path) -> None:
    import sqlite3

    def newer() -> None:
        with sqlite3.connect(tmp_path / FILE) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()

    await asyncio.to_thread(newer)
    async with before(chat(), folder=tmp_path) as d:
        reply = await ask(d, input="hi")
        status, body = await d.get(f"/v1/responses/{reply['id']}")
        assert (status, body["error"]["code"]) == (500, "store_error")
    async with open_responses(tmp_path, ResponsesConfig()) as store:
        with pytest.raises(StoreError, match="newer"):
            await store.response("resp_1")


@pytest.mark.covers("openai.responses", "/compact")
async def test_compaction_leaves_what_users_said_and_a_summary() -> None:
    async with before(a := chat(deltas("the summary"), deltas("ok"))) as d:
        items = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a" * 100}]
        status, made = await d.post("/v1/responses/compact", model="r", input=items)
        assert (status, made["object"]) == (200, "response.compaction")
        assert [item["type"] for item in made["output"]] == ["message", "compaction"]
        await ask(d, input=[*made["output"], {"role": "user", "content": "next"}])
        request = a.asked[-1]
        assert isinstance(request, ChatRequest)
        assert request.messages[0] == Message("user", (Text("u"),))
        assert request.messages[1].text.endswith("the summary")
        assert request.messages[2] == Message("user", "next")


async def test_tokens_are_counted() -> None:
    async with before(chat()) as d:
        status, found = await d.post("/v1/responses/input_tokens", model="r", input="hi " * 100)
        assert (status, found["object"]) == (200, "response.input_tokens")
        assert 50 < found["input_tokens"] < 200
        for fields, param in (({"input": "x"}, "model"), ({"model": "r"}, "input"), ({"model": 5}, "model")):
            status, body = await d.post("/v1/responses/input_tokens", **fields)
            assert (status, body["error"]["param"]) == (400, param)


async def test_what_has_failed_is_no_part_of_a_conversation() -> None:
    broken = [Delta("Hel"), UpstreamFailed("out of order", 500)]
    async with before(a := chat(broken, [asyncio.Event()])) as d:
        _, conversation = await d.post("/v1/conversations")
        await d.raw_stream(input="x", conversation=conversation["id"])
        await d.get("/health")  # the broken stream's connection is closed
        queued = await ask(d, input="y", conversation=conversation["id"], background=True)
        await a.until_asked(2)
        await d.post(f"/v1/responses/{queued['id']}/cancel")
        assert (await d.get(f"/v1/conversations/{conversation['id']}/items"))[1]["data"] == []


async def test_large_inputs_are_kept_whole() -> None:
    async with before(a := chat()) as d:
        first = await ask(d, input=[{"role": "user", "content": "x" * 1_040_000}])
        await ask(d, input="more", previous_response_id=first["id"])
        assert [len(text) for _, text in told(a)] == [1_040_000, 2, 4]
