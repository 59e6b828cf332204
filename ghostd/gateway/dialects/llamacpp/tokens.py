"""llama.cpp's `/tokenize`, `/detokenize` and `/apply-template`: what a model's tokenizer and chat template say."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ghostd.engine import Engine
from ghostd.errors import InvalidRequest
from ghostd.gateway.dialects.llamacpp.models import default_model
from ghostd.gateway.dialects.openai.chat_messages import MessageBody, messages_of
from ghostd.gateway.dialects.openai.chat_tools import ToolFields, tools_of
from ghostd.gateway.dialects.token_input import MAX_TOKEN_ID
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.types import ChatRequest


class TokenizeBody(msgspec.Struct, kw_only=True):
    """A text, or texts and token ids in order."""

    model: str | None = None
    content: str | list[str | int] | None = None
    add_special: bool | None = None
    """Whether to begin with a BOS where the vocabulary asks for one."""
    parse_special: bool | None = None
    """Whether control tokens are recognised; absent: yes."""
    with_pieces: bool | None = None
    """Whether to say what each token stands for."""


class TokenPiece(msgspec.Struct):
    """A token, and its text or, where that is no whole character, its bytes."""

    id: int
    piece: str | list[int]


class TokenizeReply(msgspec.Struct):
    """Token ids, with pieces if they were asked for."""

    tokens: Sequence[int | TokenPiece]


class DetokenizeBody(msgspec.Struct, kw_only=True):
    """Token ids."""

    model: str | None = None
    tokens: list[int] | None = None


class DetokenizeReply(msgspec.Struct):
    """What they stand for."""

    content: str


class TemplateBody(ToolFields, kw_only=True):
    """A conversation."""

    model: str = ""
    messages: list[MessageBody]


class TemplateReply(msgspec.Struct):
    """The prompt that it makes."""

    prompt: str


MAX_CHARS = 4 * 1024 * 1024
MAX_TOKENS = 1024 * 1024
MAX_TEXTS = 2048
"""Of a list: each is asked of the model's worker by itself."""
_TOKENIZE = msgspec.json.Decoder(TokenizeBody)
_DETOKENIZE = msgspec.json.Decoder(DetokenizeBody)
_TEMPLATE = msgspec.json.Decoder(TemplateBody)
_encode = msgspec.json.Encoder().encode


async def tokenize(engine: Engine, exchange: Exchange) -> Response:
    """The token ids of a text."""
    body = await exchange.read(_TOKENIZE)
    model = body.model or default_model(exchange)
    special = body.parse_special is not False
    bos = bool(body.add_special)
    _check_size(body.content or "", "content")
    tokens: list[int] = []
    for number, item in enumerate([body.content] if isinstance(body.content, str) else body.content or []):
        if isinstance(item, int):
            _check(item, f"content[{number}]")
            tokens.append(item)
        elif item or (bos and not number):
            tokens += await engine.tokens.tokenize(model, item, special=special, bos=bos and not number)
    if not body.with_pieces:
        return exchange.json(_encode(TokenizeReply(tokens)))
    found = await engine.tokens.pieces(model, tokens) if tokens else ()
    pieces = [TokenPiece(token, _piece(data)) for token, data in zip(tokens, found, strict=True)]
    return exchange.json(_encode(TokenizeReply(pieces)))


async def detokenize(engine: Engine, exchange: Exchange) -> Response:
    """The text of token ids; bytes that are no text become U+FFFD."""
    body = await exchange.read(_DETOKENIZE)
    _check_size(body.tokens or [], "tokens")
    for number, token in enumerate(body.tokens or []):
        _check(token, f"tokens[{number}]")
    found = await engine.tokens.pieces(body.model or default_model(exchange), body.tokens) if body.tokens else ()
    return exchange.json(_encode(DetokenizeReply(b"".join(found).decode("utf-8", "replace"))))


async def apply_template(engine: Engine, exchange: Exchange) -> Response:
    """The prompt that the model's chat template makes of a conversation."""
    body = await exchange.read(_TEMPLATE)
    request = ChatRequest(body.model or default_model(exchange), messages_of(body.messages), tools=tools_of(body))
    return exchange.json(_encode(TemplateReply(await engine.tokens.render(request))))


def _check_size(given: str | Sequence[str | int], param: str) -> None:
    """Refuse what would hold the model's worker up for seconds."""
    texts = [given] if isinstance(given, str) else [item for item in given if isinstance(item, str)]
    chars = sum(map(len, texts))
    if chars > MAX_CHARS:
        raise InvalidRequest(
            f"Invalid value for '{param}': {chars} characters; at most {MAX_CHARS} are allowed.", param
        )
    if len(texts) > MAX_TEXTS:
        raise InvalidRequest(
            f"Invalid value for '{param}': {len(texts)} texts; at most {MAX_TEXTS} are allowed.", param
        )
    if not isinstance(given, str) and len(given) > MAX_TOKENS:
        raise InvalidRequest(
            f"Invalid value for '{param}': {len(given)} items; at most {MAX_TOKENS} are allowed.", param
        )


def _check(token: int, path: str) -> None:
    if not 0 <= token <= MAX_TOKEN_ID:
        raise InvalidRequest(f"Invalid value for '{path}': token ids are between 0 and {MAX_TOKEN_ID}.", path)


def _piece(data: bytes) -> str | list[int]:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return list(data)
