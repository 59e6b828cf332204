"""What answers: the providers, the engine over them, and what keeps them in step with the configuration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ghostd.code_ports import Index
from ghostd.config.settings import Config
from ghostd.daemon.upkeep import Upkeep
from ghostd.daemon.upstreams import Upstreams
from ghostd.engine import Engine
from ghostd.ledger.service import open_ledger
from ghostd.local.paths import Paths, expand
from ghostd.ports import ProjectModel, Provider, SecretStore
from ghostd.project_model.provider import project_model
from ghostd.providers.http.client import http_client
from ghostd.routing.registry import Registry
from ghostd.secrets.store import Secrets
from ghostd.tokenizers.service import open_tokenizers
from ghostd.workers.model_store import LocalModelStore
from ghostd.workers.provider import LocalProvider, local_provider


@dataclass(frozen=True, slots=True)
class Models:
    """The engine, and what it is made of."""

    engine: Engine
    project: ProjectModel | None
    """None where it is switched off."""
    local: LocalProvider
    store: LocalModelStore
    secrets: SecretStore
    upstreams: Upstreams
    upkeep: Upkeep


@asynccontextmanager
async def open_models(
    config: Config,
    config_file: Path,
    command_line: Callable[[Config], Config],
    paths: Paths,
    index: Index,
    own_port: Callable[[], int],
) -> AsyncIterator[Models]:
    """The models while the block runs; `own_port` is where HTTP will be served. Raises ConfigError."""
    async with AsyncExitStack() as parts:
        providers: list[Provider] = []
        project: ProjectModel | None = None
        if config.project_model.enabled:
            learner = project_model(index, paths.data / "project-model", config.project_model)
            providers.append(project := await parts.enter_async_context(learner))
        base = config_file.parent
        models_dir = base / expand(Path(config.local.models_dir)) if config.local.models_dir else paths.models
        local = await parts.enter_async_context(
            local_provider(
                config.local, models_dir, base, discovery=config.discovery, data=paths.data, cache=paths.cache
            )
        )
        providers.append(local)
        store = await asyncio.to_thread(LocalModelStore, local, models_dir, paths.data / "pulled-models.json")
        secrets = Secrets()
        http = await parts.enter_async_context(http_client(config.upstream))
        ledger = await parts.enter_async_context(open_ledger(paths.ledger, config.ledger))
        engine = Engine(registry=Registry(config, providers), ledger=ledger, open_connection=http.warm)
        parts.push_async_callback(engine.router.close)
        engine.tokens.known = await parts.enter_async_context(open_tokenizers())
        upstreams = Upstreams(http, secrets)
        upkeep = Upkeep(config, config_file, engine.router, upstreams, http, own_port, command_line)
        await upkeep.start()
        yield Models(engine, project, local, store, secrets, upstreams, upkeep)
