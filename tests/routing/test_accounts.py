"""What the ledger keeps of a call agrees with what its caller saw."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ghostd import errors
from ghostd.errors import GhostdError, RouteExhausted
from ghostd.gateway.errors import problem
from ghostd.routing.accounts import http_status_of, status_of


def made(kind: type[GhostdError]) -> GhostdError:
    by_arguments: dict[type[GhostdError], tuple[object, ...]] = {
        errors.RootError: (Path("/x"), "missing"),
        errors.ContextTooLong: (2, 1),
        errors.UpstreamTimeout: ("slow", "idle"),
        errors.UpstreamFailed: ("down", 503),
        errors.UpstreamRejected: ("no", 422),
        errors.RouteExhausted: ("r", []),
    }
    return kind(*by_arguments.get(kind, ("x",)))


def kinds(kind: type[GhostdError] = GhostdError) -> list[type[GhostdError]]:
    found = [kind] if kind.__module__ == errors.__name__ and kind is not GhostdError else []
    return found + [other for below in kind.__subclasses__() for other in kinds(below)]


@pytest.mark.parametrize("kind", dict.fromkeys(kinds()), ids=lambda kind: str(kind.__name__))
def test_the_row_has_the_status_that_an_http_client_sees(kind: type[GhostdError]) -> None:
    error = made(kind)
    assert http_status_of(error) == problem(error).status


def test_a_route_whose_deployments_all_say_the_same_has_their_status() -> None:
    limited = [("a", errors.RateLimited("slow down")), ("b", errors.QuotaExhausted("no money"))]
    mixed = [*limited, ("c", errors.UpstreamTimeout("slow", "idle"))]
    for failures, status in ((limited, 429), (mixed, 502)):
        error = RouteExhausted("r", failures)
        assert http_status_of(error) == problem(error).status == status


def test_a_service_that_says_it_is_overloaded_is_recorded_as_its_caller_sees_it() -> None:
    error = errors.UpstreamFailed("too many requests", 529)
    assert http_status_of(error) == problem(error).status == 503


def test_how_a_call_ended() -> None:
    refusal, failure = errors.InvalidRequest("x"), errors.UpstreamFailed("x", 500)
    assert status_of(None, begun=True) == "ok"
    assert [status_of(asyncio.CancelledError(), begun=begun) for begun in (True, False)] == ["cancelled"] * 2
    assert status_of(GeneratorExit(), begun=True) == "cancelled"
    assert (status_of(refusal, begun=False), status_of(failure, begun=False)) == ("refused", "error")
    assert (status_of(failure, begun=True), status_of(KeyError(), begun=False)) == ("partial", "error")
