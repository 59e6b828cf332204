"""What one call has been through so far on its way to an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import field

from ghostd.errors import GhostdError
from ghostd.routing.call import Call, Job
from ghostd.routing.deployment import Deployment
from ghostd.routing.fallbacks import Fallbacks
from ghostd.routing.features import Features, features_of


class Errand(msgspec.Struct, eq=False):
    """One call's; the router takes it from plan to plan."""

    call: Call
    loop: asyncio.AbstractEventLoop
    deadline: float
    """On the loop's clock."""
    fallbacks: Fallbacks
    jobs: Sequence[Job] | None = None
    features: Features | None = None
    failures: dict[Deployment, GhostdError] = field(default_factory=dict)
    """Along the present plan."""

    def get_jobs(self) -> Sequence[Job]:
        """The decoded request."""
        if self.jobs is None:
            self.jobs = self.call.decode()
        return self.jobs

    def get_features(self) -> Features:
        """The router's features."""
        if self.features is None:
            self.features = features_of(self.call)
        return self.features

    def failed(self, deployment: Deployment, error: GhostdError) -> None:
        """Note a failure, once: a race notes its failures itself."""
        if all(error is not noted for noted in self.failures.values()):
            self.failures[deployment] = error
            self.call.trace.failures.append((deployment.name, error))
