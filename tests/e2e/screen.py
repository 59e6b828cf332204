"""Neovim with a screen, driven over its msgpack-rpc (`nvim --embed`)."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgpack
from e2e import neovim

_PLUGIN = Path(__file__).parents[2] / "editors" / "neovim"
_COLUMNS = 100

_GHOST_TEXT = """
local marks = vim.api.nvim_buf_get_extmarks(
  0, vim.api.nvim_create_namespace("nvim.lsp.inline_completion"), 0, -1, { details = true })
local lines = {}
for _, mark in ipairs(marks) do
  for _, line in ipairs({ mark[4].virt_text, unpack(mark[4].virt_lines or {}) }) do
    table.insert(lines, table.concat(vim.tbl_map(function(chunk) return chunk[1] end, line)))
  end
end
return table.concat(lines, "\\n")
"""


def plugin(command: Sequence[str], options: str) -> str:
    """An init.lua that sets editors/neovim up to run `command`; `options` is a Lua table of further ones."""
    listed = ", ".join(f"[[{word}]]" for word in command)
    return (
        f"vim.opt.runtimepath:prepend([[{_PLUGIN}]])\n"
        f'require("ghostd").setup(vim.tbl_extend("force", {{ cmd = {{ {listed} }} }}, {options}))\n'
    )


class Screen:
    """One Neovim with a home of its own and this init.lua."""

    def __init__(self, home: Path, init: str) -> None:
        found = neovim.fetch()
        home.mkdir()
        # Messages never wait for a key: a screen that asks for one answers no call.
        (home / "init.lua").write_text(f"vim.o.messagesopt = 'wait:0,history:500'\n{init}")
        self.process = subprocess.Popen(
            [str(found.program), "--embed", "-n", "-u", str(home / "init.lua")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=found.environment(home),
            bufsize=0,
        )
        self._unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, unicode_errors="replace")
        self._last_id = 0
        self.call("nvim_ui_attach", _COLUMNS, 30, {"rgb": True})

    def call(self, method: str, *arguments: object, timeout_s: float = 30) -> Any:
        """One API call."""
        assert self.process.stdin is not None
        self._last_id += 1
        self.process.stdin.write(msgpack.packb([0, self._last_id, method, arguments]))
        deadline = time.monotonic() + timeout_s
        while True:
            for message in self._unpacker:
                if message[0] == 1 and message[1] == self._last_id:
                    assert message[2] is None, f"{method}: {message[2]}"
                    return message[3]
            self._receive(deadline - time.monotonic())

    def _receive(self, timeout_s: float) -> None:
        descriptor = self.process.stdout.fileno() if self.process.stdout else -1
        ready, _, _ = select.select([descriptor], [], [], max(timeout_s, 0))
        data = os.read(descriptor, 65536) if ready else b""
        assert data, "Neovim does not answer"
        self._unpacker.feed(data)

    def lua(self, code: str) -> Any:
        return self.call("nvim_exec_lua", code, [])

    def edit(self, path: Path) -> None:
        """Open a file, and wait until ghostd serves it."""
        self.call("nvim_command", f"edit {path}")
        client = "local c = vim.lsp.get_clients({ bufnr = 0, name = 'ghostd' })[1]; return c and c.initialized or false"
        self.until(lambda: self.lua(client), "session")

    def type(self, keys: str) -> None:
        """Press keys, `<Tab>` and the like among them."""
        self.call("nvim_input", keys)

    def text(self) -> str:
        """The buffer."""
        return "\n".join(self.call("nvim_buf_get_lines", 0, 0, -1, False))

    def ghost_text(self) -> str:
        """What `vim.lsp.inline_completion` shows, "" for nothing."""
        text: str = self.lua(_GHOST_TEXT)
        return text

    def row(self, number: int) -> str:
        """What the screen shows in a row, from 1."""
        self.call("nvim_command", "redraw")
        text: str = self.call("nvim_eval", f"map(range(1, {_COLUMNS}), 'screenstring({number}, v:val)')->join('')")
        return text.rstrip()

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait until Neovim is in a state."""
        deadline = time.monotonic() + 30
        while not condition():
            if time.monotonic() > deadline:
                log = self.lua("local f = io.open(vim.lsp.log.get_filename()); return f and f:read('*a') or ''")
                messages = self.call("nvim_exec2", "messages", {"output": True})
                raise AssertionError(f"Neovim: no {what}; messages: {messages}; log: {log[-3000:]}")
            time.sleep(0.02)

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait(10)
            for pipe in (self.process.stdin, self.process.stdout):
                assert pipe is not None
                pipe.close()
