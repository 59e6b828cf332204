"""The HTTP front-end's table of errors: error class → status, OpenAI type and code, and the error object's bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ghostd.errors import (
    AdapterFailed,
    BodyTooLarge,
    ConfigError,
    ContextTooLong,
    EngineMissing,
    GhostdError,
    InstanceError,
    InvalidRequest,
    KeyRefused,
    ModelFileInvalid,
    ModelNotFound,
    ModelTooLarge,
    ModelUnavailable,
    NoCandidate,
    NoUsableKey,
    Overloaded,
    PortTaken,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    RequestEnded,
    RequestError,
    RequestExpired,
    RootError,
    RouteExhausted,
    SecretError,
    SecretMissing,
    ShuttingDown,
    StorageFull,
    StoreError,
    UnsupportedParameter,
    UpstreamError,
    UpstreamFailed,
    UpstreamMalformed,
    UpstreamModelMissing,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
    WorkerCrashed,
    WorkerFailed,
)


class HttpError(GhostdError):
    """A refusal that only HTTP knows: a foreign Host or Origin, an unknown route, a deadline."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Kind:
    """How one error class looks over HTTP; `code` None takes the class's own."""

    status: int
    code: str | None = None


KINDS: Mapping[type[GhostdError], Kind] = {
    ConfigError: Kind(500, "config_error"),
    InstanceError: Kind(409, "instance_error"),
    PortTaken: Kind(500, "port_taken"),
    RootError: Kind(400, "invalid_root"),
    RequestEnded: Kind(503, "shutting_down"),
    RequestExpired: Kind(504, "request_timeout"),
    ShuttingDown: Kind(503, "shutting_down"),
    RequestError: Kind(400),
    InvalidRequest: Kind(400),
    UnsupportedParameter: Kind(400),
    ModelNotFound: Kind(404),
    ContextTooLong: Kind(400),
    BodyTooLarge: Kind(413),
    ProviderError: Kind(502, "provider_error"),
    ModelFileInvalid: Kind(500, "model_file_invalid"),
    ModelTooLarge: Kind(503, "model_too_large"),
    EngineMissing: Kind(501, "engine_missing"),
    WorkerCrashed: Kind(502, "worker_crashed"),
    WorkerFailed: Kind(502, "worker_failed"),
    ModelUnavailable: Kind(503, "model_unavailable"),
    Overloaded: Kind(503, "overloaded"),
    AdapterFailed: Kind(500, "internal_error"),
    SecretError: Kind(500, "secret_error"),
    SecretMissing: Kind(500, "secret_error"),
    StoreError: Kind(500, "store_error"),
    StorageFull: Kind(507, "storage_full"),
    NoCandidate: Kind(400),
    UpstreamError: Kind(502, "upstream_error"),
    UpstreamUnreachable: Kind(502, "upstream_unreachable"),
    UpstreamTimeout: Kind(504, "upstream_timeout"),
    UpstreamMalformed: Kind(502, "upstream_malformed"),
    UpstreamFailed: Kind(502, "upstream_failed"),
    UpstreamModelMissing: Kind(404, "model_not_found"),
    RateLimited: Kind(429, "rate_limit_exceeded"),
    KeyRefused: Kind(502, "upstream_key_refused"),
    QuotaExhausted: Kind(429, "insufficient_quota"),
    NoUsableKey: Kind(502, "no_usable_key"),
    UpstreamRejected: Kind(400),
    RouteExhausted: Kind(502, "route_exhausted"),
}
"""GhostdError itself is not here: every subclass says what it is, and a test finds one that does not."""

_OVERLOADED = 529
"""What Anthropic's API says when too many ask it at once; its clients wait for longer then."""
INTERNAL = HttpError(500, "internal_error", "ghostd failed to serve this request; its log has the details.")


def kind_of(error: type[GhostdError]) -> Kind:
    """The table's row for a class: its own or its nearest base's; raises KeyError for one that has none."""
    for cls in error.__mro__:
        if cls in KINDS:
            return KINDS[cls]
    raise KeyError(error)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told of an error, before a dialect puts it into its own shape."""

    status: int
    headers: Mapping[str, str]
    message: str
    kind: str
    """OpenAI's `type`."""
    param: str | None = None
    code: str | None = None
    original: bytes = b""
    """The upstream's own error body, where it said it in a client's dialect."""
    operation: str = ""
    """What the original answers ("anthropic.messages")."""
    tokens: tuple[int, int] | None = None
    """Of a prompt that is too long: how many it has, and how many the model takes, where ghostd has counted."""


def problem(error: GhostdError) -> Problem:
    """What a client sees of an error: nothing but its message, class and field."""
    headers: dict[str, str] = {}
    if isinstance(error, HttpError):
        status, code = error.status, error.code
        headers.update(error.headers)
    elif isinstance(error, UpstreamRejected):
        status, code = error.status, "context_length_exceeded" if error.reason == "context" else error.code or ""
    elif isinstance(error, RouteExhausted):
        status, code = _exhausted(error), "route_exhausted"
    else:
        kind = _kind(error)
        status, code = kind.status, kind.code or str(getattr(error, "code", "") or "")
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(retry_after_s)))
        headers["retry-after-ms"] = str(max(0, round(retry_after_s * 1000)))
    may_help = error.retryable if isinstance(error, ProviderError) else status == 503
    if status >= 500 and not may_help:
        headers["x-should-retry"] = "false"  # the official SDKs would repeat it for nothing
    original, operation = b"", ""
    if isinstance(error, UpstreamRejected) and error.body is not None:
        original, operation = error.body, error.operation or ""
    return Problem(
        status,
        headers,
        printable(str(error)),
        getattr(error, "kind", None) or _type_of(status),
        getattr(error, "param", None),
        code or None,
        original,
        operation,
        (error.prompt_tokens, error.context_tokens) if isinstance(error, ContextTooLong) else None,
    )


def _kind(error: GhostdError) -> Kind:
    if isinstance(error, NoUsableKey) and error.limited:
        return KINDS[RateLimited]
    if isinstance(error, UpstreamFailed) and error.status == _OVERLOADED:
        return KINDS[Overloaded]
    return kind_of(type(error))


def _exhausted(error: RouteExhausted) -> int:
    """Too many requests, or too late, if that is what all deployments say; else a bad gateway."""
    statuses = {_kind(failure).status for failure in error.failures}
    return statuses.pop() if len(statuses) == 1 else 502


def _type_of(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"


def printable(text: str, limit: int = 2000) -> str:
    """`text`, short, and without the lone surrogates that undecodable bytes of a path or header become."""
    return text[:limit].encode("utf-8", "backslashreplace").decode("utf-8")


def figure(value: float) -> str:
    """A number for a message; JSON has whole ones that are too large for a float."""
    try:
        return f"{value:g}"
    except OverflowError:
        return "a number of hundreds of digits"
