"""The table of routes: path and method → handler, and errors for what is not there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ghostd.gateway.dialect import OPENAI, Dialect
from ghostd.gateway.doc import Doc
from ghostd.gateway.errors import HttpError, printable
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response

Handler = Callable[[Exchange], Awaitable[Response | None]]
"""Makes the reply, or returns None when it has streamed it."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. With `prefix`, of every longer path that starts so."""

    method: str
    path: str
    handler: Handler
    prefix: bool = False
    timed: bool = True
    """Whether http.request_timeout_s applies."""
    dialect: Dialect = OPENAI
    multipart: bool = False
    """Whether it takes a multipart/form-data body beside JSON."""
    max_body_bytes: int | None = None
    """Largest body where that is not http.max_body_bytes; its handler then reads the body piece by piece."""
    doc: Doc | None = None
    """For the OpenAPI document. Every route that the public address serves has one."""


@dataclass(frozen=True, slots=True, eq=False)
class Later:
    """Routes whose modules are imported when a path of theirs is first asked for: many are never asked.

    They may have these paths and no other one. A path that ends with "/", other than the root, stands for those below
    it, too.
    """

    paths: tuple[str, ...]
    load: Callable[[], Iterable[Route]]
    """Imports what it needs."""
    multipart: tuple[str, ...] = ()
    """Those of the paths that take multipart bodies."""
    max_body_bytes: Mapping[str, int] = field(default_factory=dict)
    """Those whose bodies have limits of their own."""


@dataclass(slots=True)
class Routes:
    """Routes by path, then by method. HEAD goes where GET does."""

    exact: dict[str, dict[str, Route]] = field(default_factory=dict)
    prefixes: dict[str, dict[str, Route]] = field(default_factory=dict)
    later: dict[str, Later] = field(default_factory=dict)
    """By each of their paths, as long as they are not loaded."""
    dialects: dict[str, Dialect] = field(default_factory=dict)
    """Which dialect is spoken below a path, also where there is no route."""
    multipart: set[str] = field(default_factory=set)
    """Paths that take multipart bodies."""
    max_body_bytes: dict[str, int] = field(default_factory=dict)
    """Paths whose bodies have limits of their own."""

    def add(self, routes: Iterable[Route | Later]) -> None:
        """Add routes; a later one replaces an earlier one of the same path and method."""
        for route in routes:
            if isinstance(route, Later):
                self.later.update(dict.fromkeys(route.paths, route))
                self.multipart.update(route.multipart)
                self.max_body_bytes.update(route.max_body_bytes)
                continue
            methods = (self.prefixes if route.prefix else self.exact).setdefault(route.path, {})
            methods[route.method] = route
            if route.multipart:
                self.multipart.add(route.path)
            if route.max_body_bytes is not None:
                self.max_body_bytes[route.path] = route.max_body_bytes
            if route.method == "GET":
                methods["HEAD"] = route

    def all(self) -> list[Route]:
        """Every route, without those for HEAD that come with those for GET."""
        while self.later:
            self._load(next(iter(self.later.values())))
        tables = (self.exact, self.prefixes)
        return [
            route
            for table in tables
            for methods in table.values()
            for method, route in methods.items()
            if method == route.method
        ]

    def dialect_of(self, path: str) -> Dialect:
        """The dialect to tell errors in that come before any route is found; `path` may be a whole target."""
        return next((dialect for prefix, dialect in self.dialects.items() if path.startswith(prefix)), OPENAI)

    def find(self, method: str, path: str) -> Route:
        """The route; raises HttpError 404 or 405."""
        methods = self._methods(path)
        if methods is None:
            shown = printable(f"{method} {path}", 200)
            raise HttpError(404, "unknown_url", f"Unknown request URL: {shown}. docs/http-api.md lists what there is.")
        route = methods.get(method)
        if route is None:
            allowed = ", ".join(methods)
            shown = printable(f"{method} on {path}", 200)
            raise HttpError(
                405, "method_not_supported", f"Not allowed to {shown}; allowed: {allowed}.", {"Allow": allowed}
            )
        return route

    def _methods(self, path: str) -> Mapping[str, Route] | None:
        methods = self.exact.get(path)
        if methods is not None:
            return methods
        if self.later:
            self._load_for(path)
        return self.exact.get(path) or self._by_prefix(path)

    def _by_prefix(self, path: str) -> Mapping[str, Route] | None:
        return next(
            (methods for prefix, methods in self.prefixes.items() if path.startswith(prefix) and path != prefix), None
        )

    def _load_for(self, path: str) -> None:
        below = [own for own in self.later if own.endswith("/") and own != "/" and path.startswith(own)]
        for own in [path, *below]:
            if (later := self.later.get(own)) is not None:
                self._load(later)

    def _load(self, later: Later) -> None:
        routes = list(later.load())
        for path in later.paths:
            self.later.pop(path, None)
        strange = sorted({route.path for route in routes} - set(later.paths))
        assert not strange, f"routes of undeclared paths: {', '.join(strange)}"
        self.add(routes)
