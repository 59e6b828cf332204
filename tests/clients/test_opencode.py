"""The coding agent opencode finishes a tool loop through ghostd, in three dialects, on every kind of service."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import pytest
from clients.npm import installed
from clients.tool_loop import CONTENT, FINAL, MADE, run, scripted
from matrix.servers import KINDS, Kind, place

VERSION = "1.18.33"
DIALECTS = {
    "chat": "@ai-sdk/openai-compatible",
    "responses": "@ai-sdk/openai",
    "messages": "@ai-sdk/anthropic",
}
"""Which of the agent's own adapters speaks it."""
CELLS = [
    pytest.param(
        kind,
        dialect,
        marks=[pytest.mark.representative] if (kind.name, dialect) == ("anthropic", "chat") else [],
        id=f"{kind}-{dialect}",
    )
    for kind in KINDS
    for dialect in DIALECTS
]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "dialect"), CELLS)
async def test_a_tool_loop(kind: Kind, dialect: str, tmp_path: Path) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("the package holds programs for x86_64")
    modules = await installed(f"opencode-ai@{VERSION}")
    project = tmp_path / "project"
    project.mkdir()
    async with place(kind, tmp_path) as there:
        command = f"printf '{CONTENT}' > {MADE}"
        scripted(there, {"bash": lambda: {"command": command, "description": "Makes the file"}})
        ran = await run(
            [
                modules / "opencode-linux-x64-baseline" / "bin" / "opencode",
                *("run", "--auto", "--format", "json", "-m", f"ghostd/{there.model}", "Make the file."),
            ],
            cwd=project,
            env=_settings(tmp_path / "agent", there.served.url, there.model, DIALECTS[dialect]),
        )
        assert ran.code == 0, ran.err[-2000:] + ran.out[-2000:]
        assert (project / MADE).read_text() == CONTENT
        events = [json.loads(line) for line in ran.out.splitlines()]
        assert [event["part"]["text"] for event in events if event["type"] == "text"] == [FINAL]
        last = [event["part"] for event in events if event["type"] == "step_finish"][-1]
        assert (last["reason"], last["tokens"]["input"], last["tokens"]["output"]) == ("stop", 1200, 50)
        assert [row.status for row in there.ledger.rows] == ["ok"] * len(there.ledger.rows)


def _settings(home: Path, url: str, model: str, adapter: str) -> dict[str, str]:
    """The agent's configuration, in a home of its own; its environment."""
    settings = {
        "autoupdate": False,
        "share": "disabled",
        "model": f"ghostd/{model}",
        "small_model": f"ghostd/{model}",
        "provider": {
            "ghostd": {
                "npm": adapter,
                "name": "ghostd",
                "options": {"baseURL": f"{url}/v1", "apiKey": "none"},
                "models": {model: {"name": model}},
            }
        },
    }
    folder = home / "config" / "opencode"
    folder.mkdir(parents=True)
    (folder / "opencode.json").write_text(json.dumps(settings))
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_STATE_HOME": str(home / "state"),
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    }
