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
)
from ghostd.ports import UpstreamProvider
from ghostd.routing.deployment import Deployment

log = logging.getLogger(__name__)

_CHECK_TIMEOUT_S = 2.0


class SignsOfLife:
    """The checks under way. What they find goes into the deployments' health."""

    def __init__(self) -> None:
        self._checks: dict[Deployment, asyncio.Task[bool]] = {}

    def probe(self, deployment: Deployment, give_up: Callable[[], None]) -> None:
        """A request waits for long: ask its deployment for a sign of life; without one, end the wait."""
        task = self.check(deployment)

        def told(task: asyncio.Task[bool]) -> None:
            if not task.cancelled() and not task.result():
                give_up()

        task.add_done_callback(told)

    def check(self, deployment: Deployment) -> asyncio.Task[bool]:
        """Ask a deployment whether it is well; one check at a time. What is found goes into its health."""
        task = self._checks.get(deployment)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._check(deployment), name=f"check {deployment.name}")
            self._checks[deployment] = task
            task.add_done_callback(lambda _: self._checks.pop(deployment, None))
        return task

    async def _check(self, deployment: Deployment) -> bool:
        """Whether it is alive; a refused key is no sign of death."""
        loop = asyncio.get_running_loop()
        provider = cast("UpstreamProvider", deployment.provider)
        try:
            await provider.check(_CHECK_TIMEOUT_S)
        except (KeyRefused, NoUsableKey, QuotaExhausted, RateLimited):
            deployment.health.well_at = loop.time()  # but no better than before
            return True
        except (UpstreamRejected, UpstreamModelMissing):
            pass  # it speaks, if not of this
        except UpstreamError as error:
            deployment.health.ejected(error, loop.time())
            log.info("%s does not answer: %s", deployment.name, error)
            return False
        except Exception:
            log.exception("checking %s failed", deployment.name)
            return True
        deployment.health.found_well(loop.time())
        return True

    async def close(self) -> None:
        """End the checks under way."""
        tasks = list(self._checks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
