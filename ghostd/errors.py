"""Every error ghostd raises on purpose.

    GhostdError
    ├── ConfigError            the configuration file or a command-line option is wrong
    ├── InstanceError          another daemon holds this home, or none runs
    ├── PortTaken              the HTTP port is in use
    ├── RootError              a folder cannot be indexed
    ├── SecretError            a key cannot be read from where the configuration says it lies
    │   └── SecretMissing      there is none
    ├── StoreError             what ghostd keeps for its clients cannot be read or written
    │   └── StorageFull        there is no room for it
    ├── RequestEnded           ghostd itself has ended a request
    │   ├── RequestExpired     its time is over
    │   └── ShuttingDown
    ├── RequestError           the caller's mistake; `param` names the field
    │   ├── InvalidRequest
    │   ├── UnsupportedParameter
    │   ├── NoCandidate        no deployment can do what is asked; says which lacks what
    │   ├── ModelNotFound
    │   ├── ContextTooLong
    │   └── BodyTooLarge
    └── ProviderError          a model could not answer; `retryable`: another deployment may help
        ├── ModelFileInvalid   truncated, not a GGUF, an unknown architecture
        ├── ModelTooLarge      does not fit into memory
        ├── EngineMissing      no local engine is installed
        ├── WorkerCrashed      the worker process died under the request
        ├── WorkerFailed       the worker reported an error
        ├── ModelUnavailable   resting after crashes, or still loading
        ├── Overloaded         the queue is full, or a limit of ours is reached; `retry_after_s`
        ├── AdapterFailed      ghostd itself failed before it had asked the service; the log says how
        ├── UpstreamUnreachable   refused, reset, no such host, TLS
        ├── UpstreamTimeout       `phase`: connect, first byte, idle, total
        ├── UpstreamMalformed     not what the dialect promises: HTML, cut JSON, a stream without its end, too large
        ├── UpstreamFailed        a 5xx
        ├── UpstreamModelMissing  it does not have the model
        ├── RateLimited           a 429; `retry_after_s`
        ├── KeyRefused            401 or 403
        ├── QuotaExhausted        the key's money or quota is gone
        ├── NoUsableKey           every key rests, or none can be read
        ├── UpstreamRejected      it refuses the request itself (400, 413, 422 …); another one would, too
        └── RouteExhausted        every deployment of the route has failed; `failures`

Messages are shown to users: they say what is wrong, where, and how to mend it, and hold no prompt and no secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal


class GhostdError(Exception):
    """Base of all; `str()` is fit to be shown to the user."""


class ConfigError(GhostdError):
    """The configuration is wrong; the message starts with `file:line:` where a line is known."""


class InstanceError(GhostdError):
    """Another daemon of this user and home is running, or none is."""


class PortTaken(GhostdError):
    """The HTTP port is in use by another program."""


class RootError(GhostdError):
    """A root is missing, not a folder, or unreadable."""

    def __init__(self, root: Path, problem: str) -> None:
        super().__init__(f"cannot index {root}: {problem}")
        self.root = root


class SecretError(GhostdError):
    """A secret cannot be read: no such entry, a locked or missing keyring, a command that failed."""


class SecretMissing(SecretError):
    """There is no such secret: an unset variable, no entry of that name, no keyring that could hold one."""


class StoreError(GhostdError):
    """What is to be kept cannot be written, or what was kept cannot be read."""


class StorageFull(StoreError):
    """The disk is full, or a limit on what may be kept is reached."""


class RequestEnded(GhostdError):
    """ghostd has ended a request that was under way, whatever its model was about to say."""


class RequestExpired(RequestEnded):
    """It has taken longer than a request may."""


class ShuttingDown(RequestEnded):
    """ghostd ends."""


class RequestError(GhostdError):
    """The request is wrong; `param` is the path of the offending field, `code` OpenAI's machine-readable code."""

    code: ClassVar[str | None] = None

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class InvalidRequest(RequestError):
    """A field is missing, of a wrong type or out of range."""

    code = "invalid_value"


class UnsupportedParameter(RequestError):
    """The model cannot do what this field asks for."""

    code = "unsupported_parameter"


class NoCandidate(RequestError):
    """None of the model's deployments can do what the request asks for."""

    code = "unsupported_parameter"


class ModelNotFound(RequestError):
    """No model, alias or virtual model has this name."""

    code = "model_not_found"

    def __init__(self, model: str, known: tuple[str, ...] = (), problem: str = "") -> None:
        hint = f" Known models: {', '.join(known)}." if known else ""
        told = problem or f"The model '{model}' does not exist or you do not have access to it."
        super().__init__(told + hint, "model")


