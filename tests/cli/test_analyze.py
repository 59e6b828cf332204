"""What `ghostctl index analyze` and `map` print of what the daemon says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ghostd.cli.main import ghostctl
from ghostd.errors import GhostdError
from ghostd.local.client import Client
from ghostd.local.control_types import RootState, Status
from ghostd.project_reports import (
    CentralFile,
    ChangedFile,
    EntryPointReport,
    FolderOfTests,
    HistoryReport,
    HotSpot,
    ImportCycle,
    LanguageShare,
    ManifestProblemReport,
    MapFile,
    MapSymbol,
    ModuleGraphReport,
    PackageDependency,
    PackageReport,
    ProjectReport,
    ProjectTests,
    ProjectText,
    RepoMapReport,
)


def report(root: str) -> ProjectReport:
    needs = [PackageDependency("click", ">=8", ""), PackageDependency("pytest", "", "test")]
    many = [CentralFile(f"shop/{n}.py", 0.1, n) for n in range(14)]
    return ProjectReport(
        root=root,
        name="shop",
        generation=3,
        files=7,
        size_bytes=2048,
        lines=80,
        lines_complete=True,
        skipped=1,
        main_language="python",
        languages=[LanguageShare("python", 6, 2000, 80, 0.977)],
        entry_points=[
            EntryPointReport("main", "python -m shop", "shop/__main__.py", "shop/__main__.py"),
            EntryPointReport("script", "shop\x1b[2J", "shop.cli:main", "pyproject.toml"),
        ],
        packages=[PackageReport("pyproject.toml", "python", "shop", "1.2", "", needs, [])],
        problems=[ManifestProblemReport("web/package.json", "it is no JSON")],
        modules=ModuleGraphReport(6, 9, 0, [ImportCycle(30, ["a.py", "b.py"])], 1, many, [], {}),
        tests=ProjectTests(1, 100, [FolderOfTests("tests", 1)], ["pytest"], 0.05, [], 1, 5),
        largest=[],
        history=HistoryReport(
            "ready",
            "",
            "tea",
            "main",
            ["Sell tea"],
            [],
            [ChangedFile("shop/a.py", "modified")],
            [HotSpot("shop/a.py", 4, 2.5, 900)],
        ),
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What the daemon is asked."""
    questions: list[Any] = []
    root = str(tmp_path)

    def project(self: Client, **query: str) -> ProjectReport:
        questions.append(query)
        return report(root)

    def project_text(self: Client, **query: str) -> ProjectText:
        questions.append(query)
        return ProjectText(root, "# shop\x07\nmore", 3)

    def repo_map(self: Client, root: str, focus: Sequence[str], max_tokens: int) -> RepoMapReport:
        questions.append((root, list(focus), max_tokens))
        symbols = [MapSymbol("run", "function", 1, "", "def run()")]
        text = "" if max_tokens == 64 else "x.py:\n  def run()"
        return RepoMapReport(root, list(focus), text, 4, [MapFile("x.py", symbols)], max_tokens != 65)

    status = Status("1", 1, 1.0, "", "", 1, [RootState(root, "ready", 1, 1, 0, 0, True)], [])
    monkeypatch.setattr(Client, "project", project)
    monkeypatch.setattr(Client, "project_text", project_text)
    monkeypatch.setattr(Client, "repo_map", repo_map)
    monkeypatch.setattr(Client, "status", lambda self: status)
    monkeypatch.chdir(tmp_path)
    return questions


def says(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(ghostctl, ["index", *arguments])
    assert result.exit_code == status, result.output
    return result


def test_a_project_is_told_in_parts_and_commands_no_terminal(asked: list[Any], tmp_path: Path) -> None:
    printed = says("analyze").stdout
    assert printed.startswith(f"shop  {tmp_path}\n7 files, 80 lines, 2 KiB, mostly python, 1 left out\n\nLanguages\n")
    for line in (
        "  python              97.7 %  6 files, 80 lines",
        "  main    python -m shop  (shop/__main__.py)",
        "  script  shop�[2J  shop.cli:main  (pyproject.toml)",
        "  pyproject.toml  python  shop 1.2  needs 1, other groups 1",
        "  web/package.json: it is no JSON",
        "Central files, of 6 with 9 imports",
        "  … 2 more (--json has them)",
        "  30 files: a.py, b.py, …",
        "Tests: 1 files, 100 bytes, 5 % of the code, pytest",
        "  shop/a.py  4 commits, 900 bytes",
        "Branch tea, from main",
        "  modified  shop/a.py",
    ):
        assert line in printed.split("\n"), printed
    assert asked == [{"root": str(tmp_path)}]


def test_json_and_text_are_what_the_daemon_says(asked: list[Any], tmp_path: Path) -> None:
    assert json.loads(says("analyze", str(tmp_path), "--json").stdout)["packages"][0]["name"] == "shop"
    assert says("analyze", "--text", "--tokens", "200").stdout == "# shop�\nmore\n"
    assert asked[1] == {"root": str(tmp_path), "format": "text", "max_tokens": "200"}
    assert "exclude each other" in says("analyze", "--json", "--text", status=2).output
    says("analyze", "--tokens", "3", status=2)


def test_a_map_is_asked_for_by_the_files_absolute_paths(asked: list[Any], tmp_path: Path) -> None:
    assert says("map", "--focus", "a.py", "--focus", str(tmp_path / "b.py")).stdout == "x.py:\n  def run()\n"
    assert asked == [(str(tmp_path), [str(tmp_path / "a.py"), str(tmp_path / "b.py")], 1000)]
    assert json.loads(says("map", "--json").stdout)["files"][0]["symbols"][0]["signature"] == "def run()"
    assert says("map", "--tokens", "64", status=1).output == ""
    assert "some definitions were left out" in says("map", "--tokens", "65").stderr


def test_what_the_daemon_refuses_is_told(asked: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(self: Client, **query: str) -> ProjectReport:
        raise GhostdError("`root` is not one of the indexed folders")

    monkeypatch.setattr(Client, "project", refuse)
    assert "not one of the indexed folders" in says("analyze", status=1).output
    assert "no such folder" in says("analyze", str(tmp_path / "gone"), status=1).output


def test_without_a_daemon_or_a_project_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ghostd is not running" in says("map", status=1).output
    monkeypatch.setattr(Client, "status", lambda self: Status("1", 1, 1.0, "", "", 1, [], []))
    assert "No project is indexed" in says("analyze", status=1).output
