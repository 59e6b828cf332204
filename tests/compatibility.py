"""The published table of what works: collected from the marks of the tests that show it.

A test says `@pytest.mark.covers("openai.chat", "tools", behind=("anthropic", "ollama"), state="translated")`: with such
services behind ghostd, this parameter of this door is translated, and the test fails where it is not. Without
`behind` it holds for every kind. `pytest tests --collect-only -q --write-compatibility` writes docs/compatibility.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "compatibility.md"

STATES: Mapping[str, str] = {
    "served": "ghostd does it itself",
    "translated": "said to the service in its own dialect",
    "passed on": "sent to the service as it came; the service judges it",
    "accepted": "checked, then left out: a hint, or the service's own business",
    "refused": "a 400 that names the parameter, or says that no deployment can",
    "not offered": "a 404 or 501 in the dialect's error shape",
}
BEHIND: Mapping[str, str] = {
    "openai": "OpenAI's dialect",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "ollama": "Ollama",
    "local": "a local GGUF",
}
"""Kinds of services, the columns."""
DOORS: Mapping[str, str] = {
    "openai.chat": "`POST /v1/chat/completions`",
    "openai.completions": "`POST /v1/completions`",
    "openai.embeddings": "`POST /v1/embeddings`",
    "openai.models": "`GET /v1/models`, `GET /v1/models/{id}`",
    "openai.responses": "`POST /v1/responses` and what is below",
    "openai.files": "`/v1/files`",
    "openai.batches": "`/v1/batches`",
    "openai.moderations": "`POST /v1/moderations`",
    "openai.images": "`POST /v1/images/generations`, `/edits`, `/variations`",
    "openai.audio": "`POST /v1/audio/speech`, `/transcriptions`, `/translations`",
    "openai.absent": "The rest of OpenAI's API",
    "anthropic.messages": "`POST /v1/messages`",
    "anthropic.count_tokens": "`POST /v1/messages/count_tokens`",
    "anthropic.models": "`GET /v1/models` with `anthropic-version`",
    "ollama.chat": "`POST /api/chat`",
    "ollama.generate": "`POST /api/generate`",
    "ollama.embed": "`POST /api/embed`, `/api/embeddings`",
    "ollama.models": "`/api/tags`, `/api/show`, `/api/ps`, `/api/pull`, `/api/copy`, `/api/delete`, `/api/version`",
    "llamacpp.infill": "`POST /infill`",
    "llamacpp.completion": "`POST /completion`",
    "llamacpp.tokens": "`POST /tokenize`, `/detokenize`, `/apply-template`",
    "llamacpp.server": "`GET /props`, `/slots`, `/health`",
    "mistral.fim": "`POST /v1/fim/completions`",
    "tabby": "Tabby's `POST /v1/completions`, `/v1/events`, `GET /v1/health`",
}
"""Their order is the page's."""

_HEAD = """# Compatibility

What each call and each of its parameters becomes, by the kind of service behind ghostd. The table is made from the
tests: each cell stands for at least one test that fails when it is no longer true (`covers` marks; `python -m pytest
tests --collect-only -q --write-compatibility` writes this page, and a test compares it). An empty cell has no test
that says so.

| State | Means |
|---|---|
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a state holds."""

    door: str
    parameter: str
    """"" is the call itself."""
    behind: str


class Marked(Protocol):
    """What a test is here."""

    @property
    def nodeid(self) -> str: ...

    def iter_markers(self, name: str) -> Iterator[pytest.Mark]: ...


def cells(items: Iterable[Marked]) -> dict[Cell, str]:
    """The states that tests claim; raises UsageError for a mark that cannot be right."""
    found: dict[Cell, str] = {}
    for item in items:
        for mark in item.iter_markers("covers"):
            for cell, state in _claims(mark, item.nodeid):
                if found.setdefault(cell, state) != state:
                    raise pytest.UsageError(f"{item.nodeid}: {cell} is {state}, but another test says {found[cell]}")
    return found


def _claims(mark: pytest.Mark, where: str) -> Iterable[tuple[Cell, str]]:
    door, parameter = (*mark.args, "")[:2]
    state = mark.kwargs.get("state", "served")
    behind = mark.kwargs.get("behind", tuple(BEHIND))
    kinds = (behind,) if isinstance(behind, str) else behind
    for what, known in ((door, DOORS), (state, STATES), *((kind, BEHIND) for kind in kinds)):
        if what not in known:
            raise pytest.UsageError(f"{where}: covers: {what!r} is none of {', '.join(known)}")
    return [(Cell(door, parameter, kind), state) for kind in kinds]


def page(found: Mapping[Cell, str]) -> str:
    """The whole page."""
    text = _HEAD + "".join(f"| {state} | {meaning} |\n" for state, meaning in STATES.items())
    for door, title in DOORS.items():
        parameters = dict.fromkeys(cell.parameter for cell in found if cell.door == door)
        if not parameters:
            continue
        text += f"\n## {title}\n\n| | {' | '.join(BEHIND.values())} |\n|---|{'---|' * len(BEHIND)}\n"
        for parameter in sorted(parameters, key=lambda name: (name != "", name)):
            states = [found.get(Cell(door, parameter, kind), "") for kind in BEHIND]
            text += f"| {f'`{parameter}`' if parameter else '*the call*'} | {' | '.join(states)} |\n"
    return text


# --- pytest's hooks, which conftest.py takes over -------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-compatibility", action="store_true", help="write docs/compatibility.md from the marks")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "covers(door, parameter, behind, state): a cell of docs/compatibility.md")


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.getoption("--write-compatibility"):
        PAGE.write_text(page(cells(session.items)), "utf-8")
