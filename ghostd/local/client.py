"""A typed client of the running daemon's control API, over its Unix socket. Stdlib and msgspec: starts fast."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from ghostd.context_reports import ContextReport, EvaluationOrder, RetrievalReport
from ghostd.errors import GhostdError, InstanceError
from ghostd.local.control_types import Done, HealthReport, Problem, RootReport, Status
from ghostd.local.model_types import ModelsReport
from ghostd.local.paths import Paths
from ghostd.project_reports import ProjectReport, ProjectText, RepoMapReport
from ghostd.routing_reports import Explanation
from ghostd.suggestion_reports import CompletionsReport
from ghostd.symbol_reports import ReferenceList, SymbolList

T = TypeVar("T")

_JSON = {"Content-Type": "application/json"}
_STEP_S = 900.0
"""The longest time between two reports of an evaluation: before the first one a repository's history may be read."""
_NOT_RUNNING = "ghostd is not running. Start it with `ghostd start`, or `ghostd run` to see what it does."


class _UnixConnection(http.client.HTTPConnection):
    """HTTP/1.1 over a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """Calls the daemon of one home. Every method raises InstanceError when no daemon answers there."""

    def __init__(self, paths: Paths, timeout_s: float = 10.0) -> None:
        self._paths = paths
        self._timeout_s = timeout_s

    def status(self) -> Status:
        """What the daemon is and does now."""
        return self._call("GET", "/ghostd/v1/status", Status)

    def add_root(self, root: Path) -> None:
        """Index and watch a folder; raises GhostdError when it cannot be."""
        self._call("POST", "/ghostd/v1/roots", dict[str, object], {"path": str(root)})

    def remove_root(self, root: Path) -> None:
        """Stop to watch a folder."""
        self._call("DELETE", f"/ghostd/v1/roots?path={quote(str(root))}", dict[str, object])

    def wait_root(self, root: Path, timeout_s: float) -> RootReport:
        """Wait until a root is indexed and learned."""
        return self._call("GET", f"/ghostd/v1/roots/wait?path={quote(str(root))}", RootReport, timeout_s=timeout_s)

    def completions(self) -> CompletionsReport:
        """How soon editors get completions."""
        return self._call("GET", "/ghostd/v1/completions", CompletionsReport)

    def models(self) -> ModelsReport:
        """Memory, pins and skipped files of the local models."""
        return self._call("GET", "/ghostd/v1/models", ModelsReport)

    def change_model(self, action: Literal["load", "unload", "pin", "unpin"], model: str, timeout_s: float) -> None:
        """Load, unload, pin or unpin a local model; returns when it is done. Raises GhostdError when it cannot be."""
        self._call("POST", f"/ghostd/v1/models/{action}", dict[str, object], {"model": model}, timeout_s)

    def reload(self) -> str:
        """Put the changed configuration into force; says what was done. Raises GhostdError with the mistake in it."""
        return self._call("POST", "/ghostd/v1/reload", Done, {}).done

    def forget_secret(self, name: str) -> None:
        """Have a keyring's entry read anew."""
        self._call("POST", f"/ghostd/v1/secrets/forget?name={quote(name)}", dict[str, object], {})

    def health(self) -> HealthReport:
        """How deployments and keys fare."""
        return self._call("GET", "/ghostd/v1/health", HealthReport)

    def explain(self, body: bytes) -> Explanation:
        """Where a chat request would go; the body is that of `POST /v1/chat/completions`."""
        return self._call("POST", "/ghostd/v1/route/explain", Explanation, body)

    def shutdown(self) -> None:
        """Ask the daemon to drain and end; returns at once."""
        self._call("POST", "/ghostd/v1/shutdown", dict[str, object], {})

    def complete(self, body: dict[str, object], timeout_s: float = 60.0) -> dict[str, object]:
        """`POST /v1/completions`, not streamed."""
        return self._call("POST", "/v1/completions", dict[str, object], body, timeout_s)

    def symbols(self, **query: str) -> SymbolList:
        """`GET /v1/ghostd/symbols`; raises GhostdError for what is wrong in the query."""
        return self._call("GET", f"/v1/ghostd/symbols?{urlencode(query)}", SymbolList)

    def references(self, **query: str) -> ReferenceList:
        """`GET /v1/ghostd/references`; likewise."""
        return self._call("GET", f"/v1/ghostd/references?{urlencode(query)}", ReferenceList)

    def context(self, body: dict[str, object]) -> ContextReport:
        """`POST /v1/ghostd/context`; raises GhostdError for what is wrong in the body."""
        return self._call("POST", "/v1/ghostd/context", ContextReport, body)

    def evaluate(self, order: EvaluationOrder) -> Generator[RetrievalReport, None, None]:
        """How good retrieval is on a project, so far; closing it ends the work. Raises GhostdError."""
        connection = _UnixConnection(self._paths.http_socket, _STEP_S)
        try:
            with _failures_told():
                connection.request("POST", "/ghostd/v1/index/eval", msgspec.json.encode(order), _JSON)
                response = connection.getresponse()
                if response.status >= 400:
                    raise GhostdError(_problem(response.read(), response.status))
            while True:
                with _failures_told():
                    line = response.readline()
                if not line:
                    return
                if line.startswith(b'data: {"error"'):
                    raise GhostdError(_problem(line.removeprefix(b"data: "), response.status))
                if line.startswith(b"data: "):
                    yield msgspec.json.decode(line.removeprefix(b"data: "), type=RetrievalReport)
        finally:
            connection.close()

    def project(self, **query: str) -> ProjectReport:
        """`GET /v1/ghostd/project`; likewise."""
        return self._call("GET", f"/v1/ghostd/project?{urlencode(query)}", ProjectReport)

    def project_text(self, **query: str) -> ProjectText:
        """Likewise, with `format=text`."""
        return self._call("GET", f"/v1/ghostd/project?{urlencode(query)}", ProjectText)

    def repo_map(self, root: str, focus: Sequence[str], max_tokens: int) -> RepoMapReport:
        """`GET /v1/ghostd/repo-map`; likewise."""
        query = [("root", root), ("max_tokens", str(max_tokens)), *(("focus", file) for file in focus)]
        return self._call("GET", f"/v1/ghostd/repo-map?{urlencode(query)}", RepoMapReport)

    def _call(
        self,
        method: str,
        path: str,
        reply: type[T],
        body: dict[str, object] | bytes | None = None,
        timeout_s: float | None = None,
    ) -> T:
        connection = _UnixConnection(self._paths.http_socket, timeout_s or self._timeout_s)
        data = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        try:
            with _failures_told():
                connection.request(method, path, data, _JSON if body is not None else {})
                response = connection.getresponse()
                data = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise GhostdError(_problem(data, response.status))
        return msgspec.json.decode(data, type=reply)


@contextmanager
def _failures_told() -> Iterator[None]:
    """What fails at the socket as an InstanceError."""
    try:
        yield
    except (FileNotFoundError, ConnectionRefusedError):
        raise InstanceError(_NOT_RUNNING) from None
    except TimeoutError:
        raise InstanceError("ghostd is running but did not answer in time; `ghostd logs` may say why.") from None
    except (OSError, http.client.HTTPException):
        raise InstanceError("ghostd ended while it was answering; `ghostd logs` may say why.") from None


def _problem(data: bytes, status: int) -> str:
    try:
        return msgspec.json.decode(data, type=Problem).error.message
    except msgspec.DecodeError:
        return f"ghostd answered with HTTP status {status}"
