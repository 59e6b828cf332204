"""All settings together."""

from __future__ import annotations

import msgspec

from ghostd.config.completion import CompletionConfig, ProjectModelConfig
from ghostd.config.context import ContextConfig
from ghostd.config.embeddings import EmbeddingsConfig
from ghostd.config.files import BatchesConfig, FilesConfig
from ghostd.config.http import HttpConfig
from ghostd.config.kinds import Seconds
from ghostd.config.ledger import LedgerConfig
from ghostd.config.local import DiscoveryConfig, LocalConfig
from ghostd.config.log import LogConfig
from ghostd.config.lsp import LspConfig
from ghostd.config.next_edit import NextEditConfig
from ghostd.config.projects import HistoryConfig, IndexConfig
from ghostd.config.providers import DeploymentConfig, ProviderConfig, UpstreamConfig
from ghostd.config.responses import ResponsesConfig
from ghostd.config.routing import ExperimentConfig, RouteConfig, RoutingConfig


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings."""

    http: HttpConfig = HttpConfig()
    index: IndexConfig = IndexConfig()
    history: HistoryConfig = HistoryConfig()
    context: ContextConfig = ContextConfig()
    embeddings: EmbeddingsConfig = EmbeddingsConfig()
    completion: CompletionConfig = CompletionConfig()
    next_edit: NextEditConfig = NextEditConfig()
    project_model: ProjectModelConfig = ProjectModelConfig()
    local: LocalConfig = LocalConfig()
    lsp: LspConfig = LspConfig()
    log: LogConfig = LogConfig()
    providers: dict[str, ProviderConfig] = {}
    """Services that offer models: [providers.NAME]."""
    deployments: dict[str, DeploymentConfig] = {}
    """Single models with limits of their own: [deployments.NAME]."""
    routes: dict[str, RouteConfig] = {}
    """Public model names and what answers for them: [routes.NAME]."""
    aliases: dict[str, str] = {}
    """Further names of models and routes, e.g. "gpt-4" = "openai/gpt-4.1"."""
    experiments: dict[str, ExperimentConfig] = {}
    """A/B splits: [experiments.NAME]."""
    routing: RoutingConfig = RoutingConfig()
    upstream: UpstreamConfig = UpstreamConfig()
    ledger: LedgerConfig = LedgerConfig()
    responses: ResponsesConfig = ResponsesConfig()
    files: FilesConfig = FilesConfig()
    batches: BatchesConfig = BatchesConfig()
    discovery: DiscoveryConfig = DiscoveryConfig()
    frontends: tuple[str, ...] = ("lsp",)
    """Front-ends to start besides HTTP, by entry-point name."""
    drain_s: Seconds = 5.0
    """Time that running requests get to finish after SIGTERM."""
