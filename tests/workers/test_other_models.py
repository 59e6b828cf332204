"""What other models than the common one answer, on both engines: other vocabularies, templates and settings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gguf_fixtures import FILL_TEXT, UNICODE_TEXT
from workers.opening import GREEDY, EngineName, Install, Opener, chat, completion, pieces_of, text_of

from ghostd.completion.fill import collect
from ghostd.config.local import LocalConfig, LocalModelConfig
from ghostd.engine import Engine
from ghostd.errors import InvalidRequest, WorkerFailed
from ghostd.types import FillRequest

pytestmark = pytest.mark.local_model


@pytest.mark.parametrize("model", ["qwen", "starcoder", "codestral", "codellama"])
async def test_the_engine_fills_with_each_vocabulary(
    engine: EngineName, model: str, install: Install, open_provider: Opener
) -> None:
    install(model)
    provider = await open_provider(LocalConfig(engine=engine))
    reply = await collect(Engine([provider]).fill(FillRequest(model, "def add(a, b):", "\n\nprint(add(1, 2))\n")))
    assert (reply.text.strip(), reply.finish_reason) == (FILL_TEXT, "stop")


async def test_limits_are_clipped_to_the_context_that_is_left(
    engine: EngineName, install: Install, open_provider: Opener
) -> None:
    path = install("qwen")
    models = {"small": LocalModelConfig(path=str(path), context_tokens=64)}
    provider = await open_provider(LocalConfig(engine=engine, models=models))
    last = (await pieces_of(provider.complete(completion("small", ("abc",), max_tokens=10_000))))[-1]
    assert last.finish_reason == "length"
    assert last.usage is not None
    assert last.usage.prompt_tokens + last.usage.completion_tokens == 64


async def test_characters_split_over_tokens_arrive_whole(
    engine: EngineName, install: Install, open_provider: Opener
) -> None:
    install("unicode")
    provider = await open_provider(LocalConfig(engine=engine))
    deltas = await pieces_of(provider.chat(chat("unicode", "hi")))
    assert [d.text for d in deltas[:-1]] == list(UNICODE_TEXT)


async def test_the_same_seed_gives_the_same_sample_and_another_seed_another(
    engine: EngineName, install: Install, open_provider: Opener
) -> None:
    install("random")
    provider = await open_provider(LocalConfig(engine=engine))
    ids = (40, 41, 42)

    async def sample(seed: int) -> list[str]:
        request = completion("random", ids, max_tokens=24, temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, seed=seed)
        return [d.text for d in await pieces_of(provider.complete(request))]

    first = await sample(7)
    assert await sample(7) == first
    assert await sample(8) != first


async def test_a_repeat_penalty_changes_what_repeats(
    engine: EngineName, install: Install, open_provider: Opener
) -> None:
    install("random")
    provider = await open_provider(LocalConfig(engine=engine))
    ids = (40, 41, 42)

    async def tokens(penalty: float) -> list[int]:
        request = completion("random", ids, max_tokens=60, logprobs=0, repeat_penalty=penalty)
        return [entry.token_id for entry in (await collect(provider.complete(request))).logprobs]

    free, penalised = await tokens(1.0), await tokens(10.0)
    assert len(set(penalised)) / len(penalised) > len(set(free)) / len(free)


@pytest.mark.parametrize(
    ("model", "error", "match"),
    [
        ("endless-template", WorkerFailed, "did not finish within 0.2 s"),
        ("flood-template", WorkerFailed, "wrote more than|did not finish"),
        ("escape-template", WorkerFailed, "unsafe"),
        ("broken-template", WorkerFailed, "chat template failed"),
        ("strict-template", InvalidRequest, "roles must alternate"),
    ],
)
async def test_a_bad_chat_template_is_a_clear_error_and_the_model_goes_on(
    engine: EngineName, model: str, error: type[Exception], match: str, install: Install, open_provider: Opener
) -> None:
    install(model)
    config = LocalConfig(engine=engine, chat_template_timeout_s=0.2)
    provider = await open_provider(config)
    with pytest.raises(error, match=match):
        await text_of(provider.chat(chat(model, "hi")))
    assert await text_of(provider.complete(completion(model, ("x",), max_tokens=2))) == " wa wb"


@pytest.mark.parametrize("schema", ['{"type": "string", "pattern": "("}', '{"type": "string", "format": "no-such"}'])
async def test_a_schema_that_an_engine_cannot_enforce_is_never_ignored(
    engine: EngineName, schema: str, install: Install, open_provider: Opener
) -> None:
    """Refused, or enforced without the keyword (a string is a string)."""
    install("qwen")
    provider = await open_provider(LocalConfig(engine=engine))
    try:
        text = await text_of(provider.complete(completion("qwen", ("x",), json_schema=schema)))
    except (InvalidRequest, WorkerFailed) as error:
        assert "schema" in str(error)
    else:
        assert text.startswith('"')


async def test_a_models_own_defaults_apply_where_the_request_says_nothing(
    engine: EngineName, install: Install, open_provider: Opener
) -> None:
    path = install("qwen")
    models = {"mine": LocalModelConfig(path=str(path), temperature=0.0, max_tokens=3)}
    provider = await open_provider(LocalConfig(engine=engine, models=models))
    request = replace(completion("mine", ("abc",), max_tokens=None), sampling=replace(GREEDY, temperature=None))
    assert await text_of(provider.complete(request)) == " wa wb wc"
