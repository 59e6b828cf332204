"""Signs of life: asking a deployment's server whether it is well, at no cost in tokens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from ghostd.errors import (
    KeyRefused,
    NoUsableKey,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamModelMissing,
    UpstreamRejected,
    UpstreamTimeout,
)
from ghostd.ports import UpstreamProvider
from ghostd.routing.deployment import Deployment

log = logging.getLogger(__name__)

_CHECK_TIMEOUT_S = 2.0


class SignsOfLife:
    """The checks under way. What they find goes into the deployments' health."""

    def __init__(self) -> None:
        self._checks: dict[Deployment, asyncio.Task[UpstreamError | None]] = {}

    def probe(self, deployment: Deployment, give_up: Callable[[], None], *, patient: bool) -> None:
        """A request waits for long: ask its deployment for a sign of life; without one, end the wait.

        A `patient` request, which has nobody else to turn to, waits on while the check is not answered either: a busy
        server may have no time for it.
        """

        def told(task: asyncio.Task[UpstreamError | None]) -> None:
            error = None if task.cancelled() else task.result()
            if error is not None and not (patient and isinstance(error, UpstreamTimeout)):
                _eject(deployment, error)
                give_up()

        self._check(deployment).add_done_callback(told)

    def check(self, deployment: Deployment) -> None:
        """Ask a deployment whether it is well; if not, it rests."""

        def told(task: asyncio.Task[UpstreamError | None]) -> None:
            if not task.cancelled() and (error := task.result()) is not None:
                _eject(deployment, error)

        self._check(deployment).add_done_callback(told)

    def _check(self, deployment: Deployment) -> asyncio.Task[UpstreamError | None]:
        """One check at a time."""
        task = self._checks.get(deployment)
        if task is None:
            task = asyncio.get_running_loop().create_task(_ask(deployment), name=f"check {deployment.name}")
            self._checks[deployment] = task
            task.add_done_callback(lambda _: self._checks.pop(deployment, None))
        return task

    async def close(self) -> None:
        """End the checks under way."""
        tasks = list(self._checks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(deployment: Deployment) -> UpstreamError | None:
    """What is wrong with it, None if it is alive; a refused key is no sign of death."""
    loop = asyncio.get_running_loop()
    provider = cast("UpstreamProvider", deployment.provider)
    try:
        await provider.check(_CHECK_TIMEOUT_S)
    except (KeyRefused, NoUsableKey, QuotaExhausted, RateLimited):
        deployment.health.well_at = loop.time()  # but no better than before
        return None
    except (UpstreamRejected, UpstreamModelMissing):
        pass  # it speaks, if not of this
    except UpstreamError as error:
        return error
    except Exception:
        log.exception("checking %s failed", deployment.name)
        return None
    deployment.health.found_well(loop.time())
    return None


def _eject(deployment: Deployment, error: UpstreamError) -> None:
    deployment.health.ejected(error, asyncio.get_running_loop().time())
    log.info("%s does not answer: %s", deployment.name, error)
