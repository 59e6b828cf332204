"""A scripted service that has an agent run one tool, and a place to run the agent in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matrix.servers import Place, spoken

from ghostd.conversation import ToolCall
from ghostd.testing.scripted_upstream import Answer, Seen
from ghostd.testing.upstream_dialect import Reply
from ghostd.types import Usage

MADE = "made.txt"
"""The file that the tool makes."""
CONTENT = "made by a tool"
FINAL = "All done: the file is made."
_USAGE = Usage(1200, 50)
_RESULTS = (b'"role":"tool"', b'"role": "tool"', b"tool_result", b"functionResponse", b"function_call_output")


def scripted(place: Place, tools: Mapping[str, Callable[[], dict[str, Any]]]) -> None:
    """Have the service call the first of these tools that the agent offers, and say FINAL once it has the result.

    Requests without tools, such as those for a title, get a short text.
    """

    def serve(seen: Seen) -> Answer:
        if seen.method != "POST":
            return place.dialect.models(place.dialect.names())
        offered = offered_tools(seen)
        if not offered:
            return spoken(place.dialect, seen, Reply(("A title",), usage=_USAGE))
        if any(mark in seen.body for mark in _RESULTS):
            return spoken(place.dialect, seen, Reply((FINAL,), usage=_USAGE))
        name = next(name for name in tools if name in offered)
        call = ToolCall("callmade1", name, json.dumps(tools[name]()))
        return spoken(place.dialect, seen, Reply((), "tool_calls", _USAGE, (call,)))

    place.upstream.serve = serve


def offered_tools(seen: Seen) -> list[str]:
    """Names of a request's tools, in any of the services' dialects."""
    names: list[str] = []
    for tool in seen.json.get("tools") or ():
        declared = tool.get("functionDeclarations") or [tool.get("function") or tool]
        names.extend(one.get("name", "") for one in declared)
    return names


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that has ended."""

    code: int | None
    out: str
    err: str


async def run(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], limit_s: float = 90.0) -> Ran:
    """Run an agent to its end, at most so long; it is killed then."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=cwd,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(limit_s):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
    return Ran(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
