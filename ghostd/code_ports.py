"""What the core asks about code: the index, the git history, chunks alike. Contract tests: `ghostd.testing`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import Protocol

from ghostd.committed import (
    BlameSpan,
    Branch,
    CoChange,
    CoChangeScore,
    CommitInfo,
    FileChange,
    HistoryState,
    SymbolCoChange,
)
from ghostd.embedded import SimilarState, Vector
from ghostd.indexed import (
    ChangeBatch,
    Chunk,
    FileNames,
    FoundChunk,
    Import,
    IndexedFile,
    IndexReport,
    Reference,
    RootStatus,
    Skip,
    Symbol,
)


class Index(Protocol):
    """The projects' symbols, references and imports, shared by all editors.

    Paths of files are relative to their root. Answers come from the last committed generation. Reads are
    asynchronous because they may touch the disk; they never wait for a running scan.
    """

    def roots(self) -> Sequence[RootStatus]:
        """Every root, in the order added."""
        ...

    def root_of(self, path: Path) -> Path | None:
        """The innermost indexed root that contains this absolute path."""
        ...

    async def add_root(self, root: Path) -> None:
        """Start to index and watch a folder; returns at once, does nothing if it is indexed already.

        Raises RootError when it is missing, not a folder or unreadable.
        """
        ...

    async def remove_root(self, root: Path) -> None:
        """Stop to watch a folder; its stored index stays on disk."""
        ...

    async def wait_ready(self, root: Path) -> IndexReport:
        """Wait until the root's first complete pass has been committed; raises RootError if it failed."""
        ...

    def subscribe(self, callback: Callable[[ChangeBatch], None]) -> Callable[[], None]:
        """Call back on the event loop after each commit; returns the function that ends the subscription."""
        ...

    async def files(self, root: Path) -> Sequence[IndexedFile]:
        """All indexed files, ordered by path."""
        ...

    async def skips(self, root: Path) -> Sequence[Skip]:
        """What the last complete pass left out and why."""
        ...

    async def outline(self, root: Path, path: PurePosixPath) -> Sequence[Symbol]:
        """The file's definitions in source order; empty for an unknown file."""
        ...

    async def imports(self, root: Path, path: PurePosixPath) -> Sequence[Import]:
        """The file's imports in source order."""
        ...

    async def imports_after(
        self, root: Path, after: str = "", limit: int = 500
    ) -> Sequence[tuple[PurePosixPath, Sequence[Import]]]:
        """Each file that was parsed, with its imports: the next `limit` files whose path, as text, is above `after`.

        Ordered by path as text. To go through a whole root, ask again with the last path.
        """
        ...

    async def names_after(self, root: Path, after: str = "", limit: int = 500) -> Sequence[FileNames]:
        """What each file that was parsed defines and uses: likewise, the next `limit` files behind the path `after`."""
        ...

    async def definitions(self, root: Path, name: str, limit: int = 50) -> Sequence[Symbol]:
        """Definitions of exactly this name, ordered by path."""
        ...

    async def symbols(self, root: Path, prefix: str, limit: int = 50) -> Sequence[Symbol]:
        """Definitions whose name starts with `prefix` (case-sensitive), ordered by name, then path."""
        ...

    async def references(self, root: Path, name: str, limit: int = 200) -> Sequence[Reference]:
        """Uses of exactly this name, ordered by path and span."""
        ...

    async def names(self, root: Path, limit: int = 500_000) -> Sequence[str]:
        """Every name that is defined, each once, ordered by code points."""
        ...

    async def files_defining(self, root: Path, names: Sequence[str]) -> Sequence[tuple[str, PurePosixPath]]:
        """Which files define these names, as (name, path), in no order."""
        ...

    async def defined_within(
        self, root: Path, names: Sequence[str]
    ) -> Sequence[tuple[str, PurePosixPath, tuple[str, ...] | None]]:
        """Which files define these names, as (name, path, containers of the definitions), in no order.

        A container is what `Symbol.container` says; None in place of them: the definitions must be read to know.
        """
        ...

    async def definitions_in(self, root: Path, places: Sequence[tuple[str, PurePosixPath]]) -> Sequence[Symbol]:
        """The definitions of names in files, each place's in source order."""
        ...

    async def uses(self, root: Path, path: PurePosixPath) -> Sequence[Reference]:
        """All uses of names in one file, in source order."""
        ...

    async def text(self, root: Path, path: PurePosixPath) -> bytes | None:
        """The indexed file's bytes as they are now; None when it is not indexed, gone or unreadable."""
        ...

    async def read_texts(self, root: Path, paths: Sequence[PurePosixPath]) -> Mapping[PurePosixPath, bytes]:
        """`text` of several files at once; those that give None are left out."""
        ...

    async def chunks(self, root: Path, path: PurePosixPath) -> Sequence[Chunk]:
        """The file's chunks in order; empty for an unknown file, and for one without a word in it."""
        ...

    async def search(
        self, root: Path, words: Mapping[str, float], limit: int = 50, *, leave_out: PurePosixPath | None = None
    ) -> Sequence[FoundChunk]:
        """The chunks that fit these identifiers and words best, by BM25, the best first.

        A word counts by its weight; identifiers are also looked for by their parts (camelCase, snake_case), single
        characters and the most frequent words not at all. Chunks of the file `leave_out` are not found; of files
        with equal content only one is named.
        """
        ...

    def overlay(self, session: str, path: Path, text: str | None) -> None:
        """Note what an open document says, in place of its file; None: it is closed. `path` is absolute.

        Returns at once; what is asked through `seen_by(session)` follows soon.
        """
        ...

    def forget_session(self, session: str) -> None:
        """Drop all of a session's overlays."""
        ...

    async def left_out(self, paths: Collection[Path]) -> frozenset[Path]:
        """Those of these absolute paths of which nothing is to be quoted, even while they are open.

        Files that are in a root and not indexed, as they are ignored or skipped, and what is named as files with
        secrets are; a path without a file is not left out for that.
        """
        ...

    def seen_by(self, session: str) -> Index:
        """The index as one session sees it: its open documents stand in for their files."""
        ...

    async def wait_seen(self, session: str) -> None:
        """Wait until `seen_by` sees all that the session has told so far; may take long, bound it."""
        ...


