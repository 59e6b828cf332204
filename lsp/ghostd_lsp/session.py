"""One connected editor, from `initialize` to `exit`: what it can do, its folders and its open documents."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lsprotocol import types

from ghostd.code_ports import Index
from ghostd.engine import FrontendHost
from ghostd.errors import RootError
from ghostd.next_edit.history import EditHistory
from ghostd.types import OpenDocument
from ghostd_lsp.capabilities import items, member, says
from ghostd_lsp.decoding import convert_params
from ghostd_lsp.documents import Document, Snapshot
from ghostd_lsp.errors import INVALID_PARAMS, RpcError
from ghostd_lsp.folders import is_home_or_disk, paths_of, root_key, roots_of
from ghostd_lsp.params import (
    DidChangeConfigurationParams,
    DidChangeParams,
    DidChangeWorkspaceFoldersParams,
    DidCloseParams,
    DidOpenParams,
    InitializeParams,
    Settings,
    TextDocumentIdentifier,
)
from ghostd_lsp.positions import Encoding, choose_encoding
from ghostd_lsp.protocol import SessionProtocol
from ghostd_lsp.servers import families_served
from ghostd_lsp.serving_languages import ServingLanguages
from ghostd_lsp.uris import file_path

log = logging.getLogger(__name__)

OPEN_DOCUMENTS = 8
OPEN_DOCUMENTS_CHARS = 512 * 1024
"""What a request carries of the other open documents: this many, of this many characters together."""

OVERLAY_DELAY_S = 0.2
"""How long a document's changes are gathered before the index hears of them, unless somebody asks before …"""
OVERLAY_DELAY_S_PER_MB = 5.0
"""… and by how much longer for a large document: it is parsed anew each time, at some 0.4 CPU-s for a megabyte."""

PREPARE_DELAY_S = 0.1
"""An editor that comes back opens many documents at once; only for the last of them is anything made ready."""

_ids = itertools.count(1)


