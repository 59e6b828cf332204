"""llama.cpp's doors over scripted models: what is asked of them, what is replied, and what is refused."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ghostd.config.http import HttpConfig
from ghostd.errors import ContextTooLong
from ghostd.testing.gateway import Served, serving
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import (
    ChatRequest,
    CompletionRequest,
    Delta,
    Ending,
    FillRequest,
    LocalSampling,
    Markup,
    OpenDocument,
    TokenLogprob,
    Usage,
)

FILL = {"input_prefix": "def f(", "input_suffix": "):\n", "prompt": ""}
CONFIG = HttpConfig(llamacpp_model="scripted-model")


class Script(ScriptedProvider):
    """Streams the deltas of `script`."""

    script: tuple[Delta, ...] = ()

    async def _stream(self, request: Any) -> AsyncIterator[Delta]:  # type: ignore[override]
        self.requests.append(request)
        for delta in self.script:
            yield delta


async def ask(
    provider: ScriptedProvider, path: str, body: Any, *, config: HttpConfig = CONFIG, **headers: str
) -> tuple[int, Any]:
    """The status, and the reply's JSON or the events of its stream."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fixed = {"Content-Type": "application/json", **headers}
    async with (
        serving(provider, config=config) as served,
        aiohttp.ClientSession() as client,
        client.post(served.url + path, data=io.BytesIO(data), headers=fixed) as reply,
    ):
        return reply.status, events(await reply.read(), reply.headers["Content-Type"])


def events(body: bytes, content_type: str) -> Any:
    if content_type != "text/event-stream":
        return json.loads(body)
    assert body.endswith(b"\n\n")
    found = body.removesuffix(b"\n\n").split(b"\n\n")
    assert all(event.startswith(b"data: {") and b"\n" not in event for event in found)
    return [json.loads(event.removeprefix(b"data: ")) for event in found]


async def test_an_infill_becomes_a_fill_of_the_hole_with_the_other_files_as_context() -> None:
    provider = ScriptedProvider()
    extra = [{"text": "old\n", "filename": "a.py", "time": [1, 2]}, {"text": "new\n", "filename": "src/b.py"}]
    status, body = await ask(
        provider, "/infill", {**FILL, "prompt": "    x = ", "input_extra": extra, "n_predict": 9, "stop": ["\n\n"]}
    )
    assert status == 200 and body["content"] == "hello world"
    (request,) = provider.requests
    assert isinstance(request, FillRequest)
    assert (request.prefix, request.suffix, request.max_tokens, request.stop) == (
        "def f(    x = ",
        "):\n",
        9,
        ("\n\n",),
    )
    assert request.open_documents == (OpenDocument(Path("src/b.py"), "new\n"), OpenDocument(Path("a.py"), "old\n"))
    assert request.quote_documents


async def test_a_reply_has_the_fields_of_llama_cpps_server() -> None:
    status, body = await ask(ScriptedProvider(), "/infill", {**FILL, "n_predict": 16, "top_k": 40})
    assert status == 200
    assert set(body) == {
        "index", "content", "tokens", "id_slot", "stop", "model", "tokens_predicted", "tokens_evaluated",
        "generation_settings", "prompt", "has_new_line", "truncated", "stop_type", "stopping_word", "tokens_cached",
        "timings",
    }  # fmt: skip
    assert (body["stop"], body["stop_type"], body["stopping_word"]) == (True, "eos", "")
    assert (body["tokens_evaluated"], body["tokens_predicted"], body["tokens_cached"]) == (7, 2, 9)
    assert body["generation_settings"]["n_predict"] == 16 and body["generation_settings"]["top_k"] == 40
    timings = body["timings"]
    assert (timings["cache_n"], timings["prompt_n"], timings["predicted_n"]) == (0, 7, 2)
    assert all(isinstance(timings[f"{part}_per_second"], float) for part in ("prompt", "predicted"))


async def test_response_fields_choose_and_unnest() -> None:
    wanted = ["content", "timings/prompt_n", "truncated", "tokens_cached", "generation_settings/n_predict", "no/such"]
    _, body = await ask(ScriptedProvider(), "/infill", {**FILL, "n_predict": 4, "response_fields": wanted})
    assert body == {
        "content": "hello world",
        "timings/prompt_n": 7,
        "truncated": False,
        "tokens_cached": 9,
        "generation_settings/n_predict": 4,
    }


