"""What is to be edited next: as ghost text on the cursor's line, as code actions, and by a command.

A document's proposals are made once for each of its versions: editors ask for code actions at every move of the cursor.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from lsprotocol import types

from ghostd.errors import GhostdError
from ghostd.next_edit.asked import Asked
from ghostd.next_edit.document import Source
from ghostd.next_edit.proposal import Proposal
from ghostd_lsp.decoding import convert_params
from ghostd_lsp.documents import Snapshot
from ghostd_lsp.errors import INVALID_PARAMS, RpcError
from ghostd_lsp.params import CodeActionParams, ExecuteCommandParams, NextEditParams, RejectParams
from ghostd_lsp.positions import Encoding, Lines
from ghostd_lsp.session import Session

T = TypeVar("T")

NEXT_EDIT = "ghostd.nextEdit"
REJECT = "ghostd.rejectNextEdit"
KIND = "quickfix.ghostd.nextEdit"
_TITLE_CHARS = 60


@dataclass(frozen=True, slots=True)
class Shown:
    """A proposal as a client sees it."""

    proposal: Proposal
    uri: str
    version: int | None
    """Of the open document; None for a file that is not open."""
    range: types.Range

    @property
    def id(self) -> str:
        """What a client rejects it by."""
        source = self.proposal.source
        return f"{source.version}:{self.proposal.start}:{self.proposal.end}:{source.path}"


async def next_edit_at(session: Session, snapshot: Snapshot, line: int, char: int) -> types.InlineCompletionItem | None:
    """The next edit as ghost text, where one lies on the cursor's line, or within next_edit.near_lines of it.

    LSP wants such a range to stay in one line; on the cursor's own line it also reaches to the cursor.
    """
    shown = await _proposals(session, snapshot, line, char, idle=True)
    near = session.host.config.next_edit.near_lines
    for each in shown:
        start, end = each.range.start, each.range.end
        if each.uri != snapshot.uri or start.line != end.line or abs(start.line - line) > near:
            continue
        text, where = each.proposal.new, each.range
        if start.line == line:
            cursor = snapshot.position(line, char).character
            first, last = min(start.character, cursor), max(end.character, cursor)
            source = each.proposal.source
            begin = each.proposal.start
            here = source.line_span(source.line_of(begin))[0] + char
            text = source.text[min(here, begin) : begin] + text + source.text[each.proposal.end : here]
            where = types.Range(types.Position(line, first), types.Position(line, last))
        return types.InlineCompletionItem(insert_text=text, range=where)
    return None


def code_action(session: Session, params: CodeActionParams) -> Coroutine[Any, Any, object]:
    """textDocument/codeAction: the next edit, all that belong to it, and its rejection."""
    snapshot = session.known(params.text_document)
    return _code_action(session, snapshot, params)


async def _code_action(session: Session, snapshot: Snapshot | None, params: CodeActionParams) -> list[types.CodeAction]:
    only = params.context.only
    if snapshot is None or not (only is None or any(kind == KIND or KIND.startswith(f"{kind}.") for kind in only)):
        return []
    line, char = snapshot.clamp(params.range.start)
    shown = await _proposals(session, snapshot, line, char, idle=False, model=params.context.trigger_kind == 1)
    if not shown:
        return []
    first = shown[0]
    group = [each for each in shown if each.proposal.kind == first.proposal.kind and _group(each) == _group(first)]
    actions = [_action(session, _title(first, snapshot), [first])]
    if len(group) > 1:
        actions.append(_action(session, f"Next edits: all {len(group)}. {first.proposal.reason}", group))
    reject = types.Command("Not this next edit", REJECT, arguments=[{"id": first.id}])
    actions.append(types.CodeAction("Not this next edit", kind=KIND, command=reject))
    return actions


def show_next_edit(session: Session, params: ExecuteCommandParams) -> Coroutine[Any, Any, object]:
    """workspace/executeCommand `ghostd.nextEdit`: the next edit, or null; the editor goes there if it can."""
    asked = convert_params(_only(params, NEXT_EDIT), NextEditParams, "params.arguments[0]")
    snapshot = session.known(asked.text_document)
    return _show(session, snapshot, asked)


async def _show(session: Session, snapshot: Snapshot | None, asked: NextEditParams) -> object:
    if snapshot is None:
        return None
    line, char = snapshot.clamp(asked.position)
    shown = await _proposals(session, snapshot, line, char, idle=False, model=True)
    if not shown:
        return None
    first = shown[0]
    if asked.show and session.shows_documents:
        session.protocol.show_document(types.ShowDocumentParams(first.uri, take_focus=True, selection=first.range))
    proposal = first.proposal
    return {
        "id": first.id,
        "uri": first.uri,
        "version": first.version,
        "range": first.range,
        "newText": proposal.new,
        "kind": proposal.kind,
        "reason": proposal.reason,
        "confidence": proposal.confidence,
        "placeholder": proposal.placeholder,
        "edit": _workspace_edit(session, [first]),
        "more": len(shown) - 1,
    }


def reject_next_edit(session: Session, params: ExecuteCommandParams) -> Coroutine[Any, Any, object]:
    """workspace/executeCommand `ghostd.rejectNextEdit`: it is not proposed again in this session."""
    wanted = convert_params(_only(params, REJECT), RejectParams, "params.arguments[0]").id
    for each in session.next_edits[1] if session.next_edits is not None else ():
        if each.id == wanted:
            session.host.next_edits.reject(session.id, each.proposal)
    session.next_edits = None
    return _nothing()


async def _nothing() -> None:
    return None


def _only(params: ExecuteCommandParams, command: str) -> Any:
    if len(params.arguments or ()) != 1:
        raise RpcError(INVALID_PARAMS, f"params.arguments: {command} takes one object.")
    assert params.arguments
    return params.arguments[0]


async def _proposals(
    session: Session, snapshot: Snapshot, line: int, char: int, *, idle: bool, model: bool = True
) -> Sequence[Shown]:
    """The nearest behind the cursor first. `idle`: a model is asked only once the user has stopped to type."""
    config = session.host.config.next_edit
    root = None if snapshot.path is None else session.host.index.root_of(Path(os.path.normpath(snapshot.path)))
    if not config.enabled or root is None or snapshot.path is None or not session.edits.edits:
        return ()
    model = model and bool(config.model)
    key = snapshot.uri, snapshot.revision, session.edits.version, model
    if session.next_edits is None or session.next_edits[0] != key:
        made = await _unless_moved_on(
            session, snapshot, _made(session, snapshot, root, len(snapshot.before(line, char)), idle=idle, model=model)
        )
        if made is None:
            return ()
        session.next_edits = key, made
    shown = session.next_edits[1]

    def rank(each: Shown) -> tuple[bool, bool]:
        where = each.range.end
        return each.uri != snapshot.uri, (where.line, where.character) < (line, snapshot.position(line, char).character)

    return sorted(shown, key=rank)


async def _made(
    session: Session, snapshot: Snapshot, root: Path, offset: int, *, idle: bool, model: bool
) -> Sequence[Shown] | None:
    """None where the model that was to be asked is not there, or fails: the client is told why."""
    assert snapshot.path is not None
    idle_s = session.host.config.next_edit.idle_ms / 1000 if idle else 0.0
    asked = Asked(
        root,
        PurePosixPath(os.path.normpath(snapshot.path)).relative_to(root),
        "".join(snapshot.lines),
        offset,
        session.edits.edits,
        session.view,
        lambda file: _text(session, file),
        session.edits.undone,
        session.id,
    )
    try:
        found = await session.host.next_edits.propose(
            asked, with_model=model, before_model=lambda: session.idle(idle_s)
        )
    except GhostdError as error:
        session.tell_once(f"No next edits: {error}")
        return None
    return await _shown(session, found)


async def _unless_moved_on(session: Session, snapshot: Snapshot, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work gives; None, and the work ended, once the document moves on."""
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(work, name="lsp next edits")
        watching = tasks.create_task(session.until_moved_on(snapshot), name="lsp next edits: changes")
        working.add_done_callback(lambda _: watching.cancel())
        watching.add_done_callback(lambda _: working.cancel())
    return None if working.cancelled() or session.moved_on(snapshot) else working.result()


