"""llama.cpp's server: its routes.

By https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md and the server's own source.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ghostd.engine import Engine
from ghostd.gateway.dialects.llamacpp.completion import CompletionFields, completion
from ghostd.gateway.dialects.llamacpp.errors import LLAMACPP
from ghostd.gateway.dialects.llamacpp.fields import RANGES
from ghostd.gateway.dialects.llamacpp.infill import InfillFields, infill
from ghostd.gateway.dialects.llamacpp.server import props, slots
from ghostd.gateway.dialects.llamacpp.tokens import (
    DetokenizeBody,
    DetokenizeReply,
    TemplateBody,
    TemplateReply,
    TokenizeBody,
    TokenizeReply,
    apply_template,
    detokenize,
    tokenize,
)
from ghostd.gateway.dialects.openai.chat import DOC as CHAT_DOC
from ghostd.gateway.dialects.openai.chat import chat_completions
from ghostd.gateway.dialects.openai.models import LIST_DOC, list_models
from ghostd.gateway.doc import Doc
from ghostd.gateway.routes import Handler, Route

_SSE = "text/event-stream"
_MODEL = {"model": "Which model; absent: the setting http.llamacpp_model"}


def routes(engine: Engine) -> Sequence[Route]:
    """All routes; `/health` is ghostd's own, which has what llama.cpp's clients look for.

    Its server has OpenAI's chat and models also without `/v1`.
    """

    def post(path: str, handler: Handler, summary: str, body: Any, reply: Any = None, *, streams: str = "") -> Route:
        ranges = RANGES if streams else {}
        doc = Doc(summary, "llama.cpp", body=body, reply=reply, query=_MODEL, streams=streams, ranges=ranges)
        return Route("POST", path, handler, dialect=LLAMACPP, doc=doc)

    def get(path: str, handler: Handler, summary: str, query: dict[str, str]) -> Route:
        return Route("GET", path, handler, dialect=LLAMACPP, doc=Doc(summary, "llama.cpp", query=query))

    fill, continued = partial(infill, engine), partial(completion, engine)
    no_slot = {"fail_on_no_slot": "Whether to answer 503 while the slot is taken"}
    return (
        post("/infill", fill, "Fill the hole in a file", InfillFields, streams=_SSE),
        post("/completion", continued, "Continue prompts", CompletionFields, streams=_SSE),
        post("/completions", continued, "Continue prompts", CompletionFields, streams=_SSE),
        post("/tokenize", partial(tokenize, engine), "Token ids of a text", TokenizeBody, TokenizeReply),
        post("/detokenize", partial(detokenize, engine), "Text of token ids", DetokenizeBody, DetokenizeReply),
        post(
            "/apply-template", partial(apply_template, engine), "Prompt of a conversation", TemplateBody, TemplateReply
        ),
        Route("POST", "/chat/completions", partial(chat_completions, engine), doc=CHAT_DOC),
        Route("GET", "/models", partial(list_models, engine), doc=LIST_DOC),
        get("/props", partial(props, engine), "What a model is", _MODEL),
        get("/slots", partial(slots, engine), "Whether a model is busy", {**_MODEL, **no_slot}),
    )
