"""What other people's programs and test suites say of ghostd before services of every kind that do what they are told.

Each is installed once, pinned, into a cache folder of the user's (`tools.CACHE`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gguf_fixtures import CALLER, write_gguf
from judges.tools import node_with, python_with, run
from obedient.places import KINDS, Place, place

from ghostd.config.local import LocalConfig
from ghostd.testing.gateway import serving
from ghostd.workers.provider import local_provider

HERE = Path(__file__).parent
LLMPROBE = "llmprobe@0.6.12"
LANGCHAIN = ("langchain-openai==1.7.4", "langchain-tests==1.1.9")
PROGRAMS = ("llm==0.36", "instructor==1.17.0", "pydantic-ai-slim[openai]==2.38.0")
AIDER = "aider-chat==0.86.2"
NODE_SDK = "openai@6.49.0"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def environment(there: Place) -> dict[str, str]:
    return {
        "GHOSTD_BASE_URL": there.base_url,
        "GHOSTD_MODEL": there.chat_model,
        "GHOSTD_EMBED_MODEL": there.embed_model or "",
    }


async def probe(url: str, model: str, folder: Path) -> dict[str, Any]:
    """llmprobe's report."""
    node = node_with("llmprobe", LLMPROBE)
    report = folder / "report.json"
    program = node / "node_modules/llmprobe/bin/dist/llmprobe.mjs"
    # It ends with 1 where the model is weak, too, which ours is.
    await run(
        "sh", "-c", '"$@" || true', "sh", "node", program, url, "-m", model, "--no-bench", "--no-save", "--save", report
    )
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def failures(report: dict[str, Any]) -> set[str]:
    results = report["conformance"]["results"]
    return {failure["id"] for result in results for failure in result["failures"] if failure["severity"] == "MUST"}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.representative] if kind == "anthropic" else []) for kind in KINDS]
)
async def test_llmprobe_finds_no_failure(kind: str, tmp_path: Path) -> None:
    """About 140 assertions each on chat, responses, messages, embeddings, completions and models."""
    async with place(kind) as there:
        report = await probe(there.served.url, there.chat_model, tmp_path)
    assert failures(report) == set()
    surfaces = {surface["surface"]: surface["total"] for surface in report["conformance"]["bySurface"]}
    assert surfaces["chat"] > 50


TOLD = "'my name?' in messages[-1].content and 'name is Ada' in (messages | map(attribute='content') | join)"
ABLE = replace(
    CALLER,
    specials=(*CALLER.specials, "<|remembers|>"),
    words=('"ready"', '"yes"', " Ada"),
    chat_template=(CALLER.chat_template or "").replace(
        "assistant{{ ", f"assistant{{{{ '<|remembers|>' if {TOLD} else "
    ),
    replies={
        **(CALLER.replies or {}),
        " wb": ('"',),
        "{": ('"ready"', ":", '"yes"', "}"),
        "<|remembers|>": (" Ada",),
    },
)
"""What any chat model can: end the texts in its JSON, make an object of its own, and know what was said before."""


