"""What the child asks of an engine. One thread calls it; `interrupt` and `wake` alone may come from another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from ghostd.workers.gpus import Gpu

# llama.cpp's defaults, set by name so that both engines agree.
DEFAULT_TEMPERATURE = 0.8
DEFAULT_TOP_K = 40
DEFAULT_TOP_P = 0.95
DEFAULT_MIN_P = 0.05
PENALTY_WINDOW_TOKENS = 64


class LoadError(Exception):
    """The engine cannot use the file; the message says why."""


class RequestInvalid(Exception):
    """The request's own fault; `param` names the field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class EngineFailed(Exception):
    """The engine could not do the request, and can do the next one."""


class Interrupted(Exception):
    """`interrupt` was called."""


Failure = RequestInvalid | EngineFailed


@dataclass(frozen=True, slots=True)
class SavedIn:
    """Where prompts are kept beyond the process."""

    folder: Path
    """Of mode 0700."""
    limit_bytes: int
    """Of all models' prompts there."""
    tell: Callable[[str], None]
    """Given what went wrong."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load a model."""

    path: Path
    context_tokens: int
    """Wanted; the engine takes at most what the model was trained for."""
    trained_tokens: int | None
    threads: int
    n_batch: int
    n_gpu_layers: int
    """Where there is a GPU; -1: all."""
    blocks: int
    """As in GgufHeader."""
    embedding_only: bool
    causal: bool
    pooling: int | None = None
    """As in GgufHeader."""
    sequences: int = 1
    """Prompts that are kept at once, and generations that may be open at once."""
    cache_tokens: int = 0
    """Tokens that all of them may hold together; at least `context_tokens`."""
    draft_tokens: int = 0
    """Tokens of a draft at most; 0: none are drafted."""
    prompts: SavedIn | None = None
    """None: prompts are gone with the process."""
    on_progress: Callable[[float], None] | None = None
    """Told how much of the weights has been loaded, from 0 to 1, by engines that know."""

    def layers_on(self, gpus: Sequence[Gpu]) -> int:
        """How many of the model's layers go on these."""
        layers = self.blocks + 1
        return min(self.n_gpu_layers if self.n_gpu_layers >= 0 else layers, layers) if gpus else 0

    def not_loaded(self, gpu_layers: int) -> LoadError:
        """llama.cpp tells nobody why it does not load a file."""
        why = "an unknown architecture, or damaged tensors"
        if gpu_layers:
            why += f", or too little memory on the GPU for {gpu_layers} layers: then lower n_gpu_layers"
        return LoadError(f"llama.cpp cannot load it ({why})")


@dataclass(frozen=True, slots=True)
class LateGrammar:
    """A grammar that binds a reply only once a tool call begins in it."""

    text: Callable[[], str]
    """The grammar; its root begins with the text that begins a call. May raise RequestInvalid."""
    opened: Callable[[], str | None]
    """Asked after each TokenStep has been read. Once for each call: what the latest tokens wrote of it, which the
    grammar is known to take."""
    openers: tuple[str, ...]
    """For engines that look for the beginning themselves: texts that can be nothing else. () where they cannot tell."""


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How to pick tokens and when to end. Stop strings are not the engine's concern."""

    max_tokens: int
    temperature: float = DEFAULT_TEMPERATURE
    top_p: float = DEFAULT_TOP_P
    top_k: int = DEFAULT_TOP_K
    min_p: float = DEFAULT_MIN_P
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None
    grammar: str | None = None
    grammar_param: str = "grammar"
    """The parameter that `grammar` comes from."""
    json_schema: str | None = None
    """Checked by ghostd.workers.json_schema."""
    late_grammar: LateGrammar | None = None
    """Without `grammar` and `json_schema` only."""
    markers: tuple[str, ...] = ()
    """Control tokens that are part of the reply's text; others have none."""
    heal: bool = False
    """Whether the prompt's last tokens may be written anew, spelled alike; see workers.healing. Engines that cannot do
    so go on behind them."""
    expected: str = ""
    """What the reply is expected to begin with, to draft tokens from. Drafts change nothing but the time it takes;
    engines that cannot draft leave them."""
    references: tuple[str, ...] = ()
    """Likewise, texts that the reply may repeat, the most valuable last. What the prompt says is known anyway."""
    ignore_end: bool = False
    """Go on after an end-of-generation token; for calibration."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose prompts these are: those of one document find each other in the cache."""

    client: str = ""
    document: str = ""


