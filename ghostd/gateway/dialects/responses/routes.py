"""The routes of the Responses API and of its conversations, and what the OpenAPI document says of them."""

from __future__ import annotations

from collections.abc import Sequence

from ghostd.config.responses import ResponsesConfig
from ghostd.engine import Engine
from ghostd.gateway.dialects.responses.background import Background
from ghostd.gateway.dialects.responses.compact import Compaction
from ghostd.gateway.dialects.responses.conversations import ConversationChange, Conversations, NewConversation
from ghostd.gateway.dialects.responses.create import Responses
from ghostd.gateway.dialects.responses.request import RANGES, TRUNCATIONS, ResponseRequest
from ghostd.gateway.dialects.responses.stored import StoredResponses
from ghostd.gateway.dialects.responses.tokens import ResponseTokens, TokenCountReply
from ghostd.gateway.doc import Doc
from ghostd.gateway.routes import Route
from ghostd.ports import ResponseStore

_TAG = "Responses"
_PAGING = {
    "limit": "Of a list: how many, from 1 to 100.",
    "order": 'Of a list: "asc" or "desc".',
    "after": "Of a list: the id of the item before its first.",
}
_HEARD = {
    "stream": 'Of a response that is streamed in the background: "true" for its events.',
    "starting_after": "Of these: the sequence number of the event before the first.",
}
_CREATE = Doc(
    "Make a response",
    _TAG,
    body=ResponseRequest,
    streams="text/event-stream",
    ranges=RANGES,
    words={"truncation": TRUNCATIONS},
)
_COUNT = Doc("Count the tokens of a request for a response", _TAG, body=ResponseRequest, reply=TokenCountReply)
_COMPACT = Doc("Have a conversation summarised", _TAG, body=ResponseRequest)
_RESPONSE_ID = {"id": "The response's id; `/input_items` behind it lists its input, `/cancel` ends its making."}
_STORED = {
    "GET": Doc("A stored response, or its input items", _TAG, path=_RESPONSE_ID, query={**_PAGING, **_HEARD}),
    "POST": Doc("Cancel a response that is made in the background", _TAG, path=_RESPONSE_ID),
    "DELETE": Doc("Delete a stored response", _TAG, path=_RESPONSE_ID),
}
_BEGIN = Doc("Begin a conversation", _TAG, body=NewConversation)
_CONVERSATION_ID = {"id": "The conversation's id; `/items` and `/items/ID` behind it are what was said in it."}
_CONVERSATIONS = {
    "GET": Doc("A conversation, or its items", _TAG, path=_CONVERSATION_ID, query=_PAGING),
    "POST": Doc("Change a conversation, or add to its items", _TAG, path=_CONVERSATION_ID, body=ConversationChange),
    "DELETE": Doc("Delete a conversation, or one of its items", _TAG, path=_CONVERSATION_ID),
}


def routes(
    engine: Engine, kept: ResponseStore | None, config: ResponsesConfig, background: Background
) -> Sequence[Route]:
    """All of them. Without a store nothing is kept."""
    responses = Responses(engine, kept, config, background)
    stored = StoredResponses(kept, background)
    conversations = Conversations(kept)
    tokens = ResponseTokens(engine, kept, config)
    return (
        Route("POST", "/v1/responses", responses.create, doc=_CREATE),
        Route("POST", "/v1/responses/input_tokens", tokens.count, doc=_COUNT),
        Route("POST", "/v1/responses/compact", Compaction(engine, kept, config).compact, doc=_COMPACT),
        *(Route(method, "/v1/responses/", stored.serve, prefix=True, doc=doc) for method, doc in _STORED.items()),
        Route("POST", "/v1/conversations", conversations.create, doc=_BEGIN),
        *(
            Route(method, "/v1/conversations/", conversations.serve, prefix=True, doc=doc)
            for method, doc in _CONVERSATIONS.items()
        ),
    )
