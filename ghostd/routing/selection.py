"""Which deployments can do a request, and which of them is tried next."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from ghostd.errors import ContextTooLong, NoCandidate, RequestError
from ghostd.routing.call import Call
from ghostd.routing.deployment import Deployment
from ghostd.routing.features import Features
from ghostd.routing.health import Health
from ghostd.routing.kinds import admits, keeper
from ghostd.routing.limits import SPARED
from ghostd.routing.plan import Choice, Plan, Tier
from ghostd.routing.policies import score

_CAN = {
    "chat": "chat",
    "complete": "continue text",
    "fill": "fill in the middle",
    "embed": "make embeddings",
}
_PARAM = {"tools": "tools", "vision": "messages", "files": "messages", "audio": "messages", "json": "response_format",
          "reasoning": "reasoning_effort"}  # fmt: skip
_OF_CHAT_MODELS = frozenset(("openai.responses",))
"""Calls that are only passed on, and that models for conversations have."""
_FOR_EDITORS = frozenset(("fill", "zeke.complete"))
"""Calls that ask for a text at a cursor."""
_MARGIN = 1.5
"""Prompts are estimated; a model that is the only one is refused only for one that is this much too long."""
_UNPROVEN_AT_ONCE = 2
"""Requests that a deployment which has not answered yet gets at once, while another one can take them."""
_CODE_BONUS = 0.15
_MANY = 32
"""Models from which on "auto" and its like look at the best of them only."""
_BEST = 8
_SUSPECT_S = 2.0
"""Silence after which a deployment is passed over, if that is unusual for it."""
_ALIVE_S = 10.0
"""The same once it has given a sign of life: its model may think for long."""
_SUSPECT_FACTOR = 5.0


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a deployment cannot do a request."""

    deployment: Deployment
    reason: str
    param: str | None
    too_long: bool = False


def unfit(deployment: Deployment, call: Call, *, only: bool = False) -> Unfit | None:
    """Why it cannot do what the call asks; None if it can, as far as anybody knows.

    The `only` one is given the benefit of the doubt, and says itself why it is broken.
    """
    info = deployment.info
    if info.state == "failed" and not only:
        return Unfit(deployment, info.detail or "it is not usable", "model")
    if call.operation not in info.relays or call.operation in deployment.lacks:
        if call.passed_only:
            return Unfit(deployment, f"it does not offer {call.operation}", "model")
        if not _capable(call, info.capabilities, only=only):
            return Unfit(deployment, f"it cannot {_CAN[call.capability]}", "model")
    if call.features and info.features is not None and (missing := sorted(call.features - info.features)):
        return Unfit(deployment, f"it has no {' and no '.join(missing)}", _PARAM[missing[0]])
    if info.context_tokens is not None:
        prompt_tokens = round(call.longest_tokens * deployment.health.prompt_ratio)
        if prompt_tokens > info.context_tokens * (_MARGIN if only else 1.0):
            reason = f"its context has {info.context_tokens} tokens, the prompt about {prompt_tokens}"
            return Unfit(deployment, reason, "messages", too_long=True)
    return None


def _capable(call: Call, capabilities: frozenset[str], *, only: bool) -> bool:
    """Whether it can, or can do something that serves as well; a conversation serves where the model was asked for.

    Holes are filled in a conversation for editors only: other clients know what their models can do, and how to ask.
    """
    if call.capability in capabilities or (call.capability == "complete" and "fill" in capabilities):
        return True
    return only and "chat" in capabilities and (call.capability == "complete" or call.operation in _FOR_EDITORS)


class Selection(msgspec.Struct, frozen=True):
    """The tiers of a plan without what cannot do the request."""

    tiers: tuple[Tier, ...]

    @property
    def several(self) -> bool:
        """Whether there is more than one deployment."""
        return len(self.tiers) > 1 or len(self.tiers[0]) > 1

    def deployments(self) -> list[Deployment]:
        """All of them, in order."""
        return [choice.deployment for tier in self.tiers for choice in tier]


def select(plan: Plan, call: Call, features: Callable[[], Features]) -> Selection:
    """The deployments that can do the call, ranked by the plan's policy; raises RequestError if there is none."""
    count = sum(map(len, plan.tiers))
    if plan.virtual and count > _MANY:
        tiers, problems = _best(plan, call, features())
    else:
        tiers, problems = _fit(plan.tiers, call, only=count == 1)
    if not tiers:
        raise _none(plan, call, problems)
    if plan.policy != "ordered" and (len(tiers) > 1 or len(tiers[0]) > 1):
        tiers = [ranked for tier in tiers for ranked in rank(plan, tier, call, features())]
    return Selection(tuple(tiers))


