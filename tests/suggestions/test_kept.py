"""What is kept answers without any model: repeats, typed-on text, accepted parts; never where it does not fit."""

from __future__ import annotations

import random

import pytest

from ghostd.suggestions.kept import Kept, KeptSuggestions
from ghostd.suggestions.place import place_at

HEAD = "import os\n\n\ndef load(path):\n    with open(path) as file:\n        "


def kept(prefix: str, text: str, suffix: str = "\n", model: str = "m", rank: int = 0) -> Kept:
    return Kept(f"id-{text}", place_at(prefix, suffix), text, model, rank, None)


def found(entries: list[Kept], prefix: str, suffix: str = "\n") -> str | None:
    suggestions = KeptSuggestions(8)
    for entry in entries:
        suggestions.add(entry)
    hit = suggestions.find(place_at(prefix, suffix))
    return None if hit is None else hit[1]


@pytest.mark.parametrize(
    ("typed", "rest"),
    [
        ("", "return file.read()\n    return None"),
        ("ret", "urn file.read()\n    return None"),
        ("return file.read()", "\n    return None"),
        ("return file.read()\n", "    return None"),
        ("return file.read()\n    return ", "None"),
        ("return file.read()\n    return None", None),
        ("return f(", None),
        ("x", None),
    ],
)
def test_text_that_is_typed_on_into_a_suggestion_shows_its_rest(typed: str, rest: str | None) -> None:
    entry = kept(HEAD, "return file.read()\n    return None")
    assert found([entry], HEAD + typed) == rest


def test_every_way_of_typing_and_deleting_inside_a_suggestion_is_answered() -> None:
    text = "return json.load(file)\n    finally:\n        file.close()"
    entry, rng, at = kept(HEAD, text), random.Random(1), 0
    for _ in range(500):
        at = max(0, min(len(text) - 1, at + rng.choice((-3, -1, 1, 1, 1, 4, 9))))
        assert found([entry], HEAD + text[:at]) == text[at:] or not text[at:].strip()


def test_edits_elsewhere_change_nothing() -> None:
    far = "# a comment\n" * 40
    entry = kept(far + HEAD, "return 1", "\n\n\ndef other():\n    pass\n")
    edited = far.replace("# a comment", "# another one", 1)
    assert found([entry], edited + HEAD + "re", "\n\n\ndef other():\n    return 3\n") == "turn 1"


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [
        (HEAD.replace("path", "name"), "\n"),  # the lines above are others
        (HEAD, " # end\n"),  # there is text behind the cursor
        (HEAD, "\nelse:\n"),  # the line below is another
    ],
)
def test_another_place_shows_nothing(prefix: str, suffix: str) -> None:
    assert found([kept(HEAD, "return 1")], prefix, suffix) is None


def test_a_file_that_begins_alike_is_told_by_its_whole_start() -> None:
    assert found([kept("a = ", "1")], "b\na = ") is None
    assert found([kept("a = ", "1")], "a = ") == "1"


@pytest.mark.parametrize(
    ("text", "typed", "closed", "rest"),
    [
        ("print(file.name)", "print(", ")", "file.name"),
        ("print(a) + f(b)", "print(", ")", "a) + f(b"),
        ("print(a)\n    return b", "print(", ")", "a"),
        ("print(a) + 1", "print(", ")", "a"),
        ("print(f(a), g)", "print(", ")", "f(a), g"),
        ("print(f(a)", "print(", ")", "f(a)"),
        ("print(')', a) + 1", "print(", ")", "')', a"),
        ("print(it's) + 1", "print(", ")", "it's"),
        ("x = [a[0]]\ny = 2", "x = [", "]", "a[0]"),
        ("f([a, b])\ng()", "f([", "])", "a, b"),
        ('x = "a\\"b" + "c"', 'x = "', '"', 'a\\"b" + "c'),
        ('x = "a" + y', 'x = "', '"', "a"),
        ("Vec<Fn() -> T> = a", "Vec<", ">", "Fn() -> T"),
        ("f()\n", "f(", ")", None),
    ],
)
def test_what_the_editor_closed_by_itself_is_not_written_twice(
    text: str, typed: str, closed: str, rest: str | None
) -> None:
    assert found([kept(HEAD, text)], HEAD + typed, f"{closed}\n") == rest


def test_the_best_model_wins_and_then_the_latest() -> None:
    entries = [kept(HEAD, "one", rank=1), kept(HEAD, "two", rank=0), kept(HEAD, "three", rank=1)]
    assert found(entries, HEAD) == "three"


def test_that_there_is_nothing_is_kept_for_exactly_this_place() -> None:
    suggestions = KeptSuggestions(8)
    suggestions.add(kept(HEAD, "  "))
    assert suggestions.nothing_at(place_at(HEAD, "\n"), "m")
    assert not suggestions.nothing_at(place_at(HEAD, "\n"), "other")
    assert not suggestions.nothing_at(place_at(HEAD + "x", "\n"), "m")
    assert suggestions.find(place_at(HEAD, "\n")) is None


def test_the_ones_that_were_used_longest_ago_go_first() -> None:
    suggestions = KeptSuggestions(2)
    suggestions.add(kept("a\n", "one"))
    suggestions.add(kept("b\n", "two"))
    assert suggestions.find(place_at("a\n", "\n")) is not None
    suggestions.add(kept("c\n", "three"))
    assert suggestions.find(place_at("b\n", "\n")) is None
    assert suggestions.find(place_at("a\n", "\n")) is not None


def test_a_refused_suggestion_is_not_shown_again_whoever_writes_it() -> None:
    suggestions = KeptSuggestions(2)
    suggestions.add(entry := kept(HEAD, "one = 1"))
    suggestions.refuse(entry.id)
    suggestions.add(kept(HEAD, "one = 1", model="other"))
    assert suggestions.find(place_at(HEAD, "\n")) is None
    assert suggestions.find(place_at(HEAD + "one", "\n")) is None
    suggestions.add(kept(HEAD + "one", " = 1"))
    assert suggestions.find(place_at(HEAD + "one", "\n")) is None
    suggestions.add(kept(HEAD, "one = 12"))
    assert suggestions.find(place_at(HEAD, "\n")) is not None
