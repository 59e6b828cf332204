"""An editor over LSP: changes and completions as VS Code sends them, a newer request cancelling the older."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Refused(Exception):
    """An error reply."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What an editor would show at the cursor."""

    text: str
    command: dict[str, Any] | None
    """What it runs when this is accepted."""


class Editor:
    """One connection to a language server over a process's pipes.

    `ghost_text` False: it asks for entries of a completion list, for servers that know no inline completions.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, ghost_text: bool = True) -> None:
        self._reader, self._writer, self._ghost_text = reader, writer, ghost_text
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._version = 1
        self.line = self.character = 0
        self.uri = ""
        self.task = asyncio.get_running_loop().create_task(self._read())

    async def initialize(self, root: Path, options: object) -> None:
        """The handshake."""
        folder = {"uri": root.as_uri(), "name": root.name}
        document = {
            "inlineCompletion": {"dynamicRegistration": True},
            "completion": {"dynamicRegistration": False},
            "synchronization": {"dynamicRegistration": False},
        }
        await self.request(
            "initialize",
            {
                "processId": None,
                "clientInfo": {"name": "replay", "version": "1"},
                "rootUri": root.as_uri(),
                "workspaceFolders": [folder],
                "capabilities": {"textDocument": document, "workspace": {"configuration": False}},
                "initializationOptions": options,
            },
        )
        self.notify("initialized", {})

    def open(self, file: Path, language: str, text: str, line: int, character: int) -> None:
        """A document, and where the cursor stands."""
        self.uri, self.line, self.character = file.as_uri(), line, character
        document = {"uri": self.uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def close(self) -> None:
        """Close the document."""
        self.notify("textDocument/didClose", {"textDocument": {"uri": self.uri}})
        self._version = 1

    def edit(self, delete: int, insert: str) -> None:
        """Replace so many characters before the cursor; never over a line's start."""
        self._version += 1
        start = {"line": self.line, "character": self.character - delete}
        change = {"range": {"start": start, "end": {"line": self.line, "character": self.character}}, "text": insert}
        document = {"uri": self.uri, "version": self._version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        self.character += len(insert) - delete
        if "\n" in insert:
            self.line += insert.count("\n")
            self.character = len(insert) - insert.rindex("\n") - 1

    def ask(self) -> tuple[int, asyncio.Future[Any]]:
        """Ask for what goes on at the cursor."""
        return self.send(
            "textDocument/inlineCompletion" if self._ghost_text else "textDocument/completion",
            {
                "textDocument": {"uri": self.uri},
                "position": {"line": self.line, "character": self.character},
                "context": {"triggerKind": 2 if self._ghost_text else 1},
            },
        )

    def accepted(self, shown: Shown, taken: str) -> None:
        """Insert what was taken of a suggestion; its command is run when that is all of it."""
        self.edit(0, taken)
        if shown.command is not None and taken == shown.text:
            command = {"command": shown.command["command"], "arguments": shown.command.get("arguments", [])}
            self.send("workspace/executeCommand", command)

    def cancel(self, number: int) -> None:
        """$/cancelRequest."""
        self.notify("$/cancelRequest", {"id": number})

    def send(self, method: str, params: object) -> tuple[int, asyncio.Future[Any]]:
        """A request; its number and its answer. Raises ConnectionError where the server has ended."""
        if self.task.done():
            raise ConnectionError("the language server has ended")
        self._last_id += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[self._last_id] = future
        self._write({"id": self._last_id, "method": method, "params": params})
        return self._last_id, future

    async def request(self, method: str, params: object) -> Any:
        """A request's answer."""
        return await self.send(method, params)[1]

    def notify(self, method: str, params: object) -> None:
        """A notification."""
        self._write({"method": method, "params": params})

    def _write(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    async def _read(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self._reader.readuntil(b"\r\n\r\n")
                fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n") if line)
                length = int(fields[b"Content-Length"])
                message = json.loads(await self._reader.readexactly(length))
                if "method" in message:
                    if "id" in message:  # registrations, configuration, progress: all well
                        self._write({"id": message["id"], "result": None})
                    continue
                future = self._pending.pop(message["id"], None)
                if future is None or future.done():
                    continue
                if "error" in message:
                    future.set_exception(Refused(str(message["error"])))
                    future.exception()
                else:
                    future.set_result(message.get("result"))
        for future in self._pending.values():
            if not future.done():
                future.set_exception(Refused("the server is gone"))
                future.exception()


def suggestions(answer: Any, character: int) -> list[Shown]:
    """What an answer would insert at a cursor in this column. A list's entry holds the word that was begun, too."""
    items = answer.get("items", []) if isinstance(answer, dict) else answer or []
    found = []
    for item in items:
        text = item["textEdit"]["newText"] if "textEdit" in item else item["insertText"]
        begins = item["textEdit"]["range"]["start"]["character"] if "textEdit" in item else character
        text = text if isinstance(text, str) else text["value"]
        found.append(Shown(text[character - begins :], item.get("command")))
    return found
