"""Every door of both addresses: its paths here, its module imported when one of them is first asked for.

So a start pays for no dialect, and only those that are used are paid for at all until `load_dialects` has come to them.
"""

from __future__ import annotations

import asyncio
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module

import msgspec

from ghostd import __version__
from ghostd.analysis.analyst import Analyst
from ghostd.code_ports import Index
from ghostd.config.files import FilesConfig
from ghostd.context.service import ContextService
from ghostd.engine import Engine
from ghostd.gateway import dialects
from ghostd.gateway.dialect import Dialect
from ghostd.gateway.dialects.anthropic.errors import ANTHROPIC
from ghostd.gateway.dialects.llamacpp.errors import LLAMACPP
from ghostd.gateway.dialects.mistral_errors import MISTRAL
from ghostd.gateway.dialects.ollama.errors import OLLAMA
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.guard import MAX_FIELD_BYTES
from ghostd.gateway.openapi.served import Described
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Later, Route, Routes
from ghostd.navigation.navigator import Navigator
from ghostd.next_edit.service import NextEdits
from ghostd.ports import Batches, FileStore, ModelStore
from ghostd.suggestions.service import SuggestionService

Status = Callable[[], Mapping[str, object]]

_LLAMACPP = ("/infill", "/completion", "/tokenize", "/detokenize", "/apply-template", "/props", "/slots")
DIALECTS: Mapping[str, Dialect] = {
    "/api/": OLLAMA,
    "/v1/messages": ANTHROPIC,
    **dict.fromkeys(_LLAMACPP, LLAMACPP),
    "/v1/fim/": MISTRAL,
}
"""Paths below which another dialect than OpenAI's is spoken."""
_OLLAMA = (
    "version", "tags", "ps", "show", "chat", "generate", "embed", "embeddings", "pull", "copy", "delete", "create",
    "push", "blobs/",
)  # fmt: skip
_FORMS = ("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits", "/v1/images/variations")
_NOT_OFFERED = tuple(
    f"/v1/{name}"
    for name in (
        "agents", "assistants", "audio/voice_consents", "audio/voices", "chatkit", "containers",
        "content_provenance_checks", "decisions", "edits", "engines", "evals", "fine-tunes", "fine_tuning", "live",
        "organization", "projects", "realtime", "safety", "skills", "threads", "vaults", "vector_stores",
        "videos", "webhook_endpoints", "webhook_event_types",
    )
)  # fmt: skip
_HEALTH = Doc("Say that the daemon serves", "ghostd")


def public_routes(engine: Engine, status: Status, doors: Iterable[Route | Later]) -> Routes:
    """What both addresses serve."""
    routes = Routes()
    routes.dialects.update(DIALECTS)
    routes.add(api_routes(engine, status))
    routes.add(doors)
    routes.add([Described(routes).route])
    return routes


def api_routes(engine: Engine, status: Status) -> Sequence[Route | Later]:
    """The doors that need no part of the daemon but its engine. `status` adds to what `/health` says."""
    absent = tuple(path + end for path in _NOT_OFFERED for end in ("", "/"))
    return (
        Route("GET", "/health", partial(_health, status), doc=_HEALTH),
        Later(absent, _not_offered, multipart=_NOT_OFFERED),
        Later(("/v1/chat/completions", "/v1/v1/chat/completions"), partial(_chat, engine)),
        Later(("/v1/models", "/v1/models/"), partial(_models, engine)),
        Later(("/v1/completions", "/v1/embeddings"), partial(_texts, engine)),
        Later(("/v1/moderations", "/v1/images/generations", "/v1/audio/speech"), partial(_passed, engine)),
        Later(_FORMS, partial(_forms, engine), multipart=_FORMS),
        Later((*_LLAMACPP, "/completions", "/chat/completions", "/models"), partial(_llamacpp, engine)),
        Later(("/v1/fim/completions",), partial(_mistral, engine)),
        Later(("/v1/health", "/v1/events", "/v1beta/server_setting"), partial(_tabby, engine, status)),
        ollama_doors(engine),
        Later(("/v1/messages", "/v1/messages/count_tokens"), partial(_anthropic, engine)),
        Later(("/v1/ghostd/feedback",), partial(_feedback, engine)),
    )