async def test_a_fill_of_no_tokens_is_answered_at_once_and_asks_no_model() -> None:
    provider = ScriptedProvider()
    warm = {**FILL, "n_predict": 0, "samplers": [], "response_fields": [""], "t_max_prompt_ms": 1}
    assert await ask(provider, "/infill", warm) == (200, {})
    status, body = await ask(provider, "/infill", {**FILL, "n_predict": 0})
    assert (status, body["content"], body["tokens_predicted"], body["stop_type"]) == (200, "", 0, "limit")
    status, body = await ask(provider, "/completion", {"prompt": "x", "n_predict": 0})
    assert (status, body["content"], provider.requests) == (200, "", [])


@pytest.mark.parametrize("path", ["/infill", "/completion"])
async def test_a_stream_says_pieces_and_then_the_whole_without_its_text(path: str) -> None:
    body = {**FILL, "prompt": "a", "stream": True}
    status, (*parts, last) = await ask(ScriptedProvider(), path, body)
    assert status == 200
    assert [part["content"] for part in parts] == ["hello", " world"]
    assert not any(part["stop"] for part in parts)
    assert last["stop"] and last["content"] == "" and last["tokens_evaluated"] == 7
    assert last["generation_settings"]["stream"] is True


async def test_token_ids_and_probabilities_are_told() -> None:
    provider = Script()
    provider.script = (
        Delta("a", logprobs=(TokenLogprob(5, b"a", -0.5, ((b"a", -0.5), (b"\xf0", -2.0)), (5, 9)),), tokens=(5,)),
        Delta("b", tokens=(6, 7)),
        Delta(finish_reason="stop", usage=Usage(3, 3, 1), stop_sequence="END"),
    )
    asked = {"prompt": "x", "n_probs": 2, "return_tokens": True}
    _, body = await ask(provider, "/completion", asked)
    assert body["tokens"] == [5, 6, 7]
    assert (body["stop_type"], body["stopping_word"]) == ("word", "END")
    assert body["timings"]["cache_n"] == 1 and body["timings"]["prompt_n"] == 2
    (token,) = body["completion_probabilities"]
    assert (token["id"], token["token"], token["bytes"], token["logprob"]) == (5, "a", [97], -0.5)
    assert token["top_logprobs"][1] == {"id": 9, "token": "�", "bytes": [240], "logprob": -2.0}
    assert provider.requests[0].sampling.logprobs == 2  # type: ignore[union-attr]
    _, (first, second, last) = await ask(provider, "/completion", {**asked, "stream": True})
    assert (first["tokens"], second["tokens"], last["tokens"]) == ([5], [6, 7], [])
    assert first["completion_probabilities"][0]["id"] == 5 and "completion_probabilities" not in second


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", [("a",)]),
        ({"prompt_string": "a"}, [("a",)]),
        ([1, "b", 2], [(1, "b", 2)]),
        ([1, 2], [(1, 2)]),
        (["a", [1, "b"], {"prompt_string": "c"}], [("a",), (1, "b"), ("c",)]),
        ([[1, 2]], [(1, 2)]),
    ],
)
async def test_a_completions_prompt_comes_in_many_forms(prompt: Any, prompts: list[Any]) -> None:
    provider = ScriptedProvider()
    status, body = await ask(provider, "/completion", {"prompt": prompt, "n_cmpl": 2, "seed": 5})
    assert status == 200
    requests = provider.requests
    assert all(isinstance(request, CompletionRequest) for request in requests)
    assert [r.prompt for r in requests] == [p for p in prompts for _ in range(2)]  # type: ignore[union-attr]
    assert all(not isinstance(piece, str) or isinstance(piece, Markup) for piece in requests[0].prompt)  # type: ignore[union-attr]
    assert [reply["index"] for reply in body] == list(range(2 * len(prompts)))


class Counting(ScriptedProvider):
    """Counts a token for each character, as a local model counts its own."""

    async def count_tokens(self, request: ChatRequest | CompletionRequest) -> int:
        assert isinstance(request, CompletionRequest)
        return sum(len(str(piece)) for piece in request.prompt)


