"""The four forms of a prompt and of an embedding's input: a text, texts, token ids, lists of token ids."""

from __future__ import annotations

from ghostd.errors import InvalidRequest
from ghostd.types import Prompt

MAX_TOKEN_ID = 2**31 - 1


def texts_or_tokens(given: str | list[str | int | list[int]], param: str, limit: int) -> list[Prompt]:
    """One prompt for each text or list of token ids; raises InvalidRequest with the item that does not fit."""
    if isinstance(given, str):
        return [(given,)]
    if not given:
        raise InvalidRequest(f"Invalid value for '{param}': an empty list.", param)
    kind = type(given[0])
    for number, item in enumerate(given):
        if type(item) is not kind:
            raise InvalidRequest(
                f"Invalid value for '{param}[{number}]': items of several types.", f"{param}[{number}]"
            )
    if kind is int:
        return [_tokens(given, param)]
    if len(given) > limit:
        raise InvalidRequest(f"Invalid value for '{param}': {len(given)} items; at most {limit} are allowed.", param)
    return [
        (item,) if isinstance(item, str) else _tokens(item, f"{param}[{number}]") for number, item in enumerate(given)
    ]


def _tokens(ids: object, param: str) -> Prompt:
    assert isinstance(ids, list)
    if not ids:
        raise InvalidRequest(f"Invalid value for '{param}': an empty list.", param)
    if min(ids) < 0 or max(ids) > MAX_TOKEN_ID:
        raise InvalidRequest(f"Invalid value for '{param}': token ids are between 0 and {MAX_TOKEN_ID}.", param)
    return tuple(ids)
