"""Repositories of every size, shape and state of repair, and the process that reads them."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest
from history_harness import commit, git, import_commits, names

from ghostd.code_ports import GitHistory, Index
from ghostd.config.projects import HistoryConfig
from ghostd.history import supervisor
from ghostd.history.service import History, open_history

P = PurePosixPath


def made_up(count: int) -> list[tuple[int, dict[str, str]]]:
    """Commits of groups of three files of their own folder, each with a file that goes with all of them."""
    chance = random.Random(5)
    return [
        (
            1_600_000_000 + 3600 * number,
            {f"{chance.randrange(9)}/{group}{part}.py": f"{number}\n" for part in "abc"} | {"log.md": f"{number}\n"},
        )
        for number in range(count)
        for group in (chance.randrange(20),)
    ]


async def test_three_thousand_commits_are_read_within_their_limits_and_answered(
    repository: Path, history: GitHistory
) -> None:
    await asyncio.to_thread(import_commits, repository, made_up(3000))
    state = await history.wait_read(repository)
    assert (state.state, state.commits, state.complete) == ("ready", 3000, True)
    assert len(await history.churn(repository, 5)) == 5
    assert (await history.churn(repository, 1))[0].path == P("log.md")
    assert len(names(await history.co_changed(repository, P("log.md"), 20))) == 20


@pytest.mark.slow
async def test_of_a_larger_history_the_newest_commits_are_read(repository: Path, index: Index, tmp_path: Path) -> None:
    await asyncio.to_thread(import_commits, repository, made_up(20_000))
    async with open_history(tmp_path / "caches", HistoryConfig(max_commits=15_000), index) as history:
        state = await history.wait_read(repository)
        assert (state.state, state.commits, state.complete) == ("ready", 15_000, False)
        assert await history.co_changed(repository, P("log.md"))


async def test_files_of_a_group_are_found_for_each_other(repository: Path, history: GitHistory) -> None:
    """The generator's groups are known: of three files that always change together two foretell the third."""
    chance = random.Random(7)
    commits = []
    for number in range(400):
        group = chance.randrange(40)
        noise = f"noise/{chance.randrange(100)}.py"
        files = {f"{part}/{group}.py": f"{number}\n" for part in "abc"} | {noise: f"{number}\n"}
        commits.append((1_600_000_000 + 3600 * number, files))
    await asyncio.to_thread(import_commits, repository, commits)
    score = await history.co_change_score(repository)
    assert score.tried > 700
    assert score.hits >= 0.7 * score.tried
    assert score.floor_hits <= 0.2 * score.tried


async def test_a_reading_that_was_ended_goes_on_when_the_head_moves(
    repository: Path, index: Index, tmp_path: Path
) -> None:
    await asyncio.to_thread(import_commits, repository, made_up(300))
    async with open_history(tmp_path / "caches", HistoryConfig(max_read_cpu_s=1e-6), index) as history:
        state = await history.wait_read(repository)
        assert (state.commits, state.complete) == (50, False)
        assert "max_read_cpu_s" in state.detail
    commit(repository, "new", {"new.py": "1"}, 1_800_000_000)
    async with open_history(tmp_path / "caches", HistoryConfig(), index) as history:
        state = await history.wait_read(repository)
        assert (state.commits, state.complete, state.detail) == (301, True, "")


async def test_a_larger_limit_and_fetched_parents_are_noticed(repository: Path, index: Index, tmp_path: Path) -> None:
    for number in range(5):
        commit(repository, "c", {"a.py": str(number), "b.py": str(number)}, 1_700_000_000 + number)
    for limit, expected in ((2, 2), (100, 5)):
        async with open_history(tmp_path / "caches", HistoryConfig(max_commits=limit), index) as history:
            assert (await history.wait_read(repository)).commits == expected
    git(tmp_path, "clone", "-q", "--depth", "2", f"file://{repository}", "shallow")
    async with open_history(tmp_path / "caches", HistoryConfig(), index) as history:
        assert (await history.wait_read(tmp_path / "shallow")).commits == 2
        git(tmp_path / "shallow", "fetch", "-q", "--unshallow")
        state = await history.wait_read(tmp_path / "shallow")
        assert (state.commits, state.complete) == (5, True)
        (found,) = await history.co_changed(tmp_path / "shallow", P("a.py"))
        assert found.commits == 5


