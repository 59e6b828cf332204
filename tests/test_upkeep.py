"""What goes on beside the requests: reloads, rests, models and servers that come and go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from routing_harness import chat

from ghostd.config.load import load_config, parse_config
from ghostd.config.providers import PriceConfig
from ghostd.daemon import upkeep as upkeep_module
from ghostd.daemon.upkeep import Upkeep
from ghostd.daemon.upstreams import Upstreams
from ghostd.engine import Engine
from ghostd.errors import ConfigError, KeyRefused, NoUsableKey, UpstreamError
from ghostd.providers.discovery import KINDS, Found
from ghostd.providers.http.client import http_client
from ghostd.routing.registry import Registry
from ghostd.testing.memory_ledger import MemoryLedger
from ghostd.testing.memory_secrets import MemorySecrets
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, Seen, json_answer, scripted_upstream
from ghostd.types import Relayed

MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "x"}]}
REPLY = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}  # fmt: skip
HEAD = """
[discovery]
servers = false
[routing]
retry_budget = 0
breaker_failures = 1
rest_s = 0.05
max_rest_s = 0.1
[providers.acme]
preset = "openai-compatible"
base_urls = ["URL/v1"]
keys = []
"""


def serve(seen: Seen) -> Answer:
    return json_answer(MODELS if seen.path.endswith("/models") else REPLY)


@dataclass(slots=True)
class Home:
    """A daemon's routing over a configuration file and one upstream."""

    file: Path
    engine: Engine
    upkeep: Upkeep
    upstreams: Upstreams
    upstream: ScriptedUpstream
    secrets: MemorySecrets
    ledger: MemoryLedger

    def write(self, text: str) -> None:
        self.file.write_text(text.replace("URL", self.upstream.url))

    async def ask(self, model: str = "acme/m") -> str:
        return said([item async for item in self.engine.serve(chat(model))])

    @property
    def names(self) -> set[str]:
        return {info.id for info in self.engine.models()}

    def listed(self) -> int:
        return sum(seen.path.endswith("/models") for seen in self.upstream.requests)


def said(items: Sequence[object]) -> str:
    (item,) = items
    assert isinstance(item, Relayed)
    return str(json.loads(item.data)["choices"][0]["message"]["content"])


@asynccontextmanager
async def home(tmp_path: Path, text: str = HEAD, **kept: str) -> AsyncIterator[Home]:
    async with scripted_upstream(serve) as upstream:
        file = tmp_path / "config.toml"
        file.write_text(text.replace("URL", upstream.url))
        config = await asyncio.to_thread(load_config, file)
        secrets, ledger = MemorySecrets(kept), MemoryLedger()
        async with http_client(config.upstream) as http:
            engine = Engine(registry=Registry(config, ()), ledger=ledger)
            upstreams = Upstreams(http, secrets)
            upkeep = Upkeep(config, file, engine.router, upstreams, http, lambda: 1)
            await upkeep.start()
            yield Home(file, engine, upkeep, upstreams, upstream, secrets, ledger)
            await engine.router.close()


@asynccontextmanager
async def ticking(upkeep: Upkeep) -> AsyncIterator[None]:
    task = asyncio.create_task(upkeep.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Any) -> None:
    """Wait until it holds; pytest's own timeout ends a vain wait."""
    while not condition():
        await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_module, "_TICK_S", 0.02)


# --- reload ---------------------------------------------------------------------------


async def test_a_reload_puts_providers_routes_and_aliases_into_force(tmp_path: Path) -> None:
    async with home(tmp_path) as h:
        h.write(
            HEAD + 'models = ["m"]\n[routes.r]\ndeployments = ["acme/m"]\n[aliases]\nnick = "r"\n[http]\nport = 9\n'
        )
        told = await h.upkeep.reload()
        assert told == "in force: providers, routes, aliases; after a restart: http"
        assert await h.ask("nick") == "hello"
        assert {"r", "nick", "acme/m"} <= h.names
        assert await h.upkeep.reload() == "nothing to put into force"


