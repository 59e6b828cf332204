"""TOML → structs; what is wrong is told with file and line."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

from ghostd.config.lines import line_of
from ghostd.errors import ConfigError

S = TypeVar("S", bound=msgspec.Struct)


def parse_toml(text: str, path: Path, kind: type[S]) -> S:
    """The settings in `text`; raises ConfigError, with file and line, for what is no TOML or no such setting."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        where = f":{match[1]}:{match[2]}" if match else ""
        reason = re.sub(r" \(at .*\)$", "", str(error))
        raise ConfigError(f"{path}{where}: not valid TOML: {reason}") from None
    except RecursionError:
        raise ConfigError(f"{path}: the configuration is nested too deeply") from None
    unknown = _unknown_key(data, kind)
    if unknown is not None:
        keys, known = unknown
        raise ConfigError(_unknown_message(text, path, keys, known))
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        keys = _wrong_key(data, kind)
        reason, _, place = str(error).partition(" - at `$")
        inside = re.search(r"\[\d+\][^`]*", place.rpartition(f".{keys[-1]}")[2] if keys else "")  # of an array
        name = ".".join(keys) + (inside[0] if inside else "")
        raise ConfigError(f"{path}{line_of(text, keys)}: `{name}`: {reason}") from None


def error_at(path: Path, keys: Sequence[str], reason: str) -> ConfigError:
    """The error for a setting, with file and line where they are known; reads the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    return error_in(text, path, keys, reason)


def error_in(text: str, path: Path, keys: Sequence[str], reason: str) -> ConfigError:
    """The same where the file's text is at hand."""
    return ConfigError(f"{path}{line_of(text, keys)}: `{'.'.join(keys)}`: {reason}")


def _wrong_key(value: Any, kind: Any) -> list[str]:
    """The path of the first value that is not of its kind; msgspec tells it without the names in tables."""
    inside: list[tuple[str, Any, Any]] = []
    if isinstance(value, dict):
        for option in get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,):
            if isinstance(option, type) and issubclass(option, msgspec.Struct):
                inside = [(name, value.get(name), field_kind) for name, field_kind in _fields(option).items()]
            elif get_origin(option) is dict:
                inside = [(key, entry, get_args(option)[1]) for key, entry in value.items()]
    for key, entry, entry_kind in inside:
        if key in value:
            try:
                msgspec.convert(entry, entry_kind)
            except msgspec.ValidationError:
                return [key, *_wrong_key(entry, entry_kind)]
    return []


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The settings of a table and their kinds; msgspec takes 60 µs to tell them."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(struct)}


def _unknown_key(data: dict[str, Any], struct: type[msgspec.Struct]) -> tuple[list[str], list[str]] | None:
    """The path of the first key that `struct` does not have, and the names it has there."""
    fields = _fields(struct)
    for key, value in data.items():
        if key not in fields:
            return [key], sorted(fields)
        if found := _unknown_below(value, fields[key]):
            return [key, *found[0]], found[1]
    return None


def _unknown_below(value: Any, kind: Any) -> tuple[list[str], list[str]] | None:
    """The same inside a value: a struct, a table of structs by name, or an array of them."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _unknown_key(value, kind) if isinstance(value, dict) else None
    arguments = get_args(kind)
    if isinstance(value, dict) and get_origin(kind) is dict:
        for name, entry in value.items():
            if found := _unknown_below(entry, arguments[1]):
                return [name, *found[0]], found[1]
        return None
    for entry in value if isinstance(value, list) else [value]:
        for argument in arguments:
            if found := _unknown_below(entry, argument):
                return found
    return None


def _unknown_message(text: str, path: Path, keys: list[str], known: list[str]) -> str:
    close = difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.4)
    hint = f"; did you mean `{close[0]}`?" if close else f"; known here: {', '.join(known)}"
    return f"{path}{line_of(text, keys)}: unknown setting `{'.'.join(keys)}`{hint}"
