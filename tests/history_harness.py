"""Repositories that git itself makes, for tests of their history."""

import os
import subprocess
from pathlib import Path

from ghostd.committed import CoChange


def git(folder: Path, *arguments: str, time_s: int = 1_700_000_000) -> str:
    environment = {
        **{"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"},
        **{"GIT_AUTHOR_DATE": f"{time_s} +0000", "GIT_COMMITTER_DATE": f"{time_s} +0000"},
        **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.stdout.strip()


def commit(folder: Path, message: str, files: dict[str, str | None], time_s: int = 1_700_000_000) -> str:
    for name, text in files.items():
        path = folder / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message, time_s=time_s)
    return git(folder, "rev-parse", "HEAD")


def names(found: object) -> list[str]:
    assert isinstance(found, list)
    return [str(item.path) for item in found if isinstance(item, CoChange)]


def import_commits(folder: Path, commits: list[tuple[int, dict[str, str]]]) -> None:
    """Make (time, files) commits on main at once; the working tree gets the last one."""
    parts = []
    for time_s, files in commits:
        parts.append(f"commit refs/heads/main\ncommitter a <a@b> {time_s} +0000\ndata 1\nc\n")
        parts += [f"M 100644 inline {name}\ndata {len(text)}\n{text}\n" for name, text in files.items()]
    subprocess.run(
        ["git", "fast-import", "--quiet", "--force"],
        cwd=folder,
        input="".join(parts),
        text=True,
        check=True,
        timeout=120,
    )
    git(folder, "reset", "-q", "--hard", "main")
