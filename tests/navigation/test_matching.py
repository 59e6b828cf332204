"""How names fit what is typed, and which of a project's names are found."""

from __future__ import annotations

import random

import pytest

from ghostd.navigation.matching import fit, subwords
from ghostd.navigation.names import Names, gather

NAMES = [
    "HTTPResponse", "HttpRequest", "HttpResponseBadRequest", "QuerySet", "_private_query_set", "a", "base64_encode",
    "getQueryset", "get_object_or_404", "get_queryset", "request", "Ünïcode_näme", "пользователь", "Пользователь",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HTTPResponse_of2", ["HTTP", "Response", "of", "2"]),
        ("getHTTPResponseCode", ["get", "HTTP", "Response", "Code"]),
        ("_private__name_", ["private", "name"]),
        ("base64_encode", ["base", "64", "encode"]),
        ("SCREAMING_CASE", ["SCREAMING", "CASE"]),
        ("naïve_Ünïcode", ["naïve", "Ünïcode"]),
        ("$el", ["el"]),
        ("___", []),
    ],
)
def test_a_name_is_made_of_subwords(name: str, words: list[str]) -> None:
    assert [word for word in subwords(name) if word != "$"] == words


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("HttpRequest", ["HttpRequest", "HttpResponseBadRequest"]),
        ("httprequest", ["HttpRequest", "HttpResponseBadRequest"]),
        ("Http", ["HttpRequest", "HttpResponseBadRequest", "HTTPResponse"]),
        ("hreq", ["HttpRequest", "HttpResponseBadRequest"]),
        ("hr", ["HttpRequest", "HTTPResponse", "HttpResponseBadRequest"]),
        ("HRBR", ["HttpResponseBadRequest"]),
        ("getq", ["getQueryset", "get_queryset"]),
        ("get_q", ["get_queryset", "getQueryset"]),
        ("goo4", ["get_object_or_404"]),
        ("queryset", ["QuerySet", "getQueryset", "get_queryset", "_private_query_set"]),
        ("quest", ["request", "HttpRequest", "HttpResponseBadRequest"]),
        ("64", ["base64_encode"]),
        ("пользователь", ["пользователь", "Пользователь"]),
        ("ünï", ["Ünïcode_näme"]),
        ("zz", []),
        ("_", ["_private_query_set"]),
    ],
)
def test_what_fits_better_comes_first(query: str, expected: list[str]) -> None:
    assert [name for _, name in gather(sorted(NAMES)).best(query, 10)] == expected


def test_every_name_is_found_by_itself_and_by_its_beginning_whatever_it_holds() -> None:
    chance = random.Random(1)
    letters = "abAB_01$éßİд語😀"
    names = sorted({"".join(chance.choices(letters, k=chance.randint(1, 12))) for _ in range(500)})
    found = gather(names)
    for name in names:
        assert found.best(name, 5)[0][1] == name
        assert name in [each for _, each in found.best(name[: max(1, len(name) // 2)], len(names))]


def test_searching_in_pieces_finds_what_fitting_each_name_finds() -> None:
    chance = random.Random(2)
    names = sorted({"".join(chance.choices("abcAB_1", k=chance.randint(1, 9))) for _ in range(300)})
    found = gather(names)
    for _ in range(300):
        query = "".join(chance.choices("abcAB_1", k=chance.randint(2, 4)))
        if query.strip("_") and len(query.replace("_", "")) > 1:
            expected = sorted((fits, name) for name in names if (fits := fit(query, name)) is not None)
            assert found.best(query, len(names)) == expected, query


@pytest.mark.parametrize("query", ["", "\n", "a\nb", "x" * 100_000, "\ud800", "(", "[a-", "\\", ".*"])
def test_a_query_that_no_name_can_fit_finds_nothing(query: str) -> None:
    assert gather(sorted(NAMES)).best(query, 10) == []
    assert Names(b"\n", b"\n").best("a", 10) == []
    assert gather([]).best(query, 10) == []


def test_names_made_to_be_slow_to_search_are_not() -> None:
    """The time is bounded by the names' length; a search that tries every way would not end."""
    names = gather(sorted("a" * n + "_a" * (99 - n // 2) for n in range(200)))
    assert names.best("a" * 150 + "b", 10) == []
    assert names.best("ab" * 90, 10) == []
