"""Git history through the port, on repositories that git itself made."""

import os
import stat
import subprocess
from pathlib import Path, PurePosixPath

from history_harness import commit, git, names

from ghostd.code_ports import GitHistory, Index
from ghostd.committed import Hunk
from ghostd.config.projects import HistoryConfig
from ghostd.history.service import open_history

P = PurePosixPath


async def test_files_committed_together_are_found_and_those_that_are_gone_are_not(
    repository: Path, history: GitHistory
) -> None:
    commit(repository, "one", {"a.py": "1", "b.py": "1", "gone.py": "1"})
    commit(repository, "two", {"a.py": "2", "b.py": "2"})
    commit(repository, "three", {"a.py": "3", "c.py": "1"})
    commit(repository, "four", {"gone.py": None})
    state = await history.wait_read(repository)
    assert (state.state, state.commits, state.complete) == ("ready", 4, True)
    assert names(await history.co_changed(repository, P("a.py"))) == ["b.py", "c.py"]
    assert {c.subject for c in await history.commits(repository, P("b.py"))} == {"one", "two"}


async def test_a_rename_takes_its_history_with_it(repository: Path, history: GitHistory) -> None:
    commit(repository, "one", {"old.py": "text\n" * 20, "friend.py": "1"}, 1_700_000_000)
    git(repository, "mv", "old.py", "new.py")
    commit(repository, "two", {}, 1_700_000_100)
    await history.wait_read(repository)
    assert names(await history.co_changed(repository, P("new.py"))) == ["friend.py"]
    assert names(await history.co_changed(repository, P("friend.py"))) == ["new.py"]
    assert [c.subject for c in await history.commits(repository, P("new.py"))] == ["two", "one"]


async def test_rewritten_history_is_followed(repository: Path, history: GitHistory) -> None:
    commit(repository, "one", {"a.py": "1", "b.py": "1"})
    commit(repository, "two", {"a.py": "2", "c.py": "2"})
    await history.wait_read(repository)
    git(repository, "reset", "-q", "--hard", "HEAD~1")
    commit(repository, "other", {"a.py": "3", "d.py": "2"})
    state = await history.wait_read(repository)
    assert state.commits == 2
    assert sorted(names(await history.co_changed(repository, P("a.py")))) == ["b.py", "d.py"]


async def test_a_root_below_the_repository_sees_its_own_files(repository: Path, history: GitHistory) -> None:
    commit(repository, "one", {"x/a.py": "1", "x/b.py": "1", "y/c.py": "1"})
    await history.wait_read(repository / "x")
    assert names(await history.co_changed(repository / "x", P("a.py"))) == ["b.py"]


async def test_names_with_newlines_and_invalid_utf8(repository: Path, history: GitHistory) -> None:
    odd = os.fsdecode(b"bad\xff\nname.py")
    commit(repository, "one", {"a.py": "1", odd: "1"})
    await history.wait_read(repository)
    assert names(await history.co_changed(repository, P("a.py"))) == [odd]
    assert names(await history.co_changed(repository, P(odd))) == ["a.py"]


async def test_uncommitted_changes_have_their_hunks(repository: Path, history: GitHistory, index: Index) -> None:
    commit(repository, "one", {"a.py": "1\n2\n3\n", "b.py": "x\n", "c.py": "moved\n", ".gitignore": "no.py\n"})
    (repository / "a.py").write_text("1\ntwo\n3\n")
    (repository / "b.py").unlink()
    (repository / "c.py").rename(repository / "d.py")
    (repository / "new.py").write_text("n\n")
    (repository / "no.py").write_text("n\n")
    (repository / "staged.py").write_text("s\n")
    git(repository, "add", "staged.py")
    await index.add_root(repository)
    await index.wait_ready(repository)
    changes = {str(c.path): c for c in await history.uncommitted(repository)}
    assert {name: c.kind for name, c in changes.items()} == {
        **{"a.py": "modified", "b.py": "deleted", "d.py": "renamed", "new.py": "added", "staged.py": "added"}
    }
    assert changes["a.py"].hunks == (Hunk(2, 2, "2\n", "two\n"),)
    assert changes["d.py"].old_path == P("c.py")


