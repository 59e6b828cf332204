"""textDocument/prepareCallHierarchy, callHierarchy/incomingCalls and callHierarchy/outgoingCalls."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from lsprotocol import types

from ghostd.navigation.calls import Caller
from ghostd.navigation.families import family_of
from ghostd.navigation.found import CALLABLES, TYPES, Found, Place
from ghostd_lsp.documents import Snapshot
from ghostd_lsp.navigating import NOWHERE, Navigation, data_of
from ghostd_lsp.params import CallsParams, TextDocumentPositionParams
from ghostd_lsp.session import Session
from ghostd_lsp.symbol_kinds import SYMBOL_KINDS

MAX_ITEMS = 20


def prepare_calls(session: Session, params: TextDocumentPositionParams) -> Coroutine[Any, Any, object]:
    """The functions and types that the name at a position means."""
    return _prepare(session, params, session.known(params.text_document))


async def _prepare(
    session: Session, params: TextDocumentPositionParams, snapshot: Snapshot | None
) -> list[types.CallHierarchyItem] | None:
    here = Navigation(session)
    asked = await here.asked(params.text_document.uri, snapshot, params.position)
    if asked is None or family_of(asked.path) in await session.languages.off():
        return None
    meaning = await session.host.navigator.meanings.of(asked, here.view)
    called = [found for found in meaning.definitions if found.symbol.kind in CALLABLES | TYPES]
    return [await _item(here, found) for found in called[:MAX_ITEMS]] or None


async def incoming_calls(session: Session, params: CallsParams) -> list[types.CallHierarchyIncomingCall] | None:
    """What calls an item, and where."""
    here = Navigation(session)
    called = await _served(here, params)
    if called is None:
        return None
    callers = await session.host.navigator.calls.incoming(called, here.view)
    return [
        types.CallHierarchyIncomingCall(await _caller(here, each), await _ranges(here, each.calls)) for each in callers
    ]


async def outgoing_calls(session: Session, params: CallsParams) -> list[types.CallHierarchyOutgoingCall] | None:
    """What an item calls, and where it does."""
    here = Navigation(session)
    caller = await _served(here, params)
    if caller is None:
        return None
    callees = await session.host.navigator.calls.outgoing(caller, here.view)
    return [
        types.CallHierarchyOutgoingCall(await _item(here, each.found), await _ranges(here, each.calls))
        for each in callees
    ]


async def _served(here: Navigation, params: CallsParams) -> Found | None:
    """The definition of an item, where its language is served."""
    found = await here.symbol(params.item.data)
    off = await here.session.languages.off()
    return None if found is None or family_of(found.symbol.path) in off else found


async def _item(here: Navigation, found: Found) -> types.CallHierarchyItem:
    symbol = found.symbol
    whole, name = await here.ranges(found)
    detail = f"{symbol.container} · {symbol.path}" if symbol.container else str(symbol.path)
    uri = here.uri(found.path)
    return types.CallHierarchyItem(
        symbol.name, SYMBOL_KINDS[symbol.kind], uri, whole, name, detail=detail, data=data_of(found)
    )


async def _caller(here: Navigation, caller: Caller) -> types.CallHierarchyItem:
    if caller.symbol is not None:
        return await _item(here, Found(caller.root, caller.symbol))
    data = {"root": str(caller.root), "path": str(caller.path), "name": "", "start": 0}
    uri, kind = here.uri(caller.root / caller.path), types.SymbolKind.File
    return types.CallHierarchyItem(
        caller.path.name, kind, uri, NOWHERE, NOWHERE, detail=str(caller.path.parent), data=data
    )


async def _ranges(here: Navigation, calls: tuple[Place, ...]) -> list[types.Range]:
    return [await here.range(place.root, place.path, place.name, place.span) for place in calls]
