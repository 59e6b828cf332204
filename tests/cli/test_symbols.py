"""What `ghostctl index symbols`, `references` and `outline` print of what the daemon says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ghostd.cli.main import ghostctl
from ghostd.errors import GhostdError
from ghostd.local.client import Client
from ghostd.local.control_types import RootState, Status
from ghostd.symbol_reports import ListedReference, ListedSymbol, ReferenceList, SymbolList


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, str]]:
    """What the daemon is asked; it has one symbol and one reference, in one root."""
    queries: list[dict[str, str]] = []
    root = str(tmp_path)
    symbol = ListedSymbol("run", "method", root, "a b/x.py", 3, 5, 9, "Outer.Inner", "def run(self)")
    evil = ListedSymbol("x", "function", root, "a\n\x1b[2J.py", 1, 2, 1, "", "")
    reference = ListedReference("run", "use", root, "y.py", 7, 1, "main", "run()\x1b]0;title\x07")

    def symbols(self: Client, **query: str) -> SymbolList:
        queries.append(query)
        return SymbolList(
            [] if query.get("query") == "nothing" or query.get("path", "").endswith("empty.py") else [symbol, evil],
            query.get("query") == "many",
        )

    def references(self: Client, **query: str) -> ReferenceList:
        queries.append(query)
        return ReferenceList([reference], False)

    status = Status("1", 1, 1.0, "", "", 1, [RootState(root, "ready", 1, 1, 0, 0, True)], [])
    monkeypatch.setattr(Client, "symbols", symbols)
    monkeypatch.setattr(Client, "references", references)
    monkeypatch.setattr(Client, "status", lambda self: status)
    monkeypatch.chdir(tmp_path)
    return queries


def says(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(ghostctl, ["index", *arguments])
    assert result.exit_code == status, result.output
    return result


def test_each_line_begins_with_file_line_and_column_and_commands_no_terminal(asked: Any, tmp_path: Path) -> None:
    assert says("symbols", "run").stdout == (
        "a b/x.py:3:5: def run(self)  in Outer.Inner  [method]\na��[2J.py:1:2: x  [function]\n"
    )
    assert asked == [{"query": "run", "limit": "100", "root": str(tmp_path)}]
    assert says("references", "run", "--definitions").stdout == "y.py:7:1: run()�]0;title�\n"
    assert asked[1]["definitions"] == "true"


def test_an_outline_is_indented_as_it_is_nested(asked: Any, tmp_path: Path) -> None:
    assert says("outline", "x.py").stdout.splitlines()[0] == "a b/x.py:3:5:     def run(self)"
    assert asked == [{"path": str(tmp_path / "x.py"), "limit": "1000"}]


def test_an_outline_of_nothing_says_where_to_look(asked: Any) -> None:
    told = says("outline", "empty.py", status=1)
    assert told.stdout == ""
    assert told.stderr == (
        "ghostctl: no definitions are known in empty.py; `ghostd index` lists the files that are left out\n"
    )


def test_outside_of_every_project_all_are_asked_and_paths_are_absolute(
    asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    first = says("symbols", "run", "--kind", "class", "--limit", "7").stdout.splitlines()[0]
    assert first.startswith(f"{str(tmp_path).removeprefix('/')}/a b/x.py:3:5: ")
    assert asked == [{"query": "run", "limit": "7", "kind": "class"}]


def test_json_is_what_the_daemon_says(asked: Any) -> None:
    found = json.loads(says("symbols", "run", "--json").stdout)
    assert (found[0]["name"], found[0]["line"], len(found)) == ("run", 3, 2)
    assert json.loads(says("references", "run", "--json").stdout)[0]["container"] == "main"


def test_nothing_found_is_status_1_as_with_grep_and_more_is_told_beside(asked: Any) -> None:
    assert says("symbols", "nothing", status=1).output == ""
    assert json.loads(says("symbols", "nothing", "--json", status=1).stdout) == []
    assert says("symbols", "many").stderr == "… and more (--limit, now 2)\n"


def test_what_the_daemon_refuses_is_told(asked: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(self: Client, **query: str) -> SymbolList:
        raise GhostdError("`kind` is a list of: class, …")

    monkeypatch.setattr(Client, "symbols", refuse)
    assert "`kind` is a list of" in says("symbols", "x", "--kind", "klass", status=1).output
    assert "no such folder" in says("symbols", "x", "--root", str(tmp_path / "gone"), status=1).output
    says("symbols", "x", "--limit", "0", status=2)


def test_without_a_daemon_or_a_project_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ghostd is not running" in says("symbols", "x", status=1).output
    monkeypatch.setattr(Client, "status", lambda self: Status("1", 1, 1.0, "", "", 1, [], []))
    assert "No project is indexed" in says("references", "x", status=1).output
