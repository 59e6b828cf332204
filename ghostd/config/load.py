"""A configuration file → Config, or the first mistake in it."""

from __future__ import annotations

from pathlib import Path

from ghostd.config.checks import first_mistake
from ghostd.config.settings import Config
from ghostd.config.toml import error_in, parse_toml
from ghostd.errors import ConfigError


def load_config(path: Path | None) -> Config:
    """The configuration in `path`, or the defaults for None.

    Raises ConfigError, with file and line, when the file is unreadable, not TOML, or holds a key or value that
    is not known.
    """
    if path is None:
        return Config()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the configuration is not UTF-8 text (byte {error.start})") from None
    return parse_config(text, path)


def parse_config(text: str, path: Path) -> Config:
    """The configuration in `text`; `path` is for messages and for relative paths."""
    config = parse_toml(text, path, Config)
    if (mistake := first_mistake(config)) is not None:
        raise error_in(text, path, mistake.keys, mistake.reason)
    return config
