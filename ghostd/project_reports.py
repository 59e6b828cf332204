"""What the HTTP API says of a project as a whole, shared by the daemon's side and its client. Paths are relative to the
root, with slashes; shares are between 0 and 1."""

from __future__ import annotations

import msgspec


class LanguageShare(msgspec.Struct, frozen=True):
    """The files of one language."""

    language: str
    """An identifier as in LSP."""
    files: int
    size_bytes: int
    lines: int
    """Of the files that were counted: see `lines_complete`."""
    share: float
    """Of the bytes of all indexed files."""


class PackageDependency(msgspec.Struct, frozen=True):
    """Something that a package needs."""

    name: str
    wanted: str
    """The version asked for, as written; "" where none is."""
    group: str
    """"" for what it needs to run; else "dev", "test", "build", "optional:NAME" or what its manifest calls it."""


class PackageReport(msgspec.Struct, frozen=True):
    """One manifest."""

    path: str
    ecosystem: str
    name: str
    version: str
    description: str
    dependencies: list[PackageDependency]
    members: list[str]
    """Patterns of a workspace's folders."""


class EntryPointReport(msgspec.Struct, frozen=True):
    """A place where something begins to run."""

    kind: str
    """"program", "script", "main", "task", "image" or "library"."""
    name: str
    target: str
    path: str
    """The manifest that says so, or the file itself."""


class ManifestProblemReport(msgspec.Struct, frozen=True):
    """A manifest that could not be read."""

    path: str
    reason: str


class CentralFile(msgspec.Struct, frozen=True):
    """A file that much leads to."""

    path: str
    rank: float
    """PageRank over imports; all files' add up to 1."""
    importers: int


class ImportCycle(msgspec.Struct, frozen=True):
    """Files that import each other in a circle."""

    size: int
    files: list[str]
    """At most 20 of them."""


class ModuleGraphReport(msgspec.Struct, frozen=True):
    """Which files import which; of Python, TypeScript, JavaScript, Rust and Zig."""

    files: int
    edges: int
    unresolved: int
    """Imports that look internal, and lead to no file."""
    cycles: list[ImportCycle]
    """The largest first; at most 50."""
    cycle_count: int
    central: list[CentralFile]
    folder_edges: list[FolderEdge]
    """How often files of one folder import those of another, most first."""
    external: dict[str, int]
    """What is imported from outside the root → in how many files."""


class FolderEdge(msgspec.Struct, frozen=True):
    """Imports between two folders."""

    source: str
    target: str
    imports: int


class FolderOfTests(msgspec.Struct, frozen=True):
    """Where tests lie."""

    path: str
    files: int


class FileOfTests(msgspec.Struct, frozen=True):
    """What one file of tests is about."""

    path: str
    subjects: list[str]
    """Files that it imports, the ones whose names are like its own first, then those that few import; at most 3."""


class ProjectTests(msgspec.Struct, frozen=True):
    """The project's tests."""

    files: int
    size_bytes: int
    folders: list[FolderOfTests]
    """Most files first."""
    frameworks: list[str]
    """Those that manifests or imports name."""
    share: float
    """Of the bytes of all code."""
    subjects: list[FileOfTests]
    """Of at most 100 files of tests."""
    tested_files: int
    """Files that are no tests, and that a file of tests imports."""
    other_files: int
    """All files that are no tests, of languages whose imports are resolved."""


class SizedFile(msgspec.Struct, frozen=True):
    """A large file."""

    path: str
    size_bytes: int
    lines: int | None
    """Null where it was not counted."""


class HotSpot(msgspec.Struct, frozen=True):
    """A file that is large and changes often."""

    path: str
    commits: int
    churn: float
    """The number of its commits, old ones counting less."""
    size_bytes: int


class ChangedFile(msgspec.Struct, frozen=True):
    """A file that differs."""

    path: str
    kind: str
    """"added", "modified", "deleted" or "renamed"."""


class HistoryReport(msgspec.Struct, frozen=True):
    """What git tells."""

    state: str
    """"none", "reading", "ready" or "failed"; the rest is empty unless it is ready."""
    detail: str = ""
    branch: str = ""
    base: str = ""
    commits_ahead: list[str] = []
    """Subjects of the branch's own commits, the newest first; at most 20."""
    branch_changes: list[ChangedFile] = []
    uncommitted: list[ChangedFile] = []
    """At most 100, as of the branch's."""
    hot_spots: list[HotSpot] = []
    recent_commits: list[str] = []
    """Subjects of the last ones."""


class ProjectReport(msgspec.Struct, frozen=True, tag_field="object", tag="ghostd.project"):
    """What a project is made of."""

    root: str
    name: str
    generation: int
    """Of the index, when it was looked at."""
    files: int
    size_bytes: int
    lines: int
    lines_complete: bool
    """Whether all files' lines were counted; in a very large project only the first files' are."""
    skipped: int
    """Files and folders that the index left out."""
    main_language: str
    """That of most bytes of code; "" where there is none."""
    languages: list[LanguageShare]
    entry_points: list[EntryPointReport]
    packages: list[PackageReport]
    problems: list[ManifestProblemReport]
    modules: ModuleGraphReport
    tests: ProjectTests
    largest: list[SizedFile]
    history: HistoryReport


class MapSymbol(msgspec.Struct, frozen=True):
    """A definition in a repo map."""

    name: str
    kind: str
    line: int
    container: str
    signature: str


class MapFile(msgspec.Struct, frozen=True):
    """A file in a repo map."""

    path: str
    symbols: list[MapSymbol]


class RepoMapReport(msgspec.Struct, frozen=True):
    """The most useful definitions of a project."""

    root: str
    focus: list[str]
    text: str
    """As a prompt quotes them."""
    tokens: int
    """Of the text, at 4 bytes each."""
    files: list[MapFile]
    """Those in the text, the most useful first."""
    complete: bool
    """Whether the whole project was looked at."""
    object: str = "ghostd.repo_map"


class ProjectText(msgspec.Struct, frozen=True, tag_field="object", tag="ghostd.project_text"):
    """What a project is made of, as a prompt quotes it."""

    root: str
    text: str
    tokens: int
    """At 4 bytes each."""
