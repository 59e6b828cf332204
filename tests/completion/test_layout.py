"""How the prompts of a document stay the same from key to key."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostd.completion.layout import FRESH_CHARS, FRESH_LINES, Anchor, Layout, lay_out

CHARS = 4000
ABOVE = "".join(f"    value_{number} = compute({number}, {number * 7})\n" for number in range(400))
BELOW = "".join(f"\ndef below_{number}(one, two):\n    return one + two + {number}\n" for number in range(200))
TEXTS = st.text(alphabet="ab(\n\r\t é😀", max_size=400)


@dataclass(slots=True)
class Document:
    """What is typed, and the layouts of each key."""

    prefix: str
    suffix: str
    anchor: Anchor | None = None

    def ask(self, chars: int = CHARS, *, closed: bool = False, idle: bool = False) -> Layout:
        layout = lay_out(self.anchor, self.prefix, self.suffix, chars, closed=closed, idle=idle)
        assert self.prefix.endswith(layout.before)
        self.anchor = layout.anchor
        return layout

    def type(self, text: str) -> list[Layout]:
        layouts = []
        for char in text:
            self.prefix += char
            layouts.append(self.ask())
        return layouts


def different(layouts: list[Layout]) -> int:
    """How often what stays changed."""
    return sum(one.anchor != other.anchor for one, other in pairwise(layouts))


@given(steps=st.lists(st.tuples(TEXTS, TEXTS, st.booleans(), st.booleans()), max_size=6), chars=st.integers(64, 500))
def test_a_prompt_is_the_documents_own_text_around_the_cursor_and_fits(
    steps: list[tuple[str, str, bool, bool]], chars: int
) -> None:
    anchor = None
    for prefix, suffix, closed, idle in steps:
        layout = lay_out(anchor, prefix, suffix, chars, closed=closed, idle=idle)
        assert prefix.endswith(layout.before)
        assert prefix.startswith(layout.before, layout.anchor.start)
        kept = layout.anchor.suffix
        assert suffix.startswith(kept) or (closed and suffix.lstrip(")]}>'\"`").startswith(kept.lstrip(")]}>'\"`")))
        assert len(layout.before) + len(kept) <= chars
        assert len(layout.fresh) <= FRESH_CHARS
        anchor = layout.anchor


@given(before=TEXTS, after=TEXTS, typed=st.text(alphabet="ab( ", max_size=60), chars=st.integers(200, 1000))
def test_what_is_typed_on_within_a_line_changes_nothing_but_the_fresh_text(
    before: str, after: str, typed: str, chars: int
) -> None:
    first = lay_out(None, before, after, chars)
    second = lay_out(first.anchor, before + typed, after, chars)
    room = chars - len(first.before) - len(first.anchor.suffix)
    if len(typed) <= room and len(first.fresh) + len(typed) <= FRESH_CHARS and first.anchor.suffix == after:
        assert second.anchor == first.anchor
        assert second.fresh == first.fresh + typed


def test_only_the_fresh_text_changes_while_lines_are_typed() -> None:
    document = Document(ABOVE, BELOW)
    document.ask()
    text = "".join(f"    typed_{number} = {number}\n" for number in range(28))
    layouts = document.type(text)
    assert different(layouts) <= 28 // (FRESH_LINES - 1) + 1
    assert len({layout.anchor.suffix for layout in layouts}) == 1
    assert len({layout.anchor.start for layout in layouts}) == 1


def test_the_windows_start_moves_by_many_lines_at_a_time() -> None:
    document = Document(ABOVE, BELOW)
    first = document.ask()
    layouts = document.type("".join(f"    typed_{number} = {number}\n" for number in range(300)))
    starts = sorted({layout.anchor.start for layout in [first, *layouts]})
    assert 2 <= len(starts) <= 9
    for start in starts:
        assert document.prefix[start - 1] == "\n"


def test_deletions_and_corrections_change_nothing_but_the_fresh_text() -> None:
    document = Document(ABOVE + "    result = compyt", BELOW)
    first = document.ask()
    for end in (-1, -1):
        document.prefix = document.prefix[:end]
        assert document.ask().anchor == first.anchor
    layouts = document.type("ute(1)\n    other = 2")
    assert different([first, *layouts]) == 0
    document.prefix = document.prefix[: -len("\n    other = 2")]  # back up to the line above
    assert document.ask().anchor == first.anchor


def test_the_line_above_may_be_taken_back_at_once() -> None:
    document = Document(ABOVE + "    one = 1\n    two = 2", BELOW)
    first = document.ask()
    document.prefix = ABOVE + "    one"
    assert document.ask().anchor == first.anchor


def test_edits_below_the_window_change_nothing() -> None:
    document = Document(ABOVE, BELOW)
    first = document.ask()
    document.suffix += "# the end\n"
    assert document.ask().anchor == first.anchor


def test_edits_above_the_window_leave_its_text() -> None:
    document = Document(ABOVE, BELOW)
    first = document.ask()
    document.prefix = "import os\nimport sys\n" + document.prefix
    second = document.ask()
    assert (second.before, second.anchor.suffix) == (first.before, first.anchor.suffix)
    assert second.anchor.stable == first.anchor.stable


def test_edits_inside_of_the_window_leave_its_beginning() -> None:
    document = Document(ABOVE, BELOW)
    first = document.ask()
    document.prefix = document.prefix.replace("value_390 =", "price =")
    second = document.ask()
    assert second.before != first.before
    assert (second.anchor.start, second.anchor.suffix) == (first.anchor.start, first.anchor.suffix)


def test_a_cursor_that_moves_back_finds_the_window_where_it_was() -> None:
    document = Document(ABOVE, BELOW)
    first = document.ask()
    cut = document.prefix.rfind("    value_395")
    document.prefix, document.suffix = ABOVE[:cut], ABOVE[cut:] + BELOW
    assert document.ask().anchor.start == first.anchor.start


def test_a_cursor_that_moves_far_up_gets_a_window_of_its_own() -> None:
    document = Document(ABOVE, BELOW)
    document.ask()
    cut = document.prefix.find("    value_300")
    document.prefix, document.suffix = ABOVE[:cut], ABOVE[cut:] + BELOW
    layout = document.ask()
    assert len(layout.before) > CHARS // 4
    assert document.suffix.startswith(layout.anchor.suffix)


def test_brackets_that_the_editor_closes_do_not_change_what_is_quoted_below() -> None:
    document = Document(ABOVE, "\n" + BELOW)
    first = document.ask(closed=True)
    document.prefix, document.suffix = ABOVE + "f([", "])\n" + BELOW
    assert document.ask(closed=True).anchor == first.anchor
    document.prefix, document.suffix = ABOVE + "f([])", "\n" + BELOW
    assert document.ask(closed=True).anchor == first.anchor


@pytest.mark.parametrize("typed", [")", "]) # "])
def test_text_behind_the_cursor_is_quoted_where_the_reply_is_taken_as_it_is_or_it_is_no_closer(typed: str) -> None:
    document = Document(ABOVE, "\n" + BELOW)
    document.ask()
    document.suffix = typed + document.suffix
    assert document.ask(closed=typed != ")").anchor.suffix.startswith(typed)


def test_a_pause_moves_what_must_move_soon() -> None:
    document = Document(ABOVE, BELOW)
    document.ask()
    document.type("    a = 1\n" * (FRESH_LINES - 2))
    before = document.ask()
    idle = document.ask(idle=True)
    assert idle.fresh.count("\n") < before.fresh.count("\n")
    assert document.ask().anchor == idle.anchor


def test_windows_line_ends_are_kept_whole() -> None:
    document = Document(ABOVE.replace("\n", "\r\n"), BELOW.replace("\n", "\r\n"))
    layouts = [document.ask(), *document.type("    a = 1\r\n    b = 2\r\n")]
    for layout in layouts:
        assert not layout.before.startswith("\n")
        assert not layout.fresh.startswith("\n")
    assert different(layouts) == 0


def test_a_line_without_an_end_is_cut_where_it_stays_cut() -> None:
    document = Document("x = [" + "12345, " * 3000, "]")
    layouts = [document.ask(), *document.type("678, " * 100)]
    assert different(layouts) <= 4
    assert all(len(layout.before) <= CHARS for layout in layouts)


def test_the_text_below_gives_room_to_the_text_above_in_one_step() -> None:
    document = Document("", BELOW)
    layouts = [document.ask(), *document.type("".join(f"line {number} is here\n" for number in range(200)))]
    assert len({layout.anchor.suffix for layout in layouts}) <= 3
