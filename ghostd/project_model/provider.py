"""The provider of `ghostd/project`, the model that learns from the user's own project."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from ghostd.code_ports import Index
from ghostd.config.completion import ProjectModelConfig
from ghostd.errors import UnsupportedParameter
from ghostd.models import ModelInfo
from ghostd.project_model.learner import Learner
from ghostd.project_model.memory import RootMemory
from ghostd.project_model.predict import Prediction, Query, predict
from ghostd.project_model.weights import Weights, load_weights
from ghostd.types import ChatRequest, CompletionRequest, Delta, Embeddings, EmbedRequest, FillRequest, Usage

MODEL = "ghostd/project"


class ProjectModelProvider:
    """Fills holes from what the project's files and the open documents say. Deterministic: sampling is ignored."""

    name = "ghostd"

    def __init__(
        self, index: Index, learner: Learner, config: ProjectModelConfig, thread: ThreadPoolExecutor, weights: Weights
    ) -> None:
        self._index = index
        self._learner = learner
        self._config = config
        self._thread = thread
        self._weights = weights
        self._nothing = RootMemory(Path(), None)

    @property
    def trainings(self) -> int:
        """Segments built since the start; 0 after a restart on unchanged files."""
        return self._learner.trainings

    def models(self) -> Sequence[ModelInfo]:
        """The one model."""
        return (ModelInfo(MODEL, self.name, frozenset(("fill",)), detail="learns from the indexed projects"),)

    def learned(self, root: Path) -> bool:
        """Whether the model covers the root's first complete pass."""
        return self._learner.learned(root)

    async def wait_learned(self, root: Path) -> None:
        """Wait until the model covers the root's current generation."""
        await self._learner.wait_learned(root)

    def chat(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Not offered."""
        raise UnsupportedParameter(f"{MODEL} cannot chat.", "model")

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Not offered; the engine fills instead."""
        raise UnsupportedParameter(f"{MODEL} fills holes and continues no prompt.", "model")

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Not offered."""
        raise UnsupportedParameter(f"{MODEL} makes no embeddings.", "model")

    async def fill(self, request: FillRequest) -> AsyncGenerator[Delta, None]:
        """The rest of the line, if it is likely enough; where `max_lines` allows it, very likely lines after it."""
        self._learner.look()
        root, path = self._place(request)
        query = Query(
            prefix=request.prefix,
            suffix=request.suffix,
            path=path,
            open_documents=request.open_documents,
            min_confidence=self._threshold(request),
            max_tokens=request.max_tokens,
            max_lines=min(request.max_lines or self._config.max_lines, self._config.max_lines),
            stop=request.stop,
        )
        prediction = await self._predict(root, query)
        if prediction.text:
            yield Delta(prediction.text, confidence=prediction.confidence)
        yield Delta(
            finish_reason=prediction.finish_reason,
            usage=Usage(prediction.prompt_tokens, prediction.completion_tokens),
            confidence=prediction.confidence,
        )

    async def _predict(self, root: Path | None, query: Query) -> Prediction:
        """Run in the model's thread, which notices within a millisecond or so when nobody waits any more."""
        cancelled = threading.Event()

        def work() -> Prediction:
            memory = self._learner.memory_of(root) or self._nothing
            try:
                return predict(memory, query, self._weights.cells, self._weights.calibration, cancelled.is_set)
            finally:
                memory.rest()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            cancelled.set()

    def _threshold(self, request: FillRequest) -> float:
        if request.min_confidence is not None:
            return request.min_confidence
        if self._config.min_confidence is not None:
            return self._config.min_confidence
        return self._weights.calibration.default_threshold

    def _place(self, request: FillRequest) -> tuple[Path | None, str | None]:
        """The root to answer from, and the path in it."""
        path = request.path
        if path is None:
            return request.root or self._learner.last_used(), None
        if path.is_absolute():
            root = self._index.root_of(path)
            return (root, path.relative_to(root).as_posix()) if root else (self._learner.last_used(), None)
        root = request.root or self._learner.knowing(path.as_posix()) or self._learner.last_used()
        return root, path.as_posix()


@asynccontextmanager
async def project_model(index: Index, folder: Path, config: ProjectModelConfig) -> AsyncIterator[ProjectModelProvider]:
    """The provider of `ghostd/project`, learning in the background while the block runs.

    It keeps one file for each root in `folder`.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="project-model")
    try:
        weights = await asyncio.to_thread(_prepare, folder)
        async with asyncio.TaskGroup() as tasks:
            learner = Learner(index, folder, config, thread, tasks)
            unsubscribe = index.subscribe(learner.on_commit)
            learner.look()
            try:
                yield ProjectModelProvider(index, learner, config, thread, weights)
            finally:
                unsubscribe()
                learner.stop()
    finally:
        await asyncio.to_thread(thread.shutdown)


def _prepare(folder: Path) -> Weights:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for leftover in folder.glob(".building-*"):
        leftover.unlink(missing_ok=True)
    return load_weights()
