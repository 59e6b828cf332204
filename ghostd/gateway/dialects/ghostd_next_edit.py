"""`POST /v1/ghostd/next-edit`: what is to be edited next, after what has just been edited."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec

from ghostd.code_ports import Index
from ghostd.errors import InvalidRequest
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.next_edit.asked import Asked
from ghostd.next_edit.document import Source
from ghostd.next_edit.history import MAX_CHARS, MAX_EDITS, EditHistory
from ghostd.next_edit.proposal import Proposal
from ghostd.next_edit.service import NextEdits
from ghostd.next_edit.tokens import MAX_CHARS as MAX_TEXT_CHARS
from ghostd.next_edit_reports import ListedProposal, ProposalList

_SEEN_S = 2.0
"""How long the index may take to read the text that was sent."""

_ENCODER = msgspec.json.Encoder()
_sessions = itertools.count(1)

Path_ = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Place = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Lines = Annotated[str, msgspec.Meta(max_length=MAX_CHARS)]


class EditBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Lines that were replaced by others, whole lines with their ends."""

    path: Path_ | None = None
    """Absent: the file that is asked about."""
    line: Place
    """Where `after` begins in the file as it is now, from 1."""
    before: Lines
    """"" where lines were added."""
    after: Lines
    """"" where lines were removed."""


class CursorBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A place in the file, from 1."""

    line: Place
    column: Place | None = None
    """In characters (code points)."""


class NextEditBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A file, and how it was edited."""

    path: Path_
    """Absolute, or relative to `root`; in one of the indexed folders."""
    root: Path_ | None = None
    """An indexed folder; not needed where `path` is absolute, or where there is only one."""
    text: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)] | None = None
    """The file as it is in the editor; absent: as it is on the disk."""
    edits: Annotated[list[EditBody], msgspec.Meta(min_length=1, max_length=MAX_EDITS)]
    """The last one at the end."""
    cursor: CursorBody | None = None
    """Absent: the end of the last edit."""
    model: bool | None = None
    """Whether the model of the setting next_edit.model may be asked where nothing else is proposed; absent: it may."""


_BODY = msgspec.json.Decoder(NextEditBody)
DOC = Doc("Propose the next edits", "ghostd", body=NextEditBody, reply=ProposalList)


def routes(next_edits: NextEdits, index: Index) -> Iterable[Route]:
    """The door."""
    yield Route("POST", "/v1/ghostd/next-edit", partial(next_edit, next_edits, index), doc=DOC)


async def next_edit(next_edits: NextEdits, index: Index, exchange: Exchange) -> Response:
    """What follows from the edits."""
    body = await exchange.read(_BODY)
    root, path = _place(index, body.path, body.root, "path")
    text = body.text
    if text is None:
        data = await index.text(root, path)
        if data is None:
            raise InvalidRequest(
                f"`path` is no indexed file: {body.path:.200}. Send its `text`, or see why with `ghostd index`.", "path"
            )
        text = data.decode("utf-8", "replace")
        if len(text) > MAX_TEXT_CHARS:
            raise InvalidRequest(f"`path` is too large: more than {MAX_TEXT_CHARS} characters.", "path")
    source = Source(root, path, text)
    history = _history(index, body, root, source)
    offset = _offset(source, body, history)
    async with _seen(index, root / path, body.text) as view:
        asked = Asked(root, path, text, offset, history.edits, view)
        found = await next_edits.propose(asked, with_model=body.model is not False)
    return exchange.json(_ENCODER.encode(ProposalList([_listed(each) for each in found])))


def _history(index: Index, body: NextEditBody, root: Path, source: Source) -> EditHistory:
    """The edits; raises InvalidRequest where they do not fit the text."""
    history = EditHistory()
    for number, edit in enumerate(body.edits):
        where = root / source.path
        if edit.path is not None:
            folder, inside = _place(index, edit.path, body.root, f"edits[{number}].path")
            where = folder / inside
        after = edit.after.splitlines(keepends=True)
        history.note(where, edit.line - 1, edit.before.splitlines(keepends=True), after)
        if where == source.file and number == len(body.edits) - 1:
            start = source.lines[edit.line - 1] if edit.line <= len(source.lines) else len(source.text) + 1
            if not source.text.startswith(edit.after, start):
                raise InvalidRequest(
                    f"`edits[{number}].after` does not stand at line {edit.line} of the file. Send the file's `text` "
                    "as it is after the edits, whole lines with their ends, and `line` counted from 1.",
                    f"edits[{number}].after",
                )
    return history


def _offset(source: Source, body: NextEditBody, history: EditHistory) -> int:
    if body.cursor is None:
        last = history.edits[-1] if history.edits else None
        if last is None or last.path != source.file:
            return 0
        return max(source.lines[last.line] + sum(map(len, last.after)) - 1, 0) if last.line < len(source.lines) else 0
    if body.cursor.line > len(source.lines):
        return len(source.text)
    start, end = source.line_span(body.cursor.line - 1)
    return min(start + (body.cursor.column or 1) - 1, end)


@asynccontextmanager
async def _seen(index: Index, file: Path, text: str | None) -> AsyncIterator[Index]:
    """The index, with the text that was sent in place of the file's."""
    if text is None:
        yield index
        return
    session = f"next-edit-{next(_sessions)}"
    index.overlay(session, file, text)
    try:
        try:
            async with asyncio.timeout(_SEEN_S):
                await index.wait_seen(session)
        except TimeoutError:
            pass  # then what the file had before counts
        yield index.seen_by(session)
    finally:
        index.forget_session(session)


def _listed(proposal: Proposal) -> ListedProposal:
    source = proposal.source
    first, last = proposal.line, source.line_of(proposal.end)
    return ListedProposal(
        root=str(source.root),
        path=str(source.path),
        start_line=first + 1,
        start_column=proposal.start - source.lines[first] + 1,
        end_line=last + 1,
        end_column=proposal.end - source.lines[last] + 1,
        old_text=proposal.old,
        new_text=proposal.new,
        kind=proposal.kind,
        reason=proposal.reason,
        confidence=proposal.confidence,
        placeholder=proposal.placeholder,
        version=source.version,
    )


def _place(index: Index, name: str, folder: str | None, param: str) -> tuple[Path, PurePosixPath]:
    """The file's root, and its path in it."""
    for field, value in ((param, name), ("root", folder)):
        if value is not None and "\0" in value:
            raise InvalidRequest(f"`{field}` holds a NUL character.", field)
    roots = [status.root for status in index.roots()]
    root = None if folder is None else Path(os.path.normpath(folder))
    if root is not None and root not in roots:
        raise InvalidRequest(f"`root` is not one of the indexed folders: {folder:.200}. See `ghostctl roots`.", "root")
    path = Path(name)
    if not path.is_absolute():
        if root is None and len(roots) != 1:
            raise InvalidRequest(f"`{param}` is relative; it needs `root`, or must be absolute.", param)
        path = (root or roots[0]) / path
    path = Path(os.path.normpath(path))
    found = root if root is not None and path.is_relative_to(root) else index.root_of(path)
    if found is None or (root is not None and found != root) or path == found:
        raise InvalidRequest(
            f"`{param}` is in none of the indexed folders: {name:.200}. `ghostctl roots add DIR` adds one.", param
        )
    return found, PurePosixPath(path.relative_to(found))
