"""The parameters of the LSP messages that ghostd reads: the fields it uses, and no others.

Unknown fields and values are ignored, so that a client newer than this file is understood. Counts are not
bounded above: clients send huge numbers for "the end".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

UInt = Annotated[int, Meta(ge=0)]


class Params(msgspec.Struct, frozen=True, rename="camel"):
    """Base: names as on the wire."""


class Position(Params, frozen=True):
    """Line and character, from 0, the latter in code units of the negotiated encoding."""

    line: UInt
    character: UInt


class Range(Params, frozen=True):
    """Half-open."""

    start: Position
    end: Position


class TextDocumentIdentifier(Params, frozen=True):
    """A document."""

    uri: str


class VersionedTextDocumentIdentifier(Params, frozen=True):
    """A document and the version after the change; old clients may leave the version out."""

    uri: str
    version: int | None = None


class TextDocumentItem(Params, frozen=True):
    """A document as it is opened."""

    uri: str
    text: str
    language_id: str = ""
    version: int | None = None


class ContentChange(Params, frozen=True):
    """One edit; without a range the text is the whole document."""

    text: str
    range: Range | None = None


class DidOpenParams(Params, frozen=True):
    """textDocument/didOpen."""

    text_document: TextDocumentItem


class DidChangeParams(Params, frozen=True):
    """textDocument/didChange."""

    text_document: VersionedTextDocumentIdentifier
    content_changes: Sequence[ContentChange]


class DidCloseParams(Params, frozen=True):
    """textDocument/didClose."""

    text_document: TextDocumentIdentifier


class WorkspaceFolder(Params, frozen=True):
    """A root."""

    uri: str
    name: str = ""


class FoldersChange(Params, frozen=True):
    """Which roots came and went."""

    added: Sequence[WorkspaceFolder] = ()
    removed: Sequence[WorkspaceFolder] = ()


class DidChangeWorkspaceFoldersParams(Params, frozen=True):
    """workspace/didChangeWorkspaceFolders."""

    event: FoldersChange


class GeneralCapabilities(Params, frozen=True):
    """capabilities.general."""

    position_encodings: Sequence[str] | None = None


class TextDocumentCapabilities(Params, frozen=True):
    """capabilities.textDocument."""

    inline_completion: Mapping[str, Any] | None = None
    document_symbol: Any = None
    hover: Any = None


class WorkspaceCapabilities(Params, frozen=True):
    """capabilities.workspace."""

    symbol: Any = None
    workspace_edit: Any = None


class ClientCapabilities(Params, frozen=True):
    """What the client can do."""

    general: GeneralCapabilities | None = None
    text_document: TextDocumentCapabilities | None = None
    workspace: WorkspaceCapabilities | None = None
    window: Any = None


class SymbolOptions(Params, frozen=True):
    """For which languages symbols are served; None: as the configuration or an earlier message has it."""

    symbols: Literal["auto", "on", "off"] | Sequence[str] | None = None
    served_languages: Sequence[str] | None = None
    """Languages that another server of this editor serves now."""


class Options(SymbolOptions, frozen=True):
    """ghostd's own initializationOptions."""

    plain_completion: bool | None = None
    """Offer completions in the editor's completion list too; None: if it has no inline completion."""


class InitializeParams(Params, frozen=True):
    """initialize."""

    capabilities: ClientCapabilities
    process_id: int | None = None
    """The editor's own process."""
    root_uri: str | None = None
    root_path: str | None = None
    workspace_folders: Sequence[WorkspaceFolder] | None = None
    initialization_options: Options | None = None


class SelectedCompletion(Params, frozen=True):
    """The entry that is selected in the editor's completion list."""

    range: Range
    text: str


class InlineCompletionContext(Params, frozen=True):
    """Why it was asked: 1 by the user, 2 automatically."""

    trigger_kind: Literal[1, 2] = 2
    selected_completion_info: SelectedCompletion | None = None