async def test_what_ghostd_does_not_read_is_named(repository: Path, history: GitHistory, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    newer.mkdir()
    git(newer, "init", "-q", "--object-format=sha256")
    commit(newer, "one", {"a.py": "1"})
    state = await history.wait_read(newer)
    assert (state.state, "SHA-256" in state.detail) == ("failed", True)
    commit(repository, "one", {"a.py": "1"})
    with (repository / ".git/config").open("a") as config:
        config.write("[extensions]\n\trefStorage = reftable\n")
    state = await history.wait_read(repository)
    assert (state.state, "reftable" in state.detail) == ("failed", True)


async def test_pipes_and_links_among_the_objects_are_refused(
    repository: Path, history: GitHistory, tmp_path: Path
) -> None:
    head = commit(repository, "one", {"a.py": "1"})
    loose = repository / ".git/objects" / head[:2] / head[2:]
    aside = tmp_path / "aside"
    loose.rename(aside)
    os.mkfifo(loose)
    state = await history.wait_read(repository)
    assert (state.state, "no regular file" in state.detail) == ("failed", True)
    loose.unlink()
    aside.rename(loose)
    assert (await history.wait_read(repository)).commits == 1
    loose.parent.rename(tmp_path / "objects")
    loose.parent.symlink_to(tmp_path / "objects")
    state = await history.wait_read(repository)
    assert (state.state, "is a link" in state.detail) == ("failed", True)


async def test_folders_where_git_has_files_are_no_more_than_missing_files(repository: Path, history: History) -> None:
    """Such as `refs/heads/topic`, beside a branch `topic/one`, while a branch `topic` is about to be made."""
    commit(repository, "one", {"a.py": "1"})
    git(repository, "checkout", "-q", "--orphan", "topic")
    git(repository, "branch", "topic/one", "main")
    assert (repository / ".git/refs/heads/topic").is_dir()
    state = await history.wait_read(repository)
    assert (state.state, state.detail) == ("ready", "")
    pid = history.supervisor.pid
    assert pid is not None
    descriptors = Path(f"/proc/{pid}/fd")
    for name in ("config", "index", "packed-refs", "HEAD"):
        (repository / ".git" / name).unlink(missing_ok=True)
        (repository / ".git" / name).mkdir()
    opened = len(list(descriptors.iterdir())) if descriptors.exists() else 0
    for _ in range(8):
        assert (await history.wait_read(repository)).state == "none"
    assert history.supervisor.pid == pid
    if descriptors.exists():
        assert len(list(descriptors.iterdir())) <= opened


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
async def test_a_commit_of_ten_billion_files_in_few_trees_says_nothing(repository: Path, history: History) -> None:
    commit(repository, "one", {"a.py": "1", "b.py": "1"})
    commit(repository, "two", {"a.py": "2", "b.py": "2"})
    blob = git(repository, "rev-parse", "HEAD:a.py")
    folder = made_tree(repository, "".join(f"100644 blob {blob}\tf{number}.py\n" for number in range(10)))
    for _ in range(9):
        folder = made_tree(repository, "".join(f"040000 tree {folder}\td{number}\n" for number in range(10)))
    top = f"040000 tree {folder}\tbomb\n" + git(repository, "ls-tree", "HEAD") + "\n"
    bomb = git(repository, "commit-tree", made_tree(repository, top), "-p", "main", "-m", "bomb")
    git(repository, "update-ref", "refs/heads/main", bomb)
    state = await history.wait_read(repository)
    assert (state.state, state.commits, state.detail) == ("ready", 3, "")
    assert names(await history.co_changed(repository, P("a.py"))) == ["b.py"]
    pid = history.supervisor.pid
    assert not await history.uncommitted(repository)
    assert history.supervisor.pid == pid  # it was not ended for taking too long
    git(repository, "symbolic-ref", "HEAD", "refs/heads/topic")
    git(repository, "update-ref", "refs/heads/topic", f"{bomb}~1")
    branch = await history.branch(repository)
    assert branch is not None
    assert branch.base == "main"


def made_tree(repository: Path, entries: str) -> str:
    done = subprocess.run(["git", "mktree"], cwd=repository, input=entries, text=True, check=True, capture_output=True)
    return done.stdout.strip()


async def test_a_damaged_pack_is_said_and_read_again_once_mended(repository: Path, history: GitHistory) -> None:
    for number in range(20):
        commit(repository, "c", {"a.py": f"{number}\n" * 50}, 1_700_000_000 + number)
    git(repository, "repack", "-q", "-a", "-d")
    (pack,) = (repository / ".git/objects/pack").glob("*.pack")
    whole = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(whole[:12] + bytes(len(whole) - 32) + whole[-20:])
    state = await history.wait_read(repository)
    assert state.state == "failed"
    assert state.detail
    pack.unlink()
    pack.write_bytes(whole)
    state = await history.wait_read(repository)
    assert (state.state, state.commits, state.detail) == ("ready", 20, "")


async def test_roots_of_one_repository_share_what_was_read(repository: Path, index: Index, tmp_path: Path) -> None:
    await asyncio.to_thread(
        import_commits,
        repository,
        [(1_700_000_000 + n, {f"{d}/{f}.py": str(n) for d in "xy" for f in "ab"}) for n in range(200)],
    )
    caches = tmp_path / "caches"
    async with open_history(caches, HistoryConfig(), index) as history:
        roots = [repository, repository / "x", repository / "y"]
        states = await asyncio.gather(*(history.wait_read(root) for root in roots))
        assert [(state.state, state.commits) for state in states] == [("ready", 200)] * 3
        assert names(await history.co_changed(repository / "x", P("a.py"))) == ["b.py"]
        assert len(names(await history.co_changed(repository, P("x/a.py")))) == 3
    assert len(list(caches.glob("*.sqlite"))) == 1


async def test_a_detached_head_has_no_branch_but_a_history(repository: Path, history: GitHistory) -> None:
    first = commit(repository, "one", {"a.py": "1", "b.py": "1"})
    commit(repository, "two", {"a.py": "2"}, 1_700_000_100)
    git(repository, "checkout", "-q", "--detach", first)
    state = await history.wait_read(repository)
    assert (state.head, state.commits) == (first, 1)
    branch = await history.branch(repository)
    assert branch is not None
    assert branch.name == ""
    assert branch.commits == ()


async def test_a_cache_of_another_version_is_set_aside(repository: Path, index: Index, tmp_path: Path) -> None:
    commit(repository, "one", {"a.py": "1", "b.py": "1"})
    caches = tmp_path / "caches"
    async with open_history(caches, HistoryConfig(), index) as history:
        await history.wait_read(repository)
    (cache,) = caches.glob("*.sqlite")
    database = sqlite3.connect(cache)
    database.execute("PRAGMA user_version = 999")
    database.close()
    async with open_history(caches, HistoryConfig(), index) as history:
        assert (await history.wait_read(repository)).commits == 1
        assert names(await history.co_changed(repository, P("a.py"))) == ["b.py"]
    assert list(caches.glob("*.old"))


async def test_a_process_that_died_is_started_again(repository: Path, history: History) -> None:
    commit(repository, "one", {"a.py": "1", "b.py": "1"})
    await history.wait_read(repository)
    pid = history.supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert [one.subject for one in await history.commits(repository, P("b.py"))] == ["one"]
    assert history.supervisor.pid not in (None, pid)


async def test_a_question_that_takes_too_long_is_answered_with_nothing_and_the_next_one_is_served(
    repository: Path, index: Index, tmp_path: Path
) -> None:
    commit(repository, "one", {"a.py": "1\n"})
    async with open_history(tmp_path / "caches", HistoryConfig(timeout_s=2.0), index) as history:
        assert isinstance(history, History)
        await history.wait_read(repository)
        pid = history.supervisor.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        assert list(await history.blame(repository, P("a.py"))) == []
        assert (await history.wait_read(repository)).commits == 1
        assert history.supervisor.pid != pid


async def test_a_process_that_says_nothing_is_ended_however_often_it_is_asked(
    repository: Path, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_STUCK_S", 3.0)
    commit(repository, "one", {"a.py": "1\n"})
    await history.wait_read(repository)
    pid = history.supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    async with asyncio.TaskGroup() as tasks:
        while history.supervisor.pid == pid:
            tasks.create_task(history.wait_read(repository))
            await asyncio.sleep(0.2)
    assert (await history.wait_read(repository)).commits == 1


_HANGS = """
import json, sys, time
def say(root, state, **more):
    print(json.dumps({"root": root, "state": [state, "", 0, False, ""], **more}), flush=True)
for line in sys.stdin:
    order = json.loads(line)
    if order["root"] == "/bad":
        say("/bad", "reading")
        time.sleep(600)
    say(order["root"], "ready", job=order["job"], result=1)
"""


async def test_a_repository_whose_reading_never_ends_is_left_and_the_others_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: dict[str, list[object]] = {}

    async def start(*_: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", _HANGS, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )

    monkeypatch.setattr("ghostd.child_process.start", start)
    asked = supervisor.Supervisor(tmp_path, HistoryConfig(), states.__setitem__)
    runs = asyncio.create_task(asked.run())
    bad = asyncio.create_task(asked.ask({"op": "wait", "root": "/bad"}, None))
    while not bad.done():
        with suppress(TimeoutError):
            await asked.ask({"op": "churn", "root": "/good"}, 1.0)
    assert bad.result() is None
    assert states["/bad"][0] == "failed"
    assert await asked.ask({"op": "wait", "root": "/good"}, None) == 1
    assert await asked.ask({"op": "wait", "root": "/bad"}, None) is None
    runs.cancel()
    await asyncio.wait([runs])


@pytest.mark.parametrize("kept", [0.5, 0.1])
async def test_an_object_whose_file_ends_too_early_is_as_if_it_were_missing(
    kept: float, repository: Path, history: GitHistory
) -> None:
    """As a power cut leaves it; libgit2's own reader never returns from it."""
    commit(repository, "one", {"a.py": "1", "b.py": "1"})
    commit(repository, "two", {"a.py": "2", "b.py": "2"}, 1_700_000_100)
    tree = git(repository, "rev-parse", "HEAD~1^{tree}")
    file = repository / ".git/objects" / tree[:2] / tree[2:]
    data = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(data[: int(kept * len(data))])
    assert (await history.wait_read(repository)).state == "ready"
    assert [one.subject for one in await history.commits(repository)] == ["two", "one"]
    assert list(await history.uncommitted(repository)) == []


async def test_what_was_answered_is_answered_again_without_the_process_until_the_head_moves(
    repository: Path, history: History
) -> None:
    commit(repository, "one", {"a.py": "1", "b.py": "1"})
    await history.wait_read(repository)
    found = await history.co_changed(repository, P("a.py"))
    pid = history.supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert await history.co_changed(repository, P("a.py")) == found
    os.kill(pid, signal.SIGCONT)
    commit(repository, "two", {"a.py": "2", "c.py": "1"}, 1_700_000_100)
    await history.wait_read(repository)
    assert sorted(names(await history.co_changed(repository, P("a.py")))) == ["b.py", "c.py"]


async def test_history_is_read_when_the_index_is_ready_and_never_without_a_repository(
    repository: Path, history: History, index: Index, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "a.py").write_text("1\n")
    await index.add_root(plain)
    await index.wait_ready(plain)
    assert (await history.wait_read(plain)).state == "none"
    assert history.awake(plain)
    assert history.supervisor.pid is None
    commit(repository, "one", {"a.py": "1", "b.py": "1"})
    assert not history.awake(repository)
    await index.add_root(repository)
    await index.wait_ready(repository)
    await asyncio.gather(*history.tasks)
    assert history.state(repository).commits == 1
    assert history.awake(repository)
