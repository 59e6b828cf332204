"""The port of the model files where there are none to look after."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from ghostd.errors import InvalidRequest, ModelNotFound
from ghostd.models import LoadedModel, ModelDescription, PullProgress
from ghostd.ports import ModelStore


class NoModels:
    """Holds nothing."""

    def holds(self, model: str) -> bool:
        """Never."""
        return False

    def pulled(self, name: str) -> str | None:
        """None."""
        return None

    def loaded(self) -> Sequence[LoadedModel]:
        """None."""
        return ()

    async def describe(self, model: str) -> ModelDescription:
        """Raises ModelNotFound, as all below."""
        raise ModelNotFound(model)

    async def load(self, model: str) -> None:
        """See describe."""
        raise ModelNotFound(model)

    async def unload(self, model: str) -> None:
        """See describe."""
        raise ModelNotFound(model)

    def keep(self, model: str, seconds: float) -> None:
        """See describe."""
        raise ModelNotFound(model)

    async def pull(self, name: str) -> AsyncGenerator[PullProgress, None]:
        """Raises InvalidRequest."""
        for progress in list[PullProgress]():
            yield progress
        raise InvalidRequest("No models are kept here, so that none can be pulled.", "model")

    async def copy(self, source: str, destination: str) -> None:
        """See describe."""
        raise ModelNotFound(source)

    async def delete(self, model: str) -> None:
        """See describe."""
        raise ModelNotFound(model)


NO_MODELS: ModelStore = NoModels()