class GitHistory(Protocol):
    """The projects' git history, read without running git or anything that a repository names.

    Paths are relative to the root, which may lie below the repository's own folder. Where there is no history all
    answers are empty. Lines are 1-based and refer to the file as last committed.
    """

    def state(self, root: Path) -> HistoryState:
        """How far the history has been read; that of an indexed root is read when its index is ready."""
        ...

    def awake(self, root: Path) -> bool:
        """Whether questions are answered at once; where not, this begins what they would wait for, and returns."""
        ...

    async def wait_read(self, root: Path) -> HistoryState:
        """Wait until the commits of the current head, as far as the limits go, have been read."""
        ...

    async def co_changed(
        self, root: Path, path: PurePosixPath, limit: int = 20, beside: Sequence[PurePosixPath] = ()
    ) -> Sequence[CoChange]:
        """Files that change together with this one, the closest first; old and large commits count less.

        `beside` are other files that are being changed with it, the first 8 count. Where the file's own commits tell
        little, files of its folder and of similar names follow, and those that were changed just now.
        Answers stay in memory until the head moves, which is noticed with the second question after it at the latest,
        at once by `wait_read`.
        """
        ...

    async def symbols_co_changed(
        self, root: Path, path: PurePosixPath, name: str, limit: int = 20
    ) -> Sequence[SymbolCoChange]:
        """Definitions that were changed in the same commits as this one, the closest first.

        `name` is with its container ("Class.method"). The last commits of the file are read for it when this is asked
        first. Of an indexed root only definitions that there still are.
        """
        ...

    async def commits(
        self, root: Path, path: PurePosixPath | None = None, lines: range | None = None, limit: int = 20
    ) -> Sequence[CommitInfo]:
        """The last commits, or those that touched a file, or those that left these lines of it as they are.

        The newest first.
        """
        ...

    async def churn(self, root: Path, limit: int = 50) -> Sequence[CoChange]:
        """The files that change most, by the time-decayed number of commits; the score is that number."""
        ...

    async def co_change_score(self, root: Path, commits: int = 200) -> CoChangeScore:
        """How well co-change foretells the last commits, each judged by those before it alone."""
        ...

    async def blame(self, root: Path, path: PurePosixPath) -> Sequence[BlameSpan]:
        """Which commit last changed each line of a file; empty where that would take too long."""
        ...

    async def uncommitted(self, root: Path) -> Sequence[FileChange]:
        """How the working tree differs from the last commit, ignored files left out; ordered by path.

        Of an indexed root it may be a second old.
        """
        ...

    async def branch(self, root: Path) -> Branch | None:
        """The current branch and how its commits differ from its base; None where there is no history."""
        ...


class Similar(Protocol):
    """The projects' chunks as vectors, made by a model in the background; paths are relative to the root."""

    def state(self, root: Path) -> SimilarState:
        """How far the root's chunks have vectors."""
        ...

    async def wait_embedded(self, root: Path) -> SimilarState:
        """Wait until all chunks of the root's current generation have vectors, as far as the limits go.

        Returns at once where the settings refuse it; raises RootError for a root that is not indexed.
        """
        ...

    async def vector(self, text: str) -> Vector:
        """What the model makes of a text, to search for; raises GhostdError. May take as long as a model takes."""
        ...

    async def similar(
        self, root: Path, vector: Vector, limit: int = 30, *, leave_out: PurePosixPath | None = None
    ) -> Sequence[FoundChunk]:
        """The chunks whose vectors are closest to this one, the closest first; the score is the cosine, above 0.

        Never waits for a model. Chunks of the file `leave_out` are not found; of files with equal content only one
        is named. A vector of another length than the chunks' finds nothing.
        """
        ...


class SyntaxCheck(Protocol):
    """Whether code has syntax errors, by the grammars of the index."""

    async def first_sound(self, language: str | None, path: PurePath | None, texts: Sequence[str]) -> int | None:
        """The number of the first of these texts without a syntax error; how many there are, where each has one.

        `language` is LSP's identifier, None: by the path's name. None where it cannot be told: there is no grammar, or
        it has failed. May take as long as the index is busy; cancel it when it is too late.
        """
        ...
