"""The real Claude Code, run once without a terminal against a Messages API of the test's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from npm_packages import npm_package

VERSION = "2.1.332"
_PATIENCE_S = 120


def fetch() -> Path:
    """The program, which is one native executable for each platform."""
    found = sorted((npm_package("@anthropic-ai/claude-code", VERSION) / "@anthropic-ai").glob("claude-code-*/claude"))
    assert found, f"npm has no Claude Code {VERSION} for this platform"
    return found[0]


async def run(program: Path, url: str, folder: Path, prompt: str, *options: str, tools: Sequence[str] = ()) -> Any:
    """What it says of its work in `folder`, as JSON. It has a home of its own and speaks to nobody but `url`."""
    home, project = folder / "home", folder / "project"
    for place in (home, project):
        place.mkdir(exist_ok=True)
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": "unused",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_MAX_RETRIES": "1",
    }
    process = await asyncio.create_subprocess_exec(
        str(program), "-p", prompt, "--output-format", "json", *options,
        *(("--allowedTools", *tools) if tools else ()),
        env=environment,
        cwd=project,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_PATIENCE_S):
            output, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return json.loads(output)
    except ValueError:
        raise AssertionError(f"Claude Code said {output!r} and complained {complaints!r}") from None