async def test_a_change_of_the_file_is_noticed(tmp_path: Path) -> None:
    async with home(tmp_path) as h, ticking(h.upkeep):
        h.write(HEAD + '[aliases]\nnick = "acme/m"\n')
        await until(lambda: "nick" in h.names)


@pytest.mark.parametrize(
    ("added", "line", "reason"),
    [
        ('[routes.r]\ndeployments = ["acmee/m"]\n', 14, "no provider 'acmee' is configured; did you mean 'acme'?"),
        ("[routes.r]\ndeploymentz = []\n", 14, "unknown setting"),
        ('[providers.vague]\npreset = "openai-compatible"\n', 13, "has no address of its own; name one"),
        ("[routes\n", 13, "not valid TOML"),
    ],
    ids=["name", "setting", "address", "TOML"],
)
async def test_a_wrong_configuration_is_refused_whole_with_file_and_line(
    tmp_path: Path, added: str, line: int, reason: str
) -> None:
    async with home(tmp_path, HEAD + 'models = ["m"]\n') as h:
        before = h.engine.registry
        h.write(HEAD.replace("retry_budget = 0", "retry_budget = 1") + added)
        with pytest.raises(ConfigError) as caught:
            await h.upkeep.reload()
        assert str(caught.value).startswith(f"{h.file}:{line}")
        assert reason in str(caught.value)
        assert h.engine.registry is before
        assert await h.ask() == "hello"


async def test_a_wrong_change_of_the_file_is_told_in_the_log_and_a_right_one_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with home(tmp_path) as h, ticking(h.upkeep):
        h.write(HEAD + '[aliases]\nnick = "nick"\n')
        await until(lambda: "a cycle" in caplog.text)
        assert "nick" not in h.names
        h.write(HEAD + '[aliases]\nother = "acme/m"\n')
        await until(lambda: "other" in h.names)


async def test_a_file_that_vanishes_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with home(tmp_path, HEAD + 'models = ["m"]\n') as h, ticking(h.upkeep):
        h.file.unlink()
        await until(lambda: "is gone" in caplog.text)
        assert await h.ask() == "hello"
        h.write(HEAD + '[aliases]\nnick = "acme/m"\n')
        await until(lambda: "nick" in h.names)