def _fit(tiers: Iterable[Tier], call: Call, *, only: bool) -> tuple[list[Tier], list[Unfit]]:
    """Those who can do the call, and the others."""
    able: list[Tier] = []
    problems: list[Unfit] = []
    for tier in tiers:
        found = [problem for choice in tier if (problem := unfit(choice.deployment, call, only=only)) is not None]
        if found:
            problems += found
            lacking = {problem.deployment for problem in found}
            tier = tuple(choice for choice in tier if choice.deployment not in lacking)  # noqa: PLW2901
        if tier:
            able.append(tier)
    return able, problems


def _best(plan: Plan, call: Call, features: Features) -> tuple[list[Tier], list[Unfit]]:
    """As `_fit` for hundreds of models: the best of them, by an order that holds for all requests of a kind.

    What has changed in the second for which the order holds is seen where the best are ranked once more.
    """
    size = features.prompt_tokens.bit_length()
    intent = call.operation if call.passed_only else ""
    kind = msgspec.structs.replace(features, prompt_tokens=size, needs=(), intent=intent, language="")
    order = plan.rankings.get(kind)
    if order is None:
        everybody = tuple(choice for tier in plan.tiers for choice in tier)
        order = tuple(choice for tier in rank(plan, everybody, call, features) for choice in tier)
        plan.rankings[kind] = order
    best: list[Choice] = []
    problems: list[Unfit] = []
    awake = 0
    for choice in order:
        problem = unfit(choice.deployment, call)
        if problem is not None:
            problems.append(problem)
            continue
        best.append(choice)
        awake += choice.deployment.health.rests_until is None
        if awake == _BEST:
            break
    return [tuple(best)] if best else [], problems


def rank(plan: Plan, tier: Tier, call: Call, features: Features) -> list[Tier]:
    """A tier as several, best first; the endpoints of one model stay together.

    A request that both `complete` and `fill` could serve prefers the models that continue text, one for sound or
    images those that are made for nothing else; a file of this
    machine that has not been read yet comes after those of which something is known.
    """
    models: dict[str, list[Choice]] = {}
    for choice in tier:
        models.setdefault(choice.deployment.name, []).append(choice)

    def value(choices: Sequence[Choice]) -> tuple[bool, bool, float]:
        deployment = choices[0].deployment
        info = deployment.info
        bonus = _code_bonus(deployment) if plan.name == "code" else 0.0
        read = info.path is None or info.size_bytes is not None
        return suits(call, info.capabilities), read, score(plan.policy, deployment, features).value + bonus

    return [tuple(choices) for choices in sorted(models.values(), key=value, reverse=True)]


def suits(call: Call, capabilities: frozenset[str]) -> bool:
    """Whether a model that can do this is of the kind that the call wants, rather than one that might do."""
    if call.passed_only and call.operation not in _OF_CHAT_MODELS:
        return "chat" not in capabilities
    return call.capability in capabilities


def _code_bonus(deployment: Deployment) -> float:
    """What the virtual model "code" adds to the quality of a model whose name says that it is made for code."""
    return _CODE_BONUS if "cod" in deployment.model.lower() else 0.0


def _none(plan: Plan, call: Call, problems: Sequence[Unfit]) -> RequestError:
    short = [problem for problem in problems if problem.too_long]
    # Models that never do such calls are no reason: clients make room for those that could.
    if short and all(problem.too_long or problem.param == "model" for problem in problems):
        longest = max((problem.deployment for problem in short), key=lambda one: one.info.context_tokens or 0)
        tokens = round(call.longest_tokens * longest.health.prompt_ratio)
        param = "messages" if call.capability == "chat" else "prompt"
        return ContextTooLong(tokens, longest.info.context_tokens or 0, param)
    if not problems:
        return NoCandidate(f"No model is there that could {_CAN[call.capability]}.", "model")
    told = "; ".join(f"{problem.deployment.name}: {problem.reason}" for problem in problems[:8])
    more = f"; and {len(problems) - 8} more" if len(problems) > 8 else ""
    head = f"The model '{call.model}' cannot do this: " if len(problems) == 1 else "No model can do this: "
    wanted, hint = _CAN[call.capability], ""
    if all(problem.reason == f"it cannot {wanted}" for problem in problems):
        hint = f" To {wanted}, put a GGUF file into the models folder, or configure a provider."
    return NoCandidate(f"{head}{told}{more}.{hint}", problems[0].param)


