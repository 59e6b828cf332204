"""Whether what is asked of a name may leave this machine."""

from __future__ import annotations

from ghostd.errors import ModelNotFound
from ghostd.routing.registry import Registry


def may_leave(registry: Registry, name: str) -> bool:
    """Whether anything that may answer for a name is elsewhere: fallbacks, and an experiment's arms, are counted.

    Raises ModelNotFound.
    """
    names = [name]
    for asked in names:  # which grows
        experiment = registry.experiment(asked)
        following = [] if experiment is None else [arm.model for arm in experiment[1].arms.values()]
        try:
            plan = registry.plan(asked)
        except ModelNotFound:
            if asked == name and not following:
                raise
        else:
            if any(choice.deployment.info.remote for tier in plan.tiers for choice in tier):
                return True
            following += plan.route.fallbacks if plan.route is not None else ()
        names += [other for other in dict.fromkeys(following) if other not in names]
    return False
