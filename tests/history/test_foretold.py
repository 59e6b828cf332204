"""How well history foretells commits, on histories that are made up."""

from hypothesis import given
from hypothesis import strategies as st

from ghostd.history.foretold import foretold
from ghostd.history.score import Touched

PATHS = st.sampled_from([f"{folder}{name}" for folder in ("", "x/", "x/y/") for name in ("a.py", "test_a.py", "b", "")])
COMMITS = st.lists(
    st.tuples(
        st.lists(PATHS, min_size=1, max_size=6, unique=True),
        st.lists(st.tuples(PATHS, PATHS), max_size=2),
        st.integers(0),
    )
)


def test_one_given_file_asks_for_any_of_the_others() -> None:
    pairs = [("x/a.py", "y/b.js"), ("z/c.md", "w/d.c")] * 3
    history = [Touched(number, pair) for number, pair in enumerate(pairs)]
    found = foretold(history, 2, half_life_days=180, max_files=50, with_first=True)
    assert (found.hits, found.tried) == (4, 4)
    assert (found.first_hits, found.first_tried) == (4, 4)


def test_large_commits_are_neither_judged_nor_learnt_from() -> None:
    large = tuple(f"{number}/f{number}" for number in range(10))
    history = [Touched(0, large), Touched(1, large), Touched(2, (large[0], large[5])), Touched(3, large)]
    found = foretold(history, 10, half_life_days=180, max_files=5)
    assert found.tried == 2, "the files of the third commit are known"


@given(COMMITS)
def test_any_history_is_judged(commits: list[tuple[list[str], list[tuple[str, str]], int]]) -> None:
    history = []
    for number, (paths, renames, gone) in enumerate(commits):
        deleted = frozenset(path for at, path in enumerate(paths) if gone >> at & 1)
        history.append(Touched(number, tuple(paths), tuple(renames), deleted))
    found = foretold(history, 100, half_life_days=1, max_files=4, with_first=True)
    assert 0 <= found.hits <= found.tried
    assert 0 <= found.floor_hits <= found.tried
    assert 0 <= found.first_hits <= found.first_tried