def control_doors(engine: Engine) -> Sequence[Route | Later]:
    """The gateway's own ones of the Unix socket."""
    return (Later(("/ghostd/v1/route/explain",), partial(_explain, engine)),)


def ollama_doors(engine: Engine, store: ModelStore | None = None) -> Later:
    """Ollama's API. `store` are the model files that may be loaded, fetched and removed."""
    return Later(("/", *(f"/api/{name}" for name in _OLLAMA)), partial(_ollama, engine, store))


def file_doors(files: FileStore, config: FilesConfig) -> Later:
    """Files and their contents."""
    more = 2 * MAX_FIELD_BYTES
    most = {"/v1/files": config.max_bytes + more, "/v1/uploads/": config.max_part_bytes + more}
    paths = ("/v1/files", "/v1/files/", "/v1/uploads", "/v1/uploads/")
    return Later(paths, partial(_files, files, config), multipart=tuple(most), max_body_bytes=most)


def batch_doors(batches: Batches) -> Later:
    """Batches of requests."""
    return Later(("/v1/batches", "/v1/batches/"), partial(_batches, batches))


def symbol_doors(navigator: Navigator) -> Later:
    """What the indexed projects define and use."""
    return Later(("/v1/ghostd/symbols", "/v1/ghostd/references"), partial(_symbols, navigator))


def context_doors(service: ContextService) -> Later:
    """What prompts would quote of the indexed projects."""
    return Later(("/v1/ghostd/context",), partial(_context, service))


def next_edit_doors(next_edits: NextEdits, index: Index) -> Later:
    """What is to be edited next."""
    return Later(("/v1/ghostd/next-edit",), partial(_next_edit, next_edits, index))


def zeke_doors(engine: Engine, suggestions: SuggestionService) -> Later:
    """Zeke's own calls."""
    return Later(("/v1/zeke/code/complete",), partial(_zeke, engine, suggestions))


def zeke_project_doors(analyst: Analyst) -> Later:
    """What the indexed projects are made of, for Zeke."""
    paths = ("/v1/zeke/project/context", "/v1/zeke/project/analyze")
    return Later(paths, partial(_zeke_project, analyst))


def metrics_doors(suggestions: SuggestionService) -> Later:
    """Figures for Prometheus."""
    return Later(("/metrics",), partial(_metrics, suggestions))


def project_doors(analyst: Analyst) -> Later:
    """What the indexed projects are made of."""
    return Later(("/v1/ghostd/project", "/v1/ghostd/repo-map"), partial(_project, analyst))


async def load_dialects(after_s: float) -> None:
    """Import the dialects' modules, one in each turn of the loop, for the sake of their first requests.

    Also because what lies on the disk may be another version soon.
    """
    await asyncio.sleep(after_s)
    for name in await asyncio.to_thread(_dialects):
        import_module(name)
        await asyncio.sleep(0)


def _dialects() -> Sequence[str]:
    return [module.name for module in pkgutil.walk_packages(dialects.__path__, f"{dialects.__name__}.")]


async def _health(status: Status, exchange: Exchange) -> Response:
    return exchange.json(msgspec.json.encode({**status(), "status": "ok", "version": __version__}))


def _not_offered() -> Iterable[Route]:
    from ghostd.gateway.dialects.openai import absent

    return absent.routes()


def _metrics(suggestions: SuggestionService) -> Iterable[Route]:
    from ghostd.gateway.dialects import ghostd_metrics

    return ghostd_metrics.routes(suggestions)


def _zeke(engine: Engine, suggestions: SuggestionService) -> Iterable[Route]:
    from ghostd.gateway.dialects.zeke import complete

    return complete.routes(engine, suggestions)


def _zeke_project(analyst: Analyst) -> Iterable[Route]:
    from ghostd.gateway.dialects.zeke import project

    return project.routes(analyst)


