"""Tabby's `POST /v1/completions`: fill the hole between `segments`; told from OpenAI's call of the path by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from ghostd.engine import Engine
from ghostd.errors import InvalidRequest, RequestError, UnsupportedParameter
from ghostd.gateway.answering import Reply, answer
from ghostd.gateway.calls import decoded, estimated_tokens
from ghostd.gateway.dialects.openai.fields import check_ranges
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.routing.call import Call, Job
from ghostd.types import Delta, FillRequest, OpenDocument, Sampling

MAX_SNIPPETS = 1000
RANGES: Mapping[str, tuple[float, float]] = {"temperature": (0, 2), "seed": (0, 2**63 - 1)}
_ABSENT = (None, b"null")
_NO_NAME = (*_ABSENT, b'""')
_ENCODER = msgspec.json.Encoder()


class Snippet(msgspec.Struct):
    """A part of another file."""

    filepath: str
    body: str
    score: float | None = None


class Segments(msgspec.Struct):
    """The hole and what is around it."""

    prefix: str
    suffix: str | None = None
    filepath: str | None = None
    git_url: str | None = None
    declarations: list[Snippet] | None = None
    relevant_snippets_from_changed_files: list[Snippet] | None = None
    relevant_snippets_from_recently_opened_files: list[Snippet] | None = None
    clipboard: str | None = None
    """Accepted, and quoted nowhere."""


class DebugOptions(msgspec.Struct):
    """What developers of Tabby ask for."""

    raw_prompt: str | None = None


class TabbyBody(msgspec.Struct, kw_only=True):
    """The body, as far as it means something here."""

    segments: Segments
    model: str = ""
    """Not Tabby's: which model fills; absent: the setting http.llamacpp_model."""
    language: str | None = None
    user: str | None = None
    temperature: float | None = None
    seed: int | None = None
    mode: str | None = None
    debug_options: DebugOptions | None = None


_DECODER = msgspec.json.Decoder(TabbyBody)


def is_tabbys(call: Call) -> bool:
    """Whether a call of the path is Tabby's."""
    return call.fields.get("segments") not in _ABSENT


def check_model(engine: Engine, call: Call) -> None:
    """Refuse a call of OpenAI's that names no model; only Tabby's need not."""
    if call.fields.get("model") in _NO_NAME and not is_tabbys(call):
        error: RequestError = InvalidRequest("Missing required parameter: 'model'.", "model")
        engine.refused(call, error)
        raise error


async def fill(engine: Engine, exchange: Exchange, call: Call) -> Response | None:
    """Answer a fill. Its id is the ledger's, by which `/v1/events` tells what became of it."""
    call.operation, call.capability = "tabby.completions", "fill"
    call.relayable = call.stream = False
    call.several = True  # a text longer than the context is cut to what stands around the hole
    call.prompt_tokens = estimated_tokens(call.fields["segments"])
    encoder = _Encoder()
    call.decode = partial(encoder.jobs, call.body)
    return await answer(engine, exchange, call, encoder)


class _Encoder:
    """Deltas as Tabby's reply."""

    def __init__(self) -> None:
        self._windows = False

    def jobs(self, body: bytes) -> Sequence[Job]:
        """The one generation. Lines of Windows are shown to the model with plain line breaks."""
        request = _fill(decoded(_DECODER, body))
        self._windows = "\r\n" in request.prefix or "\r\n" in request.suffix
        if self._windows:
            request = replace(
                request,
                prefix=request.prefix.replace("\r\n", "\n"),
                suffix=request.suffix.replace("\r\n", "\n"),
            )
        return [Job(request)]

    def whole(self, call: Call, model: str, replies: list[Reply]) -> bytes:
        """The body."""
        text = "".join(replies[0].text)
        if self._windows:
            text = text.replace("\n", "\r\n")
        return _ENCODER.encode({"id": call.id, "choices": [{"index": 0, "text": text}]})

    def begin(self, call: Call, model: str) -> None:
        """Nothing of this is streamed."""
        raise AssertionError(call.operation)

    def events(self, delta: Delta) -> bytes:
        """Nothing of this is streamed."""
        raise AssertionError(delta)

    def end(self, call: Call) -> bytes:
        """Nothing of this is streamed."""
        raise AssertionError(call.operation)


def _fill(fields: TabbyBody) -> FillRequest:
    check_ranges(fields, RANGES)
    if fields.mode not in (None, "standard"):
        raise UnsupportedParameter("'mode' can only be \"standard\": ghostd predicts no edits.", "mode")
    if fields.debug_options is not None and fields.debug_options.raw_prompt is not None:
        raise UnsupportedParameter("Raw prompts are for OpenAI's 'prompt'.", "debug_options.raw_prompt")
    segments = fields.segments
    return FillRequest(
        model=fields.model,
        prefix=segments.prefix,
        suffix=segments.suffix or "",
        path=_path(segments.filepath, "segments.filepath") if segments.filepath else None,
        language=fields.language or None,
        sampling=Sampling(temperature=fields.temperature, seed=fields.seed),
        open_documents=_documents(segments),
        quote_documents=True,
    )


def _documents(segments: Segments) -> tuple[OpenDocument, ...]:
    """The snippets, the most relevant first, each text once."""
    found: dict[str, OpenDocument] = {}
    for name in (
        "relevant_snippets_from_changed_files",
        "relevant_snippets_from_recently_opened_files",
        "declarations",
    ):
        snippets: list[Snippet] = getattr(segments, name) or []
        if len(snippets) > MAX_SNIPPETS:
            raise InvalidRequest(
                f"Invalid value for 'segments.{name}': {len(snippets)} snippets; at most {MAX_SNIPPETS} are allowed.",
                f"segments.{name}",
            )
        for place, snippet in enumerate(snippets):
            path = _path(snippet.filepath, f"segments.{name}[{place}].filepath")
            found.setdefault(snippet.body, OpenDocument(path, snippet.body))
    return tuple(found.values())


def _path(text: str, param: str) -> Path:
    if "\0" in text:
        raise InvalidRequest(f"Invalid value for '{param}': a path has no NUL character.", param)
    return Path(text.removeprefix("file://"))
