"""In what the services that speak OpenAI's dialect differ from each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from ghostd.types import Operation

STANDARD: Mapping[str, str] = MappingProxyType(
    {
        name: name
        for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "logit_bias", "logprobs")
    }
)
"""Fields of Sampling that OpenAI's chat takes, and the member of the body that each becomes."""

CHAT: frozenset[Operation] = frozenset(("openai.chat",))
TEXT: frozenset[Operation] = frozenset(("openai.chat", "openai.completions", "openai.embeddings"))
AUDIO: frozenset[Operation] = frozenset(
    ("openai.audio.speech", "openai.audio.transcriptions", "openai.audio.translations")
)
IMAGES: frozenset[Operation] = frozenset(
    ("openai.images.generations", "openai.images.edits", "openai.images.variations")
)
RESPONSES: frozenset[Operation] = frozenset(("openai.responses",))
MODERATIONS: frozenset[Operation] = frozenset(("openai.moderations",))


def samplers(*lacking: str, **more: str) -> Mapping[str, str]:
    """The standard ones but for those lacking, and `more`: a field of Sampling = its member of the body."""
    kept = {field: member for field, member in STANDARD.items() if field not in lacking}
    return MappingProxyType({**kept, **more})


@dataclass(frozen=True, slots=True)
class Quirks:
    """What one service takes; the defaults are OpenAI's own."""

    operations: frozenset[Operation] = TEXT | RESPONSES | MODERATIONS | IMAGES | AUDIO
    """What can be relayed to it."""
    samplers: Mapping[str, str] = field(default_factory=lambda: STANDARD)
    max_tokens: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    include_usage: bool = True
    """Whether `stream_options.include_usage` is known; else it says its usage unasked, or never."""
    user: bool = True
    stop: bool = True
    tells_stop: bool = False
    """Whether `stop_reason` of a choice is the stop text that has ended it."""
    verbosity: bool = False
    """Whether it knows `verbosity`; elsewhere the hint is lost."""
    tool_choice: bool = True
    any_tool: Literal["required", "any"] = "required"
    """Its word for "call some tool"."""
    parallel: bool = True
    """`parallel_tool_calls`."""
    schemas: Literal["json_schema", "json_object", "none"] = "json_schema"
    """The strictest `response_format` it knows."""
    grammar: Literal["grammar", "structured_outputs", "response_format", "none"] = "none"
    """Where a grammar goes."""
    effort: Literal["reasoning_effort", "reasoning", "thinking", "none"] = "reasoning_effort"
    """How it is told to think: a member, OpenRouter's object, DeepSeek's switch."""
    thoughts: str | None = None
    """Member of assistant messages in which it takes its own thoughts back; None: they are not sent."""
    developer: bool = False
    """Whether it knows the role "developer"; else such messages go as "system"."""
    refusals: bool = False
    """Whether it knows refusals in the history; else they go as text."""
    prefill: Literal["prefix", "continue_final_message", "none"] = "none"
    """How it is told to go on from a last message of the assistant's: a member of that message (Mistral), or of the
    body (vLLM); none: it does so anyway, or never."""
    strict_turns: bool = False
    """Whether a system message may only stand at the start, and turns of one side not in a row."""
    files: bool = False
    """Parts of the type "file"."""
    file_urls: bool = False
    """Whether such a part may hold a URL."""
    audio: bool = False
    """Parts of the type "input_audio"."""
    tool_images: bool = False
    """Whether a tool's result may hold images."""
    fill_path: str | None = None
    """A completions call below the root that takes `suffix`, for fills; None: there is none."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """Members of a relayed chat that it would refuse, or silently ignore, and what they are called here; "": they are
    mere hints and are left out."""
    loose: bool = False
    """Whether its streams repeat the role in empty chunks and send empty chunks after the finish."""
    chat_path: str = "/chat/completions"
    models_path: str | None = "/models"
    """None: it has no list of the models that a key can use."""
    root_suffix: str = ""
    """What a base URL may end with that is not part of the server's root: its other calls lie below the root."""
    key_header: Literal["authorization", "api-key"] = "authorization"