def _chat(engine: Engine) -> Iterable[Route]:
    from ghostd.gateway.dialects.openai import chat

    handler = partial(chat.chat_completions, engine)
    yield Route("POST", "/v1/chat/completions", handler, doc=chat.DOC)
    yield Route("POST", "/v1/v1/chat/completions", handler, doc=chat.DOC)  # Zeke's Rust version doubles the prefix


def _models(engine: Engine) -> Iterable[Route]:
    from ghostd.gateway.dialects.anthropic.models import list_models, retrieve_model
    from ghostd.gateway.dialects.openai.models import LIST_DOC, MODEL_DOC

    yield Route("GET", "/v1/models", partial(list_models, engine), doc=LIST_DOC)
    yield Route("GET", "/v1/models/", partial(retrieve_model, engine), prefix=True, doc=MODEL_DOC)


def _texts(engine: Engine) -> Iterable[Route]:
    from ghostd.gateway.dialects.openai import completions, embeddings

    yield Route("POST", "/v1/completions", partial(completions.completions, engine), doc=completions.DOC)
    yield Route("POST", "/v1/embeddings", partial(embeddings.embeddings, engine), doc=embeddings.DOC)


def _passed(engine: Engine) -> Iterable[Route]:
    from ghostd.gateway.dialects.openai.passed import DOCS, PATHS, pass_on

    for path, operation in PATHS.items():
        yield Route("POST", path, partial(pass_on, operation, engine), doc=DOCS[path])


def _forms(engine: Engine) -> Iterable[Route]:
    from ghostd.gateway.dialects.openai import multipart

    return multipart.routes(engine)


def _llamacpp(engine: Engine) -> Iterable[Route]:
    from ghostd.gateway.dialects.llamacpp import routes

    return routes.routes(engine)


def _mistral(engine: Engine) -> Iterable[Route]:
    from ghostd.gateway.dialects import mistral_fim

    return mistral_fim.routes(engine)


def _tabby(engine: Engine, status: Status) -> Iterable[Route]:
    from ghostd.gateway.dialects.tabby import routes

    return routes.routes(engine, status)


def _ollama(engine: Engine, store: ModelStore | None) -> Iterable[Route]:
    from ghostd.gateway.dialects.ollama import routes

    return routes.routes(engine) if store is None else routes.routes(engine, store)


def _anthropic(engine: Engine) -> Iterable[Route]:
    from ghostd.gateway.dialects.anthropic import messages

    return messages.routes(engine)


def _feedback(engine: Engine) -> Iterable[Route]:
    from ghostd.gateway.dialects import ghostd_routing

    yield Route("POST", "/v1/ghostd/feedback", partial(ghostd_routing.feedback, engine), doc=ghostd_routing.DOC)


def _explain(engine: Engine) -> Iterable[Route]:
    from ghostd.gateway.dialects import ghostd_routing

    yield Route("POST", "/ghostd/v1/route/explain", partial(ghostd_routing.explain_route, engine))


def _files(files: FileStore, config: FilesConfig) -> Iterable[Route]:
    from ghostd.gateway.dialects.openai import files as whole
    from ghostd.gateway.dialects.openai import uploads

    return (*whole.routes(files, config), *uploads.routes(files, config))


def _batches(batches: Batches) -> Iterable[Route]:
    from ghostd.gateway.dialects.openai.batches import routes

    return routes(batches)


def _symbols(navigator: Navigator) -> Iterable[Route]:
    from ghostd.gateway.dialects import ghostd_symbols

    return ghostd_symbols.routes(navigator)


def _context(service: ContextService) -> Iterable[Route]:
    from ghostd.gateway.dialects import ghostd_context

    return ghostd_context.routes(service)


def _next_edit(next_edits: NextEdits, index: Index) -> Iterable[Route]:
    from ghostd.gateway.dialects import ghostd_next_edit

    return ghostd_next_edit.routes(next_edits, index)


def _project(analyst: Analyst) -> Iterable[Route]:
    from ghostd.gateway.dialects import ghostd_project

    return ghostd_project.routes(analyst)