async def test_a_branch_is_compared_with_where_it_parted(repository: Path, history: GitHistory) -> None:
    base = commit(repository, "one", {"a.py": "1\n"})
    git(repository, "checkout", "-q", "-b", "feature")
    commit(repository, "mine", {"a.py": "1\n2\n"})
    branch = await history.branch(repository)
    assert branch is not None
    assert (branch.name, branch.base, branch.merge_base) == ("feature", "main", base)
    assert [c.subject for c in branch.commits] == ["mine"]
    assert branch.changes[0].hunks == (Hunk(2, 2, "", "2\n"),)


async def test_commits_of_the_same_second_stay_in_their_order(repository: Path, history: GitHistory) -> None:
    """As after a rebase."""
    commit(repository, "base", {"a.py": "0"})
    git(repository, "checkout", "-q", "-b", "feature")
    subjects = [f"step {number}" for number in range(8)]
    for subject in subjects:
        commit(repository, subject, {"a.py": subject})
    branch = await history.branch(repository)
    assert branch is not None
    assert [one.subject for one in branch.commits] == subjects[::-1]
    await history.wait_read(repository)
    assert [one.subject for one in await history.commits(repository)] == [*subjects[::-1], "base"]


async def test_blame_and_the_commits_of_lines(repository: Path, history: GitHistory) -> None:
    commit(repository, "one", {"a.py": "1\n2\n3\n"}, 1_700_000_000)
    commit(repository, "two", {"a.py": "1\ntwo\n3\n"}, 1_700_000_100)
    spans = await history.blame(repository, P("a.py"))
    assert [(s.first_line, s.last_line, s.commit.subject) for s in spans] == [
        *((1, 1, "one"), (2, 2, "two"), (3, 3, "one"))
    ]
    assert [c.subject for c in await history.commits(repository, P("a.py"), range(2, 3))] == ["two"]


async def test_no_repository_and_one_without_commits(repository: Path, history: GitHistory, tmp_path: Path) -> None:
    assert (await history.wait_read(tmp_path)).state == "none"
    assert await history.branch(tmp_path) is None
    state = await history.wait_read(repository)
    assert (state.state, state.head, state.commits) == ("ready", "", 0)
    assert await history.co_changed(repository, P("a.py")) == []


async def test_worktrees_submodules_and_shallow_clones(repository: Path, history: GitHistory, tmp_path: Path) -> None:
    commit(repository, "one", {"a.py": "1", "b.py": "1"})
    commit(repository, "two", {"a.py": "2", "b.py": "2"})
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "other")
    assert (await history.wait_read(tmp_path / "tree")).commits == 2
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    state = await history.wait_read(tmp_path / "shallow")
    assert (state.state, state.commits, state.complete) == ("ready", 1, False)
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "--quiet", "add", str(repository), "sub")
    assert (await history.wait_read(outer / "sub")).commits == 2


async def test_a_git_file_that_points_elsewhere_is_not_followed(
    repository: Path, history: GitHistory, tmp_path: Path
) -> None:
    commit(repository, "secret", {"a.py": "1"})
    thief = tmp_path / "thief"
    thief.mkdir()
    (thief / ".git").write_text(f"gitdir: {repository}/.git\n")
    assert (await history.wait_read(thief)).state == "none"
    (thief / ".git").unlink()
    (thief / ".git").symlink_to(repository / ".git")
    assert (await history.wait_read(thief)).state == "none"


async def test_alternates_outside_are_not_read(repository: Path, history: GitHistory, tmp_path: Path) -> None:
    commit(repository, "one", {"a.py": "1"})
    git(tmp_path, "clone", "-q", "--shared", str(repository), "borrower")
    state = await history.wait_read(tmp_path / "borrower")
    assert state.state == "failed"
    assert "missing; its objects are borrowed from another folder" in state.detail


