"""`POST /v1/zeke/project/context` and `/v1/zeke/project/analyze`: what an indexed project is made of, for a prompt.

Told from the index and git's history alone; no model is asked.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ghostd.analysis.analyst import Analyst
from ghostd.analysis.text import About, render
from ghostd.analysis.tokens import estimate
from ghostd.code_ports import Index
from ghostd.errors import InvalidRequest
from ghostd.gateway.dialects.zeke.events import TextEvent, event, pieces
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.gateway.sse import DONE
from ghostd.project_reports import HistoryReport, ProjectReport

PATHS = ("/v1/zeke/project/context", "/v1/zeke/project/analyze")
_TOKENS_A_LEVEL = 500
_Depth = Literal["shallow", "normal", "medium", "deep", "full"]
_DEPTHS: dict[_Depth, int] = {"shallow": 1, "normal": 3, "medium": 3, "deep": 8, "full": 16}
_MAX_DEPTH = 16
_MAX_DEPENDENCIES = 1000
_SHORT = Annotated[str, msgspec.Meta(max_length=4096)]
_ENCODER = msgspec.json.Encoder()


class ProjectBody(msgspec.Struct, kw_only=True):
    """Which project."""

    project_path: _SHORT | None = None
    """An indexed folder, or anything in it, absolute; not needed where only one folder is indexed."""
    depth: Annotated[int, msgspec.Meta(ge=1, le=_MAX_DEPTH)] | _Depth | None = None
    """How much is told: so many times 500 tokens; absent: 3. "shallow" is 1, "normal" and "medium" 3, "deep" 8,
    "full" 16."""
    include_git: bool | None = None
    """Whether branch, changes, commits and files that change often are told; absent: they are."""
    stream: bool | None = None
    context: str | None = None
    """Accepted, and not needed here, as are `language`, `task` and `model`."""
    language: str | None = None
    task: str | None = None
    model: str | None = None


class ProjectReply(msgspec.Struct, kw_only=True):
    """The project, in both vocabularies."""

    type: str = "project_analysis"
    content: str
    """All of it, as a prompt quotes it."""
    summary: str
    """What there is: size, languages, entry points, dependencies, work in progress."""
    files_analyzed: int
    main_language: str
    """That of most bytes of code; "" where there is none."""
    dependencies: list[str]
    """Names, those needed to run first; the project's own packages are none."""
    architecture_notes: str
    """Central files, imports between folders and in circles, tests, large files that change often."""
    timestamp: int
    """Seconds since the epoch."""
    status: str = "success"
    provider: str = "ghostd"
    model: str = ""
    """No model is asked."""


_BODY = msgspec.json.Decoder(ProjectBody)
DOC = Doc(
    "Tell what an indexed project is made of",
    "Zeke",
    "From the index and git's history; no model is asked.",
    body=ProjectBody,
    reply=ProjectReply,
    streams="text/event-stream",
    event=TextEvent,
)


def routes(analyst: Analyst) -> Iterable[Route]:
    """Both paths of the one door."""
    for path in PATHS:
        yield Route("POST", path, partial(project, analyst), doc=DOC)


async def project(analyst: Analyst, exchange: Exchange) -> Response | None:
    """The project's report as texts, whole or as a stream of the one that holds all."""
    body = await exchange.read(_BODY)
    report = await analyst.project(_root(analyst.index, body.project_path))
    if body.include_git is False:
        report = msgspec.structs.replace(report, history=HistoryReport("none"))
    depth = body.depth or "normal"
    levels = depth if isinstance(depth, int) else _DEPTHS[depth]
    reply = await asyncio.to_thread(_reply, report, levels * _TOKENS_A_LEVEL)
    if not body.stream:
        return exchange.json(_ENCODER.encode(reply))
    async with exchange.open_stream() as events:
        await events.send(pieces(reply.content))
        await events.close(event("", final=True) + DONE)
    return None


def _reply(report: ProjectReport, tokens: int) -> ProjectReply:
    return ProjectReply(
        content=render(report, tokens, estimate),
        summary=render(report, tokens, estimate, About.CONTENTS),
        files_analyzed=report.files,
        main_language=report.main_language,
        dependencies=_dependencies(report),
        architecture_notes=render(report, tokens, estimate, About.ARCHITECTURE),
        timestamp=int(time.time()),
    )


def _dependencies(report: ProjectReport) -> list[str]:
    own = {package.name for package in report.packages}
    wanted = [one for package in report.packages for one in package.dependencies if one.name not in own]
    first = [one.name for one in wanted if not one.group]
    return list(dict.fromkeys([*first, *(one.name for one in wanted)]))[:_MAX_DEPENDENCIES]


def _root(index: Index, text: str | None) -> Path:
    if text is not None and "\0" in text:
        raise InvalidRequest("`project_path` holds a NUL character.", "project_path")
    if not text:
        roots = [status.root for status in index.roots()]
        if len(roots) == 1:
            return roots[0]
        told = "Several folders are indexed" if roots else "No folder is indexed; `ghostctl roots add DIR` adds one"
        raise InvalidRequest(f"`project_path` is needed: an indexed folder, absolute. {told}.", "project_path")
    root = index.root_of(Path(os.path.normpath(text.removeprefix("file://"))))
    if root is None:
        raise InvalidRequest(
            f"`project_path` is in none of the indexed folders: {text:.200}. `ghostctl roots add DIR` adds one.",
            "project_path",
        )
    return root
