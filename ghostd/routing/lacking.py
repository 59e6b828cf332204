"""Calls that services of a dialect often lack although they speak it: asked first as they came, then translated."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from ghostd.errors import GhostdError, UpstreamModelMissing, UpstreamRejected
from ghostd.routing.call import Call, Item
from ghostd.routing.deployment import Deployment

OFTEN_LACKING = frozenset(("openai.responses",))
"""Newer than most servers that call themselves OpenAI-compatible; what it asks can be asked as a conversation."""
_NO_SUCH_METHOD = 405


def may_lack(call: Call) -> bool:
    """Whether the call can be translated for a service that turns out to lack it."""
    return call.operation in OFTEN_LACKING and not call.passed_only


async def relayed_or_translated(
    deployment: Deployment,
    operation: str,
    relayed: AsyncGenerator[Item, None],
    translated: Callable[[], AsyncGenerator[Item, None]],
) -> AsyncGenerator[Item, None]:
    """What the service answers; one that has the model but not the call is asked again, and from then on, otherwise."""
    async with aclosing(relayed):
        try:
            item = await anext(relayed, None)
        except GhostdError as error:
            if not _no_such_call(error):
                raise
            refusal = error
        else:
            while item is not None:
                yield item
                item = await anext(relayed, None)
            return
    items = translated()
    async with aclosing(items):
        try:
            item = await anext(items, None)
        except UpstreamModelMissing:
            raise refusal from None  # it is the model that is missing
        deployment.lacks.add(operation)
        while item is not None:
            yield item
            item = await anext(items, None)


def _no_such_call(error: GhostdError) -> bool:
    if isinstance(error, UpstreamRejected):
        return error.status == _NO_SUCH_METHOD
    return isinstance(error, UpstreamModelMissing)
