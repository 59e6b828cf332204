"""The configuration: TOML → frozen structs, checked once. Each setting has its unit in its name and a default.

`docs/configuration.md` lists every setting; a test compares the two.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from ghostd.config_checks import first_mistake
from ghostd.config_embeddings import EmbeddingsConfig
from ghostd.config_files import BatchesConfig, FilesConfig
from ghostd.config_next_edit import NextEditConfig
from ghostd.config_responses import ResponsesConfig
from ghostd.config_routing import (
    Bytes,
    Count,
    DeploymentConfig,
    DiscoveryConfig,
    ExperimentConfig,
    LedgerConfig,
    Probability,
    ProviderConfig,
    RouteConfig,
    RoutingConfig,
    Seconds,
    UpstreamConfig,
)
from ghostd.errors import ConfigError

Milliseconds = Annotated[int, Meta(ge=0)]

SECRET_FILES = (
    *(".env", ".env.*", "!.env.example", "!.env.sample", "!.env.template", "!.env.dist", ".envrc"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk"),
    *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"),
    *(".netrc", "_netrc", ".pgpass", ".my.cnf", ".npmrc", ".pypirc", ".git-credentials", ".htpasswd", ".dockercfg"),
    *("credentials", "credentials.json", "credentials.toml", "credentials.y*ml", "credentials.ini", "credentials.xml"),
    *("secrets.json", "secrets.toml", "secrets.y*ml", "*.tfstate", "*.tfstate.backup"),
)
"""Names under which programs keep passwords and keys."""

S = TypeVar("S", bound=msgspec.Struct)


class HttpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The OpenAI-compatible port."""

    host: str = "127.0.0.1"
    """Loopback address to listen on."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """TCP port; 0 takes a free one, which the ready line names."""
    ollama_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """A second loopback port for clients that look for Ollama (its own is 11434); taken only if it is free, 0: none."""
    allowed_hosts: tuple[str, ...] = ()
    """Further `Host` header values to accept, exactly as sent, e.g. "devbox.local:8080"."""
    llamacpp_model: str = "auto"
    """Model for llama.cpp's, Tabby's and Mistral's clients where a request names none."""
    max_body_bytes: Bytes = 32 * 1024 * 1024
    """Largest request body."""
    max_bodies_bytes: Bytes = 256 * 1024 * 1024
    """All request bodies in memory at once; those beyond it wait for up to 5 s, then get a 503 with `retry-after`."""
    max_json_depth: Count = 64
    """Deepest nesting of a JSON body."""
    header_timeout_s: Seconds = 10.0
    """Time a client may take to send its request line and headers."""
    body_timeout_s: Seconds = 30.0
    """Time a client may take to send its body."""
    request_timeout_s: Seconds = 600.0
    """Time one request may take in all."""
    max_connections: Count = 512
    """Open connections at once."""


class IndexConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is indexed, and the limits."""

    roots: tuple[str, ...] = ()
    """Folders to index at start, besides those given with --root and those that editors open."""
    exclude: tuple[str, ...] = ()
    """Further ignore patterns, in .gitignore syntax, for every root."""
    secret_files: tuple[str, ...] = SECRET_FILES
    """Names of files that are never read, with `*` and `?`; a pattern after `!` says which of them are."""
    max_file_bytes: Bytes = 1024 * 1024
    """Larger files are skipped."""
    max_line_bytes: Bytes = 20_000
    """Files with a longer line (minified or generated) are skipped."""
    max_depth: Count = 64
    """Folders nested deeper are skipped."""
    max_files: Count = 200_000
    """Files of one root; the rest is skipped."""
    parse_timeout_ms: Annotated[int, Meta(ge=1)] = 2_000
    """Time to parse one file."""
    parse_memory_mb: Count = 1024
    """Address space that the parse worker may add while it works."""
    reconcile_s: Seconds = 600.0
    """Period of the check for changes that the file watcher missed."""
    keep_bytes: Annotated[int, Meta(ge=0)] = 16 * 1024 * 1024
    """What is known of contents that no file of a root has any more, kept for the way back to another branch."""
    max_postings: Count = 20_000_000
    """Words in chunks of one root that chunk search keeps, at some 4 bytes each; further files are not found by it."""
    max_open_documents: Count = 500
    """Editors' open documents that stand in for their files; those changed longest ago count as their files."""
    max_open_chars: Count = 32 * 1024 * 1024
    """Characters of these documents together."""


class HistoryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Git history of the indexed folders."""

    enabled: bool = True
    """Whether to read it."""
    max_commits: Count = 20_000
    """Commits of one repository, the newest first; older ones are not read."""
    max_files_per_commit: Annotated[int, Meta(ge=2)] = 50
    """Commits that touched more files say nothing about which files belong together."""
    half_life_days: Annotated[float, Meta(gt=0)] = 180.0
    """Age at which a commit counts half."""
    max_read_cpu_s: Seconds = 60.0
    """CPU time of one reading of commits."""
    max_diff_bytes: Bytes = 262_144
    """Text of one answer about changes; the files beyond it are named without their lines."""
    max_file_bytes: Bytes = 1024 * 1024
    """Larger files are compared and blamed by name only."""
    timeout_s: Seconds = 5.0
    """Time of one question, e.g. a blame; one that takes longer is answered with nothing."""


class ContextConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What prompts quote of the rest of the project."""

    enabled: bool = True
    """Whether anything is looked for."""
    budget_tokens: Annotated[int, Meta(ge=1, le=32_000)] = 1_000
    """Tokens that it may take where a request says nothing."""
    fill_tokens: Annotated[int, Meta(ge=0, le=32_000)] = 1_000
    """Tokens that a fill-in-the-middle prompt may quote of the project, up to a third of the model's context; 0: none.
    A model on this machine reads it anew when the user asks for a completion or pauses, and while they type only where
    it is fast enough."""
    deadline_ms: Annotated[int, Meta(ge=1, le=60_000)] = 250
    """Time to look for it; sources that have not answered by then are left out, and named."""


class CompletionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Inline completion for editors."""

    model: str = "auto"
    """Model for editors' completions. "auto": ghostd/project when it is confident, else a local model that fills."""
    max_tokens: Count = 128
    """Tokens of one completion."""
    max_lines: Count = 8
    """Lines of one completion."""
    timeout_ms: Annotated[int, Meta(ge=1)] = 10_000
    """Time after which a completion is given up."""
    inline_budget_ms: Annotated[int, Meta(ge=1)] = 100
    """Time within which a better model's text takes the place of ghostd/project's; what comes later serves the next
    key."""
    model_budget_ms: Annotated[int, Meta(ge=1)] = 600
    """A local model that needs longer for the rest of a line, by its calibrated speed, is not asked while the user
    types, only when they ask for a completion."""
    read_ms: Annotated[int, Meta(ge=1)] = 2_000
    """Time that a local model may take, by its calibrated speed, to read the prompt of a document from its beginning:
    what is quoted of the file and the project is cut to that, but not below 512 tokens."""
    project_first: bool = True
    """Whether ghostd/project answers before the model that `model` names, as it does with "auto"."""
    sure: Probability = 0.85
    """A suggestion of ghostd/project that is right with at least this probability is shown without asking a model."""
    warm_up: bool = True
    """Whether a local model is loaded when a document is opened, and reads its prompt while you pause."""
    calibrate: bool = True
    """Whether what you accept and write adjusts how sure ghostd/project has to be."""
    speculate: Literal["auto", "always", "never"] = "auto"
    """Whether what may follow a suggestion is prepared while it is shown; "auto": not by services that leave the
    machine."""


class ProjectModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The built-in model `ghostd/project`."""

    enabled: bool = True
    """Whether to learn from the indexed projects and serve the model."""
    min_confidence: Probability | None = None
    """Estimated probability of being right below which nothing is shown; unset: the calibrated default."""
    max_memory_mb: Count = 96
    """Memory that the model may take in the daemon, over all projects."""
    max_lines: Count = 4
    """Lines of one completion."""


class LocalModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One GGUF file."""

    path: str
    """The file; `~` is expanded, a relative path starts at the configuration file's folder."""
    context_tokens: Count | None = None
    """Context to allocate; unset: local.context_tokens."""
    threads: Count | None = None
    """CPU threads; unset: local.threads."""
    n_gpu_layers: Annotated[int, Meta(ge=-1)] | None = None
    """Layers on the GPU, -1 for all; unset: local.n_gpu_layers."""
    temperature: Annotated[float, Meta(ge=0)] | None = None
    """Default temperature for requests that give none."""
    max_tokens: Count | None = None
    """Default limit of a reply for requests that give none."""
    preload: bool = False
    """Load at start instead of at the first request."""


class LocalConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """GGUF models on this machine."""

    engine: Literal["auto", "llama-cpp-python", "xllamacpp"] = "auto"
    """Which engine runs them; "auto" takes llama-cpp-python if it is installed, else xllamacpp."""
    models_dir: str | None = None
    """Folder whose *.gguf files are offered; unset: `models` in ghostd's data folder."""
    models: dict[str, LocalModelConfig] = {}
    """Models by path: [local.models."name"]."""
    context_tokens: Count = 4096
    """Context to allocate for each model, at most what the model was trained for."""
    threads: Count | None = None
    """CPU threads for each model; unset: physical cores - 1, at least 1."""
    kv_sequences: Annotated[int, Meta(ge=1, le=64)] = 4
    """Prompts that each model keeps at once, so that documents and chats that take turns are not read again. More than
    one take twice the memory of `context_tokens` together, where there is that much."""
    keep_prompt_cache: bool = True
    """Whether what models have read outlives their processes: kept prompts of 256 tokens and more are written into
    `prompts` in ghostd's cache folder when a model is unloaded or ghostd stops, and found there when the same file is
    loaded again. Off: what is there is deleted at the next start. The engine llama-cpp-python only."""
    prompt_cache_mb: Count = 256
    """All models' prompts there together; the oldest ones are deleted for new ones."""
    draft_tokens: Annotated[int, Meta(ge=0, le=8)] = 8
    """Tokens of a reply at most that are drafted from the prompt and the project, for the model to check in one step:
    the reply is the same, and sooner where the drafts are good. How many is learned as the model runs. 0: none. The
    engine llama-cpp-python only."""
    n_batch: Annotated[int, Meta(ge=8)] = 128
    """Prompt tokens computed in one step; smaller steps react faster to a cancellation."""
    n_gpu_layers: Annotated[int, Meta(ge=-1)] = -1
    """Layers on the GPU where the engine has one, -1 for all."""
    load_timeout_s: Seconds = 300.0
    """Time a model may take to load, test and calibrate itself."""
    idle_unload_s: Seconds = 900.0
    """A model unused for this long is unloaded."""
    max_queue: Count = 32
    """Requests that may wait for one model; beyond them the last to have come of the least urgent ones is refused."""
    memory_budget_mb: Count | None = None
    """Memory for all loaded models together; unset: 80 % of what is available at the time."""
    memory_reserve_mb: Annotated[int, Meta(ge=0)] = 512
    """Memory that loading a model must leave free."""
    chat_template_timeout_s: Seconds = 2.0
    """CPU time a chat template may take to render."""
    worker_stall_s: Seconds = 60.0
    """Time without a token or a computed prompt step after which a worker counts as hung and is restarted."""
    cancel_timeout_s: Seconds = 5.0
    """Time a worker may take to stop a cancelled request before it is restarted."""


class LspConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Editors over LSP."""

    max_sessions: Count = 32
    """Editors connected at once."""
    max_document_bytes: Bytes = 8 * 1024 * 1024
    """Larger documents get no completions."""
    max_message_bytes: Bytes = 64 * 1024 * 1024
    """Largest JSON-RPC message."""
    symbols: Literal["auto", "on", "off"] | tuple[str, ...] = "auto"
    """For which languages editors get symbols, definitions, references, calls and hovers: "auto" for those that no
    other language server of the editor serves, or a list of languages."""


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is written to the log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""
    format: Literal["text", "json"] = "text"
    """Lines for people or JSON objects."""


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


def load_config(path: Path | None) -> Config:
    """The configuration in `path`, or the defaults for None.

    Raises ConfigError, with file and line, when the file is unreadable, not TOML, or holds a key or value that
    is not known.
    """
    if path is None:
        return Config()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the configuration is not UTF-8 text (byte {error.start})") from None
    return parse_config(text, path)


def parse_config(text: str, path: Path) -> Config:
    """The configuration in `text`; `path` is for messages and for relative paths."""
    config = parse_toml(text, path, Config)
    _check(config, text, path)
    return config


def parse_toml(text: str, path: Path, kind: type[S]) -> S:
    """The settings in `text`; raises ConfigError, with file and line, for what is no TOML or no such setting."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        where = f":{match[1]}:{match[2]}" if match else ""
        reason = re.sub(r" \(at .*\)$", "", str(error))
        raise ConfigError(f"{path}{where}: not valid TOML: {reason}") from None
    except RecursionError:
        raise ConfigError(f"{path}: the configuration is nested too deeply") from None
    unknown = _unknown_key(data, kind)
    if unknown is not None:
        keys, known = unknown
        raise ConfigError(_unknown_message(text, path, keys, known))
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        keys = _wrong_key(data, kind)
        reason, _, place = str(error).partition(" - at `$")
        inside = re.search(r"\[\d+\][^`]*", place.rpartition(f".{keys[-1]}")[2] if keys else "")  # of an array
        name = ".".join(keys) + (inside[0] if inside else "")
        raise ConfigError(f"{path}{_line_of(text, keys)}: `{name}`: {reason}") from None


