"""What is known of the projects, and what editors get from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from ghostd.code_ports import GitHistory, Index, Similar
from ghostd.config.settings import Config
from ghostd.context.for_fill import quote_for
from ghostd.context.service import ContextService
from ghostd.engine import Engine
from ghostd.local.paths import Paths
from ghostd.navigation.navigator import Navigator, navigator
from ghostd.next_edit.by_model import ModelEdits
from ghostd.next_edit.service import NextEdits
from ghostd.resolve.resolver import Resolver
from ghostd.suggestions.service import SuggestionService, open_suggestions


@dataclass(frozen=True, slots=True)
class Projects:
    """What reads the index and git's history, by itself or with a model."""

    index: Index
    history: GitHistory
    resolver: Resolver
    navigation: Navigator
    similar: Similar | None
    """None where no model for embeddings is set."""
    context: ContextService
    suggestions: SuggestionService
    next_edits: NextEdits


@asynccontextmanager
async def open_projects(
    config: Config, paths: Paths, index: Index, history: GitHistory, engine: Engine
) -> AsyncIterator[Projects]:
    """The projects while the block runs; from then on the engine's prompts quote them."""
    async with AsyncExitStack() as parts:
        resolver = Resolver(index)
        parts.callback(resolver.close)
        similar = None
        if config.embeddings.model:
            similar = await parts.enter_async_context(_embeddings(config, paths, engine, index))
        context = ContextService(index, resolver, history, config.context, lambda: engine.registry, similar)
        parts.callback(context.close)
        engine.quote = partial(quote_for, context)
        calibration = paths.data / "completion-calibration.json"
        suggestions = await parts.enter_async_context(
            open_suggestions(engine, lambda: engine.registry.config.completion, calibration)
        )
        next_edits = NextEdits(config.next_edit, resolver, ModelEdits(engine, config.next_edit))
        parts.callback(next_edits.close)
        navigation = navigator(index, resolver)
        yield Projects(index, history, resolver, navigation, similar, context, suggestions, next_edits)


def _embeddings(config: Config, paths: Paths, engine: Engine, index: Index) -> AbstractAsyncContextManager[Similar]:
    """The vectors of the indexed projects; numpy is loaded only for those who want them."""
    from ghostd.daemon.embedding_model import asking_engine
    from ghostd.vectors.service import open_vectors

    return open_vectors(index, paths.vectors, config.embeddings, asking_engine(config.embeddings, engine))