async def test_own_prices_are_read_anew(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text("[prices.openai-compatible]\nm = {input = 1, output = 2}\n")
    far = HEAD.replace("URL", "https://far.test")
    async with home(tmp_path, far) as h:
        assert price(h) is None
        h.write(far + '[ledger]\nprices = "prices.toml"\n')
        assert await h.upkeep.reload() == "in force: ledger.prices"
        assert price(h) == PriceConfig(input=1, output=2)
        h.write(far + '[ledger]\nprices = "none.toml"\n')
        with pytest.raises(ConfigError, match=r"none\.toml"):
            await h.upkeep.reload()
        assert price(h) == PriceConfig(input=1, output=2)


def price(h: Home) -> PriceConfig | None:
    return h.engine.registry.plan("acme/m").tiers[0][0].deployment.price


async def test_requests_under_way_are_not_disturbed(tmp_path: Path) -> None:
    async with home(tmp_path) as h:
        delta = {"index": 0, "delta": {"role": "assistant", "content": "x"}, "finish_reason": None}
        chunk = {**REPLY, "object": "chat.completion.chunk", "choices": [delta], "usage": None}
        first = b"data: " + json.dumps(chunk).encode() + b"\n\n"
        head = {"content-type": "text/event-stream"}
        h.upstream.play(Answer((first,), headers=head, ending="hang"))
        async with aclosing(h.engine.serve(chat("acme/m", stream=True))) as items:
            await anext(items)
            h.write("[discovery]\nservers = false\n")
            await h.upkeep.reload()
            assert not any(name.startswith("acme") for name in h.names)
            assert h.upstream.left == 0
        assert h.ledger.rows[-1].status == "cancelled"


async def test_what_has_not_changed_keeps_its_health_and_its_limits(tmp_path: Path) -> None:
    limited = HEAD.replace("rest_s = 0.05", "rest_s = 30").replace("max_rest_s = 0.1", "max_rest_s = 60") + "rpm = 2\n"
    async with home(tmp_path, limited) as h:
        h.upstream.play(json_answer({"error": {"message": "down"}}, 500))
        with pytest.raises(UpstreamError):
            await h.ask()
        h.write(limited + '[aliases]\nnick = "acme/m"\n')
        await h.upkeep.reload()
        (deployment,) = h.engine.registry.used()
        assert deployment.health.state(asyncio.get_running_loop().time()) == "open"
        (limit,) = deployment.limits
        limit.take(0, asyncio.get_running_loop().time())
        assert limit.wait_s(0, asyncio.get_running_loop().time()) > 0  # both of this minute's are used up
        h.write(limited.replace("rpm = 2", "rpm = 20") + 'headers = {x-org = "1"}\n')
        await h.upkeep.reload()
        assert await h.ask() == "hello"  # what was changed may be mended


# --- rests and keys ----------------------------------------------------------------------


async def test_a_resting_deployment_is_checked_before_a_request_has_to_try_it(tmp_path: Path) -> None:
    async with home(tmp_path, HEAD + 'models = ["m"]\n') as h, ticking(h.upkeep):
        h.upstream.play(json_answer({"error": {"message": "down"}}, 500))
        with pytest.raises(UpstreamError):
            await h.ask()
        (deployment,) = h.engine.registry.used()
        await until(lambda: deployment.health.checked)
        assert h.listed() >= 1
        assert await h.ask() == "hello"
        assert deployment.health.rests_until is None


async def test_a_resting_deployment_that_is_still_ill_rests_on(tmp_path: Path) -> None:
    def down(seen: Seen) -> Answer:
        return json_answer({"error": {"message": "down"}}, 503)

    async with home(tmp_path, HEAD + 'models = ["m"]\n') as h, ticking(h.upkeep):
        h.upstream.serve = down
        with pytest.raises(UpstreamError):
            await h.ask()
        await until(lambda: h.listed() >= 3)
        (deployment,) = h.engine.registry.used()
        assert deployment.health.rests_until is not None
        h.upstream.serve = serve
        await until(lambda: deployment.health.checked)


async def test_a_rotated_key_is_used_at_once_while_the_old_one_rests(tmp_path: Path) -> None:
    text = HEAD.replace("keys = []", 'keys = ["keyring:acme"]\nmodels = ["m"]')
    async with home(tmp_path, text, **{"keyring:acme": "sk-old-0123456789"}) as h:
        h.upstream.play(json_answer({"error": {"message": "bad key"}}, 401))
        with pytest.raises(KeyRefused):
            await h.ask()
        with pytest.raises((KeyRefused, NoUsableKey)):
            await h.ask()
        h.secrets.values["keyring:acme"] = "sk-new-0123456789"
        assert h.upstreams.secret_replaced("keyring:acme") == ["acme"]
        assert h.upstreams.secret_replaced("keyring:other") == []
        for deployment in h.engine.registry.used():
            deployment.health.keys_replaced()
        assert await h.ask() == "hello"
        assert h.upstream.requests[-1].headers["authorization"] == "Bearer sk-new-0123456789"


# --- models and servers ---------------------------------------------------------------------


async def test_a_services_models_are_learned_at_start(tmp_path: Path) -> None:
    async with home(tmp_path) as h:
        assert "acme/m" not in h.names
        async with ticking(h.upkeep):
            await until(lambda: "acme/m" in h.names)
        assert h.engine.registry.plan("m").name == "acme/m"


async def test_a_command_for_a_key_is_not_run_before_anybody_asks(tmp_path: Path) -> None:
    text = HEAD.replace("keys = []", 'keys = ["command:op read x"]')
    async with home(tmp_path, text, **{"command:op read x": "sk-0123456789"}) as h, ticking(h.upkeep):
        await until(lambda: h.upkeep._list._at > 0 and not h.upkeep._busy)
        assert (h.listed(), h.secrets.reads) == (0, [])
        assert await h.ask() == "hello"
        await until(lambda: "acme/m" in h.names)


async def test_configured_models_are_not_asked_for(tmp_path: Path) -> None:
    async with home(tmp_path, HEAD + 'models = ["m"]\n') as h, ticking(h.upkeep):
        h.write(HEAD + 'models = ["m", "n"]\n')
        await until(lambda: "acme/n" in h.names)
        assert h.listed() == 0


async def test_a_service_that_is_down_at_start_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    def down(seen: Seen) -> Answer:
        return json_answer({"error": {"message": "down"}}, 503)

    async with home(tmp_path) as h:
        h.upstream.serve = down
        async with ticking(h.upkeep):
            await until(lambda: "no list of models" in caplog.text)
        h.upstream.serve = serve
        assert await h.ask() == "hello"


class Discovery:
    """Finds what the test says."""

    found: tuple[Found, ...] = ()
    looks = 0

    def __init__(self, *_: object, known: Sequence[Found] = (), **__: object) -> None:
        self.known = known

    async def look(self) -> Sequence[Found]:
        Discovery.looks += 1
        return Discovery.found


async def test_a_file_that_is_being_written_is_read_once_it_rests(tmp_path: Path) -> None:
    """Half of it may be valid: an empty file is, and names no provider."""
    async with home(tmp_path) as h:
        await h.upkeep._tick()
        h.write("")
        await h.upkeep._tick()
        h.write(HEAD + '[aliases]\nnick = "acme/m"\n')
        await h.upkeep._tick()
        assert await h.ask("acme/m") == "hello"
        assert "nick" not in h.names
        await h.upkeep._tick()
        assert "nick" in h.names


async def test_servers_of_this_machine_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_module, "ServerDiscovery", Discovery)
    text = HEAD.partition("[providers")[0].replace("servers = false", "interval_s = 0.01")
    async with home(tmp_path, text) as h:
        Discovery.found = (Found("lm-studio", f"{h.upstream.url}/v1", "lm-studio"),)
        async with ticking(h.upkeep):
            await until(lambda: "lm-studio/m" in h.names)
            assert await h.ask("lm-studio/m") == "hello"
            assert h.ledger.rows[-1].provider == "lm-studio"
            looks = Discovery.looks
            h.write(text + '[aliases]\nnick = "lm-studio/m"\n')
            await until(lambda: "nick" in h.names)
            assert await h.ask("nick") == "hello"  # a reload does not lose it
            Discovery.found = ()
            h.engine.router.requests += 1  # it is looked for while requests come
            await until(lambda: "lm-studio/m" not in h.names)
            assert Discovery.looks > looks


async def test_a_mistake_in_the_upkeep_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with home(tmp_path) as h:
        check = h.upkeep._check_doubtful
        monkeypatch.setattr(h.upkeep, "_check_doubtful", lambda now: 1 / 0)
        async with ticking(h.upkeep):
            await until(lambda: "upkeep failed" in caplog.text)
            monkeypatch.setattr(h.upkeep, "_check_doubtful", check)
            h.write(HEAD + '[aliases]\nnick = "acme/m"\n')
            await until(lambda: "nick" in h.names)


async def test_connections_of_warm_routes_are_kept_ready(tmp_path: Path) -> None:
    text = HEAD + 'models = ["m"]\n[routes.r]\ndeployments = ["acme/m"]\nwarm = true\n'
    async with home(tmp_path, text) as h, ticking(h.upkeep):
        await until(lambda: h.upstream.connections == 1)
        assert not h.upstream.requests
        assert await h.ask("r") == "hello"
        assert h.upstream.connections == 1


def test_every_kind_of_server_can_be_named_in_routes_before_it_is_found() -> None:
    for kind in KINDS:
        parse_config(f'routes.r.deployments = ["{kind.preset}/m", "{kind.preset}-local/m"]', Path("config.toml"))
