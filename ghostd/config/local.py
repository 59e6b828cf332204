"""The settings of models on this machine: [local], [discovery]."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ghostd.config.kinds import Count, Seconds


class LocalModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One GGUF file."""

    path: str
    """The file; `~` is expanded, a relative path starts at the configuration file's folder."""
    context_tokens: Count | None = None
    """Context to allocate; unset: local.context_tokens."""
    threads: Count | None = None
    """CPU threads; unset: local.threads."""
    n_gpu_layers: Annotated[int, Meta(ge=-1)] | None = None
    """Layers on the GPU, -1 for all that fit; unset: local.n_gpu_layers."""
    temperature: Annotated[float, Meta(ge=0)] | None = None
    """Default temperature for requests that give none."""
    max_tokens: Count | None = None
    """Default limit of a reply for requests that give none."""
    preload: bool = False
    """Load at start instead of at the first request."""


class LocalConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """GGUF models on this machine."""

    engine: Literal["auto", "llama-cpp-python", "xllamacpp"] = "auto"
    """Which engine runs them; "auto" takes llama-cpp-python if it is installed, else xllamacpp."""
    models_dir: str | None = None
    """Folder whose *.gguf files are offered; unset: `models` in ghostd's data folder."""
    models: dict[str, LocalModelConfig] = {}
    """Models by path: [local.models."name"]."""
    context_tokens: Count = 4096
    """Context to allocate for each model, at most what the model was trained for."""
    threads: Count | None = None
    """CPU threads for each model; unset: physical cores - 1, at least 1."""
    kv_sequences: Annotated[int, Meta(ge=1, le=64)] = 4
    """Prompts that each model keeps at once, so that documents and chats that take turns are not read again. More than
    one take twice the memory of `context_tokens` together, where there is that much."""
    keep_prompt_cache: bool = True
    """Whether what models have read outlives their processes: kept prompts of 256 tokens and more are written into
    `prompts` in ghostd's cache folder when a model is unloaded or ghostd stops, and found there when the same file is
    loaded again. Off: what is there is deleted at the next start. The engine llama-cpp-python only."""
    prompt_cache_mb: Count = 256
    """All models' prompts there together; the oldest ones are deleted for new ones."""
    draft_tokens: Annotated[int, Meta(ge=0, le=8)] = 8
    """Tokens of a reply at most that are drafted from the prompt and the project, for the model to check in one step:
    the reply is the same, and sooner where the drafts are good. How many is learned as the model runs. 0: none. The
    engine llama-cpp-python only."""
    n_batch: Annotated[int, Meta(ge=8)] | None = None
    """Prompt tokens computed in one step; smaller steps react faster to a cancellation. Unset: 128, with a GPU 512."""
    n_gpu_layers: Annotated[int, Meta(ge=-1)] = -1
    """Layers on the GPU where the engine has one, -1 for all, or as many as its free memory takes."""
    load_timeout_s: Seconds = 300.0
    """Time a model may take to load, test and calibrate itself."""
    idle_unload_s: Seconds = 900.0
    """A model unused for this long is unloaded."""
    max_queue: Count = 32
    """Requests that may wait for one model; beyond them the last to have come of the least urgent ones is refused."""
    memory_budget_mb: Count | None = None
    """Memory for all loaded models together; unset: 80 % of what is available at the time."""
    memory_reserve_mb: Annotated[int, Meta(ge=0)] = 512
    """Memory that loading a model must leave free."""
    chat_template_timeout_s: Seconds = 2.0
    """CPU time a chat template may take to render."""
    worker_stall_s: Seconds = 60.0
    """Time without a token or a computed prompt step after which a worker counts as hung and is restarted."""
    cancel_timeout_s: Seconds = 5.0
    """Time a worker may take to stop a cancelled request before it is restarted."""


class DiscoveryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Models and servers that are on this machine already."""

    ollama_store: bool = True
    """GGUF files in Ollama's store."""
    lm_studio: bool = True
    """GGUF files in LM Studio's folder."""
    llama_cpp: bool = True
    """GGUF files in llama.cpp's download cache."""
    huggingface: bool = True
    """GGUF files in the Hugging Face cache."""
    servers: bool = True
    """Ollama, LM Studio, vLLM and llama-server on their default ports of this machine."""
    interval_s: Seconds = 60.0
    """Period of the look for servers, while requests come."""
