"""What goes with a file: by its commits, and by its place and name where these say little."""

from pathlib import Path, PurePosixPath

from history_harness import commit, git, import_commits, names

from ghostd.code_ports import GitHistory

P = PurePosixPath
START_S = 1_700_000_000


async def test_what_the_last_commits_touched_comes_before_what_more_older_ones_did(
    repository: Path, history: GitHistory
) -> None:
    old = [(START_S + n, {"x/a.py": f"{n}", "y/old.py": f"{n}"}) for n in range(8)]
    new = [(START_S + 100 + n, {"x/a.py": f"n{n}", "z/new.py": f"{n}"}) for n in range(5)]
    import_commits(repository, old + new)
    await history.wait_read(repository)
    found = await history.co_changed(repository, P("x/a.py"))
    assert [(str(one.path), one.commits) for one in found] == [("z/new.py", 5), ("y/old.py", 8)]


async def test_commits_of_many_files_say_less_than_those_of_two(repository: Path, history: GitHistory) -> None:
    many = [(START_S + 2 * n, {"x/a.py": f"m{n}", **{f"y{k}/f.md": f"{n}" for k in range(20)}}) for n in range(3)]
    two = [(START_S + 2 * n + 1, {"x/a.py": f"t{n}", "z/friend.js": f"{n}"}) for n in range(2)]
    import_commits(repository, sorted(many + two))
    await history.wait_read(repository)
    assert names(await history.co_changed(repository, P("x/a.py"), limit=1)) == ["z/friend.js"]


async def test_without_common_commits_the_name_and_the_folder_speak(repository: Path, history: GitHistory) -> None:
    for number, name in enumerate(("app/cart.py", "tests/test_cart.py", "app/mail.py", "docs/far.md")):
        commit(repository, name, {name: "1"}, START_S + number)
    for number in range(60):  # nothing of them was changed lately
        commit(repository, "more", {"log.txt": f"{number}", "log2.txt": f"{number}"}, START_S + 100 + number)
    await history.wait_read(repository)
    found = await history.co_changed(repository, P("app/cart.py"))
    assert [(str(one.path), one.commits) for one in found[:2]] == [("tests/test_cart.py", 0), ("app/mail.py", 0)]
    assert "docs/far.md" not in names(found)


async def test_a_file_that_was_never_committed_goes_with_its_namesake(repository: Path, history: GitHistory) -> None:
    commit(repository, "one", {"app/cart.py": "1", "app/mail.py": "1"})
    await history.wait_read(repository)
    (repository / "tests").mkdir()
    (repository / "tests/test_cart.py").write_text("new")
    assert names(await history.co_changed(repository, P("tests/test_cart.py"), limit=1)) == ["app/cart.py"]
    assert names(await history.co_changed(repository, P("tests/test_mail.py"))) == [], "there is no such file"


async def test_files_that_are_being_changed_beside_it_are_asked_for_with_it(
    repository: Path, history: GitHistory
) -> None:
    pairs = [("x/a.py", "y/with_a.js"), ("x/a.py", "y/with_a.js"), ("z/b.py", "w/with_b.md")] * 3
    import_commits(repository, [(START_S + n, {one: f"{n}", two: f"{n}"}) for n, (one, two) in enumerate(pairs)])
    await history.wait_read(repository)
    alone = names(await history.co_changed(repository, P("x/a.py"), limit=2))
    beside = names(await history.co_changed(repository, P("x/a.py"), limit=2, beside=[P("z/b.py"), P("x/a.py")]))
    assert alone[0] == "y/with_a.js"
    assert sorted(beside) == ["w/with_b.md", "y/with_a.js"]
    assert "z/b.py" not in beside


async def test_names_of_the_top_folder_and_odd_ones_are_near_each_other(repository: Path, history: GitHistory) -> None:
    commit(repository, "one", {"a%.py": "1"}, START_S)
    commit(repository, "two", {"b'\"_.py": "1", "deep/er/c.py": "1", "é.py": "1"}, START_S + 1)
    await history.wait_read(repository)
    found = names(await history.co_changed(repository, P("a%.py")))
    assert set(found) == {"b'\"_.py", "deep/er/c.py", "é.py"}
    assert found[-1] == "deep/er/c.py"


async def test_the_score_follows_renames_and_proposes_nothing_that_is_gone(
    repository: Path, history: GitHistory
) -> None:
    text = "text\n" * 20
    for number in range(3):
        commit(repository, "c", {"x/old.py": f"{text}{number}", "y/b.js": f"{number}"}, START_S + number)
    git(repository, "mv", "x/old.py", "x/new.py")
    commit(repository, "moved", {"y/b.js": "moved"}, START_S + 10)
    moved = await history.co_change_score(repository, commits=1)
    assert (moved.hits, moved.tried) == (2, 2), "the renamed file is told by what it was called"
    commit(repository, "c", {"x/new.py": f"{text}new", "y/b.js": "n"}, START_S + 11)
    last = await history.co_change_score(repository, commits=1)
    assert (last.hits, last.tried) == (2, 2), "it has kept its companions"


async def test_five_files_that_are_gone_do_not_hide_the_one_that_is_there(
    repository: Path, history: GitHistory
) -> None:
    gone = [f"x/{name}.py" for name in "bcdef"]
    for number in range(3):
        commit(repository, "c", {"x/a.py": f"{number}", **dict.fromkeys(gone, f"{number}")}, START_S + number)
    commit(repository, "less", {"x/a.py": "3", "y/z.md": "3"}, START_S + 5)
    commit(repository, "gone", dict.fromkeys(gone), START_S + 6)
    commit(repository, "last", {"x/a.py": "4", "y/z.md": "4"}, START_S + 7)
    score = await history.co_change_score(repository, commits=1)
    assert (score.hits, score.tried) == (2, 2)