@pytest.mark.parametrize("path", ["/completion", "/v1/completions"])
@pytest.mark.parametrize(("prompt", "status"), [(["a", "b" * 4096], 400), (["a", ""], 400), (["a", "b", "a"], 200)])
async def test_every_prompt_of_a_list_is_checked_before_the_stream_begins(path: str, prompt: Any, status: int) -> None:
    provider = Counting()
    asked = {"prompt": prompt, "model": "scripted-model", "stream": True}
    async with (
        serving(provider, config=CONFIG) as served,
        aiohttp.ClientSession() as client,
        client.post(served.url + path, json=asked) as reply,
    ):
        kind = "text/event-stream" if status == 200 else "application/json"
        assert (reply.status, reply.content_type) == (status, kind)
        await reply.read()
    assert len(provider.requests) == (len(prompt) if status == 200 else 0)


async def test_samplers_that_are_left_out_do_nothing() -> None:
    provider = ScriptedProvider()
    await ask(provider, "/completion", {"prompt": "x", "samplers": ["top_k", "infill"], "top_k": 4, "mirostat_tau": 5})
    await ask(provider, "/completion", {"prompt": "x", "samplers": "kt", "top_k": -1, "temperature": 0.1, "seed": -1})
    await ask(provider, "/completion", {"prompt": "x", "repeat_penalty": 1.5, "min_p": 0.2, "seed": 4294967295})
    one, other, rest = (request.sampling for request in provider.requests)  # type: ignore[union-attr]
    assert (one.top_k, one.top_p, one.min_p, one.temperature, one.repeat_penalty) == (4, 1.0, 0.0, 1.0, 1.0)
    assert (other.top_k, other.temperature, other.seed) == (0, 0.1, None)
    assert (rest.repeat_penalty, rest.min_p, rest.top_p, rest.seed) == (
        1.5,
        0.2,
        None,
        None,
    )


async def test_a_text_ends_by_time_and_indent_where_that_is_asked_for() -> None:
    provider = ScriptedProvider(pieces=("a\n", "    b\n", "c"))
    _, body = await ask(provider, "/infill", {**FILL, "n_indent": 4, "t_max_predict_ms": 60_000})
    assert (body["content"], body["stop_type"]) == ("a\n    b\n", "limit")
    assert provider.requests[0].ending == Ending(60_000, 4)  # type: ignore[union-attr]
    _, body = await ask(provider, "/completion", {"prompt": "x", "t_max_predict_ms": -1})
    assert body["content"] == "a\n    b\nc"


