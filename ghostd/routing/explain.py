"""The router explains itself."""

from __future__ import annotations

from ghostd.errors import RequestError
from ghostd.routing import experiments
from ghostd.routing.call import Call
from ghostd.routing.deployment import Deployment
from ghostd.routing.features import Features, features_of
from ghostd.routing.health import Health
from ghostd.routing.kinds import admits, keeper
from ghostd.routing.plan import Plan
from ghostd.routing.policies import score
from ghostd.routing.registry import Registry
from ghostd.routing.selection import select, unfit
from ghostd.routing_reports import CandidateReport, DeploymentReport, Explanation, KindReport


def deployment_report(deployment: Deployment, now: float) -> DeploymentReport:
    """How a deployment fares at a point of the event loop's clock."""
    health = deployment.health
    kinds = health.kinds
    return DeploymentReport(
        name=deployment.name,
        endpoint=deployment.endpoint,
        state=health.state(now),
        rests_for_s=_rests_for_s(health, now),
        in_flight=health.in_flight,
        success_rate=round(health.success_rate, 4),
        first_byte_p50_ms=health.first_byte.percentile(0.5),
        first_byte_p95_ms=health.first_byte.percentile(0.95),
        reply_p50_ms=health.plain.percentile(0.5),
        last_error=health.last_error,
        kinds=tuple(_kind_report(kind, found, now) for kind, found in kinds.items()) if len(kinds) > 1 else (),
    )


def _kind_report(kind: str, health: Health, now: float) -> KindReport:
    return KindReport(kind, health.state(now), _rests_for_s(health, now), health.last_error)


def _rests_for_s(health: Health, now: float) -> float | None:
    return None if health.rests_until is None else max(0.0, health.rests_until - now)


def explain(registry: Registry, call: Call, now: float) -> Explanation:
    """Where the call would go now; raises ModelNotFound. Asks and changes nothing."""
    name, split = call.model, registry.experiment(call.model)
    experiment = ""
    if split is not None:
        found = experiments.assign(split[0], split[1], call)
        name, experiment = found.model, f"{found.experiment}/{found.arm}"
    plan = registry.plan(name)
    features = features_of(call)
    problem = ""
    ranks: dict[Deployment, int] = {}
    try:
        for rank, tier in enumerate(select(plan, call, lambda: features).tiers, 1):
            ranks |= {choice.deployment: rank for choice in tier}
    except RequestError as error:
        problem = str(error)
    deployments = [choice.deployment for tier in plan.tiers for choice in tier]
    deployments.sort(key=lambda deployment: ranks.get(deployment, len(ranks) + 1))
    return Explanation(
        model=call.model,
        route=plan.name,
        policy=plan.policy,
        complexity=features.complexity,
        prompt_tokens=call.prompt_tokens,
        needs=features.needs,
        experiment=experiment,
        candidates=tuple(_candidate(plan, d, call, features, ranks.get(d), now) for d in deployments),
        fallbacks=plan.route.fallbacks if plan.route is not None else (),
        problem=problem,
    )


def _candidate(
    plan: Plan, deployment: Deployment, call: Call, features: Features, rank: int | None, now: float
) -> CandidateReport:
    found = score(plan.policy, deployment, features)
    unable = unfit(deployment, call, only=sum(map(len, plan.tiers)) == 1)
    problem = unable.reason if unable is not None else ""
    if not problem and not admits(deployment, call, now):
        kept_by = keeper(deployment, call)
        rest = (kept_by.rests_until or now) - now
        problem = f"rests for {max(rest, 0):.0f} s after: {kept_by.last_error}"
    return CandidateReport(
        name=deployment.name,
        endpoint=deployment.endpoint,
        rank=rank,
        problem=problem,
        cost_usd=found.cost_usd,
        latency_ms=found.latency_ms,
        quality=round(found.quality, 3),
        success_rate=round(found.success, 3),
    )
