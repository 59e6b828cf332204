"""Finding out what becomes of a parameter: by what reaches the service behind ghostd."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from obedient.places import Place

from ghostd.testing.scripted_upstream import Seen

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Door:
    """A call, and its parameters with values that show."""

    name: str
    """As in `compatibility.DOORS`."""
    path: str
    usual: Fields
    """The members of the plain request, beside the model."""
    parameters: Mapping[str, Fields]
    """"" is the plain request itself; so is what begins with a slash, of a call that belongs to the door's."""
    within: Mapping[str, Fields] = field(default_factory=dict)
    """What a parameter is compared with the absence of, where that is more than the plain request."""
    own: frozenset[str] = frozenset()
    """What only the reply shows; ghostd does it itself unless it passes it on."""
    hints: frozenset[str] = frozenset()
    """What a model on this machine has no use for."""
    embeds: bool = False
    short: Fields = field(default_factory=dict)
    """What keeps a local model's reply short."""


async def measured(there: Place, client: aiohttp.ClientSession, door: Door, name: str) -> str:
    """What becomes of it: "passed on", "translated", "served" (by ghostd itself), "accepted" or "refused"."""
    fields = door.parameters[name]
    usual = await _ask(there, client, door, door.within.get(name, {}))
    found = await _ask(there, client, door, fields)
    if isinstance(found, str) or isinstance(usual, str):
        return "refused"
    if len(found) > len(usual):
        return "served"
    if not found:  # answered without the service
        return "served"
    asked, plain = json.loads(found[-1].body), json.loads(usual[-1].body)
    if found[-1].path.endswith(door.path.removeprefix("/v1")) and asked.items() >= fields.items():
        return "passed on"
    if asked != plain or name in ("", "stream") or name.startswith("/"):
        return "translated"
    return "served" if name in door.own else "accepted"


async def measured_here(url: str, client: aiohttp.ClientSession, door: Door, name: str, model: str) -> str:
    """The same of a model on this machine: "served", "accepted" or "refused"."""
    body = {"model": model, **door.usual, **door.short, **door.parameters[name]}
    async with client.post(url + door.path, json=body) as reply:
        raw = await reply.read()
    if reply.status == 400:
        return "refused"
    assert reply.status == 200, raw
    return "accepted" if name in door.hints else "served"


async def _ask(there: Place, client: aiohttp.ClientSession, door: Door, fields: Fields) -> list[Seen] | str:
    """The requests that reached the service, or "refused"."""
    model = (there.embed_model if door.embeds else None) or there.chat_model
    before = len(there.upstream.requests)
    body = {"model": model, **door.usual, **fields}
    async with client.post(there.served.url + door.path, json=body) as reply:
        raw = await reply.read()
    if reply.status == 400:
        assert b'"error"' in raw, raw
        assert len(there.upstream.requests) == before, raw
        return "refused"
    assert reply.status == 200, raw
    assert raw
    return [seen for seen in there.upstream.requests[before:] if seen.method == "POST"]