async def test_biases_grammars_and_schemas_are_understood() -> None:
    provider = ScriptedProvider()
    await ask(provider, "/completion", {"prompt": "x", "logit_bias": [[5, 1.5], ["6", False]], "grammar": "root ::= a"})
    asked = {"prompt": "x", "logit_bias": {"7": -2, " the": False}, "json_schema": {}, "ignore_eos": True}
    _, body = await ask(provider, "/completion", asked)
    assert body["generation_settings"]["logit_bias"] == [{"token": "7", "bias": -2.0}, {"token": " the", "bias": None}]
    assert provider.requests[1].local == LocalSampling(True, {" the": -1000.0})  # type: ignore[union-attr]
    one, other = (request.sampling for request in provider.requests)  # type: ignore[union-attr]
    assert one.logit_bias == {5: 1.5, 6: -1000.0} and one.grammar == "root ::= a"
    assert other.logit_bias == {7: -2.0} and other.json_schema == "{}"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/infill", {"input_prefix": "a"}, "input_suffix"),
        ("/infill", {"input_suffix": "a"}, "input_prefix"),
        ("/infill", {**FILL, "prompt": 5}, "prompt"),
        ("/infill", {**FILL, "input_prefix": [1]}, "input_prefix"),
        ("/infill", {**FILL, "input_extra": {}}, "input_extra"),
        ("/infill", {**FILL, "input_extra": [{}]}, "input_extra[0].text"),
        ("/infill", {**FILL, "input_extra": [{"filename": "ok"}]}, "input_extra[0].text"),
        ("/infill", {**FILL, "input_extra": [{"filename": 1, "text": "a"}]}, "input_extra[0].filename"),
        ("/infill", {**FILL, "input_extra": [{"filename": "a", "text": 1}]}, "input_extra[0].text"),
        ("/infill", {**FILL, "input_extra": [{"filename": "a\0", "text": ""}]}, "input_extra[0].filename"),
        ("/infill", {**FILL, "input_extra": [{"text": ""}] * 1001}, "input_extra"),
        ("/infill", {**FILL, "n_predict": -2}, "n_predict"),
        ("/infill", {**FILL, "n_predict": "5"}, "n_predict"),
        ("/infill", {**FILL, "n_predict": 2**40}, "n_predict"),
        ("/infill", {**FILL, "n_indent": -1}, "n_indent"),
        ("/infill", {**FILL, "t_max_predict_ms": -5}, "t_max_predict_ms"),
        ("/infill", {**FILL, "t_max_prompt_ms": 1.5}, "t_max_prompt_ms"),
        ("/infill", {**FILL, "response_fields": "content"}, "response_fields"),
        ("/infill", {**FILL, "response_fields": [1]}, "response_fields[0]"),
        ("/infill", {**FILL, "stream": "yes"}, "stream"),
        ("/infill", {**FILL, "model": 5}, "model"),
        ("/infill", {**FILL, "api_base": "http://evil"}, "api_base"),
        ("/completion", {}, "prompt"),
        ("/completion", {"prompt": []}, "prompt"),
        ("/completion", {"prompt": [[]]}, "prompt[0]"),
        ("/completion", {"prompt": [-1]}, "prompt[0]"),
        ("/completion", {"prompt": ["a", 2**31]}, "prompt[1]"),
        ("/completion", {"prompt": ["a", ["b", -1]]}, "prompt[1][1]"),
        ("/completion", {"prompt": [1, [2]]}, "prompt[1]"),
        ("/completion", {"prompt": {"prompt_string": "a", "multimodal_data": ["x"]}}, "prompt.multimodal_data"),
        ("/completion", {"prompt": {}}, "prompt.prompt_string"),
        ("/completion", {"prompt": ["a"] * 2000, "n": 2}, "prompt"),
        ("/completion", {"prompt": "a", "n": 0}, "n"),
        ("/completion", {"prompt": "a", "n_cmpl": 129}, "n_cmpl"),
        ("/completion", {"prompt": "a", "temperature": -2}, "temperature"),
        ("/completion", {"prompt": "a", "temperature": "hot"}, "temperature"),
        ("/completion", {"prompt": "a", "top_p": 1.5}, "top_p"),
        ("/completion", {"prompt": "a", "min_p": -0.1}, "min_p"),
        ("/completion", {"prompt": "a", "top_k": 1.5}, "top_k"),
        ("/completion", {"prompt": "a", "repeat_penalty": 0}, "repeat_penalty"),
        ("/completion", {"prompt": "a", "seed": 2**64}, "seed"),
        ("/completion", {"prompt": "a", "n_probs": 101}, "n_probs"),
        ("/completion", {"prompt": "a", "logprobs": -1}, "logprobs"),
        ("/completion", {"prompt": "a", "stop": [1]}, "stop[0]"),
        ("/completion", {"prompt": "a", "stop": ["x"] * 65}, "stop"),
        ("/completion", {"prompt": "a", "samplers": 5}, "samplers"),
        ("/infill", {**FILL, "logit_bias": [["word", 1]]}, "logit_bias"),
        ("/infill", {**FILL, "ignore_eos": True}, "ignore_eos"),
        ("/completion", {"prompt": "a", "logit_bias": [[1, 1]] * 10_001}, "logit_bias"),
        ("/completion", {"prompt": "a", "logit_bias": [[-1, 1]]}, "logit_bias"),
        ("/completion", {"prompt": "a", "logit_bias": [[1, True]]}, "logit_bias"),
        ("/completion", {"prompt": "a", "logit_bias": [[1]]}, "logit_bias[0]"),
        ("/completion", {"prompt": "a", "json_schema": []}, "json_schema"),
        ("/completion", {"prompt": "a", "json_schema": {}, "grammar": "root ::= a"}, "grammar"),
        ("/completion", {"prompt": "a", "mirostat": 2}, "mirostat"),
        ("/completion", {"prompt": "a", "typical_p": 0.5}, "typical_p"),
        ("/completion", {"prompt": "a", "dry_multiplier": 0.8}, "dry_multiplier"),
        ("/completion", {"prompt": "a", "post_sampling_probs": True}, "post_sampling_probs"),
        ("/tokenize", {"content": 5}, "content"),
        ("/tokenize", {"content": [1.5]}, "content[0]"),
        ("/tokenize", {"content": "a", "with_pieces": "yes"}, "with_pieces"),
        ("/tokenize", {"content": [-1]}, "content[0]"),
        ("/tokenize", {"content": "a" * (4 * 1024 * 1024 + 1)}, "content"),
        ("/tokenize", {"content": ["a"] * 2049}, "content"),
        ("/detokenize", {"tokens": [1] * (1024 * 1024 + 1)}, "tokens"),
        ("/tokenize", {"content": "a"}, "model"),
        ("/detokenize", {"tokens": "a"}, "tokens"),
        ("/detokenize", {"tokens": [1, -1]}, "tokens[1]"),
        ("/detokenize", {"tokens": [1]}, "model"),
        ("/apply-template", {"messages": 5}, "messages"),
        ("/apply-template", {"messages": [{"role": "ghost", "content": "x"}]}, "messages[0].role"),
    ],
)
async def test_what_is_wrong_is_told_in_llama_cpps_shape(path: str, body: Any, param: str) -> None:
    provider = ScriptedProvider()
    status, reply = await ask(provider, path, body)
    assert status == 400
    error = reply["error"]
    assert set(error) == {"code", "message", "type", "param"}
    assert (error["code"], error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert not provider.requests


@pytest.mark.parametrize("path", ["/infill", "/completion", "/completions", "/tokenize", "/detokenize"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b'{"prompt": NaN}', 400),
        (b'{"prompt": "\\ud800"}', 400),
        (b'{"prompt": "\xff"}', 400),
        (b'{"a":' * 100 + b"1" + b"}" * 100, 400),
    ],
)
async def test_bodies_that_are_no_json_are_told_in_llama_cpps_shape(path: str, body: bytes, status: int) -> None:
    got, reply = await ask(ScriptedProvider(), path, body)
    assert got == status and reply["error"]["code"] == status and reply["error"]["type"] == "invalid_request_error"


