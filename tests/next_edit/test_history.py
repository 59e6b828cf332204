"""What counts as an edit, and what no longer does."""

from __future__ import annotations

import random
from pathlib import Path

from ghostd.next_edit.history import MAX_EDITS, MAX_LINES, Edit, EditHistory

A, B = Path("/p/a.py"), Path("/p/b.py")


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def test_keystrokes_in_a_line_are_one_edit() -> None:
    history = EditHistory()
    for before, after in (("ab\n", "abc\n"), ("abc\n", "abcd\n"), ("abcd\n", "ab\n"), ("ab\n", "abx\n")):
        history.note(A, 3, [before], [after])
    assert history.edits == (Edit(A, 3, ("ab\n",), ("abx\n",)),)


def test_edits_of_other_lines_and_files_are_others() -> None:
    history = EditHistory()
    history.note(A, 3, ["a\n"], ["b\n"])
    history.note(A, 4, ["c\n"], ["d\n"])
    history.note(B, 3, ["a\n"], ["b\n"])
    assert [(edit.path, edit.line) for edit in history.edits] == [(A, 3), (A, 4), (B, 3)]


def test_lines_that_stay_the_same_are_no_part_of_an_edit() -> None:
    history = EditHistory()
    history.note(A, 10, lines("1\n2\n3\n4\n"), lines("1\n2\nx\ny\n4\n"))
    assert history.edits == (Edit(A, 12, ("3\n",), ("x\n", "y\n")),)


def test_an_edit_moves_with_lines_that_come_and_go_above_it() -> None:
    history = EditHistory()
    history.note(A, 5, ["a\n"], ["b\n"])
    history.note(A, 2, ["x\n"], ["y\n", "z\n"])
    assert history.edits[0].line == 6
    history.note(B, 0, ["x\n"], [])
    history.note(A, 0, ["k\n"], [])
    assert (history.edits[0].path, history.edits[0].line) == (A, 5)


def test_an_edit_that_is_taken_back_is_gone_and_remembered_as_undone() -> None:
    history = EditHistory()
    history.note(A, 3, ["a\n"], ["b\n"])
    history.note(A, 3, ["b\n"], ["a\n"])
    assert history.edits == ()
    assert (A, ("a\n",), ("b\n",)) in history.undone
    assert (B, ("a\n",), ("b\n",)) not in history.undone
    history.note(A, 3, ["a\n"], ["b\n"])  # redone
    assert (A, ("a\n",), ("b\n",)) not in history.undone
    assert len(history.edits) == 1


def test_an_edit_that_is_done_again_may_be_followed_again() -> None:
    history = EditHistory()
    history.note(A, 0, ["def f():\n"], ["def g():\n"])
    history.note(A, 9, ["f()\n"], ["g()\n"])
    history.note(A, 9, ["g()\n"], ["f()\n"])
    history.note(A, 0, ["def g():\n"], ["def f():\n"])
    history.note(A, 20, ["x\n"], ["y\n"])
    history.note(A, 20, ["y\n"], ["x\n"])
    assert len(history.undone) == 3
    history.note(A, 0, ["def f():\n"], ["def g():\n"])
    assert history.undone == {(A, ("x\n",), ("y\n",))}


def test_to_take_back_what_is_too_old_to_be_followed_is_no_new_edit() -> None:
    history = EditHistory()
    history.note(A, 0, ["def f(a):\n"], ["def f(b, a):\n"])
    for line in range(1, MAX_EDITS + 2):  # what was proposed is taken, and undone
        history.note(A, line, [f"f({line})\n"], [f"f(..., {line})\n"])
    for line in range(1, MAX_EDITS + 2):
        history.note(A, line, [f"f(..., {line})\n"], [f"f({line})\n"])
    history.note(A, 0, ["def f(b, a):\n"], ["def f(ba):\n"])
    history.note(A, 0, ["def f(ba):\n"], ["def f(a):\n"])
    assert history.edits == ()
    assert (A, ("def f(a):\n",), ("def f(b, a):\n",)) in history.undone


def test_to_take_back_what_a_large_change_has_covered_is_no_new_edit() -> None:
    history = EditHistory()
    calls = [f"f({line})\n" for line in range(MAX_LINES + 1)]
    history.note(A, 0, ["def f(a):\n"], ["def f(b, a):\n"])
    for line, call in enumerate(calls, 1):
        history.note(A, line, [call], [f"{call[:-2]}, ...)\n"])
    # An editor tells of an undo of all of them at once, by their first and last line.
    history.note(
        A, 0, ["def f(b, a):\n", *(f"{call[:-2]}, ...)\n" for call in calls), ""], ["def f(b, a):\n", *calls, ""]
    )
    history.note(A, 0, ["def f(b, a):\n"], ["def f(a):\n"])
    assert history.edits == ()


def test_it_is_bounded_in_edits_and_lines() -> None:
    history = EditHistory()
    for line in range(3 * MAX_EDITS):
        history.note(A, 2 * line, ["a\n"], ["b\n"])
    assert len(history.edits) == MAX_EDITS
    history.note(B, 0, ["x\n"] * (MAX_LINES + 1), ["y\n"] * (MAX_LINES + 1))
    assert all(edit.path == A for edit in history.edits)


def test_a_closed_document_has_no_edits() -> None:
    history = EditHistory()
    history.note(A, 3, ["a\n"], ["b\n"])
    history.note(B, 3, ["a\n"], ["b\n"])
    history.forget(A)
    assert [edit.path for edit in history.edits] == [B]


def test_whatever_is_edited_each_edit_stands_where_it_says() -> None:
    chance = random.Random(7)
    for _ in range(200):
        history = EditHistory()
        text = [f"{chance.randrange(4)}\n" for _ in range(12)]
        for _ in range(25):
            start = chance.randrange(len(text) + 1)
            end = min(start + chance.randrange(4), len(text))
            fresh = [f"{chance.randrange(4)}\n" for _ in range(chance.randrange(4))]
            history.note(A, start, text[start:end], fresh)
            text[start:end] = fresh
            for edit in history.edits:
                assert tuple(text[edit.line : edit.end]) == edit.after
