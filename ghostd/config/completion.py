"""The settings of editors' completions, and of the built-in model: [completion], [project_model]."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ghostd.config.kinds import Count, Probability


class CompletionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Inline completion for editors."""

    model: str = "auto"
    """Model for editors' completions. "auto": ghostd/project when it is confident, else a local model that fills."""
    max_tokens: Count = 128
    """Tokens of one completion."""
    max_lines: Count = 8
    """Lines of one completion."""
    timeout_ms: Annotated[int, Meta(ge=1)] = 10_000
    """Time after which a completion is given up."""
    inline_budget_ms: Annotated[int, Meta(ge=1)] = 100
    """Time within which a better model's text takes the place of ghostd/project's; what comes later serves the next
    key."""
    model_budget_ms: Annotated[int, Meta(ge=1)] = 600
    """A local model that needs longer for the rest of a line, by its calibrated speed, is not asked while the user
    types, only when they ask for a completion."""
    read_ms: Annotated[int, Meta(ge=1)] = 2_000
    """Time that a local model may take, by its calibrated speed, to read the prompt of a document from its beginning:
    what is quoted of the file and the project is cut to that, but not below 512 tokens."""
    syntax_ms: Annotated[int, Meta(ge=0)] = 10
    """Time to wait for the parser's word whether a model's text would bring syntax errors into a sound file, and is cut
    back; 0: it is not asked. Who asks for a completion by a key, or over HTTP, waits for up to 250 ms."""
    project_first: bool = True
    """Whether ghostd/project answers before the model that `model` names, as it does with "auto"."""
    sure: Probability = 0.85
    """A suggestion of ghostd/project that is right with at least this probability is shown without asking a model."""
    warm_up: bool = True
    """Whether a local model is loaded when a document is opened, and reads its prompt while you pause."""
    calibrate: bool = True
    """Whether what you accept and write adjusts how sure ghostd/project has to be."""
    speculate: Literal["auto", "always", "never"] = "auto"
    """Whether what may follow a suggestion is prepared while it is shown; "auto": not by services that leave the
    machine."""


class ProjectModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The built-in model `ghostd/project`."""

    enabled: bool = True
    """Whether to learn from the indexed projects and serve the model."""
    min_confidence: Probability | None = None
    """Estimated probability of being right below which nothing is shown; unset: the calibrated default."""
    max_memory_mb: Count = 96
    """Memory that the model may take in the daemon, over all projects."""
    max_lines: Count = 4
    """Lines of one completion."""
