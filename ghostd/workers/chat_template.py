"""Chat through the model file's own template, which is a program of unknown origin.

It runs in Jinja's sandbox with limits on time and output. Text of messages and tools that spells a special token is
replaced by a stand-in while the template runs, so only the template itself can write control tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from ghostd.workers.engines.contract import EngineFailed, RequestInvalid
from ghostd.workers.template_sandbox import Refused, TimedOut, environment, time_limit

MAX_OUTPUT_CHARS = 8 * 1024 * 1024
_MAX_DEPTH = 100
_OPEN, _CLOSE = "\ue000", "\ue001"
_STAND_IN = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
_ESCAPED_STAND_IN = re.compile(r"\\ue000([0-9]+)\\ue001")

Segment = tuple[str, bool]
"""Text, and whether the template wrote it."""


class ChatTemplate:
    """Renders conversations. Call from the main thread: the time limit is an alarm signal."""

    def __init__(self, source: str, *, bos: str, eos: str, special_texts: Sequence[str], timeout_s: float) -> None:
        self.source = source
        self._bos, self._eos = bos, eos
        self._timeout_s = timeout_s
        self._special = _special_pattern(special_texts)
        self._starts = _proper_prefixes(special_texts)
        self._longest_start = max(map(len, self._starts), default=0)
        self._compiled: jinja2.Template | None = None
        self._quoted: list[str] = []

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> list[Segment]:
        """The prompt of messages and tools in Hugging Face's shape, as segments.

        Raises RequestInvalid when the template refuses the conversation, EngineFailed when it is broken, takes
        too long or writes too much.
        """
        self._quoted = []
        turns = [{**self._protected(message, 0), "role": message["role"]} for message in messages]
        declared = None if tools is None else [{**self._protected(tool, 0), "type": tool["type"]} for tool in tools]
        return _split(self._limited(turns, declared, variables or {}), self._quoted)

    def _tried(self, turns: Sequence[Any], tools: Sequence[Any] | None, variables: Mapping[str, Any]) -> str:
        """Without tools, first with None for them, as transformers does, then without the name, as llama.cpp does."""
        try:
            return self._run(turns, {**variables, "tools": tools})
        except EngineFailed:
            if tools is not None:
                raise
            return self._run(turns, variables)

    def probe(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None = None
    ) -> str | None:
        """What the template makes of an example; None where it fails. Raises EngineFailed when it takes too long."""
        self._quoted = []
        try:
            return self._limited(list(messages), tools, {})
        except RequestInvalid:
            return None
        except EngineFailed as error:
            if isinstance(error, _TooLong):
                raise
            return None

    def _limited(self, turns: Sequence[Any], tools: Sequence[Any] | None, variables: Mapping[str, Any]) -> str:
        try:
            with time_limit(self._timeout_s):
                return self._tried(turns, tools, variables)
        except TimedOut:
            raise _TooLong(
                f"the model's chat template did not finish within {self._timeout_s:g} s of CPU time "
                "(local.chat_template_timeout_s)"
            ) from None

    def _run(self, turns: Sequence[Any], variables: Mapping[str, Any]) -> str:
        try:
            if self._compiled is None:
                within = environment()
                plain = within.filters["tojson"]
                within.filters["tojson"] = lambda value, **how: self._json(plain(value, **how))
                self._compiled = within.from_string(self.source)
            parts, size = [], 0
            for part in self._compiled.generate(
                messages=turns,
                add_generation_prompt=True,
                bos_token=self._bos,
                eos_token=self._eos,
                **variables,
            ):
                size += len(part)
                if size > MAX_OUTPUT_CHARS:
                    raise EngineFailed(f"the model's chat template wrote more than {MAX_OUTPUT_CHARS} characters")
                parts.append(part)
            return "".join(parts)
        except Refused as error:
            raise RequestInvalid(f"The model's chat template refuses these messages: {error}", "messages") from None
        except jinja2.TemplateError as error:
            raise EngineFailed(f"the model's chat template failed: {error.message or type(error).__name__}") from None
        except (
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            RecursionError,
            MemoryError,
        ) as error:
            raise EngineFailed(f"the model's chat template failed: {type(error).__name__}") from None

    # --- text that must stay text ------------------------------------------------

    def _protected(self, value: Any, depth: int) -> Any:
        """The value with every string in it protected, keys too."""
        if isinstance(value, str):
            return self._protect(value)
        if depth > _MAX_DEPTH:
            raise RequestInvalid(f"Messages and tools may be nested {_MAX_DEPTH} deep at most.", "messages")
        if isinstance(value, Mapping):
            return {self._protect(str(key)): self._protected(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._protected(inner, depth + 1) for inner in value]
        return value

    def _protect(self, content: str) -> str:
        """`content` with stand-ins for what spells a special token, or may begin or end one at its edges."""
        protected = self._special.sub(lambda match: self._stand_in(match[0]), content)
        for length in range(min(len(protected), self._longest_start), 0, -1):
            if protected[-length:] in self._starts:
                return protected[:-length] + self._stand_in(protected[-length:])
        return protected

    def _stand_in(self, text: str) -> str:
        self._quoted.append(text)
        return f"{_OPEN}{len(self._quoted) - 1}{_CLOSE}"

    def _json(self, text: str) -> str:
        """JSON that a template writes: what its stand-ins stand for is inside of JSON strings now."""
        if _OPEN not in text and "\\ue000" not in text:
            return text
        text = _ESCAPED_STAND_IN.sub(lambda match: f"{_OPEN}{match[1]}{_CLOSE}", text)
        return _STAND_IN.sub(self._in_json, text)

    def _in_json(self, match: re.Match[str]) -> str:
        number = int(match[1])
        if number >= len(self._quoted):
            return match[0]
        written = json.dumps(self._quoted[number], ensure_ascii=False)[1:-1]
        return match[0] if written == self._quoted[number] else self._stand_in(written)


class _TooLong(EngineFailed):
    """The template did not finish in time."""


def _special_pattern(texts: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join((*(re.escape(text) for text in longest_first), f"[{_OPEN}{_CLOSE}]")))


def _proper_prefixes(texts: Sequence[str]) -> frozenset[str]:
    return frozenset(text[:length] for text in texts for length in range(1, len(text)))


def _split(text: str, quoted: Sequence[str]) -> list[Segment]:
    segments: list[Segment] = []
    start = 0
    for match in _STAND_IN.finditer(text):
        number = int(match[1])
        if number >= len(quoted):
            continue
        segments.append((text[start : match.start()], True))
        segments.append((quoted[number], False))
        start = match.end()
    segments.append((text[start:], True))
    return [segment for segment in segments if segment[0]]
