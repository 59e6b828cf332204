"""`keep_alive`: how long a local model stays in memory; and requests that only load or unload one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ghostd.engine import Engine
from ghostd.errors import RequestError
from ghostd.gateway.answering import answer
from ghostd.gateway.dialects.ollama.fields import keep_alive_s
from ghostd.gateway.dialects.ollama.lines import Fields, Lines, chat_content, settled
from ghostd.gateway.dialects.ollama.names import one_deployment
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.ports import ModelStore
from ghostd.routing.call import Call


class Residence:
    """What one request wants of its model's place in memory. Raises RequestError for a wrong `keep_alive`."""

    def __init__(self, engine: Engine, store: ModelStore, exchange: Exchange, call: Call) -> None:
        self._engine = engine
        self._store = store
        self._exchange = exchange
        self._call = call
        try:
            self._seconds = keep_alive_s(call.fields.get("keep_alive"))
        except RequestError as error:
            engine.refused(call, error)
            raise

    async def settle(self, content: Fields) -> Response | None:
        """The reply to a request without text: its model is loaded, or with `keep_alive` 0 unloaded.

        An Ollama server is told so itself; with other services there is nothing to do. Raises GhostdError.
        """
        call, store = self._call, self._store
        deployment = one_deployment(self._engine, call.model)
        if deployment is not None and call.relayable and call.operation in deployment.relays:
            call.stream = False  # it answers with one object, also where a stream is asked for
            return await answer(self._engine, self._exchange, call, Lines(self._exchange, chat_content))
        if self._engine.registry.experiment(call.model) is None:
            self._engine.registry.plan(call.model)
        leaves = self._seconds == 0
        if deployment is not None and store.holds(deployment.model):
            if leaves:
                await store.unload(deployment.model)
            else:
                await store.load(deployment.model)
                if self._seconds is not None:
                    store.keep(deployment.model, self._seconds)
        reason = None if self._exchange.closed_schema else "unload" if leaves else "load"
        return self._exchange.json(settled(call.model, content, reason))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """The model that answers while the block runs stays as long as is asked for."""
        yield
        if self._seconds is None or not self._store.holds(self._call.trace.deployment):
            return
        self._store.keep(self._call.trace.deployment, self._seconds)
