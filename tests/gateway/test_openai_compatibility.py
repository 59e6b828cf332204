"""What each parameter of OpenAI's doors becomes before each kind of service: measured on what reaches the service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest
from compatibility import BEHIND
from gateway.openai_parameters import CHAT, COMPLETIONS, EMBEDDINGS, Fields, measured, measured_here
from gguf_fixtures import RECIPES, write_gguf
from obedient.places import KINDS, place

from ghostd.config import LocalConfig
from ghostd.testing.gateway import serving
from ghostd.workers.provider import local_provider

_STATES = {"P": "passed on", "T": "translated", "S": "served", "A": "accepted", "R": "refused"}

# A letter for each kind of BEHIND: openai, anthropic, gemini, ollama, local.
EXPECTED: Mapping[str, Mapping[str, str]] = {
    "chat": {
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
    "completions": {
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
    "embeddings": {
        "": "PRTTS",
        "input: texts": "PRTTS",
        "input: token ids": "PRRRS",
        "dimensions": "PRTTR",
        "encoding_format: base64": "PRSSS",
        "user": "PRAAA",
    },
}
PARAMETERS: Mapping[str, Mapping[str, Fields]] = {"chat": CHAT, "completions": COMPLETIONS, "embeddings": EMBEDDINGS}
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
        pytest.mark.covers(f"openai.{door}", name, behind=kind, state=_STATES[letters[at]])
        for door, names in EXPECTED.items()
        for name, letters in names.items()
    ]


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=claims(kind)) for kind in KINDS])
async def test_every_parameter_becomes_what_the_table_says(kind: str) -> None:
    found = {}
    async with place(kind) as there, aiohttp.ClientSession() as client:
        for door, parameters in PARAMETERS.items():
            for name, fields in parameters.items():
                found[f"{door} {name}"] = await measured(there, client, door, name, fields)
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
        for door, parameters in PARAMETERS.items():
            for name, fields in parameters.items():
                model = _FILLER if name == "suffix" else "caller"
                found[f"{door} {name}"] = await measured_here(served.url, client, door, name, fields, model)
    assert found == expected(kind)
