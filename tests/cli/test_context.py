"""What `ghostctl context` and `ghostctl index eval` print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from ghostd.cli import evaluate as evaluating
from ghostd.cli.main import ghostctl
from ghostd.context_reports import (
    CoChangeReport,
    ContextReport,
    Counter,
    EvaluationOrder,
    OmittedPiece,
    QuotedPiece,
    RetrievalReport,
)
from ghostd.errors import GhostdError
from ghostd.local.client import Client
from ghostd.local.control_types import RootState, Status

WHY = ["defines fetch_row, named nearby", "from an imported file", *(f"shares name_{number}" for number in range(9))]


def status(root: Path, state: str = "ready") -> Status:
    return Status("1", 1, 1.0, "", "", 1, [RootState(str(root), state, 1, 1, 0, 0, True)], [])


def report_of(root: Path) -> ContextReport:
    return ContextReport(
        root=str(root),
        path="orders.py",
        line=5,
        column=3,
        chunks=[
            QuotedPiece("a b/x.py", 3, 5, "def fetch_row():\n\treturn 1\x1b[2J\n", "definition", 0.5, 20, WHY, 1),
            QuotedPiece("evil\n.py", 1, 1, "x = 1", "search", 0.25, 9, []),
        ],
        left_out=[OmittedPiece("y.py", n, n + 4, "search", 0.1, 40, "no room") for n in range(1, 8)],
        tokens=29,
        budget=100,
        counter=Counter("", exact=False, bytes_per_token=4.0),
        candidates=9,
        seconds=0.012,
        late=["uncommitted"],
        redactions=1,
        redacted=True,
        prompt="# a b/x.py\n…",
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, object]]:
    """What the daemon is asked; it has one root."""
    bodies: list[dict[str, object]] = []

    def context(self: Client, body: dict[str, object]) -> ContextReport:
        bodies.append(body)
        return report_of(tmp_path)

    monkeypatch.setattr(Client, "context", context)
    monkeypatch.setattr(Client, "status", lambda self: status(tmp_path))
    monkeypatch.chdir(tmp_path)
    return bodies


def says(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(ghostctl, list(arguments))
    assert result.exit_code == status, result.output
    return result


def test_each_piece_is_shown_with_its_reasons_then_what_was_left_out_then_the_sums(asked: Any, tmp_path: Path) -> None:
    text = says("context", "orders.py:5:3").stdout
    assert text == (
        "a b/x.py:3-5  definition, score 0.50, 20 tokens, 1 redacted\n"
        "  defines fetch_row, named nearby; from an imported file; shares name_0; shares name_1; shares\n"
        "  name_2; shares name_3; shares name_4; shares name_5; shares name_6; shares name_7; shares name_8\n"
        "    def fetch_row():\n"
        "        return 1�[2J\n"
        "\n"
        "\n"
        "evil�.py:1-1  search, score 0.25, 9 tokens\n"
        "    x = 1\n"
        "\n"
        "left out\n"
        "  y.py:1-5  search, score 0.10, 40 tokens: no room\n"
        "  y.py:2-6  search, score 0.10, 40 tokens: no room\n"
        "  y.py:3-7  search, score 0.10, 40 tokens: no room\n"
        "  y.py:4-8  search, score 0.10, 40 tokens: no room\n"
        "  y.py:5-9  search, score 0.10, 40 tokens: no room\n"
        "  … and 2 more (--left-out)\n"
        "\n"
        "2 pieces of 9 quoted, 12 ms\n"
        "29 of 100 tokens (estimated at 4.0 bytes each)\n"
        "1 secret redacted\n"
        "not in time: uncommitted (--deadline-ms)\n"
    )
    assert asked == [
        {"path": str(tmp_path / "orders.py"), "line": 5, "hide_line": False, "deadline_ms": 5000, "column": 3}
    ]
    assert max(map(len, text.splitlines())) <= 100


def test_all_that_was_left_out_is_shown_on_demand(asked: Any) -> None:
    assert says("context", "orders.py:5", "--left-out").stdout.count("no room") == 7


def test_options_go_to_the_daemon(asked: Any) -> None:
    says("context", "orders.py:5", "--tokens", "200", "--model", "m", "--hide-line", "--no-redact")
    assert {name: asked[0].get(name) for name in ("max_tokens", "model", "hide_line", "redact", "column")} == {
        "max_tokens": 200, "model": "m", "hide_line": True, "redact": False, "column": None,
    }  # fmt: skip


def test_json_is_what_the_daemon_says(asked: Any, tmp_path: Path) -> None:
    assert json.loads(says("context", "orders.py:5", "--json").stdout)["chunks"][0]["why"] == WHY


@pytest.mark.parametrize(
    ("counter", "told"),
    [
        (Counter("m", exact=True, bytes_per_token=3.25), "(counted by m, 3.2 bytes each)"),
        (Counter("m", exact=False, bytes_per_token=4.0), "(estimated at 4.0 bytes each: ghostd has no tokenizer of m)"),
    ],
)
def test_it_says_who_has_counted(
    asked: Any, counter: Counter, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "context", lambda self, body: replace(report_of(tmp_path), counter=counter))
    assert told in says("context", "orders.py:5").stdout


def test_a_file_outside_of_every_project_is_told_with_the_command_that_adds_its_folder(
    asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    (elsewhere / "deep" / "er").mkdir(parents=True)
    (elsewhere / "pyproject.toml").touch()
    found = says("context", f"{elsewhere}/deep/er/x.py:1", status=1).stderr
    assert f"`ghostctl roots add {elsewhere}`" in found
    assert asked == []


def test_what_is_no_place_is_refused(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("orders.py", "orders.py:0", "orders.py:x", "orders.py:1:0", ":1", f"orders.py:{'9' * 40}"):
        assert "FILE:LINE" in says("context", place, status=2).stderr
    assert "--hide-line" in says("context", "orders.py:1:2", "--hide-line", status=2).stderr
    says("context", "orders.py:1", "--tokens", "0", status=2)

    def refuse(self: Client, body: dict[str, object]) -> ContextReport:
        raise GhostdError("There is no line 99: the document has 5.")

    monkeypatch.setattr(Client, "context", refuse)
    assert "no line 99" in says("context", "orders.py:99", status=1).stderr


def test_a_project_that_is_still_read_is_said_to_be(
    asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "status", lambda self: status(tmp_path, "indexing"))
    assert "is indexing" in says("context", "orders.py:5").stderr


def test_without_a_daemon_it_says_how_to_start_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GHOSTD_HOME", str(tmp_path))
    assert "ghostd start" in says("context", "orders.py:5", status=1).stderr


# --- index eval -------------------------------------------------------------------------


def recall(root: Path, done: int, finished: bool = False) -> RetrievalReport:
    methods = {"ghostd": {"1000": 0.5, "2000": 0.625}, "bm25": {"1000": 0.4, "2000": 0.5}} if done else {}
    history = CoChangeReport(200, 0.615, 0.35) if finished else None
    return RetrievalReport(str(root), 100, 100, done, methods, 24.0, 40.5, 7.0, 14.25, 0, history, finished)


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[EvaluationOrder]:
    """What the daemon is told to evaluate; it has one root."""
    told: list[EvaluationOrder] = []

    def evaluate(self: Client, order: EvaluationOrder) -> Iterator[RetrievalReport]:
        told.append(order)
        yield recall(tmp_path, 0)
        yield recall(tmp_path, 1)
        yield recall(tmp_path, 100, finished=True)

    monkeypatch.setattr(Client, "evaluate", evaluate)
    monkeypatch.setattr(Client, "status", lambda self: status(tmp_path))
    monkeypatch.setattr(evaluating, "running", lambda paths: object())
    monkeypatch.chdir(tmp_path)
    return told


def test_recall_latency_and_co_change_are_printed(orders: list[EvaluationOrder], tmp_path: Path) -> None:
    assert says("index", "eval").stdout == (
        f"{tmp_path}: 100 lines hidden (seed 0)\n"
        "\n"
        "recall     @1k     @2k\n"
        "ghostd  50.0 %  62.5 %\n"
        "bm25    40.0 %  50.0 %\n"
        "\n"
        "latency    p50 7.0 ms, p95 14.2 ms (the first in a file: 24.0 and 40.5 ms)\n"
        "co-change  hit@5 62 % of 200 files (35 % for the last changed files of the same folders)\n"
    )
    assert orders == [EvaluationOrder(str(tmp_path), 100, 0, ())]


def test_lines_seed_and_languages_are_chosen(orders: list[EvaluationOrder], tmp_path: Path) -> None:
    found = says("index", "eval", "--lines", "7", "--seed", "3", "--language", "zig", "--language", "rust", "--json")
    assert json.loads(found.stdout)["methods"]["ghostd"]["1000"] == 0.5
    assert orders == [EvaluationOrder(str(tmp_path), 7, 3, ("zig", "rust"))]
    says("index", "eval", "--lines", "0", status=2)


def test_a_project_without_such_lines_says_so(
    orders: list[EvaluationOrder], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def few(count: int) -> Any:
        def evaluate(self: Client, order: EvaluationOrder) -> Iterator[RetrievalReport]:
            yield replace(recall(tmp_path, count, finished=True), found=count, co_change=None)

        return evaluate

    monkeypatch.setattr(Client, "evaluate", few(0))
    assert "no line was found" in says("index", "eval", status=1).stderr
    monkeypatch.setattr(Client, "evaluate", few(5))
    found = says("index", "eval")
    assert "only 5 of 100 lines were found" in found.stderr
    assert "no git history" in found.stdout


def test_a_daemon_that_ends_meanwhile_is_told(
    orders: list[EvaluationOrder], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(self: Client, order: EvaluationOrder) -> Iterator[RetrievalReport]:
        yield recall(tmp_path, 3)

    monkeypatch.setattr(Client, "evaluate", broken)
    assert "ended before" in says("index", "eval", status=1).stderr


def test_without_a_daemon_it_is_done_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GHOSTD_HOME", str(tmp_path / "home"))
    root = tmp_path / "project"
    root.mkdir()
    names = [f"quantity_of_{word}" for word in ("apples", "pears", "plums", "nuts", "figs", "limes")]
    (root / "fruit.py").write_text("".join(f"def {name}():\n    return 1\n\n\n" for name in names))
    for number, name in enumerate(names):
        (root / f"use_{number}.py").write_text(f"import fruit\n\n\ndef total():\n    return fruit.{name}()\n")
    found = json.loads(says("index", "eval", "--root", str(root), "--lines", "5", "--json").stdout)
    assert (found["finished"], found["found"] >= 1, found["done"]) == (True, True, found["found"])
    assert found["methods"]["ghostd"]["4000"] == 1.0
    assert set(found["methods"]) == {"ghostd", "bm25", "outline", "random"}
    assert found["co_change"] is None
    assert "klingon" in says("index", "eval", "--root", str(root), "--language", "klingon", status=1).stderr
    assert "no such folder" in says("index", "eval", "--root", str(root / "gone"), status=1).stderr
