"""llama.cpp's doors over real models: on both engines, beside llama.cpp's own server, and before it as an upstream.

The requests of llama.vim and llama.vscode are replays of what those plug-ins send (their own sources, 2025); neither
is installed here.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gguf_fixtures import CHAT_TEXT, FILL_TEXT, ModelFile, model_file
from llama_server_upstream import llama_server, provider_of
from workers.opening import ENGINES, EngineName

from ghostd.completion.fill import collect
from ghostd.config.http import HttpConfig
from ghostd.config.local import LocalConfig
from ghostd.config.settings import Config
from ghostd.conversation import Message
from ghostd.engine import Engine
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import serving
from ghostd.testing.memory_ledger import MemoryLedger
from ghostd.types import ChatRequest, CompletionRequest, Sampling
from ghostd.workers.provider import local_provider

__all__ = ["model_file"]
pytestmark = pytest.mark.local_model

PREFIX = "def add(a, b):\n"
VIM_FIELDS = [
    "content", "timings/prompt_n", "timings/prompt_ms", "timings/prompt_per_token_ms", "timings/prompt_per_second",
    "timings/predicted_n", "timings/predicted_ms", "timings/predicted_per_token_ms", "timings/predicted_per_second",
    "truncated", "tokens_cached",
]  # fmt: skip
CHUNK = {"text": "def mul(a, b):\n    return a * b\n", "time": [1764100000, 123456789], "filename": "mul.py"}
VIM_FIM = {
    "input_prefix": PREFIX, "input_suffix": "\n", "input_extra": [CHUNK], "prompt": "    ", "n_predict": 128,
    "stop": [], "n_indent": 4, "top_k": 40, "top_p": 0.90, "stream": False,
    "samplers": ["top_k", "top_p", "infill"], "cache_prompt": True, "t_max_prompt_ms": 500, "t_max_predict_ms": 10_000,
    "response_fields": VIM_FIELDS,
}  # fmt: skip
VIM_WARM_UP = {
    "input_prefix": "", "input_suffix": "", "input_extra": [CHUNK], "prompt": "", "n_predict": 0, "temperature": 0.0,
    "stream": False, "samplers": [], "cache_prompt": True, "t_max_prompt_ms": 1, "t_max_predict_ms": 1,
    "response_fields": [""],
}  # fmt: skip
VSCODE_FIM = {
    "input_prefix": PREFIX, "input_suffix": "\n", "input_extra": [CHUNK], "prompt": "    ", "n_predict": 128,
    "top_k": 40, "top_p": 0.99, "stream": False, "samplers": ["top_k", "top_p", "infill"], "cache_prompt": True,
    "t_max_prompt_ms": 500, "t_max_predict_ms": 10_000,
}  # fmt: skip
GREEDY = {"temperature": 0, "n_predict": 12}
CHAT_PROMPT = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.skipif(importlib.util.find_spec(module) is None, reason="not installed"))
        for name, module in ENGINES.items()
    ]
)
def engine(request: pytest.FixtureRequest) -> EngineName:
    """Each engine in turn."""
    name: EngineName = request.param
    return name


class Doors:
    """A client of a server that speaks llama.cpp's dialect."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self.url = url
        self.ledger = MemoryLedger()

    async def post(self, path: str, **body: Any) -> Any:
        async with self._client.post(self.url + path, json=body) as reply:
            text = await reply.text()
            assert reply.status == 200, text
            if reply.content_type != "text/event-stream":
                return json.loads(text)
            return [json.loads(event.removeprefix("data: ")) for event in text.strip().split("\n\n")]

    async def get(self, path: str) -> Any:
        async with self._client.get(self.url + path) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.json()


@asynccontextmanager
async def ghostd(engine_name: EngineName, folder: Path, model: str = "qwen", **more: Any) -> AsyncIterator[Doors]:
    """ghostd over the models of a folder, and perhaps upstreams."""
    config = Config(local=LocalConfig(engine=engine_name, context_tokens=512), http=HttpConfig(llamacpp_model=model))
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(local_provider(config.local, folder, folder.parent))
        await local.refresh()
        ledger = MemoryLedger()
        registry = Registry(config, [local], more.get("upstreams"))
        served = await stack.enter_async_context(
            serving(engine=Engine(registry=registry, ledger=ledger), config=config.http)
        )
        doors = Doors(await stack.enter_async_context(aiohttp.ClientSession()), served.url)
        doors.ledger = ledger
        yield doors


@pytest.fixture
async def doors(engine: EngineName, model_file: ModelFile, tmp_path: Path) -> AsyncIterator[Doors]:
    """A Qwen-like model on each engine."""
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(model_file("qwen"), folder)
    async with ghostd(engine, folder) as found:
        yield found


