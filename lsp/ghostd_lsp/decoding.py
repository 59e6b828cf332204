"""From a message's bytes to checked values; what is wrong becomes an RpcError that says where."""

from __future__ import annotations

import json
from typing import Any, NoReturn, TypeVar

import msgspec

from ghostd_lsp.errors import INVALID_PARAMS, RpcError
from ghostd_lsp.framing import INVALID_REQUEST, PARSE_ERROR
from ghostd_lsp.params import Params

P = TypeVar("P", bound=Params)

MsgId = int | str


def decode_message(body: bytes) -> dict[str, Any]:
    """The JSON object; raises RpcError for anything else, NaN and the like included."""
    try:
        data = json.loads(body.decode("utf-8"), parse_constant=_not_json)
    except RecursionError:
        raise RpcError(PARSE_ERROR, "The message is nested too deeply.") from None
    except ValueError as error:
        raise RpcError(PARSE_ERROR, f"The message is not valid JSON: {error!s:.200}") from None
    if not isinstance(data, dict):
        refuse("A message must be a JSON object; LSP has no batches.")
    return data


def message_id(value: object) -> MsgId:
    """A request's id; raises RpcError for null, true, fractions and the like."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        refuse("The `id` of a request must be a number or a string.")
    return value


def convert_params(params: Any, kind: type[P], name: str = "params") -> P:
    """The parameters as their own type; raises RpcError (InvalidParams) that names the field, below `name`."""
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        raise RpcError(INVALID_PARAMS, f"{name}{where.rstrip('`')}: {problem}") from None
    except UnicodeEncodeError:
        # msgspec quotes or compares a string in UTF-8, which has no lone surrogates; JSON's escapes do.
        raise RpcError(INVALID_PARAMS, f"{name}: a string holds half of a surrogate pair.") from None


def refuse(message: str) -> NoReturn:
    """Raise InvalidRequest."""
    raise RpcError(INVALID_REQUEST, message)


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
