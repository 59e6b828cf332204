"""How many lines a project has, by language. Counts are kept by content: what did not change is not read again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ghostd.code_ports import Index
from ghostd.indexed import IndexedFile
from ghostd.project_reports import LanguageShare, SizedFile

_MAX_FILES = 50_000
_MAX_READ_BYTES = 256 * 1024 * 1024
"""At one time; files behind either limit, by path, are not counted."""
_BATCH_FILES = 200
_BATCH_BYTES = 8 * 1024 * 1024
_MAX_LARGEST = 20
NO_CODE = frozenset(
    (
        *("plaintext", "markdown", "restructuredtext", "toml", "json", "jsonc", "yaml", "xml", "svg", "ini", "latex"),
        *("diff", "html", "django-html", "css", "scss", "less", "dockerfile", "makefile", "cmake", "bat", "sql", "po"),
        *("csv", "tsv"),
    )
)
"""Languages that a project is not written in, if there is another."""


@dataclass(slots=True)
class LineCounts:
    """The lines of one root's contents."""

    _known: dict[bytes, int] = field(default_factory=dict)
    """Content hash → lines, of the files that were there the last time."""

    async def of(self, index: Index, root: Path, files: Sequence[IndexedFile]) -> Mapping[str, int]:
        """Path → lines, of those that are counted."""
        wanted = files[:_MAX_FILES]
        for batch in await asyncio.to_thread(self._missing, wanted):
            texts = await index.read_texts(root, [file.path for file in batch])
            await asyncio.to_thread(self._count, batch, texts)
        return await asyncio.to_thread(self._keep, wanted)

    def _missing(self, files: Sequence[IndexedFile]) -> list[list[IndexedFile]]:
        batches: list[list[IndexedFile]] = []
        size = total = 0
        for file in files:
            if file.content_hash in self._known:
                continue
            total += file.size_bytes
            if total > _MAX_READ_BYTES:
                break
            if not batches or len(batches[-1]) == _BATCH_FILES or size + file.size_bytes > _BATCH_BYTES:
                batches.append([])
                size = 0
            batches[-1].append(file)
            size += file.size_bytes
        return batches

    def _count(self, files: Sequence[IndexedFile], texts: Mapping[PurePosixPath, bytes]) -> None:
        for file in files:
            if (text := texts.get(file.path)) is not None:
                self._known[file.content_hash] = text.count(b"\n") + (text[-1:] not in (b"\n", b""))

    def _keep(self, files: Sequence[IndexedFile]) -> Mapping[str, int]:
        """And what is gone is forgotten."""
        found = [(file, lines) for file in files if (lines := self._known.get(file.content_hash)) is not None]
        self._known = {file.content_hash: lines for file, lines in found}
        return {str(file.path): lines for file, lines in found}


def language_shares(files: Sequence[IndexedFile], lines: Mapping[str, int]) -> list[LanguageShare]:
    """Each language, that of most bytes first."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for file in files:
        counts[file.language] += 1
        sizes[file.language] += file.size_bytes
        counted[file.language] += lines.get(str(file.path), 0)
    total = max(1, sizes.total())
    order = sorted(counts, key=lambda language: (-sizes[language], language))
    return [
        LanguageShare(each, counts[each], sizes[each], counted[each], round(sizes[each] / total, 4)) for each in order
    ]


def largest(files: Sequence[IndexedFile], lines: Mapping[str, int]) -> list[SizedFile]:
    """The largest files of code, if there is any."""
    code = [file for file in files if file.language not in NO_CODE] or files
    found = sorted(code, key=lambda file: (-file.size_bytes, str(file.path)))[:_MAX_LARGEST]
    return [SizedFile(str(file.path), file.size_bytes, lines.get(str(file.path))) for file in found]
