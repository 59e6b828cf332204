"""What HTTP serves: the doors of the APIs, and files and batches behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from ghostd.analysis.analyst import Analyst
from ghostd.batches.service import open_batches
from ghostd.config.settings import Config
from ghostd.daemon.control import Daemon
from ghostd.daemon.models import Models
from ghostd.daemon.projects import Projects
from ghostd.engine import Engine
from ghostd.files.service import open_files
from ghostd.gateway.app import HttpServer, serve_http
from ghostd.gateway.attachments import Attachments
from ghostd.gateway.dialects.responses.doors import responses_doors
from ghostd.gateway.doors import (
    api_routes,
    batch_doors,
    context_doors,
    file_doors,
    metrics_doors,
    next_edit_doors,
    ollama_doors,
    project_doors,
    symbol_doors,
    zeke_doors,
    zeke_project_doors,
)
from ghostd.gateway.inside import Inside
from ghostd.gateway.routes import Later
from ghostd.local.control import control_routes
from ghostd.local.evaluate_control import evaluation_routes
from ghostd.local.model_control import model_routes
from ghostd.local.paths import Paths
from ghostd.responses.service import open_responses


@asynccontextmanager
async def serve(
    config: Config, paths: Paths, models: Models, projects: Projects, daemon: Daemon
) -> AsyncIterator[HttpServer]:
    """HTTP while the block runs; raises PortTaken or ConfigError."""
    engine = models.engine
    analyst = Analyst(projects.index, projects.resolver, projects.history)
    async with AsyncExitStack() as parts:
        kept = await parts.enter_async_context(open_responses(paths.responses, config.responses))
        responses = await parts.enter_async_context(responses_doors(engine, kept, config.responses))
        attachments, background = await parts.enter_async_context(_background(config, paths, engine, responses))
        server = await parts.enter_async_context(
            serve_http(
                engine,
                config.http,
                paths.http_socket,
                lambda: {},
                [*control_routes(daemon), *model_routes(models.local), *evaluation_routes(projects.context)],
                doors=[
                    ollama_doors(engine, models.store),
                    *responses,
                    *background,
                    symbol_doors(projects.navigation),
                    context_doors(projects.context),
                    next_edit_doors(projects.next_edits, projects.index),
                    zeke_doors(engine, projects.suggestions),
                    zeke_project_doors(analyst),
                    metrics_doors(projects.suggestions),
                    project_doors(analyst),
                ],
                attachments=attachments,
                drain_s=config.drain_s,
            )
        )
        yield server


@asynccontextmanager
async def _background(
    config: Config, paths: Paths, engine: Engine, doors: Sequence[Later]
) -> AsyncIterator[tuple[Attachments, Sequence[Later]]]:
    """Files and batches while the block runs: for requests that name files, and their doors.

    Batches ask the doors that HTTP has.
    """
    async with open_files(paths.files, config.files) as files:
        attachments = Attachments(files, config.http.max_body_bytes)
        inside = Inside([*api_routes(engine, dict), *doors], config.http, attachments)
        limit = config.http.max_body_bytes + 65_536  # a line is more than its body
        async with open_batches(paths.batches, config.batches, files, inside.ask, max_line_bytes=limit) as batches:
            yield attachments, [file_doors(files, config.files), batch_doors(batches)]
