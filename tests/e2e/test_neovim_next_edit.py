"""A real Neovim 0.12 with editors/neovim: `:GhostdNextEdit` goes to the next edit, and makes it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.daemons import DaemonProcess
from e2e.screen import Screen, plugin

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

GHOSTD_LSP = (str(Path(sys.executable).with_name("ghostd")), "lsp")
STORE = '''"""Where the shop keeps its rows."""


def open_store(path):
    return path


open_store("one")
open_store("two")
'''
USER = "from shop.storage import open_store\n\n\nopen_store('three')\n"


@pytest.fixture
def screen(tmp_path: Path, start_daemon: Callable[..., DaemonProcess], project: Path) -> Iterator[Screen]:
    """Neovim in storage.py."""
    (project / "shop" / "storage.py").write_text(STORE)
    (project / "shop" / "user.py").write_text(USER)
    start_daemon("--root", str(project)).wait_indexed()
    screen = Screen(tmp_path / "nvim", plugin(GHOSTD_LSP, "{}"))
    try:
        screen.edit(project / "shop" / "storage.py")
        yield screen
    finally:
        screen.close()


def go(screen: Screen) -> None:
    """Ask for the next edit, and wait for the question."""
    screen.type(":GhostdNextEdit<CR>")
    screen.until(lambda: marks(screen) and screen.call("nvim_get_mode")["mode"] == "c", "question")


def cursor(screen: Screen) -> list[int]:
    found: list[int] = screen.call("nvim_win_get_cursor", 0)
    return found


def name(screen: Screen) -> str:
    return Path(screen.call("nvim_buf_get_name", 0)).name


def marks(screen: Screen) -> list[int]:
    """The lines that are marked, from 0."""
    found = screen.lua(
        'return vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace("ghostd.next_edit"), 0, -1, {})'
    )
    return [mark[1] for mark in found]


@pytest.mark.representative
def test_a_rename_is_followed_from_place_to_place_and_into_another_file(screen: Screen) -> None:
    screen.type(":GhostdNextEdit<CR>")
    told = "ghostd: nothing to edit next"
    screen.until(lambda: told in screen.call("nvim_exec2", "messages", {"output": True})["output"], "message")
    screen.type("4Gwcwopen_rows<Esc>")
    screen.until(lambda: "def open_rows(path)" in screen.text(), "edit")

    go(screen)
    assert (cursor(screen), marks(screen)) == ([8, 0], [7])
    screen.type("<CR>")  # nothing: everything is as it was
    screen.until(lambda: cursor(screen)[0] == 4, "cursor where it was")
    assert (marks(screen), 'open_store("one")' in screen.text()) == ([], True)

    go(screen)
    screen.type("1<CR>")
    screen.until(lambda: 'open_rows("one")' in screen.text(), "first edit")
    assert (cursor(screen)[0], marks(screen)) == (8, [])

    go(screen)
    assert cursor(screen) == [9, 0]
    screen.type("3<CR>")  # not this one
    screen.until(lambda: cursor(screen)[0] == 8, "cursor where it was")
    assert 'open_store("two")' in screen.text()

    go(screen)
    assert (name(screen), cursor(screen)) == ("user.py", [1, 25])
    screen.type("2<CR>")  # all
    screen.until(lambda: name(screen) == "storage.py", "file where it was")
    user = "return table.concat(vim.api.nvim_buf_get_lines(vim.fn.bufnr('user.py'), 0, -1, false), '\\n')"
    assert screen.lua(user) == USER.replace("open_store", "open_rows").rstrip("\n")
    assert 'open_store("two")' in screen.text()
