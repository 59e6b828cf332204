"""Logging set-up and the id of the request that is being served. No secret that was handed out gets into the log."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from contextvars import ContextVar
from types import TracebackType
from typing import TextIO

from ghostd.config.log import LogConfig
from ghostd.redaction import redact

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Set by the front-ends for the time of one request; shown in every log record made meanwhile."""


def set_up_logging(config: LogConfig, stream: TextIO | None = None) -> None:
    """Send ghostd's log to `stream` (standard error by default); replaces an earlier set-up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if config.format == "json" else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # libraries speak up only when something is wrong
    for name in ("ghostd", "ghostd_lsp"):
        logging.getLogger(name).setLevel(config.level.upper())
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _log_crash
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_thread_crash


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback that nothing caught goes where everything else does, and is redacted there, too."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logging.getLogger("ghostd").critical("ghostd has crashed", exc_info=(kind, error, trace))


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None and crash.exc_type is not SystemExit:
        name = crash.thread.name if crash.thread else "unknown"
        details = (crash.exc_type, crash.exc_value, crash.exc_traceback)
        logging.getLogger("ghostd").critical("the thread %r has crashed", name, exc_info=details)


class _TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00 INFO ghostd.index message [request id]`, in local time."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
        current = request_id.get()
        line = f"{when} {record.levelname} {record.name} {record.getMessage()}{f' [{current}]' if current else ''}"
        return redact(f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line)


class _JsonFormatter(logging.Formatter):
    """One JSON object a line; `ts` is seconds since the epoch."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "ts": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current := request_id.get():
            fields["request_id"] = current
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(fields, ensure_ascii=False))
