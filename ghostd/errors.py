"""Every error ghostd raises on purpose.

    GhostdError
    ├── ConfigError            the configuration file or a command-line option is wrong
    ├── InstanceError          another daemon holds this home, or none runs
    ├── PortTaken              the HTTP port is in use
    ├── RootError              a folder cannot be indexed
    ├── RequestError           the caller's mistake; `param` names the field
    │   ├── InvalidRequest
    │   ├── UnsupportedParameter
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
        └── Overloaded         the queue is full; `retry_after_s`

Messages are shown to users: they say what is wrong, where, and how to mend it, and hold no prompt and no secret.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


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


class ModelNotFound(RequestError):
    """No model, alias or virtual model has this name."""

    code = "model_not_found"

    def __init__(self, model: str, known: tuple[str, ...] = ()) -> None:
        hint = f" Known models: {', '.join(known)}." if known else ""
        super().__init__(f"The model '{model}' does not exist or you do not have access to it.{hint}", "model")


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
