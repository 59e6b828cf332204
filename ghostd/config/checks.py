"""What types cannot say: names that lead nowhere, cycles, URLs, an address that is not of this machine."""

from __future__ import annotations

import difflib
import ipaddress
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from ghostd import plugins
from ghostd.errors import SecretError
from ghostd.secret_references import parse_reference

if TYPE_CHECKING:
    from ghostd.config.providers import ProviderConfig
    from ghostd.config.settings import Config

VIRTUAL_MODELS = ("auto", "fast", "smart", "code", "local")
_SERVERS = ("ollama", "lm-studio", "vllm", "llama-server")
_FOUND_AT_RUN_TIME = frozenset(("ghostd", *_SERVERS, *(f"{server}-local" for server in _SERVERS)))
"""Heads of "head/model" that need no entry in the configuration."""
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[^\r\n\0]*")
"""RFC 9110, 5.1 and 5.5."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A setting that is wrong, and why."""

    keys: tuple[str, ...]
    reason: str


def first_mistake(config: Config) -> Mistake | None:
    """The first thing that is wrong with a configuration whose types are right."""
    return next(_mistakes(config), None)


def _mistakes(config: Config) -> Iterator[Mistake]:
    if not _is_loopback(config.http.host):
        yield Mistake(
            ("http", "host"),
            f"{config.http.host!r} is not a loopback address; "
            "ghostd serves this machine only (use 127.0.0.1, ::1 or localhost)",
        )
    yield from _not_finite(config, ())
    if config.http.ollama_port and config.http.ollama_port == config.http.port:
        yield Mistake(("http", "ollama_port"), "it is http.port, which serves Ollama's API, too")
    for name, provider in config.providers.items():
        yield from _provider(name, provider)
        yield from _itself(config, name, provider)
    yield from _deployments(config)
    yield from _routes(config)
    for name, target in config.aliases.items():
        yield from _name(config, ("aliases", name), target)
    yield from _twice(config)
    yield from _cycles(config)
    yield from _experiments(config)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def unlisted(config: Config) -> Iterator[Mistake]:
    """Names that only a file of this machine or a service's own list can have; perhaps a slip of the pen."""
    targets: list[tuple[tuple[str, ...], str]] = [
        (("aliases", name), target) for name, target in config.aliases.items()
    ]
    for name, route in config.routes.items():
        for entry in route.deployments:
            targets.append((("routes", name, "deployments"), entry if isinstance(entry, str) else entry.model))
        targets += ((("routes", name, "fallbacks"), target) for target in route.fallbacks)
    for name, experiment in config.experiments.items():
        targets.append((("experiments", name, "model"), experiment.model))
        targets += ((("experiments", name, "arms", arm), of.model) for arm, of in experiment.arms.items())
    listed = {model for provider in config.providers.values() for model in provider.models or ()}
    known = {*config.routes, *config.deployments, *config.aliases, *config.local.models, *VIRTUAL_MODELS, *listed}
    for keys, target in targets:
        if "/" not in target and target not in known:
            yield Mistake(
                keys, f"nothing here is called {target!r}: it must be a local model, or one that a service lists"
            )


def _not_finite(settings: object, keys: tuple[str, ...]) -> Iterator[Mistake]:
    """TOML has infinity and not-a-number, which no setting can be."""
    if isinstance(settings, float) and not math.isfinite(settings):
        yield Mistake(keys, f"{settings} is not a number that this can be")
    elif isinstance(settings, msgspec.Struct):
        for name in settings.__struct_fields__:
            yield from _not_finite(getattr(settings, name), (*keys, name))
    elif isinstance(settings, dict):
        for name, entry in settings.items():
            yield from _not_finite(entry, (*keys, name))
    elif isinstance(settings, tuple):
        for entry in settings:
            yield from _not_finite(entry, keys)


def _twice(config: Config) -> Iterator[Mistake]:
    """A name of one kind would hide the same name of another."""
    for name in config.aliases:
        for kind, names in (("route", config.routes), ("deployment", config.deployments)):
            if name in names:
                yield Mistake(("aliases", name), f"{name!r} is the name of a {kind}, too")
    for name in config.deployments:
        if name in config.routes:
            yield Mistake(("deployments", name), f"{name!r} is the name of a route, too")


def _deployments(config: Config) -> Iterator[Mistake]:
    for name, deployment in config.deployments.items():
        yield from _full_name(config, ("deployments", name, "model"), deployment.model)
        head = deployment.model.partition("/")[0]
        urls = config.providers[head].base_urls if head in config.providers else ()
        if deployment.base_url is not None and urls and deployment.base_url.rstrip("/") not in _stripped(urls):
            keys = ("deployments", name, "base_url")
            yield Mistake(keys, f"{deployment.base_url!r} is none of providers.{head}.base_urls")


def _routes(config: Config) -> Iterator[Mistake]:
    for name, route in config.routes.items():
        keys = ("routes", name, "deployments")
        if not route.deployments:
            yield Mistake(keys, "a route needs at least one deployment")
        for entry in route.deployments:
            target = entry if isinstance(entry, str) else entry.model
            if _unaliased(config, target) in config.routes:
                yield Mistake(keys, f"{target!r} is a route; name its deployments, or use `fallbacks`")
            yield from _name(config, keys, target)
        for target in route.fallbacks:
            yield from _name(config, ("routes", name, "fallbacks"), target)


