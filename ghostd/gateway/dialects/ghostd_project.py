"""`GET /v1/ghostd/project` and `GET /v1/ghostd/repo-map`: what the indexed projects are made of."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PurePosixPath

import msgspec

from ghostd.analysis.analyst import MAX_FOCUS, Analyst
from ghostd.analysis.text import render
from ghostd.analysis.tokens import MAX_TOKENS, MIN_TOKENS, estimate
from ghostd.code_ports import Index
from ghostd.errors import InvalidRequest
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.project_reports import MapFile, MapSymbol, ProjectReport, ProjectText, RepoMapReport

TEXT_TOKENS = 1500
MAP_TOKENS = 1000
_MAX_CHARS = 4096
_ENCODER = msgspec.json.Encoder()
_ROOT = "An indexed folder, absolute. It is needed where there are several."

PROJECT_DOC = Doc(
    "Tell what an indexed project is made of",
    "ghostd",
    "Languages, entry points, packages and dependencies, module graph, tests and history.",
    query={
        "root": _ROOT,
        "format": '"json", the default, or "text": `text` as a prompt quotes it.',
        "max_tokens": f"Of the text, at 4 bytes each: {MIN_TOKENS} to {MAX_TOKENS}; {TEXT_TOKENS} by default.",
    },
    reply=ProjectReport | ProjectText,
)
MAP_DOC = Doc(
    "Tell the definitions of most use in an indexed project",
    "ghostd",
    query={
        "root": _ROOT,
        "focus": f"A file that is worked in, absolute or relative to `root`; up to {MAX_FOCUS} times.",
        "max_tokens": f"At 4 bytes each: {MIN_TOKENS} to {MAX_TOKENS}; {MAP_TOKENS} by default.",
    },
    reply=RepoMapReport,
)


def routes(analyst: Analyst) -> Iterable[Route]:
    """Both doors."""
    yield Route("GET", "/v1/ghostd/project", partial(project, analyst), doc=PROJECT_DOC)
    yield Route("GET", "/v1/ghostd/repo-map", partial(repo_map, analyst), doc=MAP_DOC)


async def project(analyst: Analyst, exchange: Exchange) -> Response:
    """The report, or its text."""
    wanted = _text(exchange, "format").lower() or "json"
    if wanted not in ("json", "text"):
        raise InvalidRequest("`format` is json or text.", "format")
    tokens = _tokens(exchange, TEXT_TOKENS)
    root = _root(analyst.index, exchange)
    report = await analyst.project(root)
    if wanted == "json":
        return exchange.json(await asyncio.to_thread(_ENCODER.encode, report))
    text = await asyncio.to_thread(render, report, tokens, estimate)
    return exchange.json(_ENCODER.encode(ProjectText(str(root), text, estimate(text))))


async def repo_map(analyst: Analyst, exchange: Exchange) -> Response:
    """The map for some files, or for none."""
    tokens = _tokens(exchange, MAP_TOKENS)
    root = _root(analyst.index, exchange)
    focus = [_file(analyst.index, root, text) for text in _several(exchange, "focus")]
    found = await analyst.repo_map(root, list(dict.fromkeys(focus)), tokens)
    files = [
        MapFile(
            path,
            [MapSymbol(s.name, s.kind, s.line, s.container, s.signature) for s in (line.symbol for line in lines)],
        )
        for path, lines in found.files.items()
    ]
    report = RepoMapReport(str(root), [str(path) for path in focus], found.text, found.tokens, files, found.complete)
    return exchange.json(_ENCODER.encode(report))


def _text(exchange: Exchange, name: str) -> str:
    return _checked(exchange.parameter(name).strip(), name)


def _checked(value: str, name: str) -> str:
    if len(value) > _MAX_CHARS or "\0" in value:
        raise InvalidRequest(f"`{name}` is a text of at most {_MAX_CHARS} characters, without NUL.", name)
    return value


def _tokens(exchange: Exchange, default: int) -> int:
    text = _text(exchange, "max_tokens") or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 9 and MIN_TOKENS <= int(text) <= MAX_TOKENS):
        raise InvalidRequest(f"`max_tokens` is a number from {MIN_TOKENS} to {MAX_TOKENS}.", "max_tokens")
    return int(text)


def _root(index: Index, exchange: Exchange) -> Path:
    roots = [status.root for status in index.roots()]
    text = _text(exchange, "root")
    if not text:
        if len(roots) == 1:
            return roots[0]
        told = "Several folders are indexed" if roots else "No folder is indexed; `ghostctl roots add DIR` adds one"
        raise InvalidRequest(f"`root` is needed: an indexed folder, absolute. {told}.", "root")
    root = Path(os.path.normpath(text))
    if root not in roots:
        raise InvalidRequest(f"`root` is not one of the indexed folders: {text:.200}. See `ghostctl roots`.", "root")
    return root


def _several(exchange: Exchange, name: str) -> list[str]:
    found = [text for value in exchange.parameters(name) if (text := _checked(value.strip(), name))]
    if len(found) > MAX_FOCUS:
        raise InvalidRequest(f"`{name}` may be there {MAX_FOCUS} times at most.", name)
    return found


def _file(index: Index, root: Path, text: str) -> PurePosixPath:
    path = Path(os.path.normpath(root / text))
    if path == root or index.root_of(path) != root:
        raise InvalidRequest(f"`focus` is no file of the indexed folder: {text:.200}.", "focus")
    return PurePosixPath(path.relative_to(root))