async def test_other_errors_have_llama_cpps_types() -> None:
    error = ContextTooLong(5000, 4096)
    status, reply = await ask(ScriptedProvider(error=error), "/completion", {"prompt": "x"})
    assert status == 400 and reply["error"]["type"] == "exceed_context_size_error"
    assert (reply["error"]["n_prompt_tokens"], reply["error"]["n_ctx"]) == (5000, 4096)
    status, reply = await ask(ScriptedProvider(), "/completion", {"prompt": "x", "model": "nobody"})
    assert (status, reply["error"]["type"]) == (404, "not_found_error")
    async with serving(ScriptedProvider()) as served, aiohttp.ClientSession() as client:
        async with client.get(served.url + "/infill") as wrong:
            assert wrong.status == 405 and (await wrong.json())["error"]["code"] == 405
        async with client.get(served.url + "/slots/3") as unknown:
            assert unknown.status == 404 and (await unknown.json())["error"]["type"] == "not_found_error"
        async with client.post(served.url + "/infill", data="x") as text:
            assert text.status == 415 and (await text.json())["error"]["code"] == 415
        async with client.post(served.url + "/infill", json={}, headers={"Origin": "http://evil.test"}) as page:
            assert page.status == 403 and (await page.json())["error"]["type"] == "permission_error"


async def test_a_stream_that_fails_ends_with_an_error_event() -> None:
    provider = ScriptedProvider(error=ContextTooLong(5000, 4096), error_after=1)
    status, (first, last) = await ask(provider, "/completion", {"prompt": "x", "stream": True})
    assert (status, first["content"]) == (200, "hello")
    assert last["error"]["type"] == "exceed_context_size_error"


class Named(ScriptedProvider):
    """Two models."""

    def models(self) -> Any:
        (info,) = super().models()
        return info, replace(info, id="other")