class Session:
    """The state of one connected editor."""

    def __init__(self, host: FrontendHost, protocol: SessionProtocol, tasks: asyncio.TaskGroup) -> None:
        self.host = host
        self.protocol = protocol
        self.id = f"lsp-{next(_ids)}"
        self.encoding: Encoding = "utf-16"
        self.plain_completion = False
        """Whether completions are offered in the editor's completion list, besides inline ones."""
        self.languages = ServingLanguages(host.config.lsp.symbols, families_served)
        self.nests_symbols = False
        """Whether the client shows a document's symbols as a tree."""
        self.resolves_locations = False
        """Whether the client asks for a workspace symbol's range when it needs that."""
        self.markdown_hover = False
        self.versioned_edits = False
        """Whether the client takes edits for one version of a document."""
        self.shows_documents = False
        """Whether the client goes to a place that it is asked to show."""
        self.edits = EditHistory()
        self._changed_at = float("-inf")
        """When a document was edited last, by the event loop's clock."""
        self._moved = asyncio.Event()
        """Set, and replaced, whenever a document is changed, closed or opened."""
        self.next_edits: tuple[tuple[object, ...], Sequence[Any]] | None = None
        """The last answer, with what it was for; see `next_edit`."""
        self._folders: dict[Path, None] = {}
        self._tasks = tasks
        self._background: set[asyncio.Task[None]] = set()
        self._documents: dict[str, Document] = {}
        """By URI, least recently used first."""
        self._left_out: tuple[object, frozenset[Path]] = (), frozenset()
        """What was asked last about open files that nothing is to be quoted of, and the answer."""
        self._told = ""
        self._unheard: set[str] = set()
        """URIs of documents whose text the index has not heard of."""
        self._hearing: asyncio.TimerHandle | None = None
        self._preparing: asyncio.Task[None] | None = None

    def initialize(self, params: InitializeParams) -> None:
        """Take over what the client can do and wants, and have its folders indexed."""
        general, documents = params.capabilities.general, params.capabilities.text_document
        self.encoding = choose_encoding((general and general.position_encodings) or ())
        inline = documents is not None and documents.inline_completion is not None
        wanted = params.initialization_options.plain_completion if params.initialization_options else None
        self.plain_completion = not inline if wanted is None else wanted
        self.nests_symbols = documents is not None and says(
            documents.document_symbol, "hierarchicalDocumentSymbolSupport"
        )
        self.markdown_hover = documents is not None and "markdown" in items(documents.hover, "contentFormat")
        workspace = params.capabilities.workspace
        resolved = member(workspace.symbol if workspace else None, "resolveSupport")
        edits = workspace.workspace_edit if workspace else None
        self.versioned_edits = says(edits, "documentChanges")
        self.shows_documents = says(member(params.capabilities.window, "showDocument"), "support")
        self.resolves_locations = "location.range" in items(resolved, "properties")
        self.languages.begin(params.process_id)
        if params.initialization_options:
            self.languages.change(params.initialization_options)
        self._in_background(self.host.context.load(), "lsp context")
        self._add_roots(roots_of(params))

    def end(self) -> None:
        """Cancel what still runs, and have the index forget the documents."""
        for task in self._background:
            task.cancel()
        if self._hearing is not None:
            self._hearing.cancel()
        self.host.index.forget_session(self.id)
        self.host.context.forget_session(self.id)
        self.host.suggestions.forget_session(self.id)
        self.host.next_edits.forget_session(self.id)

    def tell_once(self, problem: str) -> None:
        """window/logMessage, unless it would repeat the last problem."""
        if problem != self._told:
            self._told = problem
            self.protocol.log_message(problem, types.MessageType.Warning)

    def all_well(self) -> None:
        """Forget the last problem, so that it is told if it comes back."""
        self._told = ""

    # --- folders ----------------------------------------------------------------

    def change_folders(self, params: DidChangeWorkspaceFoldersParams) -> None:
        """Index the added folders. Removed ones stay indexed: other editors may show them."""
        for path in paths_of(folder.uri for folder in params.event.removed):
            self._folders.pop(root_key(path), None)
        self._add_roots(paths_of(folder.uri for folder in params.event.added))

    def change_configuration(self, params: DidChangeConfigurationParams) -> None:
        """Take over what the editor says of symbols; settings of other kinds are not ghostd's."""
        if isinstance(params.settings, dict) and "ghostd" in params.settings:
            options = convert_params(params.settings, Settings).ghostd
            if options is not None:
                self.languages.change(options)

    def indexed_roots(self) -> list[Path]:
        """The session's folders that are indexed, and those of its documents: the last used one's first."""
        documents = [self.host.index.root_of(path) for path in self.open_paths()]
        indexed = {status.root for status in self.host.index.roots()}
        folders = [folder for folder in self._folders if folder in indexed]
        return list(dict.fromkeys([root for root in documents if root is not None] + folders))

    def _add_roots(self, roots: list[Path]) -> None:
        self._folders.update(dict.fromkeys(map(root_key, roots)))
        if roots:
            self._in_background(self._index(roots), "lsp roots")

    def _in_background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._tasks.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _index(self, roots: list[Path]) -> None:
        problems = []
        for root in roots:
            if await asyncio.to_thread(is_home_or_disk, root):
                self.protocol.log_message(f"{root} is not indexed: open a project's folder instead.")
                continue
            try:
                await self.host.index.add_root(root)
            except RootError as error:
                problems.append(str(error))
            except Exception:
                log.exception("cannot add the root %s", root)
                problems.append(f"cannot index {root}; `ghostd logs` says why")
        if problems:
            # One message, as an editor may open a window for each; its log has the others.
            others = f" ({len(problems) - 1} more in the editor's log)" if problems[1:] else ""
            self.protocol.show_message(f"ghostd: {problems[0]}{others}")
        for problem in problems[1:]:
            self.protocol.log_message(problem, types.MessageType.Warning)
        self._prepare()

    # --- documents --------------------------------------------------------------

    def open_document(self, params: DidOpenParams) -> None:
        """textDocument/didOpen; a document that is open already is replaced."""
        item = params.text_document
        limit = self.host.config.lsp.max_document_bytes
        document = Document(item.uri, file_path(item.uri), item.language_id, item.version, self.encoding, limit)
        document.replace_all(item.text)
        if document.path is not None:
            path = Path(os.path.normpath(document.path))
            self.edits.forget(path)
            document.edited = partial(self.edits.note, path)
        self._documents.pop(item.uri, None)
        self._documents[item.uri] = document
        self._unheard.add(item.uri)
        self._note_move()
        self._tell_the_index()
        self._prepare()
        self._tell_if_too_large(document, was_too_large=False)

    def change_document(self, params: DidChangeParams) -> None:
        """textDocument/didChange; raises RpcError, and does nothing, for a closed document or an old version."""
        document = self._use(params.text_document.uri)
        was_too_large = document.too_large
        version = params.text_document.version
        if not document.change(params.content_changes, version):
            raise RpcError(
                INVALID_PARAMS,
                f"params.textDocument.version: {version} is older than {document.version}; the change is ignored.",
            )
        self._changed_at = asyncio.get_running_loop().time()
        self._note_move()
        self._unheard.add(document.uri)
        if self._hearing is None:
            delay_s = OVERLAY_DELAY_S + OVERLAY_DELAY_S_PER_MB * document.size_bytes / 1e6
            self._hearing = asyncio.get_running_loop().call_later(delay_s, self._tell_the_index)
        self._tell_if_too_large(document, was_too_large)

    def close_document(self, params: DidCloseParams) -> None:
        """textDocument/didClose."""
        uri = params.text_document.uri
        document = self._documents.pop(uri, None)
        self._unheard.discard(uri)
        self._note_move()
        self.host.suggestions.forget_document(self.id, uri)
        if document is not None and document.path is not None:
            self.host.index.overlay(self.id, document.path, None)
            self.edits.forget(Path(os.path.normpath(document.path)))

    def _note_move(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def _tell_the_index(self) -> None:
        """What the documents say that have changed; one that is too large counts as its file."""
        if self._hearing is not None:
            self._hearing.cancel()
            self._hearing = None
        unheard, self._unheard = self._unheard, set()
        for uri in unheard:
            document = self._documents[uri]
            if document.path is not None:
                self.host.index.overlay(self.id, document.path, None if document.too_large else document.text())

    def _prepare(self) -> None:
        """Have ready what completions in the document used last will quote of the project."""
        if self._preparing is not None:
            self._preparing.cancel()
        path = self.last_used
        self._preparing = None if path is None else self._in_background(self._prepare_for(path), "lsp prepare")

    async def _prepare_for(self, path: Path) -> None:
        await asyncio.sleep(PREPARE_DELAY_S)
        try:
            await self.host.context.prepare(path, self.id)
        except RootError as error:
            log.debug("nothing is made ready for %s: %s", path, error)
        except Exception:
            log.exception("cannot make ready what completions in %s quote", path)

    def snapshot(self, identifier: TextDocumentIdentifier) -> Snapshot | None:
        """The document as it is now, None if it is too large; raises RpcError if it is not open."""
        document = self._use(identifier.uri)
        return None if document.too_large else document.snapshot()

    def known(self, identifier: TextDocumentIdentifier) -> Snapshot | None:
        """The document as it is now, None if it is not open, or too large."""
        return self.snapshot(identifier) if identifier.uri in self._documents else None

    @property
    def view(self) -> Index:
        """The index with this session's open documents in it."""
        if self._unheard:
            self._tell_the_index()
        return self.host.index.seen_by(self.id)

    @property
    def last_used(self) -> Path | None:
        """The file of the document that was asked about or changed last."""
        return next(iter(self.open_paths()), None)

    def open_paths(self) -> tuple[Path, ...]:
        """The files of the open documents, most recently used first."""
        opened = reversed(self._documents.values())
        return tuple(document.path for document in opened if document.path is not None and not document.too_large)

    def document_at(self, path: Path) -> Document | None:
        """The open document of a file, unless it is too large."""
        for document in self._documents.values():
            if document.path == path and not document.too_large:
                return document
        return None

    def moved_on(self, snapshot: Snapshot) -> bool:
        """Whether the document has been changed, closed or reopened since the snapshot."""
        document = self._documents.get(snapshot.uri)
        return document is None or document.revision != snapshot.revision

    async def until_moved_on(self, snapshot: Snapshot) -> None:
        """Wait until `moved_on` says so."""
        while not self.moved_on(snapshot):
            await self._moved.wait()

    async def idle(self, for_s: float) -> None:
        """Wait until the last edit is so long ago."""
        await asyncio.sleep(max(self._changed_at + for_s - asyncio.get_running_loop().time(), 0))

    def others(self, snapshot: Snapshot | None = None) -> tuple[OpenDocument, ...]:
        """The other open files, most recently used first, within OPEN_DOCUMENTS and OPEN_DOCUMENTS_CHARS."""
        uri = None if snapshot is None else snapshot.uri
        found: list[OpenDocument] = []
        left = OPEN_DOCUMENTS_CHARS
        for document in reversed(self._documents.values()):
            if document.path is None or document.uri == uri or document.too_large:
                continue
            text = document.text()
            if len(found) == OPEN_DOCUMENTS:
                break
            if len(text) <= left:
                left -= len(text)
                found.append(OpenDocument(document.path, text))
        return tuple(found)

    async def quotable(self, others: tuple[OpenDocument, ...]) -> tuple[OpenDocument, ...]:
        """Without those of files that the index leaves out, such as the ones named `.env`."""
        index = self.host.index
        paths = frozenset(other.path for other in others)
        question = paths, tuple((status.root, status.generation) for status in index.roots())
        asked, left_out = self._left_out
        if asked != question:
            left_out = await index.left_out(paths)
            self._left_out = question, left_out
        return tuple(other for other in others if other.path not in left_out)

    def _use(self, uri: str) -> Document:
        """The open document, from now on the most recently used one."""
        document = self._documents.pop(uri, None)
        if document is None:
            raise RpcError(INVALID_PARAMS, f"params.textDocument.uri: {uri:.200} is not open.")
        self._documents[uri] = document
        return document

    def _tell_if_too_large(self, document: Document, was_too_large: bool) -> None:
        if document.too_large and not was_too_large:
            limit = self.host.config.lsp.max_document_bytes
            self.protocol.log_message(
                f"{document.uri} gets no completions: it has more than {limit} bytes (setting lsp.max_document_bytes) "
                "or a very long line. Reopen it once it is smaller.",
                types.MessageType.Warning,
            )
