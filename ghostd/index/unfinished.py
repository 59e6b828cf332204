"""What a complete pass has still to do, in a file beside the store: a worker goes on where the one before it died.

The file says what the walk has found, and then, line by line, what was updated since. Without it, or with one that is
torn, of another pass, of another ghostd or of a store that was built anew, the pass begins with the walk again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ghostd.index.scan import Found
from ghostd.index.version import extractor_version


@dataclass(slots=True)
class Plan:
    """A pass whose walk has ended."""

    todo: list[Found] = field(default_factory=list)
    """Files to read."""
    gone: list[str] = field(default_factory=list)
    """Files of the store that the walk has not met."""
    skips: dict[str, str] = field(default_factory=dict)
    """What the walk has left out, with the reason."""
    updated: set[str] = field(default_factory=set)
    """Paths updated since."""
    folders: set[str] = field(default_factory=set)
    """Folders walked anew since."""
    began: float = 0.0
    """When, by the clock of all processes (`time.monotonic`)."""


@dataclass(slots=True)
class PlanFile:
    """The file of one store."""

    path: Path
    _descriptor: int = -1

    def write(self, token: str, generation: int, plan: Plan) -> None:
        """Keep the plan of the pass with this token, made at this generation of the store."""
        self.forget()
        if not plan.todo:
            return  # nothing is parsed, so nothing can die of it
        head = {"began": plan.began, "token": token, "generation": generation, "extractor": extractor_version()}
        files = [(found.path, found.size, found.changed_ns) for found in plan.todo]
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self.path, flags, 0o600)
        self._add({**head, "todo": files, "gone": plan.gone, "skips": plan.skips})

    def note(self, updated: Iterable[str] = (), folders: Iterable[str] = ()) -> None:
        """Say that something newer is about to be known of these than what the walk saw."""
        self._add({"updated": list(updated), "folders": list(folders)})

    def read(self, token: str, generation: int) -> Plan | None:
        """The plan of the pass with this token, if the store, now of this generation, is still the one it is for."""
        try:
            head, *notes = [json.loads(line) for line in self.path.read_bytes().splitlines()]
            if (head["token"], head["extractor"]) != (token, extractor_version()) or head["generation"] > generation:
                return None
            plan = Plan([Found(*file) for file in head["todo"]], head["gone"], head["skips"], began=head["began"])
            for note in notes:
                plan.updated.update(note["updated"])
                plan.folders.update(note["folders"])
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None
        return plan

    def forget(self) -> None:
        """The pass has ended, or another one begins."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        with suppress(OSError):
            self.path.unlink()

    def _add(self, line: dict[str, Any]) -> None:
        """Append a line; a file that cannot take it is of no use."""
        if self._descriptor < 0:
            return
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            self.forget()
