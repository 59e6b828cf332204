"""A real Neovim 0.12 with editors/neovim: `:GhostdContext` shows what a prompt would quote."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.daemons import DaemonProcess
from e2e.screen import Screen, plugin

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

GHOSTD_LSP = (str(Path(sys.executable).with_name("ghostd")), "lsp")


@pytest.mark.representative
def test_the_context_is_shown_in_a_buffer_of_its_own(
    tmp_path: Path, start_daemon: Callable[..., DaemonProcess], project: Path
) -> None:
    (project / "shop" / "storage.py").write_text(
        "class Storage:\n    def fetch_one(self, sql, key):\n        return key\n"
    )
    start_daemon("--root", str(project)).wait_indexed()
    screen = Screen(tmp_path / "nvim", plugin(GHOSTD_LSP, "{}"))
    try:
        screen.edit(project / "shop" / "order.py")
        screen.call("nvim_command", "call search('Storage)')")
        screen.call("nvim_command", "GhostdContext 500")

        def lines() -> list[str]:
            found: list[str] = screen.call("nvim_buf_get_lines", 0, 0, -1, False)
            return found

        screen.until(lambda: lines()[0].startswith("Context of shop/order.py:"), "the context")
        shown = lines()
        assert " of 500 tokens, " in shown[1]
        assert any(line.startswith("## shop/") and " score " in line for line in shown), shown
        assert screen.call("nvim_eval", "[&buftype, &modifiable, &swapfile]") == ["nofile", 0, 0]
    finally:
        screen.close()
