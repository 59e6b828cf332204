"""What the daemon hands a front-end, without a daemon."""

from __future__ import annotations

from pathlib import Path

from ghostd.code_ports import GitHistory, Index
from ghostd.config.settings import Config
from ghostd.context.service import ContextService
from ghostd.engine import Engine, FrontendHost
from ghostd.navigation.navigator import navigator
from ghostd.next_edit.by_model import ModelEdits
from ghostd.next_edit.service import NextEdits
from ghostd.resolve.resolver import Resolver
from ghostd.suggestions.service import SuggestionService


def frontend_host(
    engine: Engine,
    index: Index,
    socket_path: Path,
    config: Config | None = None,
    history: GitHistory | None = None,
) -> FrontendHost:
    """A host over these parts."""
    config, resolver = config or Config(), Resolver(index)
    context = ContextService(index, resolver, history, config.context, lambda: engine.registry)
    suggestions = SuggestionService(engine, lambda: config.completion)
    next_edits = NextEdits(config.next_edit, resolver, ModelEdits(engine, config.next_edit))
    navigation = navigator(index, resolver)
    return FrontendHost(engine, index, config, socket_path, navigation, context, suggestions, next_edits)