def error_at(path: Path, keys: Sequence[str], reason: str) -> ConfigError:
    """The error for a setting, with file and line where they are known; reads the file."""
    try:
        line = _line_of(path.read_text(encoding="utf-8"), list(keys))
    except (OSError, UnicodeDecodeError):
        line = ""
    return ConfigError(f"{path}{line}: `{'.'.join(keys)}`: {reason}")


def _wrong_key(value: Any, kind: Any) -> list[str]:
    """The path of the first value that is not of its kind; msgspec tells it without the names in tables."""
    inside: list[tuple[str, Any, Any]] = []
    if isinstance(value, dict):
        for option in get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,):
            if isinstance(option, type) and issubclass(option, msgspec.Struct):
                inside = [(name, value.get(name), field_kind) for name, field_kind in _fields(option).items()]
            elif get_origin(option) is dict:
                inside = [(key, entry, get_args(option)[1]) for key, entry in value.items()]
    for key, entry, entry_kind in inside:
        if key in value:
            try:
                msgspec.convert(entry, entry_kind)
            except msgspec.ValidationError:
                return [key, *_wrong_key(entry, entry_kind)]
    return []


def _check(config: Config, text: str, path: Path) -> None:
    """Rules that types cannot say."""
    host = config.http.host
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigError(
            f"{path}{_line_of(text, ['http', 'host'])}: `http.host`: {host!r} is not a loopback address; "
            "ghostd serves this machine only (use 127.0.0.1, ::1 or localhost)"
        )
    if (mistake := first_mistake(config)) is not None:
        keys = list(mistake.keys)
        raise ConfigError(f"{path}{_line_of(text, keys)}: `{'.'.join(keys)}`: {mistake.reason}")


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The settings of a table and their kinds; msgspec takes 60 µs to tell them."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(struct)}


def _unknown_key(data: dict[str, Any], struct: type[msgspec.Struct]) -> tuple[list[str], list[str]] | None:
    """The path of the first key that `struct` does not have, and the names it has there."""
    fields = _fields(struct)
    for key, value in data.items():
        if key not in fields:
            return [key], sorted(fields)
        if found := _unknown_below(value, fields[key]):
            return [key, *found[0]], found[1]
    return None


def _unknown_below(value: Any, kind: Any) -> tuple[list[str], list[str]] | None:
    """The same inside a value: a struct, a table of structs by name, or an array of them."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _unknown_key(value, kind) if isinstance(value, dict) else None
    arguments = get_args(kind)
    if isinstance(value, dict) and get_origin(kind) is dict:
        for name, entry in value.items():
            if found := _unknown_below(entry, arguments[1]):
                return [name, *found[0]], found[1]
        return None
    for entry in value if isinstance(value, list) else [value]:
        for argument in arguments:
            if found := _unknown_below(entry, argument):
                return found
    return None


def _unknown_message(text: str, path: Path, keys: list[str], known: list[str]) -> str:
    close = difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.4)
    hint = f"; did you mean `{close[0]}`?" if close else f"; known here: {', '.join(known)}"
    return f"{path}{_line_of(text, keys)}: unknown setting `{'.'.join(keys)}`{hint}"


def _line_of(text: str, keys: list[str]) -> str:
    """ ":N" for the line that sets `keys`, or the nearest table that holds it; "" when neither is found.

    tomllib keeps no positions, so this looks for the table header and the key as people write them.
    """
    wanted = [key.strip("\"'") for key in keys]
    table: list[str] = []
    best = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[?([^\]]+)\]\]?\s*(#.*)?$", line):
            table = _split_key(header[1])
            if table and table == wanted[: len(table)]:
                best = f":{number}"
        elif assignment := re.match(r"\s*((?:\"[^\"]*\"|'[^']*'|[\w. -])+?)\s*=", line):
            full = table + _split_key(assignment[1])
            if full == wanted:
                return f":{number}"
            if full == wanted[: len(full)]:
                best = f":{number}"
    return best


def _split_key(text: str) -> list[str]:
    return [a or b or c for a, b, c in re.findall(r"\"([^\"]*)\"|'([^']*)'|([^\s.\"']+)", text)]