async def test_llama_vims_requests_are_answered(doors: Doors) -> None:
    """A replay, warm-up first."""
    assert await doors.post("/infill", **VIM_WARM_UP) == {}
    body = await doors.post("/infill", **VIM_FIM)
    assert body["content"] == FILL_TEXT
    assert set(body) == set(VIM_FIELDS)
    assert body["timings/predicted_n"] == 4 and body["timings/prompt_n"] > 0 and not body["truncated"]
    again = await doors.post("/infill", **VIM_FIM)
    assert again["content"] == FILL_TEXT and again["timings/prompt_n"] < body["timings/prompt_n"]  # from the cache


async def test_llama_vscodes_requests_are_answered(doors: Doors) -> None:
    """A replay; its warm-up asks for one token."""
    warm_up = {**VSCODE_FIM, "input_prefix": "", "input_suffix": "", "prompt": "", "n_predict": 1}
    assert "content" in await doors.post("/infill", **{**warm_up, "samplers": ["temperature"], "t_max_predict_ms": 1})
    body = await doors.post("/infill", **VSCODE_FIM)
    assert body["content"] == FILL_TEXT
    assert body["timings"]["prompt_n"] > 0 and body["generation_settings"]["top_k"] == 40
    assert body["tokens_cached"] == body["tokens_evaluated"] + 4


async def test_a_text_that_is_cut_has_its_counts(doors: Doors) -> None:
    lines = {"prompt": "x", "grammar": 'root ::= "a\\n  b\\nc" "d"*', "n_predict": 40}
    for ending in ({"n_indent": 2}, {"t_max_predict_ms": 1, "n_indent": 2}):
        cut = await doors.post("/completion", **lines, **ending)
        assert cut["content"] in ("a\n  b\n", "a\n", "a\n ", "a\n  ", "a\n  b")
        assert (cut["stop_type"], cut["tokens_evaluated"]) == ("limit", 1)
        assert 1 <= cut["tokens_predicted"] < 10
        row = doors.ledger.rows[-1]
        assert (row.status, row.prompt_tokens, row.completion_tokens) == ("ok", 1, cut["tokens_predicted"])


async def test_other_files_are_quoted_before_the_hole(doors: Doors) -> None:
    plain = await doors.post("/infill", **{**VIM_FIM, "input_extra": [], "response_fields": []})
    quoted = await doors.post("/infill", **{**VIM_FIM, "response_fields": []})
    many = await doors.post("/infill", **{**VIM_FIM, "input_extra": [CHUNK] * 200, "response_fields": []})
    assert plain["tokens_evaluated"] < quoted["tokens_evaluated"] < many["tokens_evaluated"] <= 512
    assert many["content"] == FILL_TEXT


async def test_auto_fills_with_the_project_model_or_a_model_with_fim_tokens(
    engine: EngineName, model_file: ModelFile, tmp_path: Path
) -> None:
    for name in ("qwen", "chat-only"):
        shutil.copy(model_file(name), tmp_path)
    async with ghostd(engine, tmp_path, "auto") as found:
        body = await found.post("/infill", **VSCODE_FIM)
        assert (body["content"], body["model"]) == (FILL_TEXT, "qwen")
        assert (await found.get("/props"))["model_path"] == "qwen.gguf"


async def test_a_completions_control_tokens_are_read(doors: Doors) -> None:
    body = await doors.post("/completion", prompt=CHAT_PROMPT, **GREEDY, return_tokens=True)
    assert body["content"] == CHAT_TEXT and body["stop_type"] == "eos"
    tokens = (await doors.post("/tokenize", content=CHAT_PROMPT, add_special=True))["tokens"]
    assert body["tokens_evaluated"] == len(tokens)
    assert (await doors.post("/detokenize", tokens=body["tokens"]))["content"] == CHAT_TEXT
    same = await doors.post("/completion", prompt=tokens, **GREEDY)
    assert same["content"] == CHAT_TEXT and same["tokens_evaluated"] == len(tokens)


async def test_a_stream_says_the_same_and_each_piece_its_tokens(doors: Doors) -> None:
    *parts, last = await doors.post("/completion", prompt=CHAT_PROMPT, **GREEDY, stream=True)
    assert "".join(part["content"] for part in parts) == CHAT_TEXT
    assert all(part["tokens"] for part in parts)
    assert last["tokens_predicted"] == sum(len(part["tokens"]) for part in parts)


async def test_stop_strings_and_limits_say_why_a_text_ended(doors: Doors) -> None:
    body = await doors.post("/completion", prompt=CHAT_PROMPT, stop=[" tiny"], **GREEDY)
    assert (body["content"], body["stop_type"], body["stopping_word"]) == ("Hello from the", "word", " tiny")
    body = await doors.post("/completion", prompt=CHAT_PROMPT, temperature=0, n_predict=2)
    assert (body["content"], body["stop_type"]) == ("Hello from", "limit")


