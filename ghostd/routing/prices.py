"""What models cost: a dated table that comes with ghostd, and the user's own file over it.

The built-in table is parsed when a price is first asked for (about 3 ms), the user's file at once, so that a mistake in
it is told at start.
"""

from __future__ import annotations

import re
from datetime import date
from importlib.resources import files
from pathlib import Path

import msgspec

from ghostd.config.providers import PriceConfig
from ghostd.config.toml import parse_toml
from ghostd.errors import ConfigError
from ghostd.types import Usage

FREE = PriceConfig(input=0.0, output=0.0)
"""The price of models on this machine."""

_BUILT_IN = "prices.toml"
_MAX_FILE_BYTES = 4 * 1024 * 1024
_DATED = re.compile(r"[-@](?:20\d\d-[01]\d-[0-3]\d|20\d\d[01]\d[0-3]\d)$")
"""A full date at a name's end. Shorter numbers are versions, which have prices of their own."""
_ANY = "*"

_Prices = dict[str, dict[str, PriceConfig]]


class PriceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of prices."""

    date: date | None = None
    """When they were noted."""
    prices: _Prices = {}
    """[prices.PRESET], "MODEL" = { input = 2, output = 8 }; "*" stands for those without one."""


class PriceTable:
    """Prices by preset and model; those given win over the built-in ones. Made by `load_prices`."""

    def __init__(self, own: _Prices | None = None) -> None:
        self._own = own or {}
        self._text = (files("ghostd.routing") / _BUILT_IN).read_text(encoding="utf-8")
        self._parsed: PriceFile | None = None

    @property
    def noted(self) -> date | None:
        """When the built-in prices were noted."""
        return self._built_in().date

    def price_of(self, preset: str, model: str) -> PriceConfig | None:
        """The model's price; None if it is unknown.

        A name that is not listed and ends in a full date has the price of the same name without it.
        """
        for name in dict.fromkeys((model, _DATED.sub("", model))):
            for table in (self._own, self._built_in().prices):
                if (found := table.get(preset, {}).get(name)) is not None:
                    return found
        return self._own.get(preset, {}).get(_ANY)

    def _built_in(self) -> PriceFile:
        if self._parsed is None:
            self._parsed = parse_toml(self._text, Path(_BUILT_IN), PriceFile)
        return self._parsed


def load_prices(path: Path | None) -> PriceTable:
    """The built-in prices with those of the file at `path` over them; raises ConfigError, with file and line.

    Reads files: not for the event loop's thread.
    """
    if path is None:
        return PriceTable()
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the prices: {error.strerror}") from None
    if len(data) > _MAX_FILE_BYTES:
        raise ConfigError(f"{path}: a file of prices has at most {_MAX_FILE_BYTES} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the file of prices is not UTF-8 text (byte {error.start})") from None
    return PriceTable(parse_toml(text, path, PriceFile).prices)


def cost_usd(price: PriceConfig | None, usage: Usage | None) -> float | None:
    """What a request cost; None where price or usage is unknown.

    Cached and cache-writing tokens are part of the prompt and have prices of their own; reasoning tokens are part of
    what was generated.
    """
    if price is None or usage is None:
        return None
    rates = price.long if price.long is not None and usage.prompt_tokens > price.long.above_tokens else price
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    written = min(usage.cache_write_tokens, usage.prompt_tokens - cached)
    plain = usage.prompt_tokens - cached - written
    return (
        plain * rates.input
        + cached * (rates.input if rates.cached_input is None else rates.cached_input)
        + written * (rates.input if rates.cache_write is None else rates.cache_write)
        + usage.completion_tokens * rates.output
    ) / 1_000_000
