"""What `ghostctl health` and `ghostctl route explain` print of what the daemon says."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ghostd.cli.main import ghostctl
from ghostd.local.client import Client
from ghostd.local.control_types import HealthReport
from ghostd.routing_reports import CandidateReport, DeploymentReport, Explanation, KeyReport

URL = "https://api.openai.com/v1"


def says(*arguments: str, text: str = "") -> str:
    result = CliRunner().invoke(ghostctl, arguments, input=text)
    assert result.exit_code == 0, result.output
    return result.output


def test_health_shows_how_each_deployment_fares_and_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    resting = "openai: boom\x1b[2J (status 500)"
    report = HealthReport(
        [
            DeploymentReport("openai/gpt-4.1", URL, "open", 23.4, 0, 0.5, None, None, 11.2, resting),
            DeploymentReport("tiny", "", "closed", None, 2, 1.0, 0.42, 12.6, None, ""),
            DeploymentReport("openai/new", URL, "half-open", 0.0, 1, 0.75, None, None, None, ""),
        ],
        [KeyReport("openai", "env:A", "ready", ""), KeyReport("openai", "env:B", "resting", "refused (401)")],
    )
    monkeypatch.setattr(Client, "health", lambda self: report)
    assert says("health") == (
        "deployment      state       success  under way  first byte ms  p95  reply ms  at\n"
        "openai/gpt-4.1  rests 23 s      50%          0                            11  https://api.openai.com/v1\n"
        "tiny            well           100%          2            0.4   13\n"
        "openai/new      on trial        75%          1                                https://api.openai.com/v1\n"
        "last error of openai/gpt-4.1: openai: boom\N{REPLACEMENT CHARACTER}[2J (status 500)\n"
        "key env:A of openai: ready\n"
        "key env:B of openai: resting (refused (401))\n"
    )


def test_health_before_the_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "health", lambda self: HealthReport([], []))
    assert says("health") == "no deployment has been asked yet\n"


def test_an_explanation_shows_the_order_what_is_not_tried_and_what_comes_then(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = Explanation(
        "gpt-4", "main", "balanced", "complex", 5000, ("json", "tools"), "split/b",
        (
            CandidateReport("openai/gpt-4.1", URL, 1, "", 0.0123, 840.2, 0.69, 0.95),
            CandidateReport("tiny", "", None, "it has no tools", 0.0, None, 0.2, 1.0),
            CandidateReport("x/new", "http://x", 2, "", None, None, 0.5, 1.0),
        ),
        ("local",),
    )  # fmt: skip
    asked: list[bytes] = []

    def explain(client: Client, body: bytes) -> Explanation:
        asked.append(body)
        return found

    monkeypatch.setattr(Client, "explain", explain)
    expected = (
        "gpt-4 → main: policy balanced\n"
        "request: complex, about 5000 prompt tokens, needs json, tools\n"
        "experiment: split/b\n"
        "    deployment           USD   ms  quality  success\n"
        "1.  openai/gpt-4.1  0.012300  840     0.69      95%  https://api.openai.com/v1\n"
        " -  tiny            0.000000    ?     0.20     100%  it has no tools\n"
        "2.  x/new                  ?    ?     0.50     100%  http://x\n"
        "then: local\n"
    )
    file = tmp_path / "asked.json"
    file.write_text("{}")
    assert says("route", "explain", str(file)) == expected
    assert says("route", "explain", "-", text='{"model": "gpt-4"}') == expected
    assert asked == [b"{}", b'{"model": "gpt-4"}']


def test_a_refused_request_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Explanation("r", "r", "ordered", "simple", 3, (), "", (), (), "No model can do this.")
    monkeypatch.setattr(Client, "explain", lambda self, body: found)
    assert says("route", "explain", "-", text="{}") == (
        "r: policy ordered\nrequest: simple, about 3 prompt tokens, needs text only\nrefused: No model can do this.\n"
    )


def test_a_file_that_is_not_there_is_told() -> None:
    result = CliRunner().invoke(ghostctl, ["route", "explain", "/nowhere/asked.json"])
    assert (result.exit_code, result.stderr) == (
        1, "ghostctl: cannot read /nowhere/asked.json: No such file or directory\n",
    )  # fmt: skip


def test_without_a_daemon_it_is_said_how_to_start_one() -> None:
    for command in (["health"], ["reload"], ["route", "explain", "-"]):
        result = CliRunner().invoke(ghostctl, command, input="{}")
        assert result.exit_code == 1
        assert "ghostd is not running. Start it with `ghostd start`" in result.stderr