def _experiments(config: Config) -> Iterator[Mistake]:
    for name, experiment in config.experiments.items():
        yield from _name(config, ("experiments", name, "model"), experiment.model)
        if not experiment.arms:
            yield Mistake(("experiments", name, "arms"), "an experiment needs at least one arm")
        for arm, settings in experiment.arms.items():
            yield from _name(config, ("experiments", name, "arms", arm, "model"), settings.model)
    splits: dict[str, str] = {}
    for name, experiment in config.experiments.items():
        if experiment.enabled and (other := splits.setdefault(_unaliased(config, experiment.model), name)) != name:
            reason = f"the experiment {other!r} splits the model {experiment.model!r}, too; disable one"
            yield Mistake(("experiments", name, "model"), reason)


def _itself(config: Config, name: str, provider: ProviderConfig) -> Iterator[Mistake]:
    """A base URL that is ghostd's own port would send each request round and round."""
    for url in provider.base_urls:
        if url_problem(url):
            continue
        parts = urlsplit(url)
        own = parts.hostname in (config.http.host, "127.0.0.1", "localhost", "::1") and parts.scheme == "http"
        for setting in ("port", "ollama_port"):
            if own and (parts.port or 80) == getattr(config.http, setting):
                yield Mistake(("providers", name, "base_urls"), f"{url!r} is ghostd's own port (http.{setting})")


def _provider(name: str, provider: ProviderConfig) -> Iterator[Mistake]:
    keys = ("providers", name)
    if "/" in name or not name:
        yield Mistake(keys, "a provider's name has no slash and is not empty")
    preset = provider.preset or name
    if not plugins.is_known("ghostd.providers", preset):
        key = (*keys, "preset") if provider.preset else keys
        yield Mistake(key, f"no provider is called {preset!r}{_hint(preset, plugins.known('ghostd.providers'))}")
    for url in provider.base_urls:
        if problem := url_problem(url):
            yield Mistake((*keys, "base_urls"), f"{url!r}: {problem}")
    for reference in provider.keys or ():
        try:
            parse_reference(reference)
        except SecretError as error:
            yield Mistake((*keys, "keys"), str(error))
    if "" in (provider.models or ()):
        yield Mistake((*keys, "models"), "a model's name is missing")
    for header, value in provider.headers.items():
        if not _HEADER_NAME.fullmatch(header):
            yield Mistake((*keys, "headers"), f"{header!r} is not a header's name")
        if not _HEADER_VALUE.fullmatch(value):
            yield Mistake((*keys, "headers", header), "a header's value is one line")
        if header.lower() in ("authorization", "x-api-key", "api-key", "x-goog-api-key"):
            yield Mistake(
                (*keys, "headers", header), f"{header!r} is set from `keys`; a key does not belong into this file"
            )


def url_problem(url: str) -> str:
    """Why this is no base URL; "" if it is one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"not a URL: {error}"
    problems = (
        (parts.scheme not in ("http", "https"), "a base URL begins with http:// or https://"),
        (not parts.hostname, "a base URL names a host"),
        (port == 0, "there is no port 0"),
        (parts.username is not None or parts.password is not None, "keys belong into `keys`, not into the URL"),
        (bool(parts.query or parts.fragment), "a base URL has no query and no fragment"),
    )
    return next((problem for wrong, problem in problems if wrong), "")


def _stripped(urls: Iterable[str]) -> list[str]:
    return [url.rstrip("/") for url in urls]


def _unaliased(config: Config, name: str) -> str:
    for _ in range(len(config.aliases)):
        if (target := config.aliases.get(name)) is None:
            break
        name = target
    return name


def _name(config: Config, keys: tuple[str, ...], target: str) -> Iterator[Mistake]:
    """A model, deployment, route, alias or virtual model. Names without a slash may be local files."""
    known = (*config.routes, *config.deployments, *config.aliases, *config.local.models, *VIRTUAL_MODELS)
    if target not in known:
        yield from _full_name(config, keys, target)


def _full_name(config: Config, keys: tuple[str, ...], target: str) -> Iterator[Mistake]:
    head, slash, model = target.partition("/")
    if not target:
        yield Mistake(keys, "a model's name is missing")
    elif not slash:
        if keys[0] == "deployments":
            yield Mistake(keys, f'{target!r} is not "provider/model"')
    elif head in config.providers:
        listed = config.providers[head].models
        if listed is not None and model not in listed:
            yield Mistake(keys, f"providers.{head}.models does not list {model!r}{_hint(model, listed)}")
    elif head not in _FOUND_AT_RUN_TIME:
        yield Mistake(keys, f"no provider {head!r} is configured{_hint(head, tuple(config.providers))}")


def _cycles(config: Config) -> Iterator[Mistake]:
    for start in config.aliases:
        seen, name = [start], config.aliases[start]
        while name in config.aliases and name not in seen:
            seen.append(name)
            name = config.aliases[name]
        if name in seen:
            yield Mistake(("aliases", start), f"a cycle: {' → '.join([*seen, name])}")
    if path := _route_cycle(config):
        yield Mistake(("routes", path[0], "fallbacks"), f"a cycle: {' → '.join(path)}")


def _route_cycle(config: Config) -> list[str]:
    """A path of fallbacks from a route back to itself; looks at each route once, without recursion."""
    done: set[str] = set()
    for start in config.routes:
        path: list[str] = []
        waiting = [(start, 0)]  # a route, and how long the path to it is
        while waiting:
            name, depth = waiting.pop()
            del path[depth:]
            if name in path:
                return [*path[path.index(name) :], name]
            path.append(name)
            if name in done:
                continue
            done.add(name)
            targets = (_unaliased(config, fallback) for fallback in config.routes[name].fallbacks)
            waiting.extend((target, len(path)) for target in targets if target in config.routes)
    return []


def _hint(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1, 0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known[:20])}" if known else ""