class ContextTooLong(RequestError):
    """The prompt and the reply asked for exceed the model's context."""

    code = "context_length_exceeded"

    def __init__(self, prompt_tokens: int, context_tokens: int, param: str = "messages") -> None:
        super().__init__(
            f"This model's maximum context length is {context_tokens} tokens. However, your prompt has "
            f"{prompt_tokens} tokens. Please reduce the length of the prompt.",
            param,
        )
        self.prompt_tokens = prompt_tokens
        self.context_tokens = context_tokens


class BodyTooLarge(RequestError):
    """The request's body exceeds the limit of the setting http.max_body_bytes."""

    code = "request_too_large"


class ProviderError(GhostdError):
    """A model could not answer. `retryable` says whether another deployment may help."""

    retryable: ClassVar[bool] = False


class ModelFileInvalid(ProviderError):
    """The file is not a usable GGUF."""


class ModelTooLarge(ProviderError):
    """The model needs more memory than the machine can give."""


class EngineMissing(ProviderError):
    """No local engine is installed, or not the one the configuration names."""


class WorkerCrashed(ProviderError):
    """The worker process ended while it served this request."""

    retryable = True


class WorkerFailed(ProviderError):
    """The worker could not do the request; it goes on serving others."""


class ModelUnavailable(ProviderError):
    """The model rests after repeated crashes, or did not load in time."""

    retryable = True

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(ProviderError):
    """Too many requests wait for this model."""

    retryable = True

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AdapterFailed(ProviderError):
    """ghostd could not put a request into a service's words: its own mistake, which another service's may lack."""

    retryable = True


class UpstreamError(ProviderError):
    """A server that ghostd asks did not answer as it should. `upstream` names provider and model."""

    retryable = True

    def __init__(self, message: str, upstream: str = "") -> None:
        super().__init__(f"{upstream}: {message}" if upstream else message)
        self.upstream = upstream


class UpstreamUnreachable(UpstreamError):
    """No connection, or it broke before the reply began."""


class UpstreamTimeout(UpstreamError):
    """It took too long."""

    def __init__(
        self, message: str, phase: Literal["connect", "first byte", "idle", "total"], upstream: str = ""
    ) -> None:
        super().__init__(message, upstream)
        self.phase = phase


class UpstreamMalformed(UpstreamError):
    """The reply is not what its dialect promises, or breaks a limit."""


class UpstreamFailed(UpstreamError):
    """A 5xx, or an error in a stream; `retry_after_s` is its own figure, None where it gave none."""

    def __init__(self, message: str, status: int, upstream: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, upstream)
        self.status = status
        self.retry_after_s = retry_after_s


class UpstreamModelMissing(UpstreamError):
    """It does not have the model (404)."""


class RateLimited(UpstreamError):
    """A 429; `retry_after_s` is the upstream's own figure, None where it gave none."""

    def __init__(self, message: str, upstream: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, upstream)
        self.retry_after_s = retry_after_s


class KeyRefused(UpstreamError):
    """A 401 or 403: the key is wrong, revoked or not allowed to use the model."""


class QuotaExhausted(UpstreamError):
    """The key's credit or quota is used up."""


class NoUsableKey(UpstreamError):
    """Every key of the provider rests or cannot be read; the message says why."""

    def __init__(
        self, message: str, upstream: str = "", retry_after_s: float | None = None, *, limited: bool = False
    ) -> None:
        super().__init__(message, upstream)
        self.retry_after_s = retry_after_s
        self.limited = limited
        """Whether all of them rest because they were used too much for a while."""


class UpstreamRejected(UpstreamError):
    """It refuses the request itself. What it said goes to the caller; another deployment would refuse it, too."""

    retryable = False

    def __init__(
        self,
        message: str,
        status: int,
        *,
        code: str | None = None,
        kind: str | None = None,
        param: str | None = None,
        reason: Literal["context", "content_filter"] | None = None,
        body: bytes | None = None,
        operation: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.kind = kind
        """OpenAI's `type`."""
        self.param = param
        self.reason = reason
        """What a fallback to another model may mend."""
        self.body = body
        """The error as it came, for a caller of the same dialect: `operation`."""
        self.operation = operation


class RouteExhausted(ProviderError):
    """Every deployment that could have answered has failed, or rests."""

    retryable = True

    def __init__(
        self, model: str, failures: Sequence[tuple[str, GhostdError]], retry_after_s: float | None = None
    ) -> None:
        told = "; ".join(f"{name}: {error}" for name, error in failures) or "all of them rest after failures"
        super().__init__(f"No deployment of '{model}' could answer. {told}")
        self.failures = tuple(error for _, error in failures)
        self.retry_after_s = retry_after_s
