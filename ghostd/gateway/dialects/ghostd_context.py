"""`POST /v1/ghostd/context`: what a prompt for one place would quote of the rest of the project, and why."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec

from ghostd.code_ports import Index
from ghostd.context.cursor import Cursor, cursor_at, cursor_between
from ghostd.context.selection import MAX_BUDGET_TOKENS
from ghostd.context.service import Asked, ContextService
from ghostd.context.together import with_history
from ghostd.context_reports import ContextReport
from ghostd.errors import InvalidRequest
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import LARGE_BODY_BYTES, Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route

_MAX_PATH_CHARS = 4096
_DEADLINE_MS = 5_000
_ENCODER = msgspec.json.Encoder()

Path_ = Annotated[str, msgspec.Meta(min_length=1, max_length=_MAX_PATH_CHARS)]
Place = Annotated[int, msgspec.Meta(ge=1, le=2**31)]


class ContextBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A place in a file: `line`, or `prefix` and `suffix`."""

    path: Path_
    """Absolute, or relative to `root`; in one of the indexed folders."""
    root: Path_ | None = None
    """An indexed folder; not needed where `path` is absolute, or where there is only one."""
    line: Place | None = None
    """Of the cursor, from 1."""
    column: Place | None = None
    """In characters (code points), from 1; absent, or beyond the line's end: that end."""
    text: str | None = None
    """The document as it is in the editor; absent: as it is on the disk."""
    prefix: str | None = None
    """In place of `line`: the document before the cursor."""
    suffix: str | None = None
    """The document after it."""
    hide_line: bool | None = None
    """Leave the cursor's line out, as if it were still to be written."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=MAX_BUDGET_TOKENS)] | None = None
    """The budget; absent: the setting context.budget_tokens."""
    deadline_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] | None = None
    """Time to look for it; absent: 5,000, more than a completion takes (context.deadline_ms), as who asks here wants
    all of it."""
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=512)] | None = None
    """Whose tokenizer counts, where ghostd has it; absent: tokens are estimated."""
    redact: bool | None = None
    """Take secrets out; absent: where requests to `model` leave this machine."""


_BODY = msgspec.json.Decoder(ContextBody)
DOC = Doc(
    "Show what a prompt would quote of the project",
    "ghostd",
    "Exactly one of `line` and `prefix` is needed.",
    body=ContextBody,
    reply=ContextReport,
)


def routes(service: ContextService) -> Iterable[Route]:
    """The door."""
    yield Route("POST", "/v1/ghostd/context", partial(context, service), doc=DOC)


async def context(service: ContextService, exchange: Exchange) -> Response:
    """The pieces that would be quoted, those that would not, and the prompt's text."""
    body = await exchange.read(_BODY)
    root, path = _place(service.index, body)
    deadline_ms = body.deadline_ms or _DEADLINE_MS
    cursor, document = await _cursor(service.index, root, path, body)
    report = await service.show(
        Asked(
            root,
            path,
            cursor,
            body.max_tokens,
            deadline_ms,
            body.model or "",
            body.redact,
            document=document,
        )
    )
    offset = len(cursor.prefix.encode("utf-8", "replace"))
    report = await with_history(report, service.index, service.history, root, offset, deadline_ms / 1000)
    return exchange.json(_ENCODER.encode(report))


def _place(index: Index, body: ContextBody) -> tuple[Path, PurePosixPath]:
    """The file's root, and its path in it."""
    for name, value in (("path", body.path), ("root", body.root)):
        if value is not None and "\0" in value:
            raise InvalidRequest(f"`{name}` holds a NUL character.", name)
    roots = [status.root for status in index.roots()]
    root = None if body.root is None else Path(os.path.normpath(body.root))
    if root is not None and root not in roots:
        raise InvalidRequest(
            f"`root` is not one of the indexed folders: {body.root:.200}. See `ghostctl roots`.", "root"
        )
    path = Path(body.path)
    if not path.is_absolute():
        if root is None and len(roots) != 1:
            raise InvalidRequest("`path` is relative; it needs `root`, or must be absolute.", "path")
        path = (root or roots[0]) / path
    path = Path(os.path.normpath(path))
    found = root if root is not None and path.is_relative_to(root) else index.root_of(path)
    if found is None or (root is not None and found != root) or path == found:
        raise InvalidRequest(
            f"`path` is in none of the indexed folders: {body.path:.200}. `ghostctl roots add DIR` adds one.", "path"
        )
    return found, PurePosixPath(path.relative_to(found))


async def _cursor(index: Index, root: Path, path: PurePosixPath, body: ContextBody) -> tuple[Cursor, str | None]:
    """The cursor; and the document, where it is not what is on the disk."""
    if (body.line is None) == (body.prefix is None):
        told = "One of `line` and `prefix` is needed" + (", not both." if body.line is not None else ".")
        raise InvalidRequest(told, "line" if body.line is None else "prefix")
    alone = [("suffix", body.suffix)] if body.line is not None else [("column", body.column), ("text", body.text)]
    for name, value in alone:
        if value is not None:
            raise InvalidRequest(f"`{name}` does not go with `{'line' if body.line is not None else 'prefix'}`.", name)
    if body.prefix is not None:
        if body.hide_line:
            raise InvalidRequest("`hide_line` needs `line`.", "hide_line")
        suffix = body.suffix or ""
        return cursor_between(body.prefix, suffix), body.prefix + suffix
    assert body.line is not None
    if body.column is not None and body.hide_line:
        raise InvalidRequest("`column` does not go with `hide_line`.", "column")
    text = body.text
    if text is None:
        data = await index.text(root, path)
        if data is None:
            raise InvalidRequest(
                f"`path` is no indexed file: {body.path:.200}. Send its `text`, or see why with `ghostd index`.", "path"
            )
        text = await _in_thread_if_large(data)
    cursor = cursor_at(text, body.line, body.column, hide_line=bool(body.hide_line))
    return cursor, None if body.text is None else cursor.prefix + cursor.suffix


async def _in_thread_if_large(data: bytes) -> str:
    if len(data) > LARGE_BODY_BYTES:
        return await asyncio.to_thread(data.decode, "utf-8", "replace")
    return data.decode("utf-8", "replace")
