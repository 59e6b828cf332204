"""Changes of the roots' files, as they happen.

On Linux by inotify (see `ghostd.index.inotify` for why), elsewhere by watchfiles. Both report to a Sink, on the event
loop. Neither says what changed: the worker looks.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from ghostd.index import inotify
from ghostd.index.ignore import is_default_ignored_folder

_MAX_ORPHANS = 5_000
_BURST = 1_000
"""A watchfiles batch of so many changes may have lost some: the whole root is compared."""
_STEP_MS = 50
_DEBOUNCE_MS = 200


class Sink(Protocol):
    """What a root does with its changes."""

    def changed(self, path: str, is_folder: bool) -> None:
        """Something happened to this entry, given relative to the root."""
        ...

    def overflowed(self) -> None:
        """Changes were lost."""
        ...

    def lost(self) -> None:
        """The root's folder is gone, or moved away."""
        ...

    def returned(self) -> None:
        """A folder stands where the root was."""
        ...

    def unwatched(self, problem: str) -> None:
        """Some or all changes are not noticed, and why."""
        ...


class Watch(Protocol):
    """A way to learn of changes."""

    descriptor: int
    """inotify instance for the worker to add watches to; -1 when it need not."""

    async def start(self, root: Path, sink: Sink) -> None:
        """Report changes below `root`, before its first pass begins."""
        ...

    def add(self, root: Path, watched: list[tuple[int, str]]) -> None:
        """The worker watches these folders: (watch, folder relative to the root)."""
        ...

    def await_return(self, root: Path) -> None:
        """The root is gone: tell its sink when it comes back, where that can be seen."""
        ...

    def drop_orphans(self) -> None:
        """No pass is running: what still belongs to no known folder belongs to none."""
        ...

    async def stop(self, root: Path) -> None:
        """Report nothing more of this root."""
        ...

    async def close(self) -> None:
        """End all."""
        ...


class _Folder(NamedTuple):
    root: Path
    path: str
    """Relative to the root."""
    awaits: str = ""
    """Only an entry of this name counts: the root's own, in its parent folder."""


@dataclass(slots=True)
class InotifyWatch:
    """One inotify instance for all roots; costs nothing while nothing changes."""

    descriptor: int
    _sinks: dict[Path, Sink] = field(default_factory=dict)
    _folders: dict[int, set[_Folder]] = field(default_factory=dict)
    _orphans: list[inotify.Event] = field(default_factory=list)
    """Events of folders that the worker watches but has not told of yet."""

    async def start(self, root: Path, sink: Sink) -> None:
        """See Watch."""
        if not self._sinks:
            asyncio.get_running_loop().add_reader(self.descriptor, self._readable)
        self._sinks[root] = sink

    def add(self, root: Path, watched: list[tuple[int, str]]) -> None:
        """See Watch."""
        if root not in self._sinks:
            return
        new = set()
        for watch, folder in watched:
            self._folders.setdefault(watch, set()).add(_Folder(root, folder))
            new.add(watch)
        waiting, self._orphans = self._orphans, []
        for event in waiting:
            if event.watch in new:
                self._handle(event)
            else:
                self._orphans.append(event)

    def await_return(self, root: Path) -> None:
        """See Watch."""
        try:
            watch = inotify.add(self.descriptor, str(root.parent), follow=True)
        except inotify.WatchLimit:
            return
        if watch is not None:
            self._folders.setdefault(watch, set()).add(_Folder(root, "", awaits=root.name))

    async def stop(self, root: Path) -> None:
        """See Watch."""
        self._sinks.pop(root, None)
        self._forget(lambda folder: folder.root == root)
        if not self._sinks:
            self._orphans.clear()
            asyncio.get_running_loop().remove_reader(self.descriptor)

    async def close(self) -> None:
        """See Watch."""
        for root in tuple(self._sinks):
            await self.stop(root)
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def drop_orphans(self) -> None:
        """See Watch."""
        self._orphans.clear()

    def _readable(self) -> None:
        # One read at a time: the loop comes back at once for more, and serves others in between.
        for event in inotify.read(self.descriptor):
            self._handle(event)

    def _handle(self, event: inotify.Event) -> None:
        if event.mask & inotify.IN_Q_OVERFLOW:
            for sink in tuple(self._sinks.values()):
                sink.overflowed()
            return
        if event.watch not in self._folders:
            self._keep_orphan(event)
            return
        if event.mask & inotify.IN_IGNORED:
            self._folders.pop(event.watch, None)
            return
        for folder in tuple(self._folders[event.watch]):
            if folder.root in self._sinks and event.mask & inotify.IN_UNMOUNT:
                self._sinks[folder.root].overflowed()
            elif folder.root in self._sinks:
                self._tell(event, folder, self._sinks[folder.root])

    def _tell(self, event: inotify.Event, folder: _Folder, sink: Sink) -> None:
        if folder.awaits:
            if event.name == folder.awaits and event.mask & (inotify.IN_CREATE | inotify.IN_MOVED_TO):
                self._forget(lambda other: other == folder)
                sink.returned()
            return
        if not event.name:
            if folder.path == "" and event.mask & (inotify.IN_DELETE_SELF | inotify.IN_MOVE_SELF):
                self._forget(lambda other: other.root == folder.root)
                sink.lost()
            return
        path = f"{folder.path}/{event.name}" if folder.path else event.name
        is_folder = bool(event.mask & inotify.IN_ISDIR)
        if is_folder and event.mask & inotify.IN_MOVED_FROM:
            # Its watches would go on reporting under the old name; those of a deleted folder end by themselves.
            below = path + "/"
            self._forget(
                lambda other: other.root == folder.root and (other.path == path or other.path.startswith(below))
            )
        sink.changed(path, is_folder)

    def _forget(self, which: Callable[[_Folder], bool]) -> None:
        hit = [watch for watch, folders in self._folders.items() if any(map(which, folders))]
        for watch in hit:
            kept = {folder for folder in self._folders[watch] if not which(folder)}
            if kept:
                self._folders[watch] = kept
            else:
                del self._folders[watch]
                inotify.remove(self.descriptor, watch)

    def _keep_orphan(self, event: inotify.Event) -> None:
        if event.mask & inotify.IN_IGNORED or not event.name:
            return
        self._orphans.append(event)
        if len(self._orphans) > _MAX_ORPHANS:
            self._orphans.clear()
            for sink in tuple(self._sinks.values()):
                sink.overflowed()


