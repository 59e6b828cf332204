"""Downloads through `huggingface_hub`: resumed where they broke off, checked, and in place only when they are whole.

That library finds the endpoint (HF_ENDPOINT), the token (HF_TOKEN, or its own login) and certificates. Its
`hf_hub_download` throws an interrupted file away, so its next layer, which can resume, is called here.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from ghostd.errors import GhostdError
from ghostd.workers.hub.choose import RemoteFile, RemoteModel

_MISSING = 'Fetching models needs the package huggingface_hub: pip install "ghostd[pull]"'
_SPARE_BYTES = 64 * 1024 * 1024
"""Free space that must be left on the disk."""
_BLOCK_BYTES = 4 * 1024 * 1024
_INCOMING = ".incoming"

Say = Callable[[str], None]


class Hub:
    """One repository on the Hub. Its methods block on the network and the disk, and raise GhostdError."""

    def __init__(self, repository: str) -> None:
        # The plain protocol resumes; the newer one starts again.
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
        try:
            self._library: Any = import_module("huggingface_hub")
        except ImportError:
            raise GhostdError(_MISSING) from None
        self.repository = repository
        self._revision = ""

    def files(self) -> list[RemoteFile]:
        """The files of the repository's newest revision."""
        with _told(self.repository):
            found = self._library.HfApi().model_info(self.repository, files_metadata=True)
        self._revision = str(found.sha)
        return [
            RemoteFile(
                path=str(file.rfilename),
                size_bytes=int(file.size or 0),
                sha256=str(file.lfs.sha256) if file.lfs is not None else None,
                git_sha1=str(file.blob_id) if file.blob_id is not None else None,
            )
            for file in found.siblings or ()
        ]

    def pull(self, model: RemoteModel, folder: Path, say: Say) -> list[Path]:
        """Have the model's files in the folder; the paths, the first part first.

        Nothing of the folder is replaced: a file of that name must be the very one that would be fetched.
        """
        incoming = folder / _INCOMING
        targets = [folder / file.name for file in model.files]
        with _disk_told(folder):
            incoming.mkdir(parents=True, exist_ok=True)
            wanted = [
                (file, target) for file, target in zip(model.files, targets, strict=True) if not _has(file, target)
            ]
            if not wanted:
                say(f"{targets[0].name} is there already")
            _check_space(folder, sum(file.size_bytes - _size(_part(incoming, file)) for file, _ in wanted))
            for file, _ in wanted:
                self._fetch(file, _part(incoming, file))
            # The first part last: with it the model is there.
            for file, target in reversed(wanted):
                _put(_part(incoming, file), target)
            with suppress(OSError):
                incoming.rmdir()
        return targets

    def _fetch(self, file: RemoteFile, part: Path) -> None:
        with part.open("ab") as data:
            try:
                fcntl.flock(data, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise GhostdError(f"{file.name} is being fetched by another process already.") from None
            with _told(self.repository):
                self._download(file, data)
            data.flush()
            os.fsync(data.fileno())
        if not _is(file, part):
            part.unlink()
            raise GhostdError(
                f"{file.name} did not arrive as the repository describes it (its checksum or size differs) and was "
                "thrown away. Try again; if it happens again, the server or a proxy on the way is at fault."
            )

    def _download(self, file: RemoteFile, data: IO[bytes]) -> None:
        library: Any = import_module("huggingface_hub.file_download")
        size = data.tell()
        if size >= file.size_bytes:
            return
        url = library.hf_hub_url(self.repository, file.path, revision=self._revision)
        headers = library.build_hf_headers()
        location = library.get_hf_file_metadata(url, headers=headers).location
        if urlsplit(location).netloc != urlsplit(url).netloc:
            headers.pop("authorization", None)  # a storage server is not shown the token
        library.http_get(
            location,
            data,
            resume_size=size,
            headers=headers,
            expected_size=file.size_bytes,
            displayed_filename=file.name,
        )


def part_of(folder: Path, file: RemoteFile) -> Path:
    """Where the file lies while it is fetched into the folder. Raises GhostdError where it cannot be."""
    return _part(folder / _INCOMING, file)


def _part(incoming: Path, file: RemoteFile) -> Path:
    """Named by content, so that a file that changed meanwhile is never continued."""
    key = file.sha256 or file.git_sha1
    if key is None or not key.isalnum():
        raise GhostdError(f"The repository gives no checksum of {file.name}; it is not fetched.")
    return incoming / f"{key}.part"


def _has(file: RemoteFile, target: Path) -> bool:
    """Whether this very file is there; raises GhostdError if another one has its name."""
    if not os.path.lexists(target):
        return False
    if target.is_file() and _is(file, target):
        return True
    raise GhostdError(f"{target} exists and is another file. Move it away first; ghostd does not overwrite it.")


def _is(file: RemoteFile, path: Path) -> bool:
    """Whether the content is what the repository promises."""
    if path.stat().st_size != file.size_bytes:
        return False
    digest = hashlib.sha256() if file.sha256 is not None else hashlib.sha1(usedforsecurity=False)
    if file.sha256 is None:
        digest.update(b"blob %d\0" % file.size_bytes)  # as git counts
    with path.open("rb") as data:
        while block := data.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest() == (file.sha256 or file.git_sha1)


def _put(part: Path, target: Path) -> None:
    """Move it in place, whole; never over another file."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise GhostdError(f"{target} has appeared meanwhile; it is not overwritten.") from None
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise GhostdError(f"{target} has appeared meanwhile; it is not overwritten.") from None
        part.replace(target)
        return
    part.unlink()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed + _SPARE_BYTES > free:
        raise GhostdError(
            f"{folder} has {free / 1e6:.0f} MB free; the model needs {needed / 1e6:.0f} MB more, and "
            f"{_SPARE_BYTES / 1e6:.0f} MB should stay free."
        )


@contextmanager
def _disk_told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GhostdError(f"cannot write to {folder}: {error.strerror or error}") from None


@contextmanager
def _told(repository: str) -> Iterator[None]:
    """The library's errors as ghostd's."""
    errors: Any = import_module("huggingface_hub.errors")
    try:
        yield
    except errors.GatedRepoError:
        raise GhostdError(
            f"The repository {repository} is gated: accept its terms on its page, then set HF_TOKEN to a token of "
            "yours or run `hf auth login`."
        ) from None
    except errors.RepositoryNotFoundError:
        raise GhostdError(
            f"There is no repository {repository}, or it is private; then set HF_TOKEN or run `hf auth login`."
        ) from None
    except errors.EntryNotFoundError:
        raise GhostdError(f"The repository {repository} has changed meanwhile. Try again.") from None
    except errors.HFValidationError:
        raise GhostdError(f"{repository!r} is no repository's name; it looks like ORG/REPO.") from None
    except errors.OfflineModeIsEnabled:
        raise GhostdError("HF_HUB_OFFLINE is set: nothing is fetched.") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise GhostdError(f"The Hub refuses to show {repository} ({status}): check HF_TOKEN.") from None
        raise GhostdError(f"The Hub answered with HTTP status {status} for {repository}. Try again later.") from None
    except errors.HTTPError as error:
        raise GhostdError(
            f"The connection to the Hub failed ({type(error).__name__}). Run the command again to go on."
        ) from None
    except OSError as error:
        if error.errno is not None:
            raise  # the disk's
        raise GhostdError(
            "The download broke off: fewer bytes came than were promised. Run the command again to go on."
        ) from None
    except ValueError as error:
        raise GhostdError(f"huggingface_hub cannot fetch it: {str(error).strip()}") from None