def _text(session: Session, file: Path) -> str | None:
    document = session.document_at(file)
    return None if document is None else document.text()


async def _shown(session: Session, found: Sequence[Proposal]) -> list[Shown]:
    """Without those for a document that is no longer what it was."""
    known: dict[Path, tuple[str, int | None]] = {}
    for source in {each.path: each.source for each in found}.values():
        document = session.document_at(source.file)
        if document is None:
            known[source.file] = source.file.as_uri(), None
        elif document.text() == source.text:
            known[source.file] = document.uri, document.version
    kept = [each for each in found if each.source.file in known]
    ranges = await asyncio.to_thread(_ranges, kept, session.encoding) if kept else ()
    return [Shown(each, *known[each.source.file], where) for each, where in zip(kept, ranges, strict=True)]


def _ranges(found: Sequence[Proposal], encoding: Encoding) -> list[types.Range]:
    """Where the proposals stand."""
    edges: dict[PurePosixPath, set[int]] = {}
    for each in found:
        edges.setdefault(each.path, set()).update((each.start, each.end))
    sources = {each.path: each.source for each in found}
    places = {
        (path, at): place for path, source in sources.items() for at, place in _positions(source, edges[path], encoding)
    }
    return [types.Range(places[each.path, each.start], places[each.path, each.end]) for each in found]