@dataclass(slots=True)
class WatchfilesWatch:
    """A thread for each root that waits in watchfiles."""

    descriptor: int = -1
    _threads: dict[Path, tuple[threading.Thread, threading.Event]] = field(default_factory=dict)

    async def start(self, root: Path, sink: Sink) -> None:
        """See Watch."""
        loop = asyncio.get_running_loop()
        started = asyncio.Event()
        stop = threading.Event()

        def post(call: Callable[..., object], *arguments: object) -> None:
            if not stop.is_set() and not loop.is_closed():
                loop.call_soon_threadsafe(call, *arguments)

        def follow() -> None:
            from watchfiles._rust_notify import RustNotify

            try:
                with RustNotify([str(root)], False, False, 300, True, True) as notify:
                    post(started.set)
                    while not stop.is_set():
                        found = notify.watch(_DEBOUNCE_MS, _STEP_MS, 0, stop)
                        if isinstance(found, set):
                            post(_report, root, sink, [path for _, path in found])
            except FileNotFoundError:
                post(sink.lost)
            except OSError as error:
                post(sink.unwatched, f"changes are not noticed: {error}")
            finally:
                post(started.set)

        thread = threading.Thread(target=follow, name=f"watch {root}", daemon=True)
        self._threads[root] = (thread, stop)
        thread.start()
        await started.wait()

    def add(self, root: Path, watched: list[tuple[int, str]]) -> None:
        """Nothing to do: watchfiles watches all folders by itself."""

    def await_return(self, root: Path) -> None:
        """Nothing to do: the periodic check finds it."""

    async def stop(self, root: Path) -> None:
        """See Watch."""
        thread, stop = self._threads.pop(root)
        stop.set()
        await asyncio.to_thread(thread.join, 5.0)

    async def close(self) -> None:
        """See Watch."""
        for root in tuple(self._threads):
            await self.stop(root)

    def drop_orphans(self) -> None:
        """Nothing to do."""


@dataclass(slots=True)
class NoWatch:
    """Nothing is watched: for a single pass, or where nothing else works."""

    problem: str = ""
    """What to tell the roots of that."""
    descriptor: int = -1

    async def start(self, root: Path, sink: Sink) -> None:
        """See Watch."""
        if self.problem:
            sink.unwatched(self.problem)

    def add(self, root: Path, watched: list[tuple[int, str]]) -> None:
        """See Watch."""

    def await_return(self, root: Path) -> None:
        """See Watch."""

    def drop_orphans(self) -> None:
        """See Watch."""

    async def stop(self, root: Path) -> None:
        """See Watch."""

    async def close(self) -> None:
        """See Watch."""


def open_watch() -> Watch:
    """The best watch of this system."""
    if inotify.available():
        try:
            return InotifyWatch(inotify.create())
        except OSError as error:
            return NoWatch(f"inotify gives no instance ({error.strerror}; see fs.inotify.max_user_instances)")
    return WatchfilesWatch()


def _report(root: Path, sink: Sink, paths: list[str]) -> None:
    if len(paths) >= _BURST:
        sink.overflowed()
        return
    for absolute in paths:
        if Path(absolute) == root:
            continue
        relative = absolute.removeprefix(f"{root}/")
        if not any(is_default_ignored_folder(part) for part in relative.split("/")[:-1]):
            sink.changed(relative, False)
