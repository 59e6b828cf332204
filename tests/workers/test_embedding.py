"""Models that make embeddings only, on both engines."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from gguf_fixtures import write_bert
from workers.opening import EngineName, Install, Opener

from ghostd.config.local import LocalConfig
from ghostd.errors import ContextTooLong
from ghostd.types import EmbedRequest

pytestmark = pytest.mark.local_model


async def test_an_encoder_embeds_and_does_nothing_else(
    engine: EngineName, models_dir: Path, open_provider: Opener
) -> None:
    write_bert(models_dir / "bert.gguf")
    provider = await open_provider(LocalConfig(engine=engine))
    (info,) = provider.models()
    assert (info.capabilities, info.context_tokens) == (frozenset(("embed",)), 128)
    answer = await provider.embed(EmbedRequest("bert", (("alpha beta",), ("beta alpha",), ("alpha beta",))))
    first, second, third = answer.vectors
    assert math.isclose(sum(x * x for x in first), 1.0, abs_tol=1e-3)
    assert first == pytest.approx(third, abs=1e-5)
    assert first != pytest.approx(second, abs=1e-3)
    with pytest.raises(ContextTooLong) as caught:
        await provider.embed(EmbedRequest("bert", (tuple([6] * 500),)))
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (502, 128)


async def test_a_model_with_last_token_pooling_takes_the_last_token(
    engine: EngineName, install: Install, open_provider: Opener
) -> None:
    """Tokens that see the same past have the same vector: only the last one counts."""
    install("last-embedder")
    provider = await open_provider(LocalConfig(engine=engine))
    ids = tuple(range(20, 40))
    answer = await provider.embed(EmbedRequest("last-embedder", (ids, ids, (*ids, 41))))
    assert answer.vectors[0] == pytest.approx(answer.vectors[1], abs=1e-4)
    assert answer.vectors[0] != pytest.approx(answer.vectors[2], abs=1e-3)


@pytest.mark.parametrize("model", ["qwen", "last-embedder", "bert"])
async def test_both_engines_make_the_same_vectors(
    model: str, install: Install, models_dir: Path, open_provider: Opener
) -> None:
    pytest.importorskip("llama_cpp.llama_cpp")
    pytest.importorskip("xllamacpp")
    if model == "bert":
        write_bert(models_dir / "bert.gguf")
    else:
        install(model)
    request = EmbedRequest(model, (("alpha beta",), tuple(range(10, 25))))
    vectors = [
        (await (await open_provider(LocalConfig(engine=engine))).embed(request)).vectors
        for engine in ("llama-cpp-python", "xllamacpp")
    ]
    for ours, theirs in zip(*vectors, strict=True):
        assert ours == pytest.approx(theirs, abs=2e-3)