class InlineCompletionParams(Params, frozen=True):
    """textDocument/inlineCompletion."""

    text_document: TextDocumentIdentifier
    position: Position
    context: InlineCompletionContext = InlineCompletionContext()
    partial_result_token: int | str | None = None


class CompletionContext(Params, frozen=True):
    """Why it was asked: 1 by the user or while an identifier is typed, 2 by a character, 3 to go on with a list."""

    trigger_kind: int = 1


class CompletionParams(Params, frozen=True):
    """textDocument/completion."""

    text_document: TextDocumentIdentifier
    position: Position
    context: CompletionContext | None = None


class TextDocumentPositionParams(Params, frozen=True):
    """textDocument/definition, /hover and /prepareCallHierarchy."""

    text_document: TextDocumentIdentifier
    position: Position


class ReferenceContext(Params, frozen=True):
    """What counts as a reference."""

    include_declaration: bool = False


class ReferenceParams(TextDocumentPositionParams, frozen=True):
    """textDocument/references."""

    context: ReferenceContext = ReferenceContext()
    partial_result_token: int | str | None = None


class DocumentSymbolParams(Params, frozen=True):
    """textDocument/documentSymbol."""

    text_document: TextDocumentIdentifier


class WorkspaceSymbolParams(Params, frozen=True):
    """workspace/symbol."""

    query: str
    partial_result_token: int | str | None = None


class DefinitionData(Params, frozen=True):
    """What ghostd puts into `data` to know a definition again."""

    root: str
    path: str
    name: str
    start: UInt
    """Of its name, in bytes."""


class ResolveParams(Params, frozen=True):
    """workspaceSymbol/resolve: a symbol as ghostd gave it."""

    name: str
    kind: int
    data: DefinitionData
    container_name: str | None = None


class CallHierarchyItem(Params, frozen=True):
    """An item as ghostd gave it."""

    data: DefinitionData


class CallsParams(Params, frozen=True):
    """callHierarchy/incomingCalls and /outgoingCalls."""

    item: CallHierarchyItem


class ExecuteCommandParams(Params, frozen=True):
    """workspace/executeCommand."""

    command: str
    arguments: Sequence[Any] | None = None


class FeedbackParams(Params, frozen=True):
    """The argument of the command ghostd.completionFeedback."""

    uri: str
    id: Annotated[str, Meta(pattern="^req_", max_length=64)]
    """Of the suggestion, as its item's command has it."""
    kind: Literal["accepted", "partly", "rejected"]
    share: float = 1.0
    """How much of it was accepted, 0 to 1."""


class ContextParams(Params, frozen=True):
    """The argument of the command ghostd.context."""

    text_document: TextDocumentIdentifier
    position: Position
    max_tokens: int | None = None
    """The budget; None: the setting context.budget_tokens."""


class CodeActionContext(Params, frozen=True):
    """Which actions are wanted; trigger kind 1: by the user, 2: automatically."""

    only: Sequence[str] | None = None
    trigger_kind: int | None = None


class CodeActionParams(Params, frozen=True):
    """textDocument/codeAction."""

    text_document: TextDocumentIdentifier
    range: Range
    context: CodeActionContext = CodeActionContext()


class NextEditParams(Params, frozen=True):
    """The argument of the command ghostd.nextEdit."""

    text_document: TextDocumentIdentifier
    position: Position
    show: bool = False
    """Whether the editor shall go there, by window/showDocument, if it can."""


class RejectParams(Params, frozen=True):
    """The argument of the command ghostd.rejectNextEdit."""

    id: str
    """Of the proposal, as ghostd.nextEdit has it."""


class Settings(Params, frozen=True):
    """The settings that an editor pushes."""

    ghostd: SymbolOptions | None = None


class DidChangeConfigurationParams(Params, frozen=True):
    """workspace/didChangeConfiguration."""

    settings: Any = None


class CancelParams(Params, frozen=True):
    """$/cancelRequest."""

    id: int | str
