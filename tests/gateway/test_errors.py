"""Every error of ghostd has its place in the HTTP table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import ghostd.errors
from ghostd.errors import BodyTooLarge, GhostdError, ModelNotFound, ProviderError, RootError, WorkerFailed
from ghostd.gateway.dialect import OPENAI
from ghostd.gateway.errors import KINDS, HttpError, kind_of, printable, problem


def subclasses(cls: type[GhostdError]) -> Iterator[type[GhostdError]]:
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)


ALL = sorted({cls for cls in subclasses(GhostdError) if cls.__module__ == ghostd.errors.__name__}, key=str)

ARGUMENTS: dict[type[GhostdError], tuple[Any, ...]] = {
    ghostd.errors.UpstreamTimeout: ("too late", "idle"),
    ghostd.errors.UpstreamFailed: ("broken", 500),
    ghostd.errors.UpstreamRejected: ("refused", 422),
    ghostd.errors.RouteExhausted: ("m", ()),
}


def test_a_route_says_what_all_its_deployments_say() -> None:
    limited, late = ghostd.errors.RateLimited("slow down"), ghostd.errors.UpstreamTimeout("late", "idle")
    assert problem(ghostd.errors.RouteExhausted("m", [("a", limited), ("b", limited)], 7)).status == 429
    assert problem(ghostd.errors.RouteExhausted("m", [("a", limited), ("b", late)])).status == 502


def test_an_upstreams_refusal_is_passed_on_as_it_came_to_a_client_of_its_dialect() -> None:
    body = b'{"error":{"message":"no","type":"x","param":null,"code":null,"newer":1}}'
    rejected = ghostd.errors.UpstreamRejected("no", 422, kind="x", body=body, operation="openai.chat")
    assert (problem(rejected).status, OPENAI.error(problem(rejected), "")) == (422, body)
    other = ghostd.errors.UpstreamRejected("no", 413, kind="x", body=body, operation="anthropic.messages")
    assert msgspec.json.decode(OPENAI.error(problem(other), ""))["error"]["message"] == "no"


def test_every_error_class_is_reached_by_the_table() -> None:
    assert [cls for cls in ALL if cls not in KINDS] == []
    assert len(ALL) == len(KINDS)


def test_a_class_that_the_table_does_not_reach_is_found() -> None:
    class Stray(GhostdError):
        pass

    with pytest.raises(KeyError):
        kind_of(Stray)


def test_a_new_subclass_takes_its_bases_row() -> None:
    class Finer(WorkerFailed):
        pass

    assert kind_of(Finer) is KINDS[WorkerFailed]


@pytest.mark.parametrize("cls", ALL)
def test_every_error_has_a_status_a_type_and_a_code(cls: type[GhostdError]) -> None:
    if cls is ghostd.errors.RootError:
        error: GhostdError = RootError(Path("/x"), "no such folder")
    elif cls is ghostd.errors.ContextTooLong:
        error = ghostd.errors.ContextTooLong(2, 1)
    else:
        error = cls(*ARGUMENTS.get(cls, ("what is wrong",)))
    found = problem(error)
    said = msgspec.json.decode(OPENAI.error(found, ""))["error"]
    assert set(said) == {"message", "type", "param", "code"}
    kinds = {429: "rate_limit_error"}
    assert said["type"] == kinds.get(found.status, "invalid_request_error" if found.status < 500 else "server_error")
    assert said["code"] or cls in (ghostd.errors.RequestError, ghostd.errors.UpstreamRejected)
    retryable = error.retryable if isinstance(error, ProviderError) else found.status == 503
    assert ("x-should-retry" in found.headers) is (found.status >= 500 and not retryable)


def test_some_statuses_that_clients_act_on() -> None:
    assert problem(ModelNotFound("m")).status == 404
    assert problem(BodyTooLarge("x")).status == 413
    assert problem(HttpError(504, "request_timeout", "x")).headers == {"x-should-retry": "false"}
    assert problem(HttpError(503, "too_many_connections", "x")).headers == {}


def test_bytes_that_are_no_text_can_be_shown() -> None:
    assert printable("/\udcff", 100) == "/\\udcff"
    msgspec.json.encode(printable("\ud800" * 5000))
