"""`POST /v1/responses/input_tokens`: how many tokens a request has, without asking any model."""

from __future__ import annotations

import msgspec

from ghostd.config.responses import ResponsesConfig
from ghostd.engine import Engine
from ghostd.errors import InvalidRequest, RequestError
from ghostd.gateway.calls import model_name
from ghostd.gateway.dialects.responses.call import glance
from ghostd.gateway.dialects.responses.errors import PreviousNotFound, in_own_names, no_conversation
from ghostd.gateway.dialects.responses.input import asked, read_input, relayed_fields
from ghostd.gateway.dialects.responses.request import translated
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.ports import ResponseStore
from ghostd.routing.call import Call


class TokenCountReply(msgspec.Struct):
    """The reply."""

    input_tokens: int
    object: str = "response.input_tokens"


_MODEL = msgspec.json.Decoder(str)


class ResponseTokens:
    """The handler."""

    def __init__(self, engine: Engine, store: ResponseStore | None, config: ResponsesConfig) -> None:
        self._engine = engine
        self._store = store
        self._config = config

    async def count(self, exchange: Exchange) -> Response:
        """Count the input, the history and the tools of a request."""
        _, fields = await exchange.read_fields()
        if fields.get("model", b"null") == b"null":
            raise InvalidRequest("Missing required parameter: 'model'.", "model")
        try:
            model_name(_MODEL.decode(fields["model"]))
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"Invalid value for 'model': {error}.", "model") from None
        wanted = asked(fields)
        said = await read_input(fields, wanted, self._store, self._config.max_history_bytes)
        if said.unknown_previous is not None:
            raise PreviousNotFound(said.unknown_previous)
        if said.unknown_conversation is not None:
            raise no_conversation(said.unknown_conversation)
        try:
            found = translated(fields, said.items, said.own_from, self._config.hosted_tools)
            estimate = Call("openai.responses", found.request.model, "chat", tuple, fields=relayed_fields(fields, said))
            glance(estimate)
            count = await self._engine.count_tokens(found.request, estimate.prompt_tokens)
        except RequestError as error:
            in_own_names(error)
            raise
        response = exchange.json(msgspec.json.encode(TokenCountReply(count.tokens)))
        response.headers["x-ghostd-count"] = "exact" if count.exact else "estimated"
        return response
