"""What each parameter of llama.cpp's, Mistral's and Tabby's calls becomes before each kind of service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest
from compatibility import BEHIND
from compatible.fill_doors import COMPLETION, DETOKENIZE, FIM, INFILL, INPUT_TOKENS, TABBY, TEMPLATE, TOKENS
from compatible.measure import measured, measured_here
from gguf_fixtures import RECIPES, write_gguf
from obedient.places import KINDS, place

from ghostd.config.local import LocalConfig
from ghostd.testing.gateway import serving
from ghostd.workers.provider import local_provider

_STATES = {"P": "passed on", "T": "translated", "S": "served", "A": "accepted", "R": "refused"}

# A letter for each kind of BEHIND: openai, anthropic, gemini, ollama, local.
EXPECTED: Mapping[str, Mapping[str, str]] = {
    "llamacpp.infill": {
        "": "RRRTS",
        "stream": "RRRTS",
        "prompt": "RRRTS",
        "input_extra": "RRRAS",
        "n_predict": "RRRTS",
        "n_indent": "RRRSS",
        "t_max_predict_ms": "RRRSS",
        "n_cmpl": "RRRSS",
        "stop": "RRRTS",
        "temperature": "RRRTS",
        "top_p": "RRRTS",
        "top_k": "RRRTS",
        "min_p": "RRRTS",
        "repeat_penalty": "RRRTS",
        "presence_penalty": "RRRTS",
        "frequency_penalty": "RRRTS",
        "seed": "RRRTS",
        "samplers": "RRRTS",
        "typical_p, xtc, dry, mirostat": "RRRRR",
        "n_probs": "RRRTS",
        "logit_bias": "RRRRS",
        "ignore_eos": "RRRRR",
        "grammar": "RRRRS",
        "json_schema": "RRRTS",
        "response_fields": "RRRSS",
        "cache_prompt": "RRRAA",
        "id_slot": "RRRAA",
    },
    "llamacpp.completion": {
        "": "TTTTS",
        "stream": "TTTTS",
        "prompt: texts": "SSSSS",
        "prompt: token ids": "TRRRS",
        "n_predict": "TTTTS",
        "n_indent": "SSSSS",
        "t_max_predict_ms": "SSSSS",
        "n_cmpl": "SSSSS",
        "stop": "TTTTS",
        "temperature": "TTTTS",
        "top_p": "TTTTS",
        "top_k": "RTTTS",
        "min_p": "RRRTS",
        "repeat_penalty": "RRRTS",
        "presence_penalty": "TRTTS",
        "frequency_penalty": "TRTTS",
        "seed": "TRTTS",
        "samplers": "TSTTS",
        "typical_p, xtc, dry, mirostat": "RRRRR",
        "n_probs": "TRTTS",
        "logit_bias": "TRRRS",
        "ignore_eos": "RRRRS",
        "grammar": "RRRRS",
        "json_schema": "RTTTS",
        "response_fields": "SSSSS",
        "cache_prompt": "AAAAA",
        "id_slot": "AAAAA",
    },
    "llamacpp.tokens": {"": "RRRRS", "with_pieces": "RRRRS", "/detokenize": "RRRRS", "/apply-template": "RRRRS"},
    "openai.responses": {"/input_tokens": "STTSS"},
    "mistral.fim": {
        "": "RRRTS",
        "stream": "RRRTS",
        "max_tokens": "RRRTS",
        "min_tokens": "RRRRR",
        "temperature": "RRRTS",
        "top_p": "RRRTS",
        "stop": "RRRTS",
        "random_seed": "RRRTS",
        "metadata": "RRRAA",
    },
    "tabby": {
        "": "RRRTS",
        "segments: suffix absent": "RRRTS",
        "segments: filepath": "RRRAS",
        "segments: declarations and snippets": "RRRAS",
        "segments: clipboard": "RRRAA",
        "temperature": "RRRTS",
        "seed": "RRRTS",
        "user": "RRRAA",
        "mode: next_edit_suggestion": "RRRRR",
        "debug_options: raw_prompt": "RRRRR",
    },
}
DOORS = (INFILL, COMPLETION, TOKENS, DETOKENIZE, TEMPLATE, INPUT_TOKENS, FIM, TABBY)


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
        for door in DOORS:
            for name in door.parameters:
                found[f"{door.name} {name}"] = await measured(there, client, door, name)
    assert found == expected(kind)


@pytest.mark.local_model
@pytest.mark.parametrize("kind", [pytest.param("local", marks=claims("local"))])
async def test_every_parameter_becomes_what_the_table_says_on_this_machine(kind: str, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    write_gguf(models / "qwen.gguf", RECIPES["qwen"])
    found = {}
    async with (
        local_provider(LocalConfig(), models, tmp_path) as provider,
        serving(provider) as served,
        aiohttp.ClientSession() as client,
    ):
        await provider.refresh()
        for door in DOORS:
            for name in door.parameters:
                found[f"{door.name} {name}"] = await measured_here(served.url, client, door, name, "qwen")
    assert found == expected(kind)
