"""The memory that loaded models share: who holds how much, and who has to make room for a new one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ghostd.config.local import LocalConfig
from ghostd.errors import ModelTooLarge, ModelUnavailable
from ghostd.workers.memory import Need

log = logging.getLogger(__name__)

_SHARE = 0.8
"""Of what is available, where no budget is configured."""
_WAIT_S = 60.0
"""The longest wait for busy models; a request waits less if it is given less time."""
_RETRY_S = 5.0
_MB = 1024 * 1024


class Holder(Protocol):
    """A model's worker, as the budget sees it."""

    @property
    def id(self) -> str:
        """The model's name."""
        ...

    @property
    def pid(self) -> int | None:
        """Its process while it runs."""
        ...

    @property
    def leaving_pid(self) -> int | None:
        """Its process that was told to end, until it has."""
        ...

    @property
    def busy(self) -> bool:
        """Whether it computes, loads, or has requests waiting."""
        ...

    @property
    def pinned(self) -> bool:
        """Whether it must stay."""
        ...

    @property
    def last_used_s(self) -> float:
        """time.monotonic() of its last use."""
        ...

    def unload(self) -> None:
        """End the process, which gives the memory back, now or once it has left."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes that all models together may take now, and how that comes about."""

    total: int
    available: int
    """What the system could give now, besides what models hold already."""


@dataclass(slots=True)
class MemoryBudget:
    """Gives memory out; those who have to wait stand in one line, so that a large model is not passed for ever."""

    config: LocalConfig
    _held: dict[Holder, Need] = field(default_factory=dict)
    _line: asyncio.Lock = field(default_factory=asyncio.Lock)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def held(self) -> int:
        """Estimated bytes of the machine's memory that loaded and loading models take."""
        return sum(need.host for need in self._held.values())

    def held_by(self, holder: Holder) -> Need:
        """Estimated bytes of one model; none for one that is not loaded."""
        return self._held.get(holder, Need(0))

    def gpu_spare(self, holder: Holder) -> int:
        """Bytes of GPUs that other models hold and can be made to give back."""
        return sum(need.gpu for other, need in self._held.items() if other is not holder and not other.pinned)

    async def limits(self) -> Limits:
        """What models may take at the moment."""
        return await asyncio.to_thread(
            _limits, self.config, [holder.pid or holder.leaving_pid for holder in self._held]
        )

    async def reserve(self, holder: Holder, needed: Need, gpu_free: int, waits: Callable[[str], None]) -> None:
        """Have these bytes for this holder, ending idle models that are not pinned, the least recently used first.

        `gpu_free`: bytes that GPUs have left now, besides what models hold. While only busy models are in the way it
        waits, and calls `waits` with the reason. Raises ModelTooLarge when no waiting helps, ModelUnavailable when it
        took too long. A GPU's memory is no reason to refuse: what does not fit there, llama.cpp says.
        """
        deadline_s = time.monotonic() + min(_WAIT_S, self.config.load_timeout_s)
        gpu_total = gpu_free + sum(need.gpu for other, need in self._held.items() if other is not holder)
        try:
            async with asyncio.timeout(deadline_s - time.monotonic()):
                if self._line.locked():
                    waits("waits for memory behind another model")
                async with self._line:
                    await self._reserve(holder, needed, gpu_total, waits)
        except TimeoutError:
            raise ModelUnavailable(
                f"The model '{holder.id}' needs about {_needs(needed)}, and the models that are busy now hold "
                f"{_mb(self.held)} MB. It waited {min(_WAIT_S, self.config.load_timeout_s):g} s for them.",
                retry_after_s=_RETRY_S,
            ) from None

    async def _reserve(self, holder: Holder, needed: Need, gpu_total: int, waits: Callable[[str], None]) -> None:
        while True:
            self._changed.clear()
            limits = await self.limits()
            others = {other: size for other, size in self._held.items() if other is not holder}
            fixed = [size for other, size in others.items() if other.pinned and other.leaving_pid is None]
            fixed_host = sum(size.host for size in fixed)
            if fixed_host + needed.host > limits.total:
                raise self._too_large(holder, needed.host, fixed_host, limits)
            gpu_total = max(gpu_total, sum(size.gpu for size in fixed) + needed.gpu)
            missing = sum(size.host for size in others.values()) + needed.host - limits.total
            gpu_missing = sum(size.gpu for size in others.values()) + needed.gpu - gpu_total
            for victim in sorted(others, key=lambda other: (other.leaving_pid is None, other.last_used_s)):
                size = others[victim]
                if not ((missing > 0 and size.host) or (gpu_missing > 0 and size.gpu)):
                    continue
                if victim.leaving_pid is None:
                    if victim.busy or victim.pinned:
                        continue
                    log.info("unloaded %s to make room for %s", victim.id, holder.id)
                    victim.unload()
                missing, gpu_missing = missing - size.host, gpu_missing - size.gpu
            held = [size for other, size in self._held.items() if other is not holder]
            if (
                sum(size.host for size in held) + needed.host <= limits.total
                and sum(size.gpu for size in held) + needed.gpu <= gpu_total
            ):
                self._held[holder] = needed
                return
            if missing > 0 or gpu_missing > 0:
                busy = f"{_mb(max(missing, gpu_missing))} MB of it are in use by busy models"
                waits(f"waits for memory: it needs {_needs(needed)}, and {busy}")
            else:
                waits("waits for memory until another model has ended")
            await self._changed.wait()

    def _too_large(self, holder: Holder, needed: int, fixed: int, limits: Limits) -> ModelTooLarge:
        reserve = f"{self.config.memory_reserve_mb} MB stay free (local.memory_reserve_mb)"
        if self.config.memory_budget_mb is not None:
            allowed = f"local.memory_budget_mb allows {self.config.memory_budget_mb} MB for all models"
        else:
            allowed = f"models may take {_SHARE:.0%} (local.memory_budget_mb)"
        pinned = f" Pinned models hold {_mb(fixed)} MB; `ghostctl models unpin` frees them." if fixed else ""
        return ModelTooLarge(
            f"The model '{holder.id}' needs about {_mb(needed)} MB with its context; {_mb(limits.available)} MB are "
            f"available, of which {reserve}, and {allowed}.{pinned} Close other programs, lower context_tokens or "
            "take a smaller model."
        )

    def release(self, holder: Holder) -> None:
        """The holder's process is gone, or was never started."""
        self._held.pop(holder, None)
        self.changed()

    def changed(self) -> None:
        """A holder is idle now, or no longer pinned: those who wait look again."""
        self._changed.set()


def _limits(config: LocalConfig, pids: list[int | None]) -> Limits:
    """Blocks on the disk. The system counts mapped weights as available, a worker's other memory as used."""
    import psutil

    private = 0
    for pid in pids:
        if pid is not None:
            try:
                memory = psutil.Process(pid).memory_info()
            except psutil.Error:
                continue  # it has just ended
            private += memory.rss - getattr(memory, "shared", 0)
    available = psutil.virtual_memory().available + private
    allowed = config.memory_budget_mb * _MB if config.memory_budget_mb is not None else int(available * _SHARE)
    return Limits(min(allowed, available - config.memory_reserve_mb * _MB), available)


def _needs(needed: Need) -> str:
    return f"{_mb(needed.host)} MB" + (f" and {_mb(needed.gpu)} MB of the GPU's" if needed.gpu else "")


def _mb(size: int) -> int:
    return round(size / _MB)