async def test_texts_are_biased_by_their_tokens_and_the_end_may_be_ignored(doors: Doors) -> None:
    body = await doors.post("/completion", prompt=CHAT_PROMPT, **GREEDY, logit_bias=[[" from", False]])
    assert not body["content"].startswith("Hello from")
    body = await doors.post("/completion", prompt=CHAT_PROMPT, **GREEDY, ignore_eos=True)
    assert (body["stop_type"], body["tokens_predicted"]) == ("limit", 12)
    body = await doors.post("/completion", prompt=CHAT_PROMPT, **GREEDY, n_probs=3)
    for token in body["completion_probabilities"]:
        assert token["top_logprobs"][0]["id"] == token["id"]


async def test_counts_agree_everywhere(doors: Doors) -> None:
    """The rendered template's tokens, the usage of a chat, and of a completion of the same text."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 媽? <|im_end|>"}]
    rendered = (await doors.post("/apply-template", messages=messages))["prompt"]
    chat = await doors.post("/v1/chat/completions", model="qwen", messages=messages, max_tokens=1)
    messages[1]["content"] = "What is 媽?"
    rendered = (await doors.post("/apply-template", messages=messages))["prompt"]
    tokens = (await doors.post("/tokenize", content=rendered, add_special=True))["tokens"]
    chat = await doors.post("/v1/chat/completions", model="qwen", messages=messages, max_tokens=1)
    raw = await doors.post("/completion", prompt=rendered, n_predict=1)
    assert chat["usage"]["prompt_tokens"] == len(tokens) == raw["tokens_evaluated"]
    plain = await doors.post("/v1/completions", model="qwen", prompt="What is 媽?", max_tokens=1)
    tokens = (await doors.post("/tokenize", content="What is 媽?", parse_special=False, add_special=True))["tokens"]
    assert plain["usage"]["prompt_tokens"] == len(tokens)


async def test_a_message_that_spells_a_control_token_has_none_in_its_count(doors: Doors) -> None:
    async def count(content: str) -> int:
        messages = [{"role": "user", "content": content}]
        reply = await doors.post("/v1/chat/completions", model="qwen", messages=messages, max_tokens=1)
        return int(reply["usage"]["prompt_tokens"])

    spelled = (await doors.post("/tokenize", content="<|im_end|>", parse_special=False))["tokens"]
    assert len(spelled) > 1 and await count("<|im_end|>") >= await count("") + len(spelled) - 1


async def test_pieces_are_text_or_bytes(doors: Doors) -> None:
    found = (await doors.post("/tokenize", content="a媽", with_pieces=True))["tokens"]
    assert found[0]["piece"] == "a"
    assert b"".join(bytes(token["piece"]) for token in found[1:]) == "媽".encode()


# --- beside, and before, llama.cpp's own server ---------------------------------------


_SAME = ("index", "content", "tokens", "stop", "has_new_line", "truncated", "stop_type", "stopping_word")
needs_server = pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed")


@needs_server
async def test_replies_are_those_of_llama_cpps_own_server(doors: Doors, model_file: ModelFile) -> None:
    async with llama_server(model_file("qwen")) as url, aiohttp.ClientSession() as client:
        real = Doors(client, url)
        for path, body in (
            ("/tokenize", {"content": CHAT_PROMPT}),
            ("/tokenize", {"content": CHAT_PROMPT, "parse_special": False, "add_special": True}),
            ("/tokenize", {"content": "a媽 b", "with_pieces": True}),
            ("/tokenize", {"content": [1, "abc", 2, "d"]}),
            ("/tokenize", {}),
            ("/detokenize", {"tokens": [1, 2, 40, 50]}),
            ("/detokenize", {}),
            ("/apply-template", {"messages": [{"role": "user", "content": "hi"}]}),
        ):
            assert await doors.post(path, **body) == await real.post(path, **body), (path, body)
        for path, body in (
            ("/completion", {"prompt": CHAT_PROMPT, **GREEDY}),
            ("/completion", {"prompt": CHAT_PROMPT, **GREEDY, "stop": [" tiny"], "n_probs": 2, "return_tokens": True}),
            ("/completion", {"prompt": [CHAT_PROMPT, [1, 2]], **GREEDY, "stop": ["w"]}),
            ("/infill", {**VSCODE_FIM, **GREEDY}),
        ):
            ours, theirs = await doors.post(path, **body), await real.post(path, **body)
            pairs = zip(ours, theirs, strict=True) if isinstance(ours, list) else [(ours, theirs)]
            for one, other in pairs:
                assert set(one) == set(other), (path, body)
                for name in _SAME:
                    assert one[name] == other[name], (path, body, name)
                # It counts the token that ends a text, too.
                assert other["tokens_predicted"] - one["tokens_predicted"] == (one["stop_type"] == "eos")
                assert set(one["timings"]) == set(other["timings"])
                if path == "/completion":
                    assert one["tokens_evaluated"] == other["tokens_evaluated"]
                settings = {name: other["generation_settings"][name] for name in one["generation_settings"]}
                assert set(settings) <= set(other["generation_settings"])
        ours = await doors.post("/completion", prompt=CHAT_PROMPT, **GREEDY, stream=True)
        theirs = await real.post("/completion", prompt=CHAT_PROMPT, **GREEDY, stream=True)
        said = [[(event["content"], event["tokens"]) for event in stream] for stream in (ours, theirs)]
        assert said[0][:-1] == [event for event in said[1][:-1] if event[0]]  # it tells the token at the end, too
        assert set(ours[-1]) == set(theirs[-1]) and set(theirs[0]) - set(ours[0]) == {"tokens_evaluated"}
        assert set((await doors.get("/slots"))[0]) >= {"id", "n_ctx", "speculative", "is_processing"}
        ours, theirs = await doors.get("/props"), await real.get("/props")
        assert ours["chat_template"] == theirs["chat_template"] and ours["total_slots"] == theirs["total_slots"]
        assert ours["default_generation_settings"]["n_ctx"] == theirs["default_generation_settings"]["n_ctx"] == 512
        assert Path(theirs["model_path"]).name.endswith(".gguf") and ours["model_path"] == "qwen.gguf"


@needs_server
async def test_a_llama_server_behind_ghostd_is_asked_as_the_client_asked(model_file: ModelFile, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(llama_server(model_file("qwen")))
        upstream = await stack.enter_async_context(provider_of(url))
        name = f"llama/{upstream.models()[0].id}"
        doors = await stack.enter_async_context(
            ghostd("auto", tmp_path, name, upstreams={"llama": [upstream]})  # type: ignore[arg-type]
        )
        assert await doors.post("/infill", **VIM_WARM_UP) == {}
        vim = await doors.post("/infill", **VIM_FIM)
        assert vim["content"].startswith(FILL_TEXT) and "timings/predicted_n" in vim
        whole = await doors.post("/infill", **VSCODE_FIM, newer_than_ghostd=1)
        assert whole["id_slot"] == 0 and "dry_multiplier" in whole["generation_settings"]  # its own words
        row = doors.ledger.rows[-1]
        assert (row.operation, row.deployment, row.status) == ("llamacpp.infill", name, "ok")
        assert (row.prompt_tokens, row.completion_tokens) == (whole["tokens_evaluated"], whole["tokens_predicted"])
        events = await doors.post("/completion", prompt=CHAT_PROMPT, **GREEDY, stream=True)
        assert "".join(event["content"] for event in events) == CHAT_TEXT and events[-1]["stop"]
        several = await doors.post("/completion", prompt=[CHAT_PROMPT, CHAT_PROMPT], **GREEDY)
        assert [reply["content"] for reply in several] == [CHAT_TEXT] * 2
        assert doors.ledger.rows[-1].prompt_tokens == sum(reply["tokens_evaluated"] for reply in several)
        events = await doors.post("/completion", prompt=[CHAT_PROMPT, CHAT_PROMPT], **GREEDY, stream=True)
        assert [event["index"] for event in events if event["stop"]] == [0, 1]  # put into other words
        # Its own completions refuse a suffix.
        filled = await doors.post("/v1/completions", model=name, prompt=PREFIX + "    ", suffix="\n", temperature=0)
        assert filled["choices"][0]["text"].startswith(FILL_TEXT)


@needs_server
async def test_a_llama_servers_counts_are_its_usage(model_file: ModelFile) -> None:
    async with llama_server(model_file("qwen")) as url, provider_of(url) as upstream:
        name = f"llama/{upstream.models()[0].id}"
        engine = Engine(registry=Registry(Config(), (), {"llama": [upstream]}))
        talk = (Message("system", "Be brief."), Message("user", "What is 媽?"))
        chat = ChatRequest(name, talk, Sampling(temperature=0), max_tokens=1)
        completion = CompletionRequest(name, ("<|im_start|>x y",), sampling=Sampling(temperature=0), max_tokens=1)
        for request, deltas in ((chat, engine.chat(chat)), (completion, engine.complete(completion))):
            counted = await engine.count_tokens(request, 1)
            usage = (await collect(deltas)).usage
            assert usage is not None and (counted.tokens, counted.exact) == (usage.prompt_tokens, True)
