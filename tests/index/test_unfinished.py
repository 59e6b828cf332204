"""A pass that its worker did not survive is ended by the next worker, whatever has happened in between."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from index_harness import write

from ghostd.index.chunk_build import ChunkBuilder
from ghostd.index.passes import complete_pass, update
from ghostd.index.root_context import Message, RootContext
from ghostd.index.scan import Limits
from ghostd.index.store import Store, store_path

TOKEN = "one pass"


def context_of(root: Path, store: Path) -> RootContext:
    """The root as a new worker has it."""
    store.mkdir(exist_ok=True)
    opened = Store(store_path(store, root))
    opened.prepare(str(root), "extractor", "limits")
    limits = Limits((), 1_000_000, 20_000, 64, 1_000, 2_000, 1_024)
    return RootContext(
        str(root), opened, limits, lambda *_: None, lambda _path, step, _timed: step(), ChunkBuilder(opened, 1_000_000)
    )


def ended(messages: Iterator[Message | None]) -> list[Message]:
    """All of a job's messages."""
    return [message for message in messages if message]


def until_walked(messages: Iterator[Message | None]) -> None:
    """Let a pass read its first file."""
    assert any(message and "walked" in message for message in messages)
    next(messages)


def indexed(context: RootContext) -> list[str]:
    """The indexed files."""
    return sorted(path for path, known in context.store.known().items() if known.problem is None)


def test_the_report_counts_the_seconds_of_the_worker_that_died(
    root: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, {"a.py": "x = 1\n", "b.py": "y = 1\n"})
    first = context_of(root, store)
    with monkeypatch.context() as patched:
        now = time.monotonic()
        patched.setattr("ghostd.index.passes.time.monotonic", lambda: now - 1000)
        until_walked(complete_pass(first, TOKEN))
    first.store.close()
    (*_, last) = ended(complete_pass(context_of(root, store), TOKEN))
    assert last["done"]["seconds"] >= 1000


@pytest.fixture
def begun(root: Path, store: Path) -> None:
    """A pass over three files, one of which the store has and the root has no more; its worker is at the reading."""
    write(root, {"old.py": "x = 1\n", "kept.py": "y = 1\n"})
    first = context_of(root, store)
    ended(complete_pass(first, "another pass"))
    (root / "old.py").unlink()
    write(root, {"kept.py": "y = 2\nz = 2\n", "new.py": "w = 1\n", "sub/new.py": "v = 1\n"})
    for path in root.rglob("*.py"):
        os.utime(path, (1, 1))
    first.store.close()


def plan_of(store: Path) -> Path:
    """The file beside the store."""
    (found,) = store.glob("*.pass")
    return found


def test_what_was_updated_before_the_worker_died_is_not_undone(begun: None, root: Path, store: Path) -> None:
    """The walk has not met a file, which has come back since; and it has met one that is gone since."""
    dying = context_of(root, store)
    running = complete_pass(dying, TOKEN)
    until_walked(running)
    write(root, {"old.py": "back = 1\n", "sub/later.py": "u = 1\n"})
    (root / "new.py").unlink()
    ended(update(dying, ["old.py", "new.py", "sub"]))
    dying.store.close()
    following = context_of(root, store)
    report = ended(complete_pass(following, TOKEN))[-1]["done"]
    assert indexed(following) == ["kept.py", "old.py", "sub/later.py", "sub/new.py"]
    assert report["totals"][0] == 4
    assert list(store.glob("*.pass")) == []
    following.store.close()


def test_what_is_updated_before_the_pass_goes_on_is_not_undone(begun: None, root: Path, store: Path) -> None:
    """The next worker updates first."""
    dying = context_of(root, store)
    until_walked(complete_pass(dying, TOKEN))
    dying.store.close()
    following = context_of(root, store)
    write(root, {"old.py": "back = 1\n"})
    ended(update(following, ["old.py"]))
    ended(complete_pass(following, TOKEN))
    assert indexed(following) == ["kept.py", "new.py", "old.py", "sub/new.py"]
    following.store.close()


@pytest.mark.parametrize("harm", ["torn", "nonsense", "gone", "of another pass", "of another store"])
def test_without_a_plan_that_can_be_trusted_the_root_is_walked(begun: None, root: Path, store: Path, harm: str) -> None:
    dying = context_of(root, store)
    until_walked(complete_pass(dying, TOKEN))
    dying.store.close()
    plan = plan_of(store)
    if harm == "torn":
        plan.write_bytes(plan.read_bytes()[:-5])
    elif harm == "nonsense":
        plan.write_text('{"token": "one pass"}\n[]\n')
    elif harm == "gone":
        plan.unlink()
    elif harm == "of another store":
        dying.store.path.unlink()
    write(root, {"unseen.py": "t = 1\n"})
    following = context_of(root, store)
    messages = ended(complete_pass(following, TOKEN if harm != "of another pass" else "a third"))
    assert indexed(following) == ["kept.py", "new.py", "sub/new.py", "unseen.py"]
    assert messages[-1]["done"]["totals"][0] == 4
    following.store.close()
