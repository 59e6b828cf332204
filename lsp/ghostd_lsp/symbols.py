"""workspace/symbol, workspaceSymbol/resolve and textDocument/documentSymbol."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

from lsprotocol import types

from ghostd.indexed import Span, Symbol
from ghostd.navigation.families import family_of
from ghostd.navigation.found import Found
from ghostd.navigation.symbols import Wanted
from ghostd_lsp.errors import CONTENT_MODIFIED, RpcError
from ghostd_lsp.navigating import Navigation, both_ranges, data_of
from ghostd_lsp.params import DocumentSymbolParams, ResolveParams, WorkspaceSymbolParams
from ghostd_lsp.partial import answer_in_parts
from ghostd_lsp.positions import Lines
from ghostd_lsp.session import Session
from ghostd_lsp.symbol_kinds import SYMBOL_KINDS

MAX_SYMBOLS = 200
"""In an answer to workspace/symbol: people type on rather than read further."""
MAX_IN_DOCUMENT = 10_000
_MAX_DEPTH = 50


def workspace_symbol(session: Session, params: WorkspaceSymbolParams) -> Coroutine[Any, Any, object]:
    """The definitions in the session's folders that fit the query best."""
    near = session.last_used
    return _search(session, params, Wanted(params.query, near=near, fresh=session.open_paths()))


async def _search(session: Session, params: WorkspaceSymbolParams, wanted: Wanted) -> list[types.WorkspaceSymbol]:
    wanted = replace(wanted, leave_out=await session.languages.off())
    here = Navigation(session)
    search = session.host.navigator.symbols.search
    found = await search(wanted, session.indexed_roots(), here.view, MAX_SYMBOLS)
    if not session.resolves_locations:
        await here.read((each.root, each.symbol.path) for each in found)

    async def show(each: Found) -> types.WorkspaceSymbol:
        symbol = each.symbol
        lazily = session.resolves_locations
        where = types.LocationUriOnly(here.uri(each.path)) if lazily else await here.definition(each)
        container = symbol.container or str(symbol.path)
        return types.WorkspaceSymbol(where, symbol.name, SYMBOL_KINDS[symbol.kind], data_of(each), None, container)

    return await answer_in_parts(session, params.partial_result_token, found, show)


async def resolve_symbol(session: Session, params: ResolveParams) -> types.WorkspaceSymbol:
    """The symbol with its range; raises RpcError where it is gone."""
    here = Navigation(session)
    found = await here.symbol(params.data)
    if found is None:
        raise RpcError(CONTENT_MODIFIED, f"{params.data.path:.200} does not define {params.data.name:.200} any more.")
    symbol = found.symbol
    container = symbol.container or str(symbol.path)
    return types.WorkspaceSymbol(
        await here.definition(found), symbol.name, SYMBOL_KINDS[symbol.kind], data_of(found), None, container
    )


async def document_symbol(session: Session, params: DocumentSymbolParams) -> object:
    """A document's definitions: a tree where the client can show one, or else a list."""
    uri = params.text_document.uri
    here = Navigation(session)
    place = here.place(uri)
    if place is None or family_of(place[1]) in await session.languages.off():
        return []
    lines = await here.lines(*place)
    if lines is None:
        return []
    outline = (await here.view.outline(*place))[:MAX_IN_DOCUMENT]
    if session.nests_symbols:
        return _tree(outline, lines)
    return [
        types.SymbolInformation(
            types.Location(uri, both_ranges(lines, symbol.name, symbol.span, symbol.name_span)[0]),
            symbol.name,
            SYMBOL_KINDS[symbol.kind],
            container_name=symbol.container or None,
        )
        for symbol in outline
    ]


def _tree(outline: Sequence[Symbol], lines: Lines) -> list[types.DocumentSymbol]:
    """Each definition inside of those around it."""
    top: list[types.DocumentSymbol] = []
    around: list[tuple[Span, list[types.DocumentSymbol]]] = []
    for symbol in sorted(outline, key=lambda s: (s.span.start, -s.span.end, s.name_span.start)):
        # `int a, b;` is one definition of two names, neither inside of the other.
        while around and (around[-1][0].end < symbol.span.end or around[-1][0] == symbol.span):
            around.pop()
        whole, name = both_ranges(lines, symbol.name, symbol.span, symbol.name_span)
        inside: list[types.DocumentSymbol] = []
        shown = types.DocumentSymbol(
            symbol.name, SYMBOL_KINDS[symbol.kind], whole, name, symbol.signature or None, children=inside
        )
        (around[-1][1] if around else top).append(shown)
        if len(around) < _MAX_DEPTH:
            around.append((symbol.span, inside))
    return top