@pytest.mark.local_model
async def test_llmprobe_finds_no_failure_of_a_model_on_this_machine(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    write_gguf(tmp_path / "models" / "tiny.gguf", ABLE)
    async with local_provider(LocalConfig(), tmp_path / "models", tmp_path) as provider, serving(provider) as served:
        await provider.refresh()
        report = await probe(served.url, "tiny", tmp_path)
    # Anthropic's `input_tokens` leaves the cached ones out, so there may be more of these; llmprobe expects fewer.
    assert failures(report) <= {"messages-usage-cached-bound"}


@pytest.mark.parametrize("kind", KINDS)
async def test_langchains_standard_tests_pass(kind: str, tmp_path: Path) -> None:
    python = python_with("langchain", *LANGCHAIN)
    async with place(kind) as there:
        printed = await run(
            python, "-m", "pytest", "-q", "--noconftest", "-c", "/dev/null", "-p", "no:cacheprovider",
            "-o", "asyncio_mode=auto", "-o", "asyncio_default_test_loop_scope=session",
            "-o", "asyncio_default_fixture_loop_scope=session", HERE / "langchain_suite.py",
            env={**environment(there), "LANGSMITH_TRACING": "false"}, cwd=tmp_path,
        )  # fmt: skip
    assert " passed" in printed
    assert " failed" not in printed


@pytest.mark.parametrize("kind", ["openai", "anthropic", "ollama"])
async def test_llm_answers_fills_a_schema_and_runs_a_tool(kind: str, tmp_path: Path) -> None:
    """Simon Willison's `llm`, by an entry in extra-openai-models.yaml (docs/clients/llm.md)."""
    llm = python_with("programs", *PROGRAMS).with_name("llm")
    async with place(kind) as there:
        (tmp_path / "extra-openai-models.yaml").write_text(
            f"- model_id: ghostd\n  model_name: {there.chat_model}\n  api_base: {there.base_url}\n"
            "  api_key_name: ghostd\n  supports_schema: true\n  supports_tools: true\n"
        )
        env = {"LLM_USER_PATH": str(tmp_path)}
        common = (llm, "-m", "ghostd", "--key", "unused")
        assert await run(*common, "Say exactly: pong", env=env) == "pong\n"
        assert await run(*common, "--no-stream", "Say exactly: pong", env=env) == "pong\n"
        person = await run(*common, "--schema", "name, age int", "Invent 'Ann' aged 7", env=env)
        assert json.loads(person) == {"name": "Ann", "age": 7}
        tool = 'def add(a: int, b: int) -> int:\n    "Add."\n    return a + b'
        assert "42" in await run(*common, "--functions", tool, "Use add for 20 and 22", env=env)


@pytest.mark.parametrize("kind", ["openai", "anthropic", "ollama"])
async def test_instructor_and_pydantic_ai_get_what_they_ask_for(kind: str) -> None:
    python = python_with("programs", *PROGRAMS)
    async with place(kind) as there:
        printed = await run(python, HERE / "structured.py", env=environment(there))
    assert printed.splitlines()[-4:] == [
        'instructor {"name":"Ann Lee","age":42}',
        'instructor {"name":"Ann Lee","age":42}',
        'pydantic-ai {"name":"Ann Lee","age":42}',
        "pydantic-ai The tool says: sunny in Paris ['Paris']",
    ]


EDIT = """calc.py
```python
<<<<<<< SEARCH
    return a - b
=======
    return a + b
>>>>>>> REPLACE
```"""


@pytest.mark.parametrize("kind", ["openai", "ollama"])
async def test_aider_edits_a_file_and_commits(kind: str, tmp_path: Path) -> None:
    """docs/clients/aider.md"""
    aider = python_with("aider", AIDER).with_name("aider")
    project = tmp_path / "project"
    project.mkdir()
    (project / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    git = {f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    await run("sh", "-c", "git init -q && git add . && git commit -q -m start", cwd=project, env=git)
    async with place(kind) as there:
        model = f"openai/{there.chat_model}"
        await run(
            aider, "--model", model, "--weak-model", model, "--yes-always", "--no-check-update", "--no-pretty",
            "--analytics-disable", "--no-show-model-warnings", "--no-show-release-notes", "--edit-format", "diff",
            "--message", f"Reply with exactly: «{EDIT}»", "calc.py", cwd=project,
            env={**git, "HOME": str(tmp_path), "OPENAI_API_BASE": there.base_url, "OPENAI_API_KEY": "unused",
                 "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        )  # fmt: skip
    assert (project / "calc.py").read_text() == "def add(a, b):\n    return a + b\n"
    assert len((await run("git", "log", "--oneline", cwd=project)).splitlines()) == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_openais_sdk_for_node_does_all_its_calls(kind: str, tmp_path: Path) -> None:
    node = node_with("openai", NODE_SDK)
    script = node / "openai_sdk.mjs"  # beside the package: that is where node looks for it
    script.write_text((HERE / "openai_sdk.mjs").read_text())
    async with place(kind) as there:
        assert (await run("node", script, env=environment(there))).endswith("all is well\n")
