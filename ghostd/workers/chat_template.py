"""Chat through the model file's own template, which is a program of unknown origin.

It runs in Jinja's sandbox with limits on time and output. Message text that spells a special token is replaced
by a stand-in while the template runs, so only the template itself can write control tokens.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import FrameType
from typing import Any, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ghostd.workers.engines.contract import EngineFailed, RequestInvalid

MAX_OUTPUT_CHARS = 8 * 1024 * 1024
_MAX_OPERAND = 1_000_000
_OPEN, _CLOSE = "\ue000", "\ue001"
_STAND_IN = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")


class _TimedOut(BaseException):
    """Not an Exception, so that a template's own `except` paths cannot swallow it."""


class ChatTemplate:
    """Renders conversations. Call from the main thread: the time limit is an alarm signal."""

    def __init__(self, source: str, *, bos: str, eos: str, special_texts: Sequence[str], timeout_s: float) -> None:
        self._source = source
        self._bos, self._eos = bos, eos
        self._timeout_s = timeout_s
        self._special = _special_pattern(special_texts)
        self._starts = _proper_prefixes(special_texts)
        self._compiled: jinja2.Template | None = None

    def render(self, messages: Sequence[tuple[str, str]]) -> list[tuple[str, bool]]:
        """The prompt of (role, content) messages as (text, is template text) pairs.

        Raises RequestInvalid when the template refuses the conversation, EngineFailed when it is broken, takes
        too long or writes too much.
        """
        quoted: list[str] = []
        turns = [
            # Templates know "system" only; "developer" is OpenAI's newer word for it.
            {"role": "system" if role == "developer" else role, "content": self._protect(content, quoted)}
            for role, content in messages
        ]
        try:
            with _time_limit(self._timeout_s):
                text = self._run(turns)
        except _TimedOut:
            raise EngineFailed(
                f"the model's chat template did not finish within {self._timeout_s:g} s (local.chat_template_timeout_s)"
            ) from None
        return _split(text, quoted)

    def _run(self, turns: list[dict[str, str]]) -> str:
        try:
            if self._compiled is None:
                self._compiled = _environment().from_string(self._source)
            parts, size = [], 0
            for part in self._compiled.generate(
                messages=turns,
                add_generation_prompt=True,
                bos_token=self._bos,
                eos_token=self._eos,
                tools=None,
            ):
                size += len(part)
                if size > MAX_OUTPUT_CHARS:
                    raise EngineFailed(f"the model's chat template wrote more than {MAX_OUTPUT_CHARS} characters")
                parts.append(part)
            return "".join(parts)
        except _Refused as error:
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

    def _protect(self, content: str, quoted: list[str]) -> str:
        """`content` with stand-ins for what spells a special token, or may begin or end one at its edges."""

        def stand_in(match: re.Match[str]) -> str:
            quoted.append(match[0])
            return f"{_OPEN}{len(quoted) - 1}{_CLOSE}"

        protected = self._special.sub(stand_in, content)
        for length in range(min(len(protected), max(map(len, self._starts), default=0)), 0, -1):
            if protected[-length:] in self._starts:
                quoted.append(protected[-length:])
                return f"{protected[:-length]}{_OPEN}{len(quoted) - 1}{_CLOSE}"
        return protected


class _Refused(Exception):
    """The template called raise_exception."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, without operators that make huge values out of small ones."""

    intercepted_binops = frozenset(("*", "**", "%"))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse products, powers and formats that would take much memory or time."""
        if operator == "**" and not (_small(left, 1000) and _small(right, 64)):
            raise ValueError("power too large")
        if operator == "*" and not _product_fits(left, right):
            raise ValueError("product too large")
        if operator == "%" and isinstance(left, str) and re.search(r"%[^a-zA-Z%]*(\d{5,}|\*)", left):
            raise ValueError("format too wide")
        return super().call_binop(context, operator, left, right)


def _small(value: Any, limit: int) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= limit


def _product_fits(left: Any, right: Any) -> bool:
    if isinstance(left, (str, bytes, list, tuple)):
        left, right = right, left
    if isinstance(right, (str, bytes, list, tuple)):
        return isinstance(left, int) and left * len(right) <= _MAX_OPERAND
    return _small(left, 2**62) and _small(right, 2**62)


def _environment() -> jinja2.Environment:
    environment = _Sandbox(
        trim_blocks=True, lstrip_blocks=True, autoescape=False, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **_: Any) -> str:
    """As in Hugging Face's templates: Jinja's own filter escapes HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _raise_exception(message: object) -> NoReturn:
    raise _Refused(str(message)[:500])


def _strftime_now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def expire(_signal: int, _frame: FrameType | None) -> None:
        raise _TimedOut

    before = signal.signal(signal.SIGALRM, expire)
    # Repeated, for a template that catches the first one in a place where Python ignores exceptions.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _special_pattern(texts: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join((*(re.escape(text) for text in longest_first), f"[{_OPEN}{_CLOSE}]")))


def _proper_prefixes(texts: Sequence[str]) -> frozenset[str]:
    return frozenset(text[:length] for text in texts for length in range(1, len(text)))


def _split(text: str, quoted: Sequence[str]) -> list[tuple[str, bool]]:
    segments: list[tuple[str, bool]] = []
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