@dataclass(frozen=True, slots=True)
class Logprob:
    """As ghostd.types.TokenLogprob."""

    token_id: int
    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...]
    top_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptStep:
    """A part of the prompt was computed."""

    cached_tokens: int
    """Of the whole prompt, known from the first step on."""


@dataclass(frozen=True, slots=True)
class TokenStep:
    """Tokens were generated: their bytes (empty for control tokens), their number and their ids."""

    data: bytes
    count: int
    logprobs: tuple[Logprob, ...] = ()
    ids: tuple[int, ...] = ()
    drafted: int = 0
    """Tokens that were computed for it because they were drafted."""
    accepted: int = 0
    """Of them, picked."""
    came_s: float | None = field(default=None, compare=False)
    """By the monotonic clock, from an engine in which a step may wait until it is asked for."""


@dataclass(frozen=True, slots=True)
class EndStep:
    """The last step: an end-of-generation token came, or the limit was reached."""

    reason: Literal["stop", "length"]


Step = PromptStep | TokenStep | EndStep


class Generation(Protocol):
    """One prompt that is being continued."""

    @property
    def pausable(self) -> bool:
        """Whether it stands still, and makes room, in steps that it takes no part in."""
        ...

    def close(self) -> None:
        """End the work and free what it holds. What it has read stays in the cache."""
        ...


class Engine(Protocol):
    """One loaded model."""

    name: str
    gpus: str
    """Names of those that hold layers of the model; "" for none."""
    gpu_layers: int
    """Layers there; the output is one."""
    context_tokens: int
    """Of one prompt with its reply."""
    cache_tokens: int
    """Of all that are open together."""
    slots: int
    """Generations that may be open at once."""
    together: int
    """Generations that are worth being computed in one step."""
    vocabulary_size: int
    embedding_size: int
    embedding_context_tokens: int
    """Longest input to embed."""

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`, with control tokens recognised or not; adds no BOS."""
        ...

    def pieces(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes of each token, control tokens as their text. Like `tokenize`, also while generations are open."""
        ...

    def open(self, prompt: Sequence[int], options: GenerationOptions, owner: Owner) -> Generation:
        """Prepare to continue the prompt; with `max_tokens` 0, only to read it.

        Computes nothing. Raises RequestInvalid (a bad grammar or schema) and EngineFailed.
        """
        ...

    def step(self, generations: Sequence[Generation]) -> Sequence[tuple[Generation, Step | Failure]]:
        """Compute a step of these, and say what has come of it: nothing where it was interrupted.

        Others that are not pausable may go on beside. A generation is over with its EndStep or Failure. A failure of
        more than one generation is raised as EngineFailed.
        """
        ...

    def embed(self, prompt: Sequence[int]) -> list[float]:
        """The pooled vector of one input, of unit length. Keeps generation's cache.

        Raises RequestInvalid, Interrupted, EngineFailed.
        """
        ...

    def find_prompts(self) -> None:
        """Bring back, from now on, what `save_prompts` has left of this model's prompts; what was read before, to test
        the model, is not worth saving. Only for engines that can save prompts."""
        ...

    def save_prompts(self, until_s: float) -> None:
        """Save what has been read since `find_prompts`, as far as that is done by then (of time.monotonic())."""
        ...

    def interrupt(self) -> None:
        """Stop the running `step` or `embed` as soon as possible; what was computed before stays. From any thread."""
        ...

    def wake(self) -> None:
        """Let a `step` that waits return; one that computes goes on. From any thread."""
        ...

    def rearm(self) -> None:
        """Forget an earlier interrupt."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


def generate(engine: Engine, prompt: Sequence[int], options: GenerationOptions) -> Iterator[Step]:
    """Continue the prompt while there is nothing else to do; raises RequestInvalid and EngineFailed."""
    generation = engine.open(prompt, options, Owner())
    try:
        while True:
            for _, step in engine.step((generation,)):
                if isinstance(step, Exception):
                    raise step
                yield step
                if isinstance(step, EndStep):
                    return
    finally:
        generation.close()
