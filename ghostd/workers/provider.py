"""The provider "local": GGUF files on this machine, each in a worker process of its own."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from ghostd import left_out
from ghostd.config.local import DiscoveryConfig, LocalConfig
from ghostd.errors import ModelFileInvalid, ModelNotFound, WorkerFailed
from ghostd.models import LoadedModel, ModelInfo
from ghostd.types import (
    ChatRequest,
    CompletionRequest,
    Delta,
    Embeddings,
    EmbedRequest,
    FillRequest,
    Timings,
    Usage,
)
from ghostd.workers import prompt_folder
from ghostd.workers.budget import MemoryBudget
from ghostd.workers.catalog import Catalog, LocalModel
from ghostd.workers.described import info_of
from ghostd.workers.messages import (
    Embed,
    Ended,
    Piece,
    TurnPiece,
    Vectors,
    unpack_vector,
)
from ghostd.workers.pins import Pins
from ghostd.workers.pool import ModelWorker
from ghostd.workers.requests import generation, logprobs, rank, turn_delta
from ghostd.workers.scratch import remove_stale_scratch
from ghostd.workers.stores.search import allowed_stores
from ghostd.workers.tokenizer import LocalTokenizer

log = logging.getLogger(__name__)

_RESCAN_S = 1.0
_LOOK_S = 1.0
"""Time for which a request that finds no model waits for another look."""
_FIRST_READ_S = 0.1
"""Time that reading headers may add to the start."""
_READ_SLICE_S = 0.1


@asynccontextmanager
async def local_provider(
    config: LocalConfig,
    models_dir: Path,
    config_dir: Path,
    *,
    discovery: DiscoveryConfig | None = None,
    environ: Mapping[str, str] | None = None,
    data: Path | None = None,
    cache: Path | None = None,
) -> AsyncIterator[LocalProvider]:
    """The provider of the GGUF files in `models_dir`, in `config.models` and in other programs' stores.

    Entering looks at the folder and loads nothing, except that models with `preload` start to load in the
    background; so does the search of the stores that `discovery` allows (None: none), which `environ` (None: the
    process's own) leads to. Relative paths of `config.models` start at `config_dir`. `data` is the folder of what
    must outlive a restart, `cache` of what may be lost; None keeps nothing. Leaving ends every worker.
    """
    stores = allowed_stores(discovery) if discovery is not None else ()
    headers_file = cache / "gguf-headers" if cache is not None else None
    await asyncio.to_thread(remove_stale_scratch)
    catalog = await asyncio.to_thread(Catalog, config, models_dir, config_dir, stores, environ, headers_file)
    found = await asyncio.to_thread(catalog.scan, _FIRST_READ_S, stores=False)
    prompts = await asyncio.to_thread(_prompts_folder, config, cache) if cache is not None else None
    pins = await asyncio.to_thread(Pins, data / "pinned-models.json" if data is not None else None)
    async with asyncio.TaskGroup() as tasks:
        provider = LocalProvider(config, catalog, tasks, pins, prompts)
        provider.take(found)
        provider.preload()
        if stores or any(model.unread for model in found):
            provider.begin_scan()
        try:
            yield provider
        finally:
            provider.close()


class LocalProvider(LocalTokenizer):
    """Implements ghostd.ports.Provider; made by `local_provider`."""

    name = "local"

    def __init__(
        self, config: LocalConfig, catalog: Catalog, tasks: asyncio.TaskGroup, pins: Pins, prompts: Path | None
    ) -> None:
        self._config = config
        self._prompts = prompts
        self._pins = pins
        self._pins_lock = asyncio.Lock()
        self._budget = MemoryBudget(config)
        self._catalog = catalog
        self._tasks = tasks
        self._workers: dict[str, ModelWorker] = {}
        self._scanned_s = 0.0
        self._scanning = False
        self._look: asyncio.Task[None] | None = None
        self._scan_lock = asyncio.Lock()
        self._closed = False

    # --- models ---------------------------------------------------------------

    def models(self) -> Sequence[ModelInfo]:
        """What the last scan found, with the workers' states.

        Starts a new scan in the background when the last one is older than a second, so a file that was dropped
        into the folder is there at the second look.
        """
        if not (self._scanning or self._closed) and time.monotonic() - self._scanned_s > _RESCAN_S:
            self.begin_scan()
        return tuple(info_of(worker) for worker in self._workers.values())

    def skips(self) -> Sequence[tuple[str, str]]:
        """What was left out of other programs' stores, and why: (path, reason) pairs."""
        return self._catalog.skips

    def begin_scan(self) -> None:
        """Scan in the background."""
        self._scanning = True
        self._tasks.create_task(self._scan(), name="scan models")

    async def look_again(self) -> None:
        """See ghostd.ports.Rescanned."""
        if self._closed:
            return
        if self._look is None or self._look.done():
            self._look = self._tasks.create_task(self._scan(), name="look for models again")
        await asyncio.wait({self._look}, timeout=_LOOK_S)

    async def refresh(self) -> None:
        """Scan the folder, the configured paths and the stores now, and read every header."""
        self._catalog.search_anew()
        await self._scan()

    async def _scan(self) -> None:
        """Offer what there is as soon as it is known; headers are read in slices, so that other work has its turn."""
        async with self._scan_lock:
            self._scanning = True
            try:
                while not self._closed:
                    started_s = time.monotonic()
                    found = await asyncio.to_thread(self._catalog.scan, _READ_SLICE_S)
                    self.take(found)
                    if not any(model.unread for model in found):
                        break
                    # Reading holds the interpreter; as long again is left to the requests.
                    await asyncio.sleep(time.monotonic() - started_s)
            except Exception:  # the task group would take all models down
                log.exception("cannot look for models")
            finally:
                self._scanning = False

    def take(self, found: Sequence[LocalModel]) -> None:
        """Offer these models from now on; workers of models that are gone end."""
        if self._closed:
            return
        before, self._workers = self._workers, {}
        for model in found:
            worker = before.pop(model.id, None)
            if worker is None or worker.model.path != model.path:
                if worker is not None:
                    worker.close()
                pinned = model.id in self._pins.names
                worker = ModelWorker(
                    model, self._config, self._catalog, self._tasks, self._budget, pinned=pinned, prompts=self._prompts
                )
            worker.update(model)
            self._workers[model.id] = worker
        for worker in before.values():
            worker.close()
        self._scanned_s = time.monotonic()

    def preload(self) -> None:
        """Start to load the models that the configuration wants loaded."""
        for worker in self._workers.values():
            if worker.model.settings is not None and worker.model.settings.preload:
                self._tasks.create_task(worker.preload(), name=f"preload {worker.model.id}")

    def close(self) -> None:
        """End every worker."""
        self._closed = True
        for worker in self._workers.values():
            worker.close()

    def worker_pid(self, model: str) -> int | None:
        """Process id of the model's worker; None when it is not loaded."""
        worker = self._workers.get(model)
        return worker.pid if worker is not None else None

    def worker(self, model: str) -> ModelWorker | None:
        """The worker of a model, loaded or not; None if there is no such model."""
        return self._workers.get(model)

    def loaded(self) -> Sequence[LoadedModel]:
        """The models in memory."""
        return [
            LoadedModel(info_of(worker), worker.memory_bytes, worker.expires_s)
            for worker in self._workers.values()
            if worker.pid is not None
        ]

    def _worker(self, model: str) -> ModelWorker:
        worker = self._workers.get(model)
        if worker is None:
            raise ModelNotFound(model, tuple(self._workers))
        return worker

    # --- what is loaded ---------------------------------------------------------

    async def load(self, model: str) -> None:
        """Have the model loaded; raises ModelNotFound or ProviderError."""
        await self._worker(model).load()

    async def unload(self, model: str) -> None:
        """Unload it when its requests have ended; raises ModelNotFound or Overloaded."""
        await self._worker(model).unload_in_turn()

    async def pin(self, model: str, pinned: bool) -> None:
        """Keep the model loaded once it is, now and after restarts, or no longer.

        Raises ModelNotFound, except for a pinned one that is gone, and OSError when it cannot be written down.
        """
        worker = self._workers.get(model)
        if worker is None and (pinned or model not in self._pins.names):
            worker = self._worker(model)
        async with self._pins_lock:
            await asyncio.to_thread(self._pins.set, model, pinned)
        if worker is not None:
            worker.pin(pinned)

    @property
    def pinned(self) -> frozenset[str]:
        """Names of the models that stay loaded."""
        return self._pins.names

    async def memory(self) -> tuple[int, int]:
        """Bytes that loaded models hold by estimate, and that models may take in all at the moment."""
        return self._budget.held, (await self._budget.limits()).total

    # --- requests -------------------------------------------------------------

    def chat(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Stream the assistant's next message, through the file's chat template."""
        if request.verbosity is not None:
            left_out.note("verbosity")
        return self._generate(request)

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Stream the continuation of the prompt."""
        return self._generate(request)

    async def fill(self, request: FillRequest) -> AsyncGenerator[Delta, None]:
        """Always an error: the engine lays out fill prompts, or the model's file is not usable."""
        worker = self._worker(request.model)
        if worker.model.header is None:
            raise ModelFileInvalid(f"The model '{request.model}' cannot be used: {worker.model.problem}")
        for delta in list[Delta]():  # an async generator that yields nothing
            yield delta
        raise WorkerFailed(f"The model '{request.model}' fills by its FIM tokens only; use `complete`.")

    async def _generate(self, request: ChatRequest | CompletionRequest) -> AsyncGenerator[Delta, None]:
        worker = self._worker(request.model)
        make = partial(generation, request, worker.model)
        make(0)  # what is wrong with the request shows before it waits for its turn
        ids: tuple[int, ...] = ()  # of tokens whose text is still held back
        made = 0
        async with aclosing(worker.run(make)) as answers:
            async for answer in answers:
                if isinstance(answer, Piece):
                    ids = (*ids, *answer.tokens)
                    made += len(answer.tokens)
                    if answer.text or answer.logprobs:
                        counted = Usage(answer.prompt_tokens, made, answer.cached_tokens)
                        yield Delta(answer.text, logprobs=logprobs(answer.logprobs), tokens=ids, counted=counted)
                        ids = ()
                elif isinstance(answer, TurnPiece):
                    if (delta := turn_delta(answer)) is not None:
                        yield delta
                elif isinstance(answer, Ended):
                    usage = Usage(
                        answer.prompt_tokens,
                        answer.completion_tokens,
                        answer.cached_tokens,
                        reasoning_tokens=answer.thought_tokens,
                    )
                    yield Delta(
                        finish_reason=answer.finish_reason or "stop",
                        usage=usage,
                        tokens=ids,
                        stop_sequence=answer.stop_text,
                        timings=_timings(answer),
                    )

    async def warm(self, request: CompletionRequest) -> Usage:
        """Read a prompt when nothing else is to do; see ghostd.ports.PromptCache."""
        worker = self._worker(request.model)
        claim = replace(request.claim, priority="warm-up")
        make = partial(generation, replace(request, max_tokens=0, claim=claim), worker.model)
        async with aclosing(worker.run(make)) as answers:
            async for answer in answers:
                if isinstance(answer, Ended):
                    return Usage(answer.prompt_tokens, 0, answer.cached_tokens)
        raise WorkerFailed(f"The worker of '{request.model}' did not read the prompt.")

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Embed each input: the model's own pooling, or the mean over the tokens; unit length."""
        worker = self._worker(request.model)
        inputs = [list(prompt) for prompt in request.inputs]
        make: Callable[[int], Embed] = lambda number: Embed(  # noqa: E731
            number, inputs, rank(request.claim), request.claim.client
        )
        async with aclosing(worker.run(make)) as answers:
            async for answer in answers:
                if isinstance(answer, Vectors):
                    vectors = tuple(unpack_vector(vector) for vector in answer.vectors)
                    return Embeddings(vectors, Usage(answer.prompt_tokens, 0))
        raise WorkerFailed(f"The worker of '{request.model}' gave no vectors.")


def _prompts_folder(config: LocalConfig, cache: Path) -> Path | None:
    """Where models' prompts outlive their processes; None, and nothing is left, where they shall not. Blocks on the
    disk."""
    folder = cache / "prompts"
    try:
        if not config.keep_prompt_cache:
            prompt_folder.remove_all(folder)
            return None
        prompt_folder.prepare(folder, config.prompt_cache_mb * 1024 * 1024)
    except OSError as error:
        log.warning("models' prompts are not kept in %s: %s", folder, error.strerror or error)
        return None
    return folder


def _timings(answer: Ended) -> Timings | None:
    if not answer.timings_ms:
        return None
    queue_ms, prefill_ms, decode_ms = answer.timings_ms
    return Timings(queue_ms, prefill_ms, decode_ms, answer.drafted_tokens, answer.accepted_tokens)
