"""The real Claude Code, run once without a terminal against a Messages API of the test's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clients.npm import installed
from clients.tool_loop import run

VERSION = "2.1.332"


async def ask(url: str, folder: Path, prompt: str, *options: str, tools: Sequence[str] = ()) -> Any:
    """What it says of its work in `folder`/project, as JSON.

    It may use these tools without asking, has a home of its own, and speaks to nobody but `url`.
    """
    return await asyncio.wait_for(_ask(url, folder, prompt, options, tools), 200)


async def _ask(url: str, folder: Path, prompt: str, options: Sequence[str], tools: Sequence[str]) -> Any:
    packages = await installed(f"@anthropic-ai/claude-code@{VERSION}")
    programs = sorted((packages / "@anthropic-ai").glob("claude-code-*/claude"))
    assert programs, f"npm has no Claude Code {VERSION} for this platform"
    home, project = folder / "home", folder / "project"
    for place in (home, project):
        await asyncio.to_thread(place.mkdir, exist_ok=True)
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
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
    }
    allowed = ("--allowedTools", *tools) if tools else ()
    command: tuple[str | Path, ...] = (programs[0], "-p", prompt, "--output-format", "json", *options, *allowed)
    ran = await run(command, cwd=project, env=environment)
    try:
        return json.loads(ran.out)
    except ValueError:
        raise AssertionError(f"Claude Code said {ran.out!r} and complained {ran.err!r}") from None
