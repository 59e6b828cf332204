"""Where ghostd keeps its files. Everything moves under `GHOSTD_HOME` when that is set."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ghostd.errors import ConfigError

if TYPE_CHECKING:
    import platformdirs

_SOCKET_PATH_BYTES = 100
"""sockaddr_un holds 104 bytes on macOS and 108 on Linux, its terminating zero included."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders of one ghostd home. All are created with mode 0700 by `create()`."""

    config: Path
    """`config.toml` lies here."""
    data: Path
    """Models and indexes: what took time to get."""
    cache: Path
    """What can be deleted at any time."""
    runtime: Path
    """Sockets and the instance lock."""

    @property
    def config_file(self) -> Path:
        """The configuration that is read when no --config is given."""
        return self.config / "config.toml"

    @property
    def models(self) -> Path:
        """Default of the setting local.models_dir."""
        return self.data / "models"

    @property
    def indexes(self) -> Path:
        """One SQLite file for each root, and the project model's segments."""
        return self.data / "index"

    @property
    def ledger(self) -> Path:
        """The record of requests."""
        return self.data / "ledger"

    @property
    def responses(self) -> Path:
        """What is kept of the Responses API."""
        return self.data / "responses"

    @property
    def files(self) -> Path:
        """What clients upload, and what batches make."""
        return self.data / "files"

    @property
    def batches(self) -> Path:
        """Batches of requests: the list of them, and what those that run have answered so far."""
        return self.data / "batches"

    @property
    def vectors(self) -> Path:
        """Embeddings of the projects' chunks, one folder for each root."""
        return self.data / "vectors"

    @property
    def http_socket(self) -> Path:
        """Unix socket with the HTTP API and, only here, the control API."""
        return self.runtime / "ghostd.sock"

    @property
    def lsp_socket(self) -> Path:
        """Unix socket on which each connection is one editor's LSP session."""
        return self.runtime / "lsp.sock"

    @property
    def lock(self) -> Path:
        """Held (flock) by the running daemon, which writes its description into it."""
        return self.runtime / "ghostd.lock"

    @property
    def log_file(self) -> Path:
        """What a daemon started in the background prints."""
        return self.data / "ghostd.log"

    def create(self) -> None:
        """Create the folders; raises ConfigError if one belongs to somebody else or cannot be made."""
        for folder in (self.config, self.data, self.cache, self.runtime, self.models, self.indexes):
            try:
                self._create(folder)
            except OSError as error:
                raise ConfigError(f"cannot create {folder}: {error.strerror}") from None

    def _create(self, folder: Path) -> None:
        _make(folder)
        found = folder.lstat() if folder == self.runtime else folder.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise ConfigError(f"{folder} is not a folder")  # a link in the temporary folder may be anybody's
        if found.st_uid != os.getuid():
            raise ConfigError(f"{folder} belongs to another user (uid {found.st_uid})")
        if stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(0o700)


def find_paths(environ: dict[str, str] | None = None) -> Paths:
    """The folders for this user and environment; raises ConfigError for a GHOSTD_HOME that cannot be one."""
    env = os.environ if environ is None else environ
    home = env.get("GHOSTD_HOME")
    if home:
        base = expand(Path(home)).absolute()
        found = Paths(base / "config", base / "data", base / "cache", _short_runtime(base / "run"))
    else:
        import platformdirs

        dirs = platformdirs.PlatformDirs("ghostd", appauthor=False)
        runtime = _short_runtime(_user_runtime(dirs))
        found = Paths(dirs.user_config_path, dirs.user_data_path, dirs.user_cache_path, runtime)
    if not is_text(found.data):
        raise ConfigError(f"{os.fsencode(found.data)!r} is not UTF-8; set GHOSTD_HOME to a folder whose path is")
    return found


def expand(path: Path) -> Path:
    """`path` with a leading `~` replaced; raises ConfigError for a user that does not exist."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ConfigError(f"{path}: there is no home folder of that name") from None


def is_text(path: Path) -> bool:
    """Whether the path is UTF-8, so that it can be told in JSON."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _make(folder: Path) -> None:
    """Create a folder and the missing ones above it, all with mode 0700: XDG wants that of its own, too."""
    if not folder.parent.exists():
        _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def _user_runtime(dirs: platformdirs.PlatformDirs) -> Path:
    """The platform's folder for sockets; without a login session, one of this user's in the temporary folder."""
    with warnings.catch_warnings(action="ignore"):
        wanted = dirs.user_runtime_path
    if wanted.is_relative_to(tempfile.gettempdir()):
        return Path(tempfile.gettempdir()) / f"ghostd-{os.getuid()}"
    return wanted


def _short_runtime(wanted: Path) -> Path:
    """`wanted`, or a folder of this user's in the temporary folder if a socket's path there would be too long."""
    if len(os.fsencode(wanted / "ghostd.sock")) <= _SOCKET_PATH_BYTES:
        return wanted
    digest = hashlib.blake2b(os.fsencode(wanted), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"ghostd-{os.getuid()}-{digest}"
