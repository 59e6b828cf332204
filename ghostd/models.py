"""What is known of models: those on offer, those that are loaded, and the keys of their services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ghostd.fim_markers import Order
from ghostd.types import Capability, Feature, Operation


@dataclass(frozen=True, slots=True)
class FimVocabulary:
    """A model's fill-in-the-middle tokens, read from its vocabulary and never guessed from its name.

    `ids` maps each FIM marker text that is a token of the vocabulary to its id, e.g.
    {"<|fim_prefix|>": 151659, …}; `completion.families` decides order and form from them.
    """

    ids: Mapping[str, int]
    architecture: str = ""
    bos_id: int | None = None
    """Beginning-of-sequence token, where the vocabulary says that prompts start with one."""
    order: Order | None = None
    """What the self-test has found where the vocabulary leaves it open; None: not tested, or the form's own."""
    works: bool = True
    """False where the self-test has shown that the model does not fill in spite of its markers."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast this machine runs a model that has it to itself, in tokens per second."""

    prefill: float
    """Reading a prompt."""
    decode: float
    """Writing."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a provider offers under one name."""

    id: str
    owned_by: str
    capabilities: frozenset[Capability]
    created: int = 0
    """Seconds since the epoch."""
    context_tokens: int | None = None
    fim: FimVocabulary | None = None
    path: Path | None = None
    size_bytes: int | None = None
    state: Literal["ready", "unloaded", "loading", "failed"] = "ready"
    detail: str = ""
    """One line for people: why it failed, its calibrated speed, …"""
    features: frozenset[Feature] | None = None
    """What it can do beyond text; None where nobody knows, which is taken for everything."""
    relays: frozenset[Operation] = frozenset()
    """Operations that its provider takes as the client sent them."""
    remote: bool = False
    """Whether requests leave this machine."""
    max_output_tokens: int | None = None
    tells_stop: bool = False
    """Whether its replies say which stop text has ended them."""
    source: str = ""
    """Where a found model came from: "models folder", "ollama store", "configuration", …"""
    family: str = ""
    """Its architecture or family ("llama", "qwen3"), where that is known; likewise below."""
    parameter_size: str = ""
    """For people: "7.6B"."""
    quantization: str = ""
    """In GGUF's words: "Q4_K_M"."""
    digest: str = ""
    """SHA-256 that the server gives the model, in hexadecimal."""
    speed: Speed | None = None
    """What was measured when it was loaded; None: not loaded since ghostd has started, or not on this machine."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory."""

    info: ModelInfo
    memory_bytes: int
    """Estimated."""
    expires_s: float | None
    """When it is unloaded unless it is used before, in seconds since the epoch; None: not while ghostd runs."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What a model's file says about itself."""

    keys: Mapping[str, str | int | float | bool]
    """GGUF's keys, without the arrays, which are large."""
    chat_template: str = ""
    license: str = ""


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a model's download is."""

    status: str
    """In words."""
    digest: str = ""
    """SHA-256 of the file that is being fetched; "" between files."""
    total_bytes: int = 0
    """Of that file."""
    completed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class KeyState:
    """One key of a provider, without its value."""

    reference: str
    """As configured, e.g. "keyring:openai"; for a command its first word only."""
    state: Literal["ready", "resting", "missing", "unused"]
    detail: str = ""
    """Why it rests or is missing, and until when."""
