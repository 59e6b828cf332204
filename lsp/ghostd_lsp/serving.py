"""Serves one connection: the table of methods, and the session's beginning and end."""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Callable, Coroutine
from typing import Any

from lsprotocol import types

from ghostd import __version__
from ghostd.engine import FrontendHost
from ghostd_lsp.calls import incoming_calls, outgoing_calls, prepare_calls
from ghostd_lsp.commands import COMMANDS, execute_command
from ghostd_lsp.completion import TRIGGER_CHARACTERS, plain_completion
from ghostd_lsp.definitions import definition, hover, references
from ghostd_lsp.filling import open_document
from ghostd_lsp.inline_completion import inline_completion
from ghostd_lsp.next_edit import KIND, code_action
from ghostd_lsp.params import (
    CallsParams,
    CodeActionParams,
    CompletionParams,
    DidChangeConfigurationParams,
    DidChangeParams,
    DidChangeWorkspaceFoldersParams,
    DidCloseParams,
    DidOpenParams,
    DocumentSymbolParams,
    ExecuteCommandParams,
    InitializeParams,
    InlineCompletionParams,
    Params,
    ReferenceParams,
    ResolveParams,
    TextDocumentPositionParams,
    WorkspaceSymbolParams,
)
from ghostd_lsp.protocol import Notification, Request, SessionProtocol, SessionServer
from ghostd_lsp.session import Session
from ghostd_lsp.symbols import document_symbol, resolve_symbol, workspace_symbol

log = logging.getLogger(__name__)

GRACE_S = 2.0
"""Time for pending answers after a client has closed its sending side only (`ghostd lsp` at the end of stdin)."""


async def serve_session(host: FrontendHost, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection until `exit`, its loss, or cancellation; its requests end with it."""
    protocol = SessionServer(__version__).protocol
    async with asyncio.TaskGroup() as tasks:
        session = Session(host, protocol, tasks)
        _begin(session, protocol, writer, tasks)
        try:
            if await protocol.receive(reader, host.config.lsp.max_message_bytes):
                await _answer_the_rest(protocol, writer)
            await writer.drain()
        except ConnectionError:
            log.debug("an editor's connection was lost")
        finally:
            protocol.end()
            session.end()


def _begin(session: Session, protocol: SessionProtocol, writer: asyncio.StreamWriter, tasks: asyncio.TaskGroup) -> None:
    def initialize(params: InitializeParams) -> types.InitializeResult:
        session.initialize(params)
        return types.InitializeResult(_capabilities(session), protocol.server_info)

    requests = {
        types.TEXT_DOCUMENT_INLINE_COMPLETION: Request(
            InlineCompletionParams, lambda params: inline_completion(session, params), _document_of
        ),
        types.TEXT_DOCUMENT_COMPLETION: Request(
            CompletionParams, lambda params: plain_completion(session, params), _document_of
        ),
        types.TEXT_DOCUMENT_CODE_ACTION: Request(
            CodeActionParams, lambda params: code_action(session, params), _document_of
        ),
        types.WORKSPACE_EXECUTE_COMMAND: Request(ExecuteCommandParams, lambda params: execute_command(session, params)),
        **_navigation(session),
    }
    notifications = {
        types.TEXT_DOCUMENT_DID_OPEN: Notification(DidOpenParams, lambda params: open_document(session, params)),
        types.TEXT_DOCUMENT_DID_CHANGE: Notification(DidChangeParams, session.change_document),
        types.TEXT_DOCUMENT_DID_CLOSE: Notification(DidCloseParams, session.close_document),
        types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: Notification(
            DidChangeWorkspaceFoldersParams, session.change_folders
        ),
        types.WORKSPACE_DID_CHANGE_CONFIGURATION: Notification(
            DidChangeConfigurationParams, session.change_configuration
        ),
    }
    protocol.begin(writer, tasks, initialize, requests, notifications)


def _navigation(session: Session) -> dict[str, Request]:
    """The requests about names."""

    def ask(kind: type[Params], handler: Callable[[Session, Any], Coroutine[Any, Any, object]]) -> Request:
        return Request(kind, lambda params: handler(session, params))

    return {
        types.WORKSPACE_SYMBOL: ask(WorkspaceSymbolParams, workspace_symbol),
        types.WORKSPACE_SYMBOL_RESOLVE: ask(ResolveParams, resolve_symbol),
        types.TEXT_DOCUMENT_DOCUMENT_SYMBOL: ask(DocumentSymbolParams, document_symbol),
        types.TEXT_DOCUMENT_DEFINITION: ask(TextDocumentPositionParams, definition),
        types.TEXT_DOCUMENT_REFERENCES: ask(ReferenceParams, references),
        types.TEXT_DOCUMENT_HOVER: ask(TextDocumentPositionParams, hover),
        types.TEXT_DOCUMENT_PREPARE_CALL_HIERARCHY: ask(TextDocumentPositionParams, prepare_calls),
        types.CALL_HIERARCHY_INCOMING_CALLS: ask(CallsParams, incoming_calls),
        types.CALL_HIERARCHY_OUTGOING_CALLS: ask(CallsParams, outgoing_calls),
    }


def _document_of(params: Any) -> str:
    uri: str = params.text_document.uri
    return uri


def _capabilities(session: Session) -> types.ServerCapabilities:
    plain = types.CompletionOptions(trigger_characters=TRIGGER_CHARACTERS) if session.plain_completion else None
    folders = types.WorkspaceFoldersServerCapabilities(supported=True, change_notifications=True)
    symbols = None if session.languages.never else True
    return types.ServerCapabilities(
        position_encoding=session.encoding,
        text_document_sync=types.TextDocumentSyncOptions(
            open_close=True, change=types.TextDocumentSyncKind.Incremental
        ),
        inline_completion_provider=types.InlineCompletionOptions(),
        completion_provider=plain,
        code_action_provider=types.CodeActionOptions([KIND]) if session.host.config.next_edit.enabled else None,
        execute_command_provider=types.ExecuteCommandOptions(list(COMMANDS)),
        workspace_symbol_provider=symbols and types.WorkspaceSymbolOptions(resolve_provider=True),
        document_symbol_provider=symbols and types.DocumentSymbolOptions(label="ghostd"),
        definition_provider=symbols,
        references_provider=symbols,
        hover_provider=symbols,
        call_hierarchy_provider=symbols,
        workspace=types.WorkspaceOptions(workspace_folders=folders),
    )


async def _answer_the_rest(protocol: SessionProtocol, writer: asyncio.StreamWriter) -> None:
    """Let running requests end while the client still listens, for GRACE_S at most."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + GRACE_S
    while not _hung_up(writer) and loop.time() < deadline:
        if await protocol.answer_running(timeout_s=0.05):
            return


def _hung_up(writer: asyncio.StreamWriter) -> bool:
    """Whether the client has closed its receiving side too, or is gone."""
    if writer.transport.is_closing():
        return True  # a lost connection's socket may be closed already, and has no descriptor then
    poll = select.poll()
    poll.register(writer.get_extra_info("socket").fileno(), 0)
    return bool(poll.poll(0))