@pytest.mark.parametrize(
    ("path", "fields", "headers", "asked"),
    [
        ("/infill", {}, {}, "scripted-model"),
        ("/infill?model=other", {}, {}, "other"),
        ("/infill", {"model": "other"}, {}, "other"),
        ("/infill", {"model": None}, {}, "scripted-model"),
        ("/infill", {"model": ""}, {}, "scripted-model"),
        ("/infill", {}, {"x-ghostd-model": "other"}, "other"),
        ("/infill?model=scripted-model", {"model": "other"}, {}, "other"),
        ("/completion?model=other", {}, {}, "other"),
    ],
)
async def test_the_model_is_the_bodys_the_querys_the_headers_or_the_settings(
    path: str, fields: Any, headers: Any, asked: str
) -> None:
    provider = Named()
    status, body = await ask(provider, path, {**FILL, "prompt": "x", **fields}, **headers)
    assert (status, body["model"], provider.requests[0].model) == (200, asked, asked)


@pytest.mark.parametrize("name", ["\udcff", "x" * 9000, "a\udc80b"])
async def test_a_name_that_no_model_can_have_is_unknown(name: str) -> None:
    async with serving(ScriptedProvider()) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        body = json.dumps(FILL)
        head = (
            f"POST /infill HTTP/1.1\r\nHost: localhost:{served.port}\r\nContent-Type: application/json\r\n"
            f"x-ghostd-model: {name}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write((head + body).encode("utf-8", "surrogateescape"))
        reply = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert reply.startswith(b"HTTP/1.1 404 ") and b"not_found_error" in reply


@pytest.mark.parametrize("path", ["/infill", "/completion", "/v1/fim/completions"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_hangs_up_ends_the_work(path: str, stream: bool) -> None:
    provider = ScriptedProvider(hold=asyncio.Event())
    async with serving(provider, config=CONFIG) as served:
        async with aiohttp.ClientSession() as client:
            asked = asyncio.create_task(client.post(served.url + path, json={**FILL, "prompt": "x", "stream": stream}))
            while not provider.started:
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        while not provider.closed:
            await asyncio.sleep(0)
    assert provider.closed == 1


CHAT = "/v1/chat/completions"
TALK = [{"role": "user", "content": "hi"}]
VSCODE_EDIT = {
    "messages": TALK, "stream": False, "cache_prompt": True, "samplers": "edkypmxt", "temperature": 0.8,
    "dynatemp_range": 0, "dynatemp_exponent": 1, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "typical_p": 1,
    "xtc_probability": 0, "xtc_threshold": 0.1, "repeat_last_n": 64, "repeat_penalty": 1, "presence_penalty": 0,
    "frequency_penalty": 0, "dry_multiplier": 0, "dry_base": 1.75, "dry_allowed_length": 2, "dry_penalty_last_n": -1,
    "max_tokens": -1, "timings_per_token": False,
}  # fmt: skip
"""What llama.vscode sends to edit a selection (its source, 2025)."""


VSCODE_EDIT_NEWER = {
    "messages": TALK, "stream": False, "cache_prompt": True, "temperature": 0.8, "top_p": 0.95,
    "lora": [{"id": 0, "scale": 0.5}],
}  # fmt: skip
"""The same of its source of 2026."""
VIM_EDIT = {
    "id_slot": 17, "messages": TALK, "min_p": 0.1, "temperature": 0.1, "samplers": ["min_p", "temperature"],
    "stream": False, "cache_prompt": True,
}  # fmt: skip
"""What llama.vim sends to edit lines (its source, 2026), but for the stream."""


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (VSCODE_EDIT, None),
        (VSCODE_EDIT_NEWER, None),
        (VIM_EDIT, None),
        ({"messages": TALK, "n_predict": 9}, 9),
        ({"messages": TALK, "n_predict": -1, "model": ""}, None),
        ({"messages": TALK, "n_predict": 9, "max_tokens": 4}, 4),
        ({"messages": TALK, "cache_prompt": True, "model": None}, None),
    ],
)
async def test_chats_of_llama_cpps_clients_need_no_model_and_have_its_limits(body: Any, limit: int | None) -> None:
    provider = ScriptedProvider()
    status, reply = await ask(provider, CHAT, body)
    assert (status, reply["model"]) == (200, "scripted-model")
    assert reply["choices"][0]["message"]["content"] == "hello world"
    assert provider.requests[0].max_tokens == limit  # type: ignore[union-attr]


async def test_a_chat_of_no_tokens_asks_no_model() -> None:
    provider = ScriptedProvider()
    warm_up = {"messages": TALK, "n_predict": 0, "samplers": [], "cache_prompt": True, "t_max_predict_ms": 1}
    status, reply = await ask(provider, CHAT, warm_up)
    assert (status, reply["choices"][0]["message"]["content"], provider.requests) == (200, "", [])


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": TALK}, "model"),
        ({"messages": TALK, "model": ""}, "model"),
        ({"messages": TALK, "model": "scripted-model", "max_tokens": -1}, "max_tokens"),
        ({"messages": TALK, "n_predict": -2}, "max_tokens"),
        ({"messages": TALK, "n_predict": "x"}, "max_tokens"),
        ({"n_predict": 5}, "messages"),
    ],
)
async def test_to_other_chats_openais_rules_apply(body: Any, param: str) -> None:
    status, reply = await ask(ScriptedProvider(), CHAT, body)
    assert (status, reply["error"]["param"]) == (400, param)


