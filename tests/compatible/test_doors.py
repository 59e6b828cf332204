"""What each parameter of each call becomes before each kind of service: measured on what reaches the service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest
from compatibility import BEHIND
from compatible.measure import measured, measured_here
from compatible.openai_doors import CHAT, COMPLETIONS, EMBEDDINGS
from compatible.other_doors import OLLAMA_CHAT, OLLAMA_EMBED, OLLAMA_GENERATE, RESPONSES
from gguf_fixtures import RECIPES, write_gguf
from obedient.places import KINDS, place

from ghostd.config.local import LocalConfig
from ghostd.testing.gateway import serving
from ghostd.workers.provider import local_provider

_STATES = {"P": "passed on", "T": "translated", "S": "served", "A": "accepted", "R": "refused"}

# A letter for each kind of BEHIND: openai, anthropic, gemini, ollama, local.
EXPECTED: Mapping[str, Mapping[str, str]] = {
    "openai.chat": {
        "": "PTTTS",
        "stream": "PTTTS",
        "stream_options": "PSSSS",
        "messages: system, developer": "PTTTS",
        "messages: image_url": "PTTTR",
        "messages: file": "PTTRR",
        "messages: input_audio": "PRTRR",
        "messages: tool_calls, tool": "PTTTS",
        "max_tokens": "PTTTS",
        "max_completion_tokens": "PTTTS",
        "temperature": "PTTTS",
        "top_p": "PTTTS",
        "stop": "PTTTS",
        "n": "PSSSS",
        "seed": "PRTTS",
        "presence_penalty": "PRTTS",
        "frequency_penalty": "PRTTS",
        "logit_bias": "PRRRS",
        "logprobs": "PRTTS",
        "top_logprobs": "PRTTS",
        "tools": "PTTTS",
        "tools: custom": "PTTTS",
        "tools: strict": "PTTTS",
        "tool_choice: none": "PTTTS",
        "tool_choice: required": "PTTTS",
        "tool_choice: a tool": "PTTTS",
        "tool_choice: allowed_tools": "PTTTS",
        "parallel_tool_calls": "PTSSS",
        "functions": "PTTTS",
        "response_format: json_object": "PTTTS",
        "response_format: json_schema": "PTTTS",
        "reasoning_effort": "PTTTS",
        "verbosity": "PAAAA",
        "prediction": "PAAAA",
        "store": "PAAAA",
        "metadata": "PAAAA",
        "service_tier": "PAAAA",
        "safety_identifier": "PAAAA",
        "prompt_cache_key": "PAAAA",
        "prompt_cache_retention": "PAAAA",
        "user": "PTAAA",
        "modalities": "PRRRR",
        "audio": "PRRRR",
        "web_search_options": "PRRRR",
        "top_k": "PTTTS",
        "min_p": "PRRTS",
        "repetition_penalty": "PRRTS",
        "grammar": "PRRRS",
        "chat_template_kwargs": "PATTS",
    },
    "openai.completions": {
        "": "PTTTS",
        "stream": "PTTTS",
        "stream_options": "PSSSS",
        "prompt: texts": "PSSSS",
        "prompt: token ids": "PRRRS",
        "suffix": "PRRTS",
        "max_tokens": "PTTTS",
        "temperature": "PTTTS",
        "top_p": "PTTTS",
        "stop": "PTTTS",
        "n": "PSSSS",
        "best_of": "PRSSS",
        "echo": "PSSSS",
        "echo with logprobs": "PRRRR",
        "logprobs": "PRTTS",
        "seed": "PRTTS",
        "presence_penalty": "PRTTS",
        "frequency_penalty": "PRTTS",
        "logit_bias": "PRRRS",
        "user": "PAAAA",
    },
    "openai.embeddings": {
        "": "PRTTS",
        "input: texts": "PRTTS",
        "input: token ids": "PRRRS",
        "dimensions": "PRTTR",
        "encoding_format: base64": "PRSSS",
        "user": "PRAAA",
    },
    "openai.responses": {
        "": "TTTTS",
        "stream": "TTTTS",
        "instructions": "TTTTS",
        "input: image": "TTTTR",
        "input: function_call, its output": "TTTTS",
        "max_output_tokens": "TTTTS",
        "temperature": "TTTTS",
        "top_p": "TTTTS",
        "tools: function": "TTTTS",
        "tool_choice: required": "TTTTS",
        "tool_choice: a tool": "TTTTS",
        "parallel_tool_calls": "TTSSS",
        "text: json_schema": "TTTTS",
        "reasoning: effort": "ATTTS",
        "metadata": "SSSSS",
        "store": "SSSSS",
        "top_logprobs": "TRTTS",
        "user": "TTAAA",
        "truncation": "AAAAA",
        "service_tier": "AAAAA",
    },
    "ollama.chat": {
        "": "TTTPS",
        "stream": "TTTPS",
        "options: num_predict": "TTTPS",
        "options: temperature": "TTTPS",
        "options: top_p": "TTTPS",
        "options: top_k": "ATTPS",
        "options: min_p": "AAAPS",
        "options: repeat_penalty": "AAAPS",
        "options: presence_penalty": "TATPS",
        "options: seed": "TATPS",
        "options: stop": "TTTPS",
        "options: num_ctx": "AAAPA",
        "format: json": "TTTPS",
        "format: a schema": "TTTPS",
        "think": "ATTPR",
        "logprobs": "TRTPS",
        "keep_alive": "AAAPS",
        "messages: images": "TTTPR",
        "messages: tool_calls, tool": "TTTPS",
        "tools": "TTTPS",
    },
    "ollama.generate": {
        "": "TTTPS",
        "stream": "TTTPS",
        "options: num_predict": "TTTPS",
        "options: temperature": "TTTPS",
        "options: top_p": "TTTPS",
        "options: top_k": "ATTPS",
        "options: min_p": "AAAPS",
        "options: repeat_penalty": "AAAPS",
        "options: presence_penalty": "TATPS",
        "options: seed": "TATPS",
        "options: stop": "TTTPS",
        "options: num_ctx": "AAAPA",
        "format: json": "TTTPS",
        "format: a schema": "TTTPS",
        "think": "ATTPR",
        "logprobs": "TRTPS",
        "keep_alive": "AAAPS",
        "system": "TTTPS",
        "images": "TTTPR",
        "suffix": "RRRPS",
        "raw": "TTTPS",
    },
    "ollama.embed": {
        "": "TRTPS",
        "input: texts": "TRTPS",
        "dimensions": "SRSPS",
        "truncate": "ARAPA",
    },
}
DOORS = {
    door.name: door for door in (CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, OLLAMA_CHAT, OLLAMA_GENERATE, OLLAMA_EMBED)
}
_FILLER = "qwen"
"""A model that can fill holes, which the one that calls tools cannot."""


def expected(kind: str) -> dict[str, str]:
    at = list(BEHIND).index(kind)
    return {
        f"{door} {name}": _STATES[letters[at]] for door, names in EXPECTED.items() for name, letters in names.items()
    }


def claims(kind: str) -> list[pytest.MarkDecorator]:
    at = list(BEHIND).index(kind)
    return [
        pytest.mark.covers(door, name, behind=kind, state=_STATES[letters[at]])
        for door, names in EXPECTED.items()
        for name, letters in names.items()
    ]


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=claims(kind)) for kind in KINDS])
async def test_every_parameter_becomes_what_the_table_says(kind: str) -> None:
    found = {}
    async with place(kind) as there, aiohttp.ClientSession() as client:
        for door in DOORS.values():
            for name in door.parameters:
                found[f"{door.name} {name}"] = await measured(there, client, door, name)
    assert found == expected(kind)


@pytest.mark.local_model
@pytest.mark.parametrize("kind", [pytest.param("local", marks=claims("local"))])
async def test_every_parameter_becomes_what_the_table_says_on_this_machine(kind: str, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for name in ("caller", _FILLER):
        write_gguf(models / f"{name}.gguf", RECIPES[name])
    found = {}
    async with (
        local_provider(LocalConfig(), models, tmp_path) as provider,
        serving(provider) as served,
        aiohttp.ClientSession() as client,
    ):
        await provider.refresh()
        for door in DOORS.values():
            for name in door.parameters:
                model = _FILLER if name == "suffix" else "caller"
                found[f"{door.name} {name}"] = await measured_here(served.url, client, door, name, model)
    assert found == expected(kind)
