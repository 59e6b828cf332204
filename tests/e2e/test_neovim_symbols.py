"""A real Neovim 0.12 with editors/neovim: definitions, references, symbols and calls from a real daemon's index."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.daemons import DaemonProcess
from e2e.screen import Screen, plugin

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

GHOSTD_LSP = (str(Path(sys.executable).with_name("ghostd")), "lsp")

_OTHER_SERVER = """
vim.lsp.start({
  name = "other",
  cmd = function(dispatchers)
    local closing = false
    return {
      request = function(method, params, callback)
        local result = method == "initialize" and { capabilities = { definitionProvider = true } } or nil
        vim.schedule(function() callback(nil, result) end)
        return true, 1
      end,
      notify = function() return true end,
      is_closing = function() return closing end,
      terminate = function() closing = true; dispatchers.on_exit(0, 15) end,
    }
  end,
})
"""
_ASK = """
local client = vim.lsp.get_clients({{ name = "ghostd" }})[1]
local params = vim.tbl_extend("force", vim.lsp.util.make_position_params(0, client.offset_encoding), {extra})
local reply = client:request_sync("{method}", params, 10000, 0)
return reply and reply.result or {{}}
"""


@pytest.fixture
def shop(tmp_path: Path, start_daemon: Callable[..., DaemonProcess], project: Path) -> Iterator[tuple[Screen, Path]]:
    """Neovim in a file of an indexed project."""
    (project / "shop" / "storage.py").write_text(
        "class Storage:\n    def fetch_one(self, sql, key):\n        return key\n"
    )
    start_daemon("--root", str(project)).wait_indexed()
    screen = Screen(tmp_path / "nvim", plugin(GHOSTD_LSP, "{}"))
    yield screen, project
    screen.close()


def where(screen: Screen) -> tuple[str, int]:
    return screen.call("nvim_eval", "expand('%:t')"), screen.call("nvim_win_get_cursor", 0)[0]


def ask(screen: Screen, method: str, extra: str = "{}") -> list[object]:
    found: list[object] = screen.lua(_ASK.format(method=method, extra=extra))
    return found


@pytest.mark.representative
def test_definitions_symbols_references_and_calls_are_shown(shop: tuple[Screen, Path]) -> None:
    screen, project = shop
    screen.edit(project / "shop" / "order.py")
    screen.call("nvim_command", "call search('Storage) ->')")
    screen.lua("vim.lsp.buf.definition()")
    screen.until(lambda: where(screen) == ("storage.py", 1), "definition")
    screen.lua("vim.lsp.buf.workspace_symbol('invrep')")
    listed = "map(getqflist(), 'fnamemodify(bufname(v:val.bufnr), \":t\") .. v:val.lnum .. v:val.text')"
    found = "invoice.py6[Class] InvoiceRepository"
    screen.until(lambda: any(line.startswith(found) for line in screen.call("nvim_eval", listed)), "workspace symbol")
    screen.call("nvim_command", "cclose | call search('fetch_one')")
    screen.lua("vim.lsp.buf.references()")
    screen.until(lambda: len(screen.call("nvim_eval", "getqflist()")) == 9, "references")
    screen.call("nvim_command", "cclose")
    screen.lua("vim.lsp.buf.document_symbol()")
    outline = "map(getloclist(0), 'v:val.text')"
    screen.until(lambda: "[Method] fetch_one" in screen.call("nvim_eval", outline), "document symbols")
    screen.call("nvim_command", "lclose")
    screen.edit(project / "shop" / "storage.py")
    screen.call("nvim_command", "call cursor(2, 10)")
    screen.lua("vim.lsp.buf.incoming_calls()")
    screen.until(lambda: len(screen.call("nvim_eval", "getqflist()")) == 8, "incoming calls")


def test_an_unsaved_definition_is_found_where_it_is_now(shop: tuple[Screen, Path]) -> None:
    screen, project = shop
    screen.edit(project / "shop" / "storage.py")
    screen.type("ggO# 😀<CR># one<CR># two<Esc>")
    screen.until(lambda: screen.text().startswith("# 😀"), "typed text")
    screen.call("nvim_command", "set hidden")
    screen.edit(project / "shop" / "order.py")
    screen.call("nvim_command", "call search('fetch_one')")
    screen.lua("vim.lsp.buf.definition()")
    screen.until(lambda: where(screen)[0] == "storage.py", "definition")
    assert "def fetch_one" in screen.call("nvim_get_current_line")


def test_symbols_are_left_to_another_server_while_that_runs(shop: tuple[Screen, Path]) -> None:
    screen, project = shop
    screen.edit(project / "shop" / "order.py")
    screen.call("nvim_command", "call search('Storage) ->')")
    screen.until(lambda: ask(screen, "textDocument/definition"), "definition")
    screen.lua(_OTHER_SERVER)
    screen.until(lambda: not ask(screen, "textDocument/definition"), "nothing beside the other server")
    assert ask(screen, "workspace/symbol", "{ query = 'repository' }") == []
    screen.lua("vim.lsp.get_clients({ name = 'other' })[1]:stop(true)")
    screen.until(lambda: ask(screen, "textDocument/definition"), "definition again")