async def test_nothing_that_the_repository_names_runs(
    repository: Path, history: GitHistory, index: Index, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\nexec cat\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    commit(repository, "one", {"a.py": "1\n", ".gitattributes": "* filter=evil diff=evil merge=evil\n"})
    (repository / ".git/config").write_text(
        f"[core]\n fsmonitor={program}\n sshCommand={program}\n pager={program}\n hooksPath={tmp_path}\n"
        f' worktree=/etc\n[filter "evil"]\n clean={program}\n smudge={program}\n process={program}\n required=true\n'
        f'[diff]\n external={program}\n[diff "evil"]\n textconv={program}\n command={program}\n'
        f"[credential]\n helper=!{program}\n[include]\n path={tmp_path}/included\n"
        f'[extensions]\n partialClone=origin\n[remote "origin"]\n promisor=true\n url=ext::{program}\n'
    )
    (tmp_path / "included").write_text("not a config file [[[\n")
    (repository / "a.py").write_text("2\n")
    await index.add_root(repository)
    await index.wait_ready(repository)
    assert (await history.wait_read(repository)).commits == 1
    assert [str(c.path) for c in await history.uncommitted(repository)] == ["a.py"]
    assert await history.blame(repository, P("a.py"))
    assert await history.branch(repository) is not None
    assert not mark.exists()
    config = (repository / ".git/config").read_text()
    (repository / ".git/config").write_text(config.split("[credential]")[0].replace("worktree=/etc", ""))
    subprocess.run(["git", "status"], cwd=repository, env={"PATH": os.environ["PATH"]}, check=False, timeout=60)
    assert mark.exists(), "the trap works"


async def test_pipes_and_damage_inside_the_repository_end_in_an_answer(repository: Path, history: GitHistory) -> None:
    commit(repository, "one", {"a.py": "1"})
    os.mkfifo(repository / ".git/shallow")
    os.mkfifo(repository / ".git/packed-refs")
    assert (await history.wait_read(repository)).commits == 1
    (repository / ".git/index").write_bytes(b"DIRC\0\0\0\2\0\0\xff\xff")
    assert list(await history.uncommitted(repository)) == []
    os.mkfifo(repository / ".git/objects/pack/pack-1.idx")
    state = await history.wait_read(repository)
    assert state.state == "failed"
    assert "no regular file" in state.detail


async def test_a_damaged_cache_is_set_aside(repository: Path, tmp_path: Path, index: Index) -> None:
    commit(repository, "one", {"a.py": "1", "b.py": "1"})
    caches = tmp_path / "caches"
    async with open_history(caches, HistoryConfig(), index) as history:
        await history.wait_read(repository)
    (cache,) = caches.glob("*.sqlite")
    cache.write_bytes(b"nonsense" * 1000)
    async with open_history(caches, HistoryConfig(), index) as history:
        assert (await history.wait_read(repository)).commits == 1
        assert names(await history.co_changed(repository, P("a.py"))) == ["b.py"]
    assert list(caches.glob("*.old"))


async def test_limits_end_the_reading_and_say_so(repository: Path, tmp_path: Path, index: Index) -> None:
    for number in range(5):
        commit(repository, "c", {"a.py": str(number), "b.py": str(number)}, 1_700_000_000 + number)
    async with open_history(tmp_path / "caches", HistoryConfig(max_commits=3), index) as history:
        state = await history.wait_read(repository)
        assert (state.commits, state.complete) == (3, False)
        assert "history.max_commits" in state.detail


async def test_the_score_hides_each_file_in_turn(repository: Path, history: GitHistory) -> None:
    for number in range(4):
        commit(repository, "c", {"x/a.py": str(number), "y/b.py": str(number)}, 1_700_000_000 + number)
    score = await history.co_change_score(repository)
    assert (score.hits, score.floor_hits, score.tried) == (6, 0, 6)
