"""`POST /v1/completions`: prompts in four forms, holes, echoes and log probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ghostd.errors import ContextTooLong
from ghostd.testing.gateway import check_stream, serving
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import ChatRequest, CompletionRequest, Delta, FillRequest, Sampling, TokenLogprob, Usage


async def post(provider: ScriptedProvider, **fields: Any) -> tuple[int, Any]:
    body = {"model": "scripted-model", **fields}
    async with (
        serving(provider) as served,
        aiohttp.ClientSession() as client,
        client.post(served.url + "/v1/completions", json=body) as reply,
    ):
        return reply.status, await (reply.read() if body.get("stream") and reply.status == 200 else reply.json())


class Script(ScriptedProvider):
    """Streams the deltas of `script`."""

    script: tuple[Delta, ...] = ()

    async def _stream(self, request: Any) -> Any:
        self.requests.append(request)
        for delta in self.script:
            yield delta


async def test_a_completion_has_openais_legacy_form() -> None:
    status, body = await post(ScriptedProvider(), prompt="say")
    assert status == 200
    assert set(body) == {"id", "object", "created", "model", "choices", "usage"}
    assert body["object"] == "text_completion"
    assert body["choices"] == [{"text": "hello world", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert body["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", [("a",)]),
        ("", [("",)]),
        (["a", "b"], [("a",), ("b",)]),
        ([1, 2, 3], [(1, 2, 3)]),
        ([[1, 2], [3]], [(1, 2), (3,)]),
    ],
)
async def test_a_prompt_comes_in_four_forms(prompt: Any, prompts: list[tuple[str | int, ...]]) -> None:
    provider = ScriptedProvider()
    status, body = await post(provider, prompt=prompt, n=2, seed=5)
    assert status == 200
    assert [choice["index"] for choice in body["choices"]] == list(range(2 * len(prompts)))
    asked = [request for request in provider.requests if isinstance(request, CompletionRequest)]
    assert [request.prompt for request in asked] == [prompt for prompt in prompts for _ in range(2)]
    assert [request.sampling.seed for request in asked] == [5, 6] * len(prompts)
    assert body["usage"]["prompt_tokens"] == 7 * len(prompts)


@pytest.mark.parametrize("suffix", ["", ")\n"])
async def test_a_suffix_even_an_empty_one_asks_for_a_fill(suffix: str) -> None:
    provider = ScriptedProvider()
    await post(
        provider,
        prompt="f(",
        suffix=suffix,
        file_path="pkg/a.py",
        root="/src/x",
        min_confidence=0.25,
        max_tokens=9,
        stop="\n",
        temperature=0,
    )
    assert provider.requests == [
        FillRequest(
            "scripted-model",
            "f(",
            suffix,
            path=Path("pkg/a.py"),
            root=Path("/src/x"),
            min_confidence=0.25,
            max_tokens=9,
            stop=("\n",),
            sampling=Sampling(temperature=0),
        )
    ]


async def test_null_means_absent_for_every_optional_field() -> None:
    provider = ScriptedProvider()
    names = [
        "suffix",
        "best_of",
        "echo",
        "logprobs",
        "file_path",
        "root",
        "min_confidence",
        "user",
        "stream",
        "stop",
        "n",
        "max_tokens",
    ]
    assert (await post(provider, prompt="x", **dict.fromkeys(names)))[0] == 200
    assert provider.requests == [CompletionRequest("scripted-model", ("x",))]


async def test_echo_repeats_the_prompt_and_shifts_the_offsets() -> None:
    _, body = await post(ScriptedProvider(), prompt=["a", "bc"], echo=True)
    assert [choice["text"] for choice in body["choices"]] == ["ahello world", "bchello world"]
    _, raw = await post(ScriptedProvider(), prompt="p" * 20_000, echo=True, stream=True)
    assert check_stream(raw, chat=False).choices[0].text == "p" * 20_000 + "hello world"


async def test_a_stream_keeps_openais_rules() -> None:
    _, raw = await post(ScriptedProvider(), prompt=["a", "b"], n=2, stream=True, stream_options={"include_usage": True})
    seen = check_stream(raw, chat=False, with_usage=True)
    assert {index: choice.text for index, choice in seen.choices.items()} == dict.fromkeys(range(4), "hello world")
    assert seen.usage == {"prompt_tokens": 14, "completion_tokens": 8, "total_tokens": 22}


async def test_a_fill_that_says_nothing_is_an_empty_text() -> None:
    _, body = await post(ScriptedProvider(pieces=()), prompt="x", suffix="")
    assert body["choices"][0] == {"text": "", "index": 0, "logprobs": None, "finish_reason": "stop"}
    _, raw = await post(ScriptedProvider(pieces=()), prompt="x", suffix="", stream=True)
    assert check_stream(raw, chat=False).choices[0].text == ""


async def test_an_estimate_of_confidence_is_told() -> None:
    provider = Script()
    provider.script = (Delta("x", confidence=0.75), Delta(finish_reason="stop", usage=Usage(1, 1)))
    _, body = await post(provider, prompt="x", suffix="")
    assert body["choices"][0]["confidence"] == 0.75


async def test_log_probabilities_come_in_the_legacy_form() -> None:
    provider = Script()
    tokens = (
        TokenLogprob(1, b"hi ", -0.25, ((b"hi ", -0.25), (b"\xff", -2.0))),
        TokenLogprob(2, b"\xc3", -0.5),
        TokenLogprob(3, b"\xa9", -1.0),
        TokenLogprob(4, b"!", -1.5),
    )
    provider.script = (Delta("hi é!", logprobs=tokens), Delta(finish_reason="stop", usage=Usage(1, 4)))
    _, body = await post(provider, prompt="x", logprobs=2)
    assert body["choices"][0]["logprobs"] == {
        "tokens": ["hi ", "bytes:\\xc3", "bytes:\\xa9", "!"],
        "token_logprobs": [-0.25, -0.5, -1.0, -1.5],
        "top_logprobs": [{"hi ": -0.25, "bytes:\\xff": -2.0}, {}, {}, {}],
        "text_offset": [0, 3, 3, 4],
    }
    _, raw = await post(provider, prompt="x", logprobs=2, stream=True)
    assert check_stream(raw, chat=False).choices[0].logprobs == 4


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": {}}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt[1]"),
        ({"prompt": [1, -1]}, "prompt"),
        ({"prompt": [[1], []]}, "prompt[1]"),
        ({"prompt": [[1], [2**31]]}, "prompt[1]"),
        ({"prompt": [True]}, "prompt[0]"),
        ({"prompt": [[1, "a"]]}, "prompt[0][1]"),
        ({"prompt": ["a"] * 2049}, "prompt"),
        ({"prompt": "a", "logprobs": 6}, "logprobs"),
        ({"prompt": "a", "best_of": 1, "n": 2}, "best_of"),
        ({"prompt": "a", "best_of": 21}, "best_of"),
        ({"prompt": "a", "best_of": 2, "stream": True}, "best_of"),
        ({"prompt": ["a"] * 200, "best_of": 20}, "best_of"),
        ({"prompt": ["a"] * 200, "n": 20}, "n"),
        ({"prompt": "a", "stream_options": {"include_usage": True}}, "stream_options"),
        ({"prompt": "a", "n": 1.5}, "n"),
        ({"prompt": "a", "user": 5}, "user"),
        ({"prompt": [1], "echo": True}, "echo"),
        ({"prompt": "a", "echo": True, "logprobs": 1}, "echo"),
        ({"prompt": "a", "min_confidence": 2}, "min_confidence"),
        ({"prompt": "a", "file_path": "a\0b"}, "file_path"),
        ({"prompt": "a", "root": "relative"}, "root"),
        ({"prompt": [1], "suffix": "x"}, "prompt"),
    ],
)
async def test_a_wrong_field_is_a_400_that_names_it(fields: dict[str, Any], param: str) -> None:
    provider = ScriptedProvider()
    status, body = await post(provider, **fields)
    assert (status, body["error"]["param"]) == (400, param)
    assert not provider.requests


async def test_a_prompt_longer_than_the_context_names_the_prompt() -> None:
    status, body = await post(ScriptedProvider(error=ContextTooLong(5000, 4096)), prompt="x")
    assert (status, body["error"]["param"], body["error"]["code"]) == (400, "prompt", "context_length_exceeded")


async def test_best_of_equal_to_n_is_what_happens_anyway() -> None:
    status, body = await post(ScriptedProvider(), prompt="x", n=2, best_of=2)
    assert (status, len(body["choices"])) == (200, 2)


async def test_best_of_returns_the_choices_that_the_model_thinks_likeliest() -> None:
    """By their mean log probability per token, as the reference says; log probabilities show only if asked for."""
    likelihoods = iter((-2.0, -0.5, -1.0, -3.0, -0.25, -4.0))

    class Guesser(ScriptedProvider):
        async def _stream(self, request: Any) -> Any:
            self.requests.append(request)
            likelihood = next(likelihoods)
            yield Delta(str(likelihood), logprobs=(TokenLogprob(1, b"x", likelihood),) * 2)
            yield Delta(finish_reason="stop", usage=Usage(7, 2))

    provider = Guesser()
    status, body = await post(provider, prompt=["a", "b"], n=2, best_of=3)
    assert status == 200
    assert [(choice["index"], choice["text"]) for choice in body["choices"]] == [
        (0, "-0.5"), (1, "-1.0"), (2, "-0.25"), (3, "-3.0"),
    ]  # fmt: skip
    assert {choice["logprobs"] for choice in body["choices"]} == {None}
    assert body["usage"] == {"prompt_tokens": 14, "completion_tokens": 12, "total_tokens": 26}, "all six were made"
    asked = [request for request in provider.requests if isinstance(request, CompletionRequest)]
    assert {request.sampling.logprobs for request in asked} == {0}


async def test_best_of_is_refused_where_no_log_probabilities_come() -> None:
    status, body = await post(ScriptedProvider(), prompt="a", best_of=2)
    assert (status, body["error"]["param"], body["error"]["code"]) == (400, "best_of", "unsupported_parameter")


async def test_a_model_that_only_converses_is_asked_to_continue_the_text() -> None:
    provider = ScriptedProvider(capabilities=frozenset(("chat",)))
    status, body = await post(provider, prompt="def f(", max_tokens=9, stop="x", temperature=0)
    assert status == 200
    assert body["choices"] == [{"text": "hello world", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    (asked,) = provider.requests
    assert isinstance(asked, ChatRequest)
    assert [message.role for message in asked.messages] == ["system", "user"]
    assert (asked.messages[1].text, asked.max_tokens, asked.stop) == ("def f(", 9, ("x",))
    assert asked.sampling == Sampling(temperature=0)
    _, raw = await post(provider, prompt="def f(", stream=True)
    assert check_stream(raw, chat=False).choices[0].text == "hello world"
    for wrong in ("", "  ", [1, 2]):
        status, body = await post(provider, prompt=wrong)
        assert (status, body["error"]["param"]) == (400, "prompt")
    assert (await post(provider, prompt="x", suffix="y"))[0] == 400


async def test_no_tokens_at_all_may_be_asked_for() -> None:
    """The reference: `max_tokens` has a minimum of 0; with `echo` the prompt comes back."""
    provider = ScriptedProvider()
    status, body = await post(provider, prompt="abc", max_tokens=0, echo=True)
    assert (status, body["choices"][0]["text"], body["choices"][0]["finish_reason"]) == (200, "abc", "length")
    assert provider.requests == []
    assert (await post(provider, prompt="abc", max_tokens=-1))[1]["error"]["param"] == "max_tokens"
