"""A mistake of ghostd's own while it puts a request into a service's words is none of the service's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator

import aiohttp
import pytest
from gateway_harness import gateway
from providers.openai_dialect import OpenAIDialect
from routing_harness import upstream, whole

from ghostd.config.providers import ProviderConfig
from ghostd.config.settings import Config
from ghostd.engine import Engine
from ghostd.providers import presets
from ghostd.providers.openai.provider import OpenAIProvider
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedUpstreamProvider
from ghostd.testing.scripted_upstream import scripted_upstream
from ghostd.testing.upstream_dialect import PROVIDER, opened
from ghostd.types import Relayed, RelayRequest

SETTINGS = """
routes.r.deployments = ["a/m", {model = "b/m", order = 2}]
routes.one.deployments = ["a/m"]
[routing]
breaker_failures = 1
"""


class Clumsy(ScriptedUpstreamProvider):
    """Fails before it has asked anything."""

    async def relay(self, request: RelayRequest) -> AsyncGenerator[Relayed, None]:
        if self.name:
            raise KeyError("a member that holds the prompt")
        yield Relayed(b"")


def clumsy() -> ScriptedUpstreamProvider:
    return Clumsy(name="a", endpoint="http://a.test")


async def test_it_is_a_500_with_an_id_and_the_log_has_the_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async with gateway(SETTINGS, clumsy(), upstream("b", whole())) as g:
        for _ in range(3):
            answer = await g.post(model="one")
            error = answer.json["error"]
            assert (answer.status, error["code"], error["type"]) == (500, "internal_error", "server_error")
            assert answer.headers["x-request-id"].startswith("req_")
            assert b"KeyError" not in answer.body and b"prompt" not in answer.body and b"Traceback" not in answer.body
        health = g.world.deployment("a/m").health
        assert (health.state(0), health.last_error, health.success_rate) == ("closed", "", 1.0)
        assert g.world.row.http_status == 500
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert told and all(record.exc_info is not None and record.exc_info[0] is KeyError for record in told)


async def test_another_service_may_be_asked_instead(caplog: pytest.LogCaptureFixture) -> None:
    async with gateway(SETTINGS, clumsy(), upstream("b", whole("b"))) as g:
        answer = await g.post()
        assert (answer.status, answer.json["said"]) == (200, "b")
        assert g.world.deployment("a/m").health.state(0) == "closed"
    assert "could not be put into its words" in caplog.text


@pytest.mark.parametrize("broken", ["chat_body", "_check"])
async def test_a_real_provider_that_fails_before_it_sends_rests_nothing(
    broken: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    settings = ProviderConfig(models=("gpt-4.1",))
    async with (
        scripted_upstream() as server,
        opened(OpenAIDialect(presets.openai), server, settings, keys=("env:FIRST",)) as provider,
    ):
        monkeypatch.setattr(OpenAIProvider, broken, fail)
        engine = Engine(registry=Registry(Config(providers={PROVIDER: settings}), (), {PROVIDER: [provider]}))
        async with serving(engine=engine) as served, aiohttp.ClientSession() as client:
            body = {"model": f"{PROVIDER}/gpt-4.1", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
            for _ in range(6):
                async with client.post(served.url + "/v1/messages", json=body) as reply:
                    told = await reply.json()
                    assert (reply.status, told["type"], told["error"]["type"]) == (500, "error", "api_error"), told
            (deployment,) = engine.registry.used()
            assert deployment.health.state(asyncio.get_running_loop().time()) == "closed"
            assert server.requests == []
        await engine.router.close()
    assert "ZeroDivisionError" in caplog.text