# --- which next -------------------------------------------------------------------------


def next_choice(
    tiers: Iterable[Tier], tried: frozenset[Deployment] | set[Deployment], call: Call, now: float
) -> Deployment | None:
    """The deployment to try next among those that were not tried, may be asked now, and are within their limits.

    The first tier that has any wins. A deployment that has not answered for long, or that has not answered at
    all yet and is busy finding out, is passed over while there is another one.
    """
    reserve: Deployment | None = None
    for tier in tiers:
        if len(tier) == 1:
            deployment = tier[0].deployment
            if deployment not in tried and _admitted(tier[0], call, now):
                if not _doubtful(deployment, call, now):
                    return deployment
                reserve = reserve or deployment
            continue
        open_ones = [choice for choice in tier if choice.deployment not in tried and _admitted(choice, call, now)]
        if not open_ones:
            continue
        sure = [choice for choice in open_ones if not _doubtful(choice.deployment, call, now)]
        if sure:
            return _lighter(sure).deployment
        reserve = reserve or _lighter(open_ones).deployment
    return reserve


def last_chance(tiers: Iterable[Tier], tried: set[Deployment], call: Call, now: float) -> Deployment | None:
    """A deployment that rests, or is on trial, for a request that all others have failed."""
    for tier in tiers:
        for choice in tier:
            deployment = choice.deployment
            kept_out = deployment not in tried and not admits(deployment, call, now)
            if kept_out and keeper(deployment, call).may_be_well(now) and limits_wait_s(deployment, call, now) <= 0:
                return deployment
    return None


def is_gamble(deployment: Deployment, tiers: Iterable[Tier], tried: set[Deployment]) -> bool:
    """Whether it has never answered, has its share of requests to find out, and is not the only one left."""
    health = deployment.health
    if health.proven or health.in_flight < _UNPROVEN_AT_ONCE or health.rests_until is not None:
        return False
    return sum(choice.deployment not in tried for tier in tiers for choice in tier) > 1


def _admitted(choice: Choice, call: Call, now: float) -> bool:
    deployment = choice.deployment
    if not (deployment.health.well or admits(deployment, call, now)):
        return False
    return (not deployment.limits and call.interactive) or limits_wait_s(deployment, call, now) <= 0


def limits_wait_s(deployment: Deployment, call: Call, now: float) -> float:
    """Seconds until the deployment's limits let the call through.

    Background work leaves a part of the limits to others, and a model of this machine, whose requests take turns,
    gets it only while it has nothing else to do.
    """
    longest, spared = 0.0, 0.0
    if not call.interactive:
        spared = SPARED
        if not deployment.upstream and deployment.health.in_flight > 0:
            longest = 1.0
    for limit in deployment.limits:
        longest = max(longest, limit.wait_s(call.prompt_tokens, now, spared))
    return longest


def _doubtful(deployment: Deployment, call: Call, now: float) -> bool:
    health = deployment.health
    if not health.well and (kept_by := keeper(deployment, call)).rests_until is not None:
        return not kept_by.checked  # a trial nobody vouches for: better with another request's patience
    if health.in_flight == 0:
        return False
    if not health.proven and health.in_flight >= _UNPROVEN_AT_ONCE:
        return True
    return _silent(health.waiting_since(stream=True), health.first_byte.mean, health, now) or _silent(
        health.waiting_since(stream=False), health.plain.mean, health, now
    )


def _silent(since: float | None, usual_ms: float | None, health: Health, now: float) -> bool:
    """Whether a request has been waiting for long; a sign of life since then buys patience."""
    if since is None:
        return False
    patience_s = _ALIVE_S if health.well_at > since else _SUSPECT_S
    return now - since > max(patience_s, _SUSPECT_FACTOR * (usual_ms or 0.0) / 1000)


def _lighter(choices: Sequence[Choice]) -> Choice:
    """Power of two choices: of two drawn by weight, the one with less load for its weight.

    Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS 12(10), 2001.
    """
    if len(choices) == 1:
        return choices[0]
    weights = [choice.weight for choice in choices]
    one, other = random.choices(choices, weights, k=2)  # noqa: S311 - a lottery, no secret
    return other if _load(other) < _load(one) else one


def _load(choice: Choice) -> float:
    return choice.deployment.health.in_flight / choice.weight
