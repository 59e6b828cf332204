"""What Ollama's routes say of themselves in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ghostd.gateway.dialects.ollama.chat import ChatBody
from ghostd.gateway.dialects.ollama.embed import EmbedBody, OlderEmbedBody
from ghostd.gateway.dialects.ollama.generate import GenerateBody
from ghostd.gateway.dialects.ollama.manage import CopyBody, PullBody
from ghostd.gateway.dialects.ollama.messages import MessageBody
from ghostd.gateway.dialects.ollama.models import NameBody
from ghostd.gateway.doc import Doc

_LINES = "application/x-ndjson"


class VersionReply(msgspec.Struct):
    """The version of Ollama whose API this is."""

    version: str


class ModelDetails(msgspec.Struct):
    """What kind of model it is."""

    parent_model: str
    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


class ListedModel(msgspec.Struct):
    """A model."""

    name: str
    model: str
    size: int
    digest: str
    details: ModelDetails
    modified_at: str | None = None
    expires_at: str | None = None
    """Of a model in memory."""
    size_vram: int | None = None
    context_length: int | None = None


class ListReply(msgspec.Struct):
    """Models."""

    models: list[ListedModel]


class ShowReply(msgspec.Struct):
    """What is known of a model."""

    modelfile: str
    parameters: str
    template: str
    details: ModelDetails
    model_info: dict[str, Any]
    capabilities: list[str]
    modified_at: str
    license: str | None = None


class GeneratedReply(msgspec.Struct):
    """A reply, or a line of a streamed one; the figures are in the whole reply and the last line."""

    model: str
    created_at: str
    done: bool
    message: MessageBody | None = None
    """Of `/api/chat`."""
    response: str | None = None
    """Of `/api/generate`."""
    thinking: str | None = None
    done_reason: str | None = None
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None


class EmbedReply(msgspec.Struct):
    """Vectors."""

    model: str
    embeddings: list[list[float]]
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None


class OlderEmbedReply(msgspec.Struct):
    """A vector."""

    embedding: list[float]


class ProgressReply(msgspec.Struct):
    """How far a model has been fetched."""

    status: str
    digest: str | None = None
    total: int | None = None
    completed: int | None = None


def _doc(summary: str, **more: Any) -> Doc:
    return Doc(summary, "Ollama", **more)


_ABSENT = _doc("Not offered: building, publishing and uploading models", absent=True)
DOCS: Mapping[tuple[str, str], Doc] = {
    ("GET", "/"): _doc("Say that a server is there", media="text/plain"),
    ("GET", "/api/version"): _doc("The version of the API", reply=VersionReply),
    ("GET", "/api/tags"): _doc("List the models", reply=ListReply),
    ("GET", "/api/ps"): _doc("List the models in memory", reply=ListReply),
    ("POST", "/api/show"): _doc("What is known of a model", body=NameBody, reply=ShowReply),
    ("POST", "/api/chat"): _doc(
        "Continue a conversation", body=ChatBody, reply=GeneratedReply, streams=_LINES, event=GeneratedReply
    ),
    ("POST", "/api/generate"): _doc(
        "Answer a prompt, or fill a hole", body=GenerateBody, reply=GeneratedReply, streams=_LINES, event=GeneratedReply
    ),
    ("POST", "/api/embed"): _doc("Embed texts", body=EmbedBody, reply=EmbedReply),
    ("POST", "/api/embeddings"): _doc("Embed a text (the older call)", body=OlderEmbedBody, reply=OlderEmbedReply),
    ("POST", "/api/pull"): _doc(
        "Fetch a model", body=PullBody, reply=ProgressReply, streams=_LINES, event=ProgressReply
    ),
    ("POST", "/api/copy"): _doc("Give a model file a second name", body=CopyBody, media="text/plain"),
    ("DELETE", "/api/delete"): _doc("Remove a model file", body=NameBody, media="text/plain"),
    ("POST", "/api/create"): _ABSENT,
    ("POST", "/api/push"): _ABSENT,
    ("POST", "/api/blobs/"): _ABSENT,
    ("GET", "/api/blobs/"): _ABSENT,
}
"""By method and path."""
