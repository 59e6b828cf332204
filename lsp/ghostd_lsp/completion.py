"""textDocument/completion: the same text as one entry of the completion list, for editors without ghost text.

Names of the project's definitions follow it, those that go on from what is typed.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

from lsprotocol import types

from ghostd.errors import GhostdError
from ghostd.indexed import Symbol, SymbolKind
from ghostd.types import OpenDocument
from ghostd_lsp.documents import Snapshot
from ghostd_lsp.feedback import accepted_command
from ghostd_lsp.filling import suggest_at
from ghostd_lsp.params import CompletionParams
from ghostd_lsp.session import Session

TRIGGER_CHARACTERS = [".", ":", ">", "(", "[", ",", "="]

_LABEL_CHARS = 60
_SYMBOLS = 20
_SYMBOL_PREFIX_CHARS = 3
"""Names are offered from this many typed characters on."""

_KINDS: dict[SymbolKind, types.CompletionItemKind] = {
    "class": types.CompletionItemKind.Class,
    "function": types.CompletionItemKind.Function,
    "method": types.CompletionItemKind.Method,
    "variable": types.CompletionItemKind.Variable,
    "constant": types.CompletionItemKind.Constant,
    "field": types.CompletionItemKind.Field,
    "enum": types.CompletionItemKind.Enum,
    "enum_member": types.CompletionItemKind.EnumMember,
    "interface": types.CompletionItemKind.Interface,
    "type": types.CompletionItemKind.Class,
    "struct": types.CompletionItemKind.Struct,
    "trait": types.CompletionItemKind.Interface,
    "module": types.CompletionItemKind.Module,
    "macro": types.CompletionItemKind.Function,
    "property": types.CompletionItemKind.Property,
    "union": types.CompletionItemKind.Struct,
    "test": types.CompletionItemKind.Function,
}


def plain_completion(session: Session, params: CompletionParams) -> Coroutine[Any, Any, object]:
    """Take the document as it is now, and return the work that answers with the list."""
    snapshot = session.snapshot(params.text_document) if session.plain_completion else None
    others = session.others(snapshot) if snapshot else ()
    return _complete(session, snapshot, params, others)


async def _complete(
    session: Session, snapshot: Snapshot | None, params: CompletionParams, others: tuple[OpenDocument, ...]
) -> types.CompletionList:
    # Incomplete: the next character makes another text, not a shorter list.
    nothing = types.CompletionList(is_incomplete=True, items=[])
    if snapshot is None:
        return nothing
    line, char = snapshot.clamp(params.position)
    word = _word_before(snapshot.lines[line][:char])
    edges = [snapshot.position(line, edge) for edge in (char - len(word), char)]
    where = types.Range(*(types.Position(edge.line, edge.character) for edge in edges))
    symbols = await _symbols(session, snapshot, word)
    prefix, suffix = snapshot.before(line, char), snapshot.after(line, char)
    items = []
    async with aclosing(suggest_at(session, snapshot, prefix, suffix, "automatic", others)) as found:
        async for suggestion in found:
            items = [_fill_item(word + suggestion.text, where, accepted_command(snapshot.uri, suggestion.id))]
    if session.moved_on(snapshot):
        return nothing
    items += [_symbol_item(symbol, where) for symbol in symbols]
    return types.CompletionList(is_incomplete=True, items=items)


def completion_kind(kind: SymbolKind) -> types.CompletionItemKind:
    """LSP's kind of entry for a kind of definition."""
    return _KINDS[kind]


def _word_before(text: str) -> str:
    found = re.search(r"\w+\Z", text)
    return found[0] if found else ""


def _fill_item(text: str, where: types.Range, command: types.Command) -> types.CompletionItem:
    first = next(line.strip() for line in text.split("\n") if line.strip())
    return types.CompletionItem(
        label=first if len(first) <= _LABEL_CHARS else first[: _LABEL_CHARS - 1] + "…",
        kind=types.CompletionItemKind.Text,
        detail="ghostd",
        documentation=text if "\n" in text else None,
        filter_text=text.partition("\n")[0] or first,
        sort_text="\x20",
        insert_text_format=types.InsertTextFormat.PlainText,
        insert_text_mode=types.InsertTextMode.AsIs,
        text_edit=types.TextEdit(where, text),
        command=command,
    )


async def _symbols(session: Session, snapshot: Snapshot, word: str) -> list[Symbol]:
    """Definitions whose name goes on from `word`, one for each name."""
    root = session.host.index.root_of(snapshot.path) if snapshot.path else None
    if root is None or len(word) < _SYMBOL_PREFIX_CHARS:
        return []
    try:
        found = await session.host.index.symbols(root, word, 4 * _SYMBOLS)
    except GhostdError as error:
        session.tell_once(f"No symbols: {error}")
        return []
    by_name = {symbol.name: symbol for symbol in reversed(found) if symbol.name != word}
    return sorted(by_name.values(), key=lambda symbol: symbol.name)[:_SYMBOLS]


def _symbol_item(symbol: Symbol, where: types.Range) -> types.CompletionItem:
    return types.CompletionItem(
        label=symbol.name,
        kind=completion_kind(symbol.kind),
        detail=symbol.signature or str(symbol.path),
        sort_text="~" + symbol.name,
        text_edit=types.TextEdit(where, symbol.name),
    )
