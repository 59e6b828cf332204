"""A download from the Hub as the event loop sees it: a child process that tells how far it is."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ghostd.errors import InvalidRequest, UpstreamError
from ghostd.models import PullProgress

_HUBS = ("hf.co/", "huggingface.co/")
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_NAME = re.compile(rf"(?P<repository>{_PART}/{_PART})(?::(?P<wanted>[A-Za-z0-9][A-Za-z0-9._/-]{{0,199}}))?")
_MAX_LINE_BYTES = 64 * 1024
_KEPT_VARIABLES = frozenset(
    ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
     "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
)  # fmt: skip
_KEPT_PREFIXES = ("HF_", "HUGGING", "LC_")


@dataclass(frozen=True, slots=True)
class RemoteName:
    """A model on Hugging Face."""

    repository: str
    wanted: str
    """File or quantisation; "": what is usual."""

    @property
    def key(self) -> str:
        """The same for every way to write the name."""
        return f"{self.repository}:{self.wanted}".lower()


class _Said(msgspec.Struct):
    digest: str = ""
    total: int = 0
    completed: int = 0
    path: str | None = None
    error: str | None = None
    choice: bool = False


_SAID = msgspec.json.Decoder(_Said)


def remote_name(name: str) -> RemoteName | None:
    """hf.co/USER/REPOSITORY[:FILE_OR_QUANTISATION]; None for any other name."""
    hub = next((hub for hub in _HUBS if name.lower().startswith(hub)), None)
    match = _NAME.fullmatch(name[len(hub) :]) if hub is not None else None
    if match is None:
        return None
    wanted = match["wanted"] or ""
    return RemoteName(match["repository"], "" if wanted == "latest" else wanted)


async def download(remote: RemoteName, folder: Path, fetched: list[Path]) -> AsyncGenerator[PullProgress, None]:
    """Fetch into the folder; `fetched` gets the model's path at the end. Closing the generator ends the process.

    Raises InvalidRequest when the name does not say which model is meant, UpstreamError when it cannot be fetched.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "ghostd.workers.hub.child", remote.repository, remote.wanted, str(folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_MAX_LINE_BYTES,
        env=_environment(),
        cwd="/",
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            said = _SAID.decode(line)
            if said.error is not None:
                raise InvalidRequest(said.error, "model") if said.choice else UpstreamError(said.error, "Hugging Face")
            if said.path is not None:
                fetched.append(Path(said.path))
            else:
                yield PullProgress(f"pulling {said.digest[:12]}", said.digest, said.total, said.completed)
        if not fetched:
            raise UpstreamError(
                f"the download ended (status {await process.wait()}); try again to go on", "Hugging Face"
            )
    finally:
        await _end(process)


def _environment() -> dict[str, str]:
    """What leads to the Hub, and its own token; other services' keys stay here."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT_VARIABLES or name.startswith(_KEPT_PREFIXES) or name.lower().endswith("_proxy")
    }


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()
