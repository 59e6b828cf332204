"""The models that one provider offers: those configured, or those that its service lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ghostd.config.providers import ModelConfig, ProviderConfig
from ghostd.models import ModelInfo

MAX_LISTED = 5000
"""Models of one service that are remembered; the largest known list has some hundreds."""


class OfferedModels:
    """What is known of a provider's models. What the configuration says of one wins."""

    def __init__(self, settings: ProviderConfig, guess: Callable[[str], ModelInfo]) -> None:
        """`guess` says what a model of this name can do, for those that the service has not described."""
        self._settings = settings
        self._guess = guess
        self._listed: dict[str, ModelInfo] = {}
        self._known: dict[str, ModelInfo] = {}
        self._offered: tuple[ModelInfo, ...] | None = None

    @property
    def open_ended(self) -> bool:
        """Whether names that are not listed are taken, too."""
        return self._settings.models is None

    def listed(self, found: Iterable[ModelInfo]) -> None:
        """Remember what the service lists now, instead of what it listed before."""
        self._listed = {}
        for info in found:
            if len(self._listed) >= MAX_LISTED:
                break
            self._listed.setdefault(info.id, info)
        self._known = {}
        self._offered = None

    def models(self) -> Sequence[ModelInfo]:
        """Those configured, else those listed."""
        if self._offered is None:  # routes ask once for each model that they name
            names = self._settings.models if self._settings.models is not None else tuple(self._listed)
            self._offered = tuple(self.model(name) for name in names)
        return self._offered

    def model(self, name: str) -> ModelInfo:
        """What is known of a model of this name, listed or not."""
        known = self._known.get(name)
        if known is None:
            known = self._configured(name)
            if len(self._known) < MAX_LISTED:
                self._known[name] = known
        return known

    def _configured(self, name: str) -> ModelInfo:
        info = self._listed.get(name) or self._guess(name)
        said: ModelConfig | None = self._settings.model.get(name)
        if said is None:
            return info
        return replace(
            info,
            context_tokens=said.context_tokens or info.context_tokens,
            max_output_tokens=said.max_output_tokens or info.max_output_tokens,
            capabilities=info.capabilities if said.capabilities is None else frozenset(said.capabilities),
            features=info.features if said.features is None else frozenset(said.features),
        )
