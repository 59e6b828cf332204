"""The walk over one root: which files there are, which are skipped and why.

The walk keeps its own stack, so depth costs no recursion, and follows no link. Paths are relative to the root,
with `/`, never starting with one; names that are not UTF-8 are skipped and shown with backslash escapes.
"""

# ruff: noqa: PTH112, PTH114, PTH123, PTH208
# (A Path object for every entry would cost more than the walk itself.)

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ghostd.index.file_names import holds_secrets
from ghostd.index.ignore import (
    IGNORE_FILES,
    MAX_COST,
    MAX_IGNORE_BYTES,
    MAX_PATTERNS,
    Rules,
    RuleSet,
    is_generated,
    parse_rules,
)
from ghostd.index.inside import OPEN_FLAGS, lies_at, open_folder
from ghostd.index.kernel_mounts import kernel_mounts


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the configuration (`[index]`), as the worker needs them."""

    exclude: tuple[str, ...]
    max_file_bytes: int
    max_line_bytes: int
    max_depth: int
    max_files: int
    parse_timeout_ms: int
    parse_memory_mb: int
    secret_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file that is not ignored."""

    path: str
    size: int
    changed_ns: int
    """See `changed_ns`."""


@dataclass(slots=True)
class Walk:
    """One walk of `root`, or of the folder `start` in it. Iterate `run()`, then read the rest."""

    root: str
    limits: Limits
    enter: Callable[[str], None] = lambda _: None
    """Called with each folder's relative path before it is listed, so that a watch can be set first."""
    skips: dict[str, str] = field(default_factory=dict)
    """Path → reason, for what cannot be a file of the index."""
    _count: int = 0
    _mounts: dict[str, str] = field(default_factory=kernel_mounts)
    _patterns: int = 0
    """Patterns of ignore files read so far."""

    def run(self, start: str = "", count: int = 0) -> Iterator[Found]:
        """The files below `start` ("" for all), in the order of the walk; `count` files are known elsewhere."""
        rules = self.rules_for(start)
        if rules is None:
            return
        self._count = count
        stack: list[tuple[str, Rules]] = [(start, rules)]
        while stack:
            folder, rules = stack.pop()
            below: list[tuple[str, Rules]] = []
            for item in self._list(folder, rules):
                if isinstance(item, Found):
                    if self._count >= self.limits.max_files:
                        self.skips[item.path] = (
                            f"the limit index.max_files ({self.limits.max_files}) is reached; "
                            "this file and what follows is left out"
                        )
                        return
                    self._count += 1
                    yield item
                else:
                    below.append(item)
            stack.extend(reversed(below))

    def rules_for(self, folder: str) -> Rules | None:
        """The rules that decide about `folder` from above, or None when it, or a folder above it, is left out."""
        if not folder:
            return self._root_rules()
        parent, _, name = folder.rpartition("/")
        listed = self.rules_inside(parent)
        if listed is None:
            return None
        rules, names = listed
        try:
            mode = os.lstat(self._absolute(folder)).st_mode
        except OSError:
            return None
        return rules if stat.S_ISDIR(mode) and not rules.ignores(folder + "/", name, names) else None

    def rules_inside(self, folder: str) -> tuple[Rules, set[str]] | None:
        """The rules for the entries of `folder`, and their names; None when the folder is left out."""
        rules = self._root_rules()
        names = self._names("")
        path = ""
        for name in folder.split("/") if folder else ():
            if names is None:
                return None
            rules = self._read_ignore_files(path, names, rules)
            siblings = names
            path = f"{path}/{name}" if path else name
            names = self._names(path)
            if names is None or is_generated(names) or rules.ignores(path + "/", name, siblings):
                return None
        return None if names is None else (self._read_ignore_files(path, names, rules), names)

    def _names(self, folder: str) -> set[str] | None:
        """The names in a folder that is no link; None for anything else."""
        try:
            descriptor = open_folder(self.root, folder)
        except OSError:
            return None
        try:
            return set(os.listdir(descriptor))
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def _root_rules(self) -> Rules:
        exclude, _ = parse_rules("", self.limits.exclude)
        info: RuleSet | None = None
        # A `.git` file points elsewhere, out of the root: it is not followed.
        if os.path.isdir(self._absolute(".git")) and not os.path.islink(self._absolute(".git")):
            info = self._read_rules("", ".git/info/exclude")
        return Rules((exclude,) if exclude else (), info_exclude=(info,) if info else ())

    def _list(self, folder: str, rules: Rules) -> Iterator[Found | tuple[str, Rules]]:
        """The folder's files and folders, sorted by name."""
        self.enter(folder)
        try:
            descriptor = open_folder(self.root, folder)
        except OSError as error:
            self._unlisted(folder, error)
            return
        try:
            yield from self._entries(folder, rules, descriptor)
        finally:
            os.close(descriptor)

    def _unlisted(self, folder: str, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            self.skips[folder or "."] = f"unreadable: {error.strerror}"

    def _entries(self, folder: str, rules: Rules, descriptor: int) -> Iterator[Found | tuple[str, Rules]]:
        try:
            with os.scandir(descriptor) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            self._unlisted(folder, error)
            return
        names = {entry.name for entry in entries}
        if folder and is_generated(names):
            return
        rules = self._read_ignore_files(folder, names, rules)
        prefix = f"{folder}/" if folder else ""
        for entry in entries:
            try:
                item = self._entry(prefix, entry, rules, names)
            except FileNotFoundError:
                continue  # it vanished since the folder was listed
            except OSError as error:
                self.skips[shown(prefix + entry.name)] = f"unreadable: {error.strerror}"
                continue
            if item is not None:
                yield item

    def _entry(
        self, prefix: str, entry: os.DirEntry[str], rules: Rules, names: set[str]
    ) -> Found | tuple[str, Rules] | None:
        path = prefix + entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if rules.ignores(path + "/" if is_folder else path, entry.name, names):
            return None
        if not entry.name.isascii() and not is_utf8(entry.name):
            self.skips[shown(path)] = "the name is not UTF-8"
            return None
        if is_folder:
            if path.count("/") + 1 > self.limits.max_depth:
                self.skips[path] = f"nested deeper than index.max_depth ({self.limits.max_depth})"
                return None
            if self._mounts and (kind := self._mounts.get(f"{self.root.rstrip('/')}/{path}")):
                self.skips[path] = f"a file system of the kernel's ({kind})"
                return None
            return path, rules
        return self.file(path, entry.stat(follow_symlinks=False))

    def file(self, path: str, status: os.stat_result) -> Found | None:
        """The file with this status, or None, with the reason in `skips`, when it must not be read."""
        reason = refusal(self.root, path, status, self.limits)
        if reason is not None:
            self.skips.setdefault(path, reason)  # of an ignore file, that it is not applied matters more
            return None
        return Found(path, status.st_size, changed_ns(status))

    def _read_ignore_files(self, folder: str, names: set[str], rules: Rules) -> Rules:
        for file_name in IGNORE_FILES:
            if file_name in names:
                path = f"{folder}/{file_name}" if folder else file_name
                found = self._read_rules(f"{folder}/" if folder else "", file_name)
                if found and rules.cost + found.cost > MAX_COST:
                    self.skips[path] = f"more than {MAX_COST} patterns hold in its folder: its own are not applied"
                elif found:
                    rules = rules.extended(file_name, found)
        return rules

    def _read_rules(self, base: str, file_name: str) -> RuleSet | None:
        path = base + file_name
        if self._patterns > MAX_PATTERNS:
            self.skips[path] = f"the ignore files before it hold more than {MAX_PATTERNS} patterns: it is not applied"
            return None
        try:
            descriptor = os.open(self._absolute(path), OPEN_FLAGS)
            with open(descriptor, encoding="utf-8", errors="surrogateescape") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or not lies_at(descriptor, self.root, path):
                    return None
                if status.st_size > MAX_IGNORE_BYTES:
                    self.skips[path] = f"ignore file larger than {MAX_IGNORE_BYTES} bytes: its rules are not applied"
                    return None
                lines = file.read(MAX_IGNORE_BYTES).removeprefix("\ufeff").splitlines()
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO):  # a link, a socket
                self.skips[path] = f"unreadable: {error.strerror}"
            return None
        rules, refused = parse_rules(base, lines)
        self._patterns += len(lines)
        if refused:
            some = f"{len(refused)} patterns, among them " if len(refused) > 1 else ""
            self.skips[path] = f"not applied, as it would take too long: {some}{refused[0][:80]!r}"
        return rules

    def _absolute(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root


def changed_ns(status: os.stat_result) -> int:
    """When a file last changed in any way.

    What unpacks archives and copies trees sets the time of the last write, often to the same for all files of all
    versions; the kernel's own time of the last change (ctime) tells such files apart.
    """
    return max(status.st_mtime_ns, status.st_ctime_ns)


def refusal(root: str, path: str, status: os.stat_result, limits: Limits) -> str | None:
    """Why a file with this status is not read at all; None when it may be."""
    mode = status.st_mode
    if stat.S_ISREG(mode):
        if holds_secrets(path.rpartition("/")[2], limits.secret_files):
            return "its name says that it holds secrets (index.secret_files)"
        if status.st_size > limits.max_file_bytes:
            return f"larger than index.max_file_bytes ({status.st_size} > {limits.max_file_bytes} bytes)"
        return None
    if stat.S_ISLNK(mode):
        return _link_refusal(root, path)
    kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    return f"not a regular file ({kinds.get(stat.S_IFMT(mode), 'unknown kind')})"


def _link_refusal(root: str, path: str) -> str:
    real_root = os.path.realpath(root)
    try:
        target = os.path.realpath(f"{root}/{path}", strict=True)
    except FileNotFoundError:
        return "a symbolic link to nothing"
    except OSError:
        return "a symbolic link in a loop"
    if target != real_root and not target.startswith(real_root.rstrip("/") + "/"):
        return "a symbolic link out of the root"
    if os.path.isdir(target):
        return "a symbolic link to a folder; links are not followed"
    return "a symbolic link; its target is indexed where it lies"


def is_utf8(name: str) -> bool:
    """Whether a name from the file system can be stored as text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(path: str) -> str:
    """A path that can be stored and printed, whatever its bytes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