async def get(served: Served, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as client, client.get(served.url + path) as reply:
        return reply.status, await reply.json()


@pytest.mark.covers("llamacpp.server")
@pytest.mark.covers("llamacpp.server", "model")
async def test_props_and_slots_tell_of_one_model() -> None:
    async with serving(ScriptedProvider(), config=CONFIG) as served:
        status, props = await get(served, "/props")
        assert status == 200 and props["default_generation_settings"]["n_ctx"] == 4096
        assert (props["total_slots"], props["model_path"], props["chat_template"]) == (1, "scripted-model", "")
        assert await get(served, "/slots") == (
            200,
            [{"id": 0, "n_ctx": 4096, "speculative": False, "is_processing": False, "model": "scripted-model"}],
        )
        assert (await get(served, "/props?model=nobody"))[0] == 404
        assert (await get(served, "/health"))[1]["status"] == "ok"


@pytest.mark.parametrize("model", ["auto", "scripted-model"])
async def test_a_slot_is_busy_while_its_model_is_asked(model: str) -> None:
    provider = ScriptedProvider(hold=asyncio.Event())
    assert provider.hold is not None
    async with serving(provider, config=HttpConfig(llamacpp_model=model)) as served, aiohttp.ClientSession() as client:
        task = asyncio.create_task(client.post(served.url + "/infill", json=FILL))
        while not provider.requests:
            await asyncio.sleep(0)
        assert (await get(served, "/slots"))[1][0]["is_processing"]
        assert (await get(served, "/slots?fail_on_no_slot=1"))[0] == 503
        provider.hold.set()
        (await task).close()
        assert (await get(served, "/slots?fail_on_no_slot=1"))[0] == 200


async def test_llama_vim_knows_its_reply_by_how_it_is_written() -> None:
    """It takes only what begins with a brace and has `"content":"`, without a space (its source, 2026)."""
    body = {
        **FILL, "id_slot": 0, "input_extra": [{"text": "a\n", "time": [1, 2], "filename": "a.py"}], "n_predict": 128,
        "stop": [], "n_indent": 4, "top_k": 40, "top_p": 0.90, "samplers": ["top_k", "top_p", "infill"],
        "stream": False, "cache_prompt": True, "t_max_prompt_ms": 500, "t_max_predict_ms": 250,
        "response_fields": ["content", "timings/prompt_n", "truncated", "tokens_cached"],
    }  # fmt: skip
    async with (
        serving(ScriptedProvider(), config=CONFIG) as served,
        aiohttp.ClientSession() as client,
        client.post(f"{served.url}/infill", json=body) as reply,
    ):
        raw = await reply.read()
    assert raw.startswith(b"{") and b'"content":"hello world"' in raw


async def test_llama_vscode_gets_as_many_fills_as_it_asks_for() -> None:
    """`n_cmpl`: an array of more than one (its source, 2026); it also sends `lora`, which no model here has."""
    body = {
        **FILL, "id_slot": 0, "input_extra": [], "n_cmpl": 3, "lora": [{"id": 0, "scale": 0.5}], "top_k": 40,
        "n_predict": 8, "samplers": ["top_k", "top_p", "infill"], "t_max_prompt_ms": 500, "model": "scripted-model",
    }  # fmt: skip
    status, replies = await ask(ScriptedProvider(), "/infill", body)
    assert status == 200
    assert [(one["index"], one["content"]) for one in replies] == [(n, "hello world") for n in range(3)]
    status, one = await ask(ScriptedProvider(), "/infill", {**body, "n_cmpl": 1})
    assert (status, one["content"]) == (200, "hello world")
