"""Model files that are only names, for tests."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence

from ghostd.errors import InvalidRequest, ModelNotFound
from ghostd.models import LoadedModel, ModelDescription, ModelInfo, PullProgress

_NOTHING: Mapping[str, str] = {}


class MemoryModels:
    """See the port `ModelStore`. `own` may be removed, `foreign` belong to somebody else; `remote` maps what can be
    pulled to the model that comes of it."""

    def __init__(self, own: Sequence[str], foreign: Sequence[str] = (), remote: Mapping[str, str] = _NOTHING) -> None:
        self.own = set(own)
        self.foreign = set(foreign)
        self.remote = dict(remote)
        self.keeps: dict[str, float] = {}
        """Model → seconds, of those in memory; negative: for ever."""
        self._pulled: dict[str, str] = {}

    def holds(self, model: str) -> bool:
        """Whether the name is one of either kind."""
        return model in self.own or model in self.foreign

    def pulled(self, name: str) -> str | None:
        """What a pull has fetched."""
        found = self._pulled.get(name)
        return found if found in self.own else None

    def loaded(self) -> Sequence[LoadedModel]:
        """Those in memory."""
        now = time.time()
        return [
            LoadedModel(ModelInfo(name, "memory", frozenset(("chat",))), 1, now + keep if keep >= 0 else None)
            for name, keep in self.keeps.items()
        ]

    async def describe(self, model: str) -> ModelDescription:
        """Its architecture is "memory"."""
        self._check(model)
        return ModelDescription({"general.architecture": "memory"})

    async def load(self, model: str) -> None:
        """Note it."""
        self._check(model)
        self.keeps.setdefault(model, 300.0)

    async def unload(self, model: str) -> None:
        """Forget it."""
        self._check(model)
        self.keeps.pop(model, None)

    def keep(self, model: str, seconds: float) -> None:
        """Note how long; 0 forgets it at once."""
        self._check(model)
        if seconds == 0:
            self.keeps.pop(model, None)
        elif model in self.keeps:
            self.keeps[model] = seconds

    async def pull(self, name: str) -> AsyncGenerator[PullProgress, None]:
        """Two steps of 50 bytes."""
        if name not in self.remote:
            raise InvalidRequest(f"'{name}' cannot be pulled.", "model")
        yield PullProgress("pulling", "0" * 64, 100, 50)
        yield PullProgress("pulling", "0" * 64, 100, 100)
        self.own.add(self.remote[name])
        self._pulled[name] = self.remote[name]

    async def copy(self, source: str, destination: str) -> None:
        """Another name of one's own."""
        self._check_own(source)
        if self.holds(destination) or "/" in destination:
            raise InvalidRequest(f"'{destination}' cannot be its name.", "destination")
        self.own.add(destination)

    async def delete(self, model: str) -> None:
        """Forget one's own."""
        self._check_own(model)
        self.own.discard(model)
        self.keeps.pop(model, None)

    def _check(self, model: str) -> None:
        if not self.holds(model):
            raise ModelNotFound(model)

    def _check_own(self, model: str) -> None:
        self._check(model)
        if model in self.foreign:
            raise InvalidRequest(f"The model '{model}' belongs to somebody else.", "model")
