"""One session's JSON-RPC: exactly one response for each request, and nothing that reaches beyond the session.

pygls's protocol serves one client for the life of its process. What differs here, and why:

- `exit` or a lost connection ends the session; pygls calls `sys.exit`.
- Parameters are decoded by the method's own type, so an error names the field and has the request's id;
  pygls does not answer such a request.
- A request's handler is called when its message is read, and returns the coroutine of its work; so it sees the
  documents as they were then. `$/cancelRequest` is answered at once, also for work that has not begun.
- Errors tell the client one sentence and the log the rest; pygls sends tracebacks.
- No future is kept for a notification.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

from cattrs import Converter
from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, default_converter

from ghostd.errors import GhostdError
from ghostd_lsp.decoding import MsgId, convert_params, decode_message, message_id, refuse
from ghostd_lsp.errors import (
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    REQUEST_CANCELLED,
    SERVER_NOT_INITIALIZED,
    RpcError,
    rpc_error,
)
from ghostd_lsp.framing import FramingError, error_message, frame, read_message
from ghostd_lsp.params import CancelParams, InitializeParams, Params

log = logging.getLogger(__name__)

# pygls logs every message with its content at INFO: documents have no place in a log.
logging.getLogger("pygls").setLevel(logging.WARNING)

Subject = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """How a request is served: `handler` is called as the message is read, and returns the work to do."""

    params: type[Params]
    handler: Callable[[Any], Coroutine[Any, Any, object]]
    subject: Callable[[Any], str] | None = None
    """What the parameters ask about: a new request about the same cancels the one that still runs. None: never."""


@dataclass(frozen=True, slots=True)
class Notification:
    """How a notification is served: at once, before the next message is read."""

    params: type[Params]
    handler: Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class _Running:
    """A request that has not been answered yet."""

    task: asyncio.Task[dict[str, Any]]
    subject: Subject | None


class SessionProtocol(LanguageServerProtocol):
    """One client's messages. `begin` must be called once before the first of them is read."""

    def _register_builtin_features(self) -> None:
        """None of pygls's own handlers: they work on its workspace, and its `exit` on the process."""

    def begin(
        self,
        writer: asyncio.StreamWriter,
        tasks: asyncio.TaskGroup,
        initialize: Callable[[InitializeParams], types.InitializeResult],
        requests: dict[str, Request],
        notifications: dict[str, Notification],
    ) -> None:
        """Serve these methods; the work of requests becomes tasks of `tasks`."""
        self._stream = writer
        self._tasks = tasks
        self._initialize = initialize
        self._requests = requests
        self._notifications = notifications
        self._running: dict[MsgId, _Running] = {}
        self._latest: dict[Subject, MsgId] = {}
        self._state: Literal["new", "running", "shut down", "ended"] = "new"

    async def receive(self, reader: asyncio.StreamReader, max_bytes: int) -> bool:
        """Handle messages until `exit` (False) or the end of the stream (True)."""
        while self._state != "ended":
            try:
                body = await read_message(reader, max_bytes)
            except FramingError as error:
                self._send_error(None, RpcError(error.code, str(error)))
                return False
            if body is None:
                return True
            self.handle_message(body)
            # A client that does not read its answers is not read from.
            await self._stream.drain()
        return False

    async def answer_running(self, timeout_s: float) -> bool:
        """Wait until every running request has been answered; False if some are not in time."""
        if not self._running:
            return True
        return not (await asyncio.wait([each.task for each in self._running.values()], timeout=timeout_s))[1]

    def end(self) -> None:
        """Cancel every running request, here and at the client; no message is sent any more."""
        self._state = "ended"
        for request in self._running.values():
            request.task.cancel()
        for future in self._request_futures.values():
            future.cancel()
        self._request_futures.clear()

    # --- messages ---------------------------------------------------------------

    def handle_message(self, message: Any) -> None:
        """Handle one message's body (bytes); whatever it holds, nothing is raised."""
        try:
            data = decode_message(message)
            if isinstance(data.get("method"), str):
                self._handle_call(data)
            elif "result" in data or "error" in data:
                self._handle_reply(data)
            else:
                refuse("A message needs a `method`, a `result` or an `error`.")
        except RpcError as error:
            self._send_error(None, error)

    def _handle_call(self, data: dict[str, Any]) -> None:
        method: str = data["method"]
        if "id" not in data:
            self._handle_notice(method, data.get("params"))
            return
        msg_id = message_id(data["id"])
        try:
            if data.get("jsonrpc") != "2.0":
                refuse('`jsonrpc` must be "2.0".')
            if msg_id in self._running:
                refuse("A request with this id is still running.")
            self._check_state(method)
            if method in (types.INITIALIZE, types.SHUTDOWN):
                self._send_result(msg_id, self._change_state(method, data.get("params")))
            else:
                self._start(msg_id, method, data.get("params"))
        except Exception as error:
            self._send_error(msg_id, _as_rpc_error(error, method))

    def _change_state(self, method: str, params: Any) -> types.InitializeResult | None:
        """Serve `initialize` or `shutdown`: at once, so that no other answer comes before theirs."""
        if method == types.SHUTDOWN:
            self._state = "shut down"
            return None
        result = self._initialize(convert_params(params, InitializeParams))
        self._state = "running"
        return result

    def _check_state(self, method: str) -> None:
        if self._state == "new" and method != types.INITIALIZE:
            raise RpcError(SERVER_NOT_INITIALIZED, "The first request must be `initialize`.")
        if self._state == "running" and method == types.INITIALIZE:
            refuse("`initialize` may be sent only once.")
        if self._state == "shut down":
            refuse("After `shutdown` only `exit` is expected.")

    def _handle_notice(self, method: str, params: Any) -> None:
        if method == types.EXIT:
            self._state = "ended"
            return
        if self._state != "running":
            return
        try:
            if method == types.CANCEL_REQUEST:
                self._cancel(convert_params(params, CancelParams).id, "The client cancelled the request.")
            elif notification := self._notifications.get(method):
                notification.handler(convert_params(params, notification.params))
        except Exception as error:
            # A notification has no answer; what the client sent wrong is for its developers' log.
            self.log_message(f"{method:.80}: {_as_rpc_error(error, method)}", types.MessageType.Error)

    def _handle_reply(self, data: dict[str, Any]) -> None:
        """Hand a client's answer to whoever sent the request; answers to nothing are dropped."""
        msg_id = data.get("id")
        future: Future[Any] | None = self._request_futures.pop(msg_id, None) if isinstance(msg_id, str) else None
        if future is None or future.done():
            return
        error = data.get("error")
        if error is None:
            future.set_result(data.get("result"))
        else:
            future.set_exception(RpcError(INTERNAL_ERROR, f"The client refused: {error!r:.200}"))

    # --- requests ---------------------------------------------------------------

    def _start(self, msg_id: MsgId, method: str, params: Any) -> None:
        """Begin a request's work, and end what it supersedes."""
        request = self._requests.get(method)
        if request is None:
            raise RpcError(METHOD_NOT_FOUND, f"ghostd does not know the method {method!r:.80}.")
        converted = convert_params(params, request.params)
        subject = (method, request.subject(converted)) if request.subject else None
        work = request.handler(converted)
        if subject is not None:
            if subject in self._latest:
                self._cancel(self._latest[subject], "A newer request took its place.")
            self._latest[subject] = msg_id
        task = self._tasks.create_task(self._answer(work, method), name=f"lsp {method}")
        self._running[msg_id] = _Running(task, subject)
        task.add_done_callback(partial(self._finished, msg_id, work))

    async def _answer(self, work: Coroutine[Any, Any, object], method: str) -> dict[str, Any]:
        try:
            return {"result": self._converter.unstructure(await work)}
        except Exception as error:
            rpc = _as_rpc_error(error, method)
            return {"error": {"code": rpc.code, "message": str(rpc)}}

    def _finished(self, msg_id: MsgId, work: Coroutine[Any, Any, object], task: asyncio.Task[dict[str, Any]]) -> None:
        work.close()  # it has not begun if the task was cancelled before
        if msg_id not in self._running or self._running[msg_id].task is not task:
            return  # it was cancelled, and answered then
        self._forget(msg_id)
        if task.cancelled():
            self._send_error(msg_id, RpcError(REQUEST_CANCELLED, "The request was cancelled."))
        else:
            self._write({"jsonrpc": "2.0", "id": msg_id, **task.result()})

    def _cancel(self, msg_id: MsgId, why: str) -> None:
        if msg_id in self._running:
            self._forget(msg_id).task.cancel()
            self._send_error(msg_id, RpcError(REQUEST_CANCELLED, why))

    def _forget(self, msg_id: MsgId) -> _Running:
        running = self._running.pop(msg_id)
        if running.subject is not None:
            self._latest.pop(running.subject, None)
        return running

    # --- sending ----------------------------------------------------------------

    def log_message(self, message: str, kind: types.MessageType = types.MessageType.Info) -> None:
        """window/logMessage: a line in the client's log."""
        self.notify(types.WINDOW_LOG_MESSAGE, types.LogMessageParams(kind, message))

    def show_message(self, message: str, kind: types.MessageType = types.MessageType.Warning) -> None:
        """window/showMessage: the user sees it now."""
        self.notify(types.WINDOW_SHOW_MESSAGE, types.ShowMessageParams(kind, message))

    def show_document(self, params: types.ShowDocumentParams) -> None:
        """window/showDocument; what the client answers does not matter."""
        self.send_request(types.WINDOW_SHOW_DOCUMENT, params)

    def partial_result(self, token: int | str, part: object) -> None:
        """$/progress with a part of an answer."""
        self.notify(types.PROGRESS, types.ProgressParams(token, self._converter.unstructure(part)))

    def get_message_type(self, method: str) -> Any:  # type: ignore[override]
        """As pygls, whose cache would keep every ended session alive."""
        return types.METHOD_TO_TYPES.get(method, (None,))[0]

    def get_result_type(self, method: str) -> Any:  # type: ignore[override]
        """None: answers are handed on as they came."""
        return None

    def _send_result(self, msg_id: MsgId, result: object) -> None:
        self._write({"jsonrpc": "2.0", "id": msg_id, "result": self._converter.unstructure(result)})

    def _send_error(self, msg_id: MsgId | None, error: RpcError) -> None:
        self._write(error_message(msg_id, error.code, str(error)))

    def _send_data(self, data: Any) -> None:
        """Where pygls's `notify` and `send_request` end."""
        self._write(self._converter.unstructure(data))

    def _write(self, message: dict[str, Any]) -> None:
        if self._state != "ended" and not self._stream.is_closing():
            self._stream.write(frame(message))


class SessionServer(LanguageServer):
    """pygls's server object for one session; starts no thread and no transport."""

    protocol: SessionProtocol

    def __init__(self, version: str) -> None:
        super().__init__("ghostd", version, protocol_cls=SessionProtocol, converter_factory=_shared_converter)


@cache
def _shared_converter() -> Converter:
    """One for all sessions: it compiles a function for each type it meets."""
    converter: Converter = default_converter()  # type: ignore[no-untyped-call]
    return converter


def _as_rpc_error(error: Exception, method: str) -> RpcError:
    if isinstance(error, RpcError):
        return error
    if isinstance(error, GhostdError):
        return rpc_error(error)
    log.error("%.80r failed", method, exc_info=error)
    return RpcError(INTERNAL_ERROR, "ghostd failed at this request; its log has the details (`ghostd logs`).")
