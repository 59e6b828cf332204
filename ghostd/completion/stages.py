"""Where the time of a completion goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Stage = Literal["queue", "retrieval", "prompt", "prefill", "decode", "post"]
STAGES: tuple[Stage, ...] = ("queue", "retrieval", "prompt", "prefill", "decode", "post")
"""Waiting, on purpose or for the model; looking for context; laying the prompt out; the model's reading; its writing
(for a service, which does not tell the two apart: from the request to the last piece); cutting to what is shown."""


@dataclass(slots=True)
class Stages:
    """Milliseconds of each stage of one completion."""

    queue: float = 0.0
    retrieval: float = 0.0
    prompt: float = 0.0
    prefill: float = 0.0
    decode: float = 0.0
    post: float = 0.0

    def add(self, stage: Stage, ms: float) -> None:
        """Count more time for a stage."""
        setattr(self, stage, getattr(self, stage) + ms)


current: ContextVar[Stages | None] = ContextVar("stages", default=None)
"""Of the completion that the current task makes."""


@contextmanager
def measured(stage: Stage) -> Iterator[None]:
    """Count the block's time."""
    stages = current.get()
    if stages is None:
        yield
        return
    began_s = time.perf_counter()
    try:
        yield
    finally:
        stages.add(stage, (time.perf_counter() - began_s) * 1000)
