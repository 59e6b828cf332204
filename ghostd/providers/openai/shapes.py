"""What a whole reply must look like for each of OpenAI's operations, before it is passed on."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from ghostd.errors import UpstreamMalformed
from ghostd.providers.openai.errors import told_error
from ghostd.providers.openai.types import WireUsage
from ghostd.types import Usage


class _Message(msgspec.Struct, gc=False):
    content: str | list[msgspec.Raw] | None = None
    tool_calls: list[msgspec.Raw] | None = None
    function_call: Any = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    audio: Any = None

    def says(self) -> bool:
        """Whether there is anything in it, if only an empty text."""
        return self.content is not None or bool(
            self.tool_calls
            or self.refusal
            or self.reasoning_content
            or self.reasoning
            or self.function_call is not None
            or self.audio is not None
        )


class _Choice(msgspec.Struct, gc=False):
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Whole(msgspec.Struct, gc=False):
    """Members of all the replies."""

    choices: list[_Choice] | None = None
    data: list[msgspec.Raw] | None = None
    results: list[msgspec.Raw] | None = None
    output: list[msgspec.Raw] | None = None
    status: str | None = None
    text: str | None = None
    content: str | None = None
    """llama-server's own calls."""
    usage: WireUsage | None = None
    error: Any = None


_WHOLE = msgspec.json.Decoder(_Whole)

Shape = Callable[[bytes], tuple[Usage | None, str | None]]


@lru_cache(maxsize=256)
def shape_of(operation: str, upstream: str) -> Shape:
    """What checks a JSON reply to this operation: gives its usage and its reason, raises UpstreamError."""
    complete = _COMPLETE[operation]

    def check(body: bytes) -> tuple[Usage | None, str | None]:
        try:
            if not body.isascii():
                body.decode()  # members that are not looked at must be UTF-8, too
            whole = _WHOLE.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamMalformed("its reply is not whole JSON of the promised form", upstream) from None
        if whole.error is not None:
            raise told_error(body, upstream, operation)
        if not complete(whole):
            raise UpstreamMalformed("its reply lacks what was asked for", upstream)
        reason = whole.choices[0].finish_reason if whole.choices else whole.status
        return (whole.usage.counted() if whole.usage is not None else None), reason

    return check


def _chat(whole: _Whole) -> bool:
    return bool(whole.choices) and all(
        choice.message is not None and (choice.message.says() or choice.finish_reason not in {None, "stop"})
        for choice in whole.choices or ()
    )


def _completion(whole: _Whole) -> bool:
    return bool(whole.choices) and all(choice.text is not None for choice in whole.choices or ())


def _fim(whole: _Whole) -> bool:
    return _chat(whole) or _completion(whole)


def _data(whole: _Whole) -> bool:
    return bool(whole.data)


def _results(whole: _Whole) -> bool:
    return whole.results is not None


def _response(whole: _Whole) -> bool:
    return whole.output is not None and whole.status is not None


def _transcript(whole: _Whole) -> bool:
    return whole.text is not None


def _infill(whole: _Whole) -> bool:
    return whole.content is not None


_COMPLETE: dict[str, Callable[[_Whole], bool]] = {
    "openai.chat": _chat,
    "openai.completions": _completion,
    "openai.embeddings": _data,
    "openai.responses": _response,
    "openai.moderations": _results,
    "openai.images.generations": _data,
    "openai.images.edits": _data,
    "openai.images.variations": _data,
    "openai.audio.transcriptions": _transcript,
    "openai.audio.translations": _transcript,
    "mistral.fim": _fim,
    "llamacpp.infill": _infill,
}