def _positions(source: Source, edges: Iterable[int], encoding: Encoding) -> Iterator[tuple[int, types.Position]]:
    """The places of characters of a text as LSP has them."""
    lines = Lines(source.text.encode(), encoding)
    before = size = 0
    for at in sorted(edges):
        size += len(source.text[before:at].encode())
        before = at
        yield at, types.Position(*lines.position(size))


def _action(session: Session, title: str, group: Sequence[Shown]) -> types.CodeAction:
    return types.CodeAction(title, kind=KIND, edit=_workspace_edit(session, group))


def _workspace_edit(session: Session, group: Sequence[Shown]) -> types.WorkspaceEdit:
    """With the documents' versions, where the client knows of these."""
    edits: dict[str, list[types.TextEdit]] = {}
    versions: dict[str, int | None] = {}
    for each in group:
        edits.setdefault(each.uri, []).append(types.TextEdit(each.range, each.proposal.new))
        versions[each.uri] = each.version
    if not session.versioned_edits:
        return types.WorkspaceEdit(changes=edits)
    return types.WorkspaceEdit(
        document_changes=[
            types.TextDocumentEdit(types.OptionalVersionedTextDocumentIdentifier(uri, versions[uri]), edits[uri])
            for uri in edits
        ]
    )


def _group(shown: Shown) -> str:
    """What belongs together: a rename here, and in other files."""
    return shown.proposal.reason.partition(" in ")[0].rstrip(".")


def _title(shown: Shown, snapshot: Snapshot) -> str:
    proposal = shown.proposal
    where = f"line {shown.range.start.line + 1}"
    if shown.uri != snapshot.uri:
        where = f"{proposal.path}, {where}"
    old, new = (" ".join(text.split()) for text in (proposal.old, proposal.new))
    said = f"`{_cut(old)}` to `{_cut(new)}`" if old else f"`{_cut(new)}`"
    return f"Next edit: {said} ({where})"


def _cut(text: str) -> str:
    return text if len(text) <= _TITLE_CHARS else text[: _TITLE_CHARS - 1] + "…"
