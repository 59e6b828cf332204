"""The one table from ghostd's errors to LSP's."""

from __future__ import annotations

from ghostd.errors import (
    ConfigError,
    GhostdError,
    InstanceError,
    PortTaken,
    ProviderError,
    RequestEnded,
    RequestError,
    RootError,
    SecretError,
    StoreError,
)

INVALID_PARAMS = -32602
METHOD_NOT_FOUND = -32601
INTERNAL_ERROR = -32603
SERVER_NOT_INITIALIZED = -32002
REQUEST_CANCELLED = -32800
CONTENT_MODIFIED = -32801
REQUEST_FAILED = -32803

LSP_CODE: dict[type[GhostdError], int] = {
    ConfigError: REQUEST_FAILED,
    InstanceError: REQUEST_FAILED,
    PortTaken: REQUEST_FAILED,
    RootError: REQUEST_FAILED,
    SecretError: REQUEST_FAILED,
    StoreError: REQUEST_FAILED,
    RequestEnded: REQUEST_FAILED,
    RequestError: INVALID_PARAMS,
    ProviderError: REQUEST_FAILED,
}


class RpcError(Exception):
    """A request's answer is this error; the message is shown to the user."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def lsp_code(error: type[GhostdError]) -> int:
    """The code for an error class: its own entry in the table, or the nearest base's."""
    return next(LSP_CODE[base] for base in error.__mro__ if base in LSP_CODE)


def rpc_error(error: GhostdError) -> RpcError:
    """What the client is told."""
    return RpcError(lsp_code(type(error)), str(error))
