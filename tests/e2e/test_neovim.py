"""A real Neovim 0.12 with editors/neovim: typing shows ghost text, and a key accepts it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from e2e.daemons import DaemonProcess
from e2e.screen import Screen, plugin

from ghostd.local.paths import find_paths

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

OpenNeovim = Callable[..., Screen]
GHOSTD_LSP = (str(Path(sys.executable).with_name("ghostd")), "lsp")


@pytest.fixture
def open_neovim(tmp_path: Path) -> Iterator[OpenNeovim]:
    screens: list[Screen] = []

    def start(setup: str = "{}", init: str | None = None) -> Screen:
        screens.append(Screen(tmp_path / f"nvim{len(screens)}", init or plugin(GHOSTD_LSP, setup)))
        return screens[-1]

    yield start
    for screen in screens:
        screen.close()


@pytest.fixture
def scripted_daemon(ghostd_home: Path) -> Iterator[None]:
    """The front-end alone, whose model always says the same."""
    paths = find_paths()
    paths.create()
    command = [sys.executable, str(Path(__file__).with_name("lsp_stub.py")), str(paths.lsp_socket)]
    process = subprocess.Popen([*command, "filled(1)\n    second()"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield
    process.kill()
    process.wait(10)
    process.stdout.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "a.py"
    path.parent.mkdir()
    path.write_text("s = '😀é'.\nend\n")
    return path


@pytest.mark.representative
def test_ghost_text_is_on_the_screen_and_tab_accepts_it(
    open_neovim: OpenNeovim, scripted_daemon: None, file: Path
) -> None:
    screen = open_neovim()
    screen.edit(file)
    screen.type("A")
    screen.until(lambda: screen.ghost_text() == "filled(1)\n    second()", "ghost text")
    assert "'.filled(1)" in screen.row(1)
    assert [screen.row(2), screen.row(3)] == ["    second()", "end"]
    screen.type("<Tab>")
    screen.until(lambda: screen.text() == "s = '😀é'.filled(1)\n    second()\nend", "accepted text")
    screen.until(lambda: screen.call("nvim_win_get_cursor", 0) == [2, 12], "cursor at its end")


def _begins(screen: Screen, written: str) -> bool:
    return screen.text().startswith(written)


@pytest.mark.representative
def test_ghost_text_follows_the_typing_without_flicker(
    open_neovim: OpenNeovim, scripted_daemon: None, file: Path
) -> None:
    """At every moment it is what is left to write, also once Neovim has asked anew for the typed text."""
    screen = open_neovim()
    screen.edit(file)
    screen.type("A")
    whole = "filled(1)\n    second()"
    screen.until(lambda: screen.ghost_text() == whole, "ghost text")
    for count, key in enumerate(whole[:7], 1):
        screen.type(key)
        written = f"s = '😀é'.{whole[:count]}"
        screen.until(partial(_begins, screen, written), "key")
        seen = {screen.ghost_text() for _ in range(200 if count < 4 else 3)}  # Neovim asks anew after 200 ms
        assert seen == {whole[count:]}
    screen.type("<Tab>")
    screen.until(lambda: screen.text() == f"s = '😀é'.{whole}\nend", "accepted text")


def test_tab_is_a_tab_where_there_is_no_ghost_text(open_neovim: OpenNeovim, scripted_daemon: None, file: Path) -> None:
    screen = open_neovim()
    screen.edit(file)
    screen.call("nvim_command", "setlocal noexpandtab")
    screen.type("A<Tab>x")
    screen.until(lambda: screen.text().startswith("s = '😀é'.\tx"), "tab")


def test_the_recipe_of_the_documentation_works_without_the_plugin(
    open_neovim: OpenNeovim, scripted_daemon: None, file: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "editors.md").read_text("utf-8")
    recipe = page.partition("```lua\n")[2].partition("```")[0].replace('"ghostd", "lsp"', f'"{GHOSTD_LSP[0]}", "lsp"')
    screen = open_neovim(init=recipe)
    screen.edit(file)
    screen.until(lambda: screen.lua("return vim.lsp.inline_completion.is_enabled({ bufnr = 0 })"), "inline completion")
    screen.type("A")
    screen.until(screen.ghost_text, "ghost text")
    screen.type("<Tab>")
    screen.until(lambda: screen.text() == "s = '😀é'.filled(1)\n    second()\nend", "accepted text")


def test_without_inline_completion_the_text_is_in_the_completion_menu(
    open_neovim: OpenNeovim, scripted_daemon: None, file: Path
) -> None:
    screen = open_neovim("{ init_options = { plainCompletion = true } }")
    screen.edit(file)
    screen.type("Go.")
    screen.until(lambda: screen.call("nvim_eval", "pumvisible()"), "completion menu")
    words = screen.call("nvim_eval", "map(complete_info(['items']).items, 'v:val.abbr')")
    assert words == ["filled(1)"]
    screen.type("<C-n><C-y>")
    # Neovim's own menu inserts the first line of a text edit.
    screen.until(lambda: screen.text().endswith("end\n.filled(1)"), "accepted text")


def test_neovims_end_ends_the_session_and_not_the_daemon(
    open_neovim: OpenNeovim, scripted_daemon: None, file: Path
) -> None:
    first, second = open_neovim(), open_neovim()
    first.edit(file)
    second.edit(file)
    first.process.kill()
    first.process.wait(10)
    second.type("A")
    second.until(second.ghost_text, "ghost text")


@pytest.mark.representative
def test_a_real_daemon_completes_from_the_project(
    open_neovim: OpenNeovim, start_daemon: Callable[..., DaemonProcess], project: Path
) -> None:
    """`ghostd run` on a project, Neovim in a new file of it, the built-in model."""
    daemon = start_daemon("--root", str(project))
    daemon.wait_indexed()
    screen = open_neovim()
    file = project / "shop" / "shelf.py"
    screen.edit(file)
    screen.type("ifrom shop.storage import Storage<CR><CR><CR>class ShelfRepository:<CR>")
    screen.type("def __init__(self, storage: Storage) -> None:<CR>self._storage =<Space>")
    screen.until(lambda: screen.ghost_text() == "storage", "ghost text")
    screen.type("<Tab>")
    screen.until(lambda: screen.text().endswith("self._storage = storage"), "accepted text")


def test_neovim_starts_the_daemon_if_none_runs(open_neovim: OpenNeovim, ghostd_home: Path, file: Path) -> None:
    screen = open_neovim()
    try:
        screen.edit(file)
    finally:
        stopped = subprocess.run([GHOSTD_LSP[0], "stop"], capture_output=True, text=True, timeout=60, check=False)
    assert stopped.returncode == 0, stopped.stderr
