"""textDocument/definition, textDocument/references and textDocument/hover."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from lsprotocol import types

from ghostd.indexed import Span
from ghostd.navigation.families import family_of
from ghostd.navigation.found import Found
from ghostd.navigation.meaning import Asked
from ghostd_lsp.documents import Snapshot
from ghostd_lsp.navigating import Navigation, to_range
from ghostd_lsp.params import ReferenceParams, TextDocumentPositionParams
from ghostd_lsp.partial import answer_in_parts
from ghostd_lsp.positions import Lines
from ghostd_lsp.session import Session

MAX_DEFINITIONS = 20
"""Of a name that nothing says the meaning of."""
MAX_REFERENCES = 1000
_MAX_IN_HOVER = 3


def definition(session: Session, params: TextDocumentPositionParams) -> Coroutine[Any, Any, object]:
    """Where the name at a position is defined."""
    return _definition(session, params, session.known(params.text_document))


async def _definition(
    session: Session, params: TextDocumentPositionParams, snapshot: Snapshot | None
) -> list[types.Location]:
    here = Navigation(session)
    asked = await _asked(here, params, snapshot)
    if asked is None:
        return []
    meaning = await session.host.navigator.meanings.of(asked, here.view)
    return [await here.definition(found) for found in meaning.definitions[:MAX_DEFINITIONS]]


def references(session: Session, params: ReferenceParams) -> Coroutine[Any, Any, object]:
    """Where the name at a position is used."""
    return _references(session, params, session.known(params.text_document))


async def _references(session: Session, params: ReferenceParams, snapshot: Snapshot | None) -> list[types.Location]:
    here = Navigation(session)
    asked = await _asked(here, params, snapshot)
    if asked is None:
        return []
    declaration = params.context.include_declaration
    places = await session.host.navigator.references(asked, here.view, MAX_REFERENCES, declaration=declaration)
    await here.read((place.root, place.path) for place in places)
    return await answer_in_parts(session, params.partial_result_token, places, here.location)


def hover(session: Session, params: TextDocumentPositionParams) -> Coroutine[Any, Any, object]:
    """The heads and the documentation of the definitions of the name at a position."""
    return _hover(session, params, session.known(params.text_document))


async def _hover(session: Session, params: TextDocumentPositionParams, snapshot: Snapshot | None) -> types.Hover | None:
    here = Navigation(session)
    asked = await _asked(here, params, snapshot)
    if asked is None or not family_of(asked.path):  # prose is full of words that are names somewhere
        return None
    meaning = await session.host.navigator.meanings.of(asked, here.view)
    shown = [each for each in meaning.definitions if each.symbol.signature]
    if not shown or (not meaning.known and len(shown) > _MAX_IN_HOVER):
        return None
    parts = [await _described(session, found) for found in shown[:_MAX_IN_HOVER]]
    kind = types.MarkupKind.Markdown if session.markdown_hover else types.MarkupKind.PlainText
    separator = "\n\n---\n\n" if session.markdown_hover else "\n\n"
    where = Span(asked.offset, asked.offset + len(asked.name.encode()))
    return types.Hover(
        types.MarkupContent(kind, separator.join(parts)), to_range(Lines(asked.text, session.encoding), where)
    )


async def _described(session: Session, found: Found) -> str:
    symbol = found.symbol
    doc = await session.host.navigator.resolver.doc(found.root, symbol)
    where = f"{symbol.path}:{symbol.line}"
    if not session.markdown_hover:
        return "\n".join(filter(None, (symbol.signature, doc, where)))
    # What a project's text says must not end the block that it stands in.
    fence = "`" * max(3, _longest_run(symbol.signature) + 1)
    lines = (f"{fence}{family_of(symbol.path)}\n{symbol.signature}\n{fence}", doc, f"`{where.replace('`', '')}`")
    return "\n\n".join(filter(None, lines))


def _longest_run(text: str) -> int:
    return max((len(run) for run in "".join(c if c == "`" else " " for c in text).split()), default=0)


async def _asked(here: Navigation, params: TextDocumentPositionParams, snapshot: Snapshot | None) -> Asked | None:
    """The name at a position, where its language is served."""
    asked = await here.asked(params.text_document.uri, snapshot, params.position)
    if asked is None or family_of(asked.path) in await here.session.languages.off():
        return None
    return asked
