"""Jinja for templates of unknown origin: a sandbox with limits on time and on what its operators make."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import FrameType
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

_MAX_OPERAND = 1_000_000


class TimedOut(BaseException):
    """Not an Exception, so that a template's own `except` paths cannot swallow it."""


class Refused(Exception):
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


class _Generation(Extension):
    """`{% generation %}` marks the assistant's text for training, in Hugging Face's templates; here it is just text."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own declaration

    def parse(self, parser: Parser) -> list[jinja2.nodes.Node]:
        """The block's body."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def environment() -> jinja2.Environment:
    """A new environment with what Hugging Face's templates expect."""
    environment = _Sandbox(
        trim_blocks=True, lstrip_blocks=True, autoescape=False, extensions=["jinja2.ext.loopcontrols", _Generation]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
    **_: Any,
) -> str:
    """As in Hugging Face's templates: Jinja's own filter escapes HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: object) -> NoReturn:
    raise Refused(str(message)[:500])


def _strftime_now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimedOut in the block when it computes longer. For the main thread: it is an alarm signal.

    Time that a busy machine gives to others does not count.
    """
    began_s = time.thread_time()

    def expire(_signal: int, _frame: FrameType | None) -> None:
        if time.thread_time() - began_s >= seconds:
            raise TimedOut

    before = signal.signal(signal.SIGALRM, expire)
    # Repeated: for one that has not had its time yet, and one that catches the exception where Python ignores it.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
