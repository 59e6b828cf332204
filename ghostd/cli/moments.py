"""Points in time on the command line: `7d`, `12h`, `2026-11-01`, `2026-11-01T12:00`."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta

import click

_AGO = re.compile(r"(\d{1,6})(m|h|d|w)")
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def since(ctx: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Seconds since the epoch; a date means its first moment, here."""
    return None if text is None else _moment(ctx, option, text, timedelta())


def until(ctx: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Seconds since the epoch; a date means its end, here."""
    return None if text is None else _moment(ctx, option, text, timedelta(days=1))


def _moment(ctx: click.Context, option: click.Parameter, text: str, of_day: timedelta) -> float:
    if ago := _AGO.fullmatch(text):
        return time.time() - int(ago[1]) * _SECONDS[ago[2]]
    try:
        found = datetime.fromisoformat(text)
        return (found + of_day if _DAY.fullmatch(text) else found).timestamp()
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(
            f"{text!r} is neither a time ago (90m, 12h, 7d, 4w) nor a date (2026-11-01, 2026-11-01T12:00)", ctx, option
        ) from None
