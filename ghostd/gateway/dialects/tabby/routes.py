"""Tabby's server, as far as its editor plug-ins ask for it: health, events, settings.

By https://github.com/TabbyML/tabby, `crates/tabby/src/routes` and `crates/tabby-common/src/api`.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import msgspec

from ghostd import __version__
from ghostd.engine import Engine
from ghostd.errors import InvalidRequest
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.records import OutcomeKind

_ENCODER = msgspec.json.Encoder()
_OUTCOMES: Mapping[str, tuple[OutcomeKind, float]] = {
    "view": ("shown", 1.0),
    "select": ("accepted", 1.0),
    "dismiss": ("accepted", 0.0),
}


class EventBody(msgspec.Struct, kw_only=True):
    """What became of a completion."""

    type: str
    """"view", "select" or "dismiss"."""
    completion_id: str
    """`id` of the completion's reply."""
    choice_index: int
    view_id: str | None = None
    elapsed: int | None = None


class Version(msgspec.Struct):
    """Of the server."""

    git_describe: str
    git_sha: str = ""
    build_date: str = ""
    build_timestamp: str = ""


class HealthReply(msgspec.Struct, omit_defaults=True):
    """The server's state, in Tabby's words and ghostd's."""

    status: str
    model: str
    """Which model fills."""
    device: str
    arch: str
    cpu_info: str
    cpu_count: int
    cuda_devices: list[str]
    version: Version
    chat_model: str | None = None


class SettingReply(msgspec.Struct):
    """What clients should do."""

    disable_client_side_telemetry: bool


_EVENT = msgspec.json.Decoder(EventBody)
_EVENT_DOC = Doc("Note what became of a completion", "Tabby", body=EventBody)
HEALTH_DOC = Doc("Say that the daemon serves, and on what", "Tabby", reply=HealthReply)


def routes(engine: Engine, status: Callable[[], Mapping[str, object]]) -> Sequence[Route]:
    """All routes but completions, which share OpenAI's path."""
    return (
        Route("GET", "/v1/health", partial(health, engine, status), doc=HEALTH_DOC),
        Route("POST", "/v1/health", partial(health, engine, status), doc=HEALTH_DOC),
        Route(
            "POST",
            "/v1/events",
            partial(event, engine),
            doc=Doc("Note what became of a completion", "Tabby", body=EventBody),
        ),
        Route(
            "GET",
            "/v1beta/server_setting",
            _setting,
            doc=Doc("What clients should do", "Tabby", reply=SettingReply),
        ),
    )


async def health(engine: Engine, status: Callable[[], Mapping[str, object]], exchange: Exchange) -> Response:
    """That the daemon serves; `version` is an object here, as Tabby's clients want it."""
    cpu = await asyncio.to_thread(_cpu)
    chats = any("chat" in info.capabilities and info.state != "failed" for info in engine.models())
    found = HealthReply(
        status="ok",
        model=exchange.config.llamacpp_model,
        device="cpu",
        arch=platform.machine(),
        cpu_info=cpu,
        cpu_count=os.cpu_count() or 1,
        cuda_devices=[],
        version=Version(f"v{__version__}"),
        chat_model="auto" if chats else None,
    )
    return exchange.json(_ENCODER.encode({**status(), **msgspec.to_builtins(found)}))


async def event(engine: Engine, exchange: Exchange) -> Response:
    """Note what became of a completion: it was seen, taken, or put away."""
    body = await exchange.read(_EVENT)
    outcome = _OUTCOMES.get(body.type)
    if outcome is None:
        raise InvalidRequest(
            f"Invalid value for 'type': {body.type[:50]!r}; supported: {', '.join(_OUTCOMES)}.", "type"
        )
    if not body.completion_id.startswith("req_") or len(body.completion_id) > 64:
        raise InvalidRequest("'completion_id' is the id of a completion's reply.", "completion_id")
    if body.choice_index < 0:
        raise InvalidRequest(f"Invalid value for 'choice_index': {body.choice_index} is below 0.", "choice_index")
    engine.record_outcome(body.completion_id, *outcome)
    return exchange.json(b"{}")


async def _setting(exchange: Exchange) -> Response:
    return exchange.json(_ENCODER.encode(SettingReply(disable_client_side_telemetry=True)))


@cache
def _cpu() -> str:
    """The processor's name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
