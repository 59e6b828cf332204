"""Nothing of what a file's size decides is computed on the event loop."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import CodeType, FrameType

import pytest
from next_edit_harness import Project, project

import ghostd.next_edit
from ghostd.next_edit.aside import Aside
from ghostd.next_edit.tokens import tokens_in

FOLDER = Path(ghostd.next_edit.__file__).parent
ASKING = {"service", "elsewhere", "imports", "by_model", "asked", "aside"}
"""The modules that work on the loop."""
CHEAP = {
    ("document", "file"),
    ("document", "family"),
    ("history", "edits"),
    ("history", "undone"),
    ("proposal", "path"),
}
"""What else may be asked there: it costs the same for every file."""


@contextmanager
def called_here() -> Iterator[set[tuple[str, str]]]:
    """The functions of `ghostd.next_edit` that are called in this thread, as (module, name)."""
    called: set[tuple[str, str]] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        code: CodeType = frame.f_code
        file = Path(code.co_filename)
        if event == "call" and file.parent == FOLDER:
            called.add((file.stem, code.co_name))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(before)


def rename_everywhere(shop: Project) -> None:
    shop.edit("store.py", "def load", "def read")


def change_a_method(shop: Project) -> None:
    shop.edit("store.py", "self, key", "self, key, mode")


def use_a_name(shop: Project) -> None:
    shop.edit("b.py", "x = 1", "x = load(1)")


def repeat_a_change(shop: Project) -> None:
    shop.edit("c.py", "first(1)", "other(1)")
    shop.edit("c.py", "first(2)", "other(2)")


FILES = {
    "store.py": "def load(key):\n    return key\n\n\nclass Store:\n    def get(self, key):\n        return load(key)\n",
    "a.py": "from store import Store, load\n\n\nclass Mine(Store):\n    def get(self, key):\n        return load(key)\n"
    "\n\nMine().get(1)\n",
    "b.py": "x = 1\n",
    "c.py": "first(1)\nfirst(2)\nfirst(3)\n",
}


@pytest.mark.parametrize(
    ("change", "kind", "paths"),
    [
        (rename_everywhere, "rename", {"store.py", "a.py"}),
        (change_a_method, "signature", {"a.py"}),
        (use_a_name, "import", {"b.py"}),
        (repeat_a_change, "repeat", {"c.py"}),
    ],
)
async def test_the_event_loop_only_asks(
    change: Callable[[Project], None], kind: str, paths: set[str], tmp_path: Path
) -> None:
    shop = await project(tmp_path, FILES)
    change(shop)
    with called_here() as called:
        found = await shop.proposals()
    assert ({each.kind for each in found}, {str(each.path) for each in found}) == ({kind}, paths)
    assert ("service", "propose") in called
    computed = {name for name in called if name[0] not in ASKING}
    assert computed <= CHEAP
    shop.next_edits.close()


def test_tokens_are_no_work_for_the_garbage_collector() -> None:
    """It stops all threads, for as long as there are objects to look at."""
    assert not any(map(gc.is_tracked, tokens_in("def f(x): return [x, 'a']\n", PurePosixPath("a.py"))))


async def test_work_is_done_in_another_thread_one_piece_after_the_other() -> None:
    aside = Aside()
    threads = await asyncio.gather(*(aside.run(threading.get_ident) for _ in range(5)))
    assert set(threads) == {threads[0]}
    assert threads[0] != threading.get_ident()
    aside.close()


async def test_work_that_is_cancelled_before_its_turn_is_never_begun() -> None:
    aside = Aside()
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    done: list[str] = []

    def hold() -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait()

    first = asyncio.ensure_future(aside.run(hold))
    await begun.wait()
    second = asyncio.ensure_future(aside.run(done.append, "second"))
    third = asyncio.ensure_future(aside.run(done.append, "third"))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])
    go_on.set()
    await asyncio.gather(first, third)
    assert done == ["third"]
    aside.close()


async def test_what_fails_aside_fails_for_the_one_who_asked() -> None:
    aside = Aside()
    with pytest.raises(ValueError, match="is not in the subpath"):
        await aside.run(PurePosixPath("/a").relative_to, "/b")
    aside.close()
