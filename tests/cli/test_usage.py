"""What `ghostctl usage`, `requests` and `ab report` print."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from ledger_harness import row

from ghostd.cli.main import ghostctl
from ghostd.ledger.lines import encode
from ghostd.ledger.store import Store, store_path
from ghostd.local.paths import find_paths
from ghostd.records import LedgerRow, Outcome

DAY_1 = datetime(2026, 11, 3, 10).timestamp()
DAY_2 = datetime(2026, 11, 4, 23, 59).timestamp()


def ghostctl_says(*arguments: str) -> str:
    result = CliRunner().invoke(ghostctl, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def fill(stored: list[LedgerRow | Outcome], journalled: list[LedgerRow | Outcome] | None = None) -> Path:
    """A ledger with rows in its database and in its journal."""
    folder = find_paths().ledger
    folder.mkdir(parents=True)
    store = Store(store_path(folder))
    store.insert(
        [found for found in stored if isinstance(found, LedgerRow)],
        [found for found in stored if isinstance(found, Outcome)],
    )
    store.close()
    if journalled:
        (folder / "0000000000000001.jsonl").write_bytes(b"".join(encode(found) for found in journalled))
    return folder


def lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_without_a_ledger_nothing_is_recorded() -> None:
    assert ghostctl_says("usage") == "no requests are recorded\n"
    assert ghostctl_says("requests") == "no requests are recorded\n"
    assert ghostctl_says("ab", "report") == "no request of an experiment is recorded\n"
    assert json.loads(ghostctl_says("usage", "--json"))["total"]["requests"] == 0
    assert not find_paths().ledger.exists()


def test_usage_by_day_counts_the_journals_rows_and_each_row_once() -> None:
    first, second = row("a", time_s=DAY_1), row("b", time_s=DAY_2, status="error", cost_usd=None, deployment="")
    third = row("c", time_s=DAY_2)
    fill([first, second], [second, third])
    assert lines(ghostctl_says("usage")) == [
        ["day", "requests", "failed", "prompt", "completion", "cached", "cost", "USD"],
        ["2026-11-03", "1", "0", "100", "20", "0", "0.0004"],
        ["2026-11-04", "2", "1", "200", "40", "0", "0.0004"],
        ["total", "3", "1", "300", "60", "0", "0.0007"],
    ]


def test_an_unknown_price_is_a_question_mark_and_null_and_empty_but_never_0() -> None:
    fill([row("a", model="m1", cost_usd=None), row("b", model="m2", cost_usd=0.0)])
    table = ghostctl_says("usage", "--by", "model")
    assert lines(table)[1:4] == [
        ["m1", "1", "0", "100", "20", "0", "?"],
        ["m2", "1", "0", "100", "20", "0", "0.0000"],
        ["total", "2", "0", "200", "40", "0", "0.0000+?"],
    ]
    assert "The cost of 1 requests is unknown" in table
    told = json.loads(ghostctl_says("usage", "--by", "model", "--json"))
    assert [(group["model"], group["cost_usd"], group["unpriced"]) for group in told["groups"]] == [
        ("m1", None, 1),
        ("m2", 0.0, 0),
    ]
    assert (told["total"]["cost_usd"], told["total"]["unpriced"]) == (0.0, 1)
    table_rows = list(csv.DictReader(io.StringIO(ghostctl_says("usage", "--by", "model", "--csv"))))
    assert [(found["model"], found["cost_usd"], found["unpriced"]) for found in table_rows] == [
        ("m1", "", "1"),
        ("m2", "0.0", "0"),
    ]


def test_costs_add_up_without_the_dust_of_binary_fractions() -> None:
    fill([row("a", cost_usd=0.1), row("b", cost_usd=0.2)])
    assert json.loads(ghostctl_says("usage", "--json"))["total"]["cost_usd"] == 0.3


def test_unknown_tokens_are_told_and_not_taken_for_0() -> None:
    unknown = {"prompt_tokens": None, "completion_tokens": None}
    fill([row("a", client="x", **unknown), row("b", client="y"), row("c", client="y", **unknown)])
    table = ghostctl_says("usage", "--by", "client")
    assert lines(table)[1:3] == [
        ["x", "1", "0", "?", "?", "?", "0.0004"],
        ["y", "2", "0", "100", "20", "?", "0.0007"],
    ]
    assert "The tokens of 2 requests are unknown" in table


def test_a_request_that_got_nowhere_has_no_unknown_price() -> None:
    fill([row("a", status="refused", http_status=400, deployment="", cost_usd=None, prompt_tokens=None)])
    total = json.loads(ghostctl_says("usage", "--json"))["total"]
    assert (total["cost_usd"], total["unpriced"], total["uncounted"]) == (0.0, 0, 0)


@pytest.mark.parametrize("by", ["project", "client", "provider", "deployment", "route", "operation", "status"])
def test_usage_is_grouped_by_any_field(by: str) -> None:
    fill([row("a"), row("b", **{by: "error"}), row("c", **{by: "error"})])
    groups = json.loads(ghostctl_says("usage", "--by", by, "--json"))["groups"]
    assert {group[by]: group["requests"] for group in groups} == {"error": 2, getattr(row(), by): 1}


def test_usage_is_grouped_by_several_fields() -> None:
    fill([row("a", time_s=DAY_1), row("b", time_s=DAY_1, client="c"), row("c", time_s=DAY_2, client="c")])
    text = ghostctl_says("usage", "--by", "client", "--by", "day")
    assert [line[:3] for line in lines(text)[1:]] == [
        ["c", "2026-11-03", "1"],
        ["c", "2026-11-04", "1"],
        ["zeke", "2026-11-03", "1"],
        ["total", "3", "0"],
    ]


def test_since_and_until_bound_the_time_and_a_date_means_the_whole_day() -> None:
    now = time.time()
    fill([row("a", time_s=DAY_1), row("b", time_s=DAY_2), row("c", time_s=now - 3600), row("d", time_s=now - 10)])

    def counted(*arguments: str) -> int:
        found: int = json.loads(ghostctl_says("usage", "--json", *arguments))["total"]["requests"]
        return found

    assert counted("--since", "2026-11-03", "--until", "2026-11-03") == 1
    assert counted("--since", "2026-11-03", "--until", "2026-11-04") == 2
    assert counted("--since", "2026-11-03T11:00", "--until", "2026-11-04T23:59") == 0
    assert counted("--since", "30m") == 1
    assert counted("--since", "2h") == 2
    assert counted("--since", "2h", "--until", "30m") == 1


@pytest.mark.parametrize("when", ["yesterday", "7", "d", "2026-13-01", "99999999d", "-1d", ""])
def test_a_time_that_is_none_is_told(when: str) -> None:
    result = CliRunner().invoke(ghostctl, ["usage", f"--since={when}"])
    assert (result.exit_code, "is neither a time ago" in " ".join(result.output.split())) == (2, True)


def test_requests_lists_the_last_ones_with_where_they_went_and_why() -> None:
    fill(
        [row("a", time_s=DAY_1), row("c", time_s=DAY_2, status="cancelled")],
        [row("b", time_s=DAY_2 - 60, status="error", http_status=504, error="UpstreamTimeout", attempts=3)],
    )
    found = ghostctl_says("requests", "--limit", "2").splitlines()[1:]
    assert ["2026-11-04 23:59:00" in found[0], "2026-11-04 23:58:00" in found[1], len(found)] == [True, True, 2]
    for part in ("openai/gpt-4.1", " 3 ", "error 504", "UpstreamTimeout; the cheapest that can", "100+20"):
        assert part in found[1]
    assert [line.split()[1] for line in ghostctl_says("requests", "--failed").splitlines()[1:]] == ["23:58:00"]
    told = json.loads(ghostctl_says("requests", "--json"))
    assert [entry["id"] for entry in told] == ["c", "b", "a"]
    assert (told[1]["error"], told[1]["cost_usd"], told[1]["stream"]) == ("UpstreamTimeout", 0.00036, False)


def test_names_cannot_command_the_terminal() -> None:
    fill([row("a", client="\x1b]0;owned\x07", project="a\nb")])
    assert "\x1b" not in ghostctl_says("usage", "--by", "client")
    assert "\x1b" not in ghostctl_says("requests")
    assert len(ghostctl_says("usage", "--by", "project").splitlines()) == 3


def test_a_damaged_database_is_told() -> None:
    folder = find_paths().ledger
    folder.mkdir(parents=True)
    store_path(folder).write_bytes(b"no database" * 1000)
    result = CliRunner().invoke(ghostctl, ["usage"])
    assert result.exit_code == 1
    assert f"{store_path(folder)}: the ledger cannot be read: file is not a database" in result.output
    assert store_path(folder).read_bytes() == b"no database" * 1000


def test_an_empty_database_file_is_no_requests() -> None:
    folder = find_paths().ledger
    folder.mkdir(parents=True)
    store_path(folder).touch()
    assert ghostctl_says("usage") == "no requests are recorded\n"


def arm(experiment: str, count: int, failed: int, latency_ms: float, **changes: object) -> Iterator[LedgerRow]:
    for number in range(count):
        status = "error" if number < failed else "ok"
        yield row(
            f"{experiment}{number}",
            experiment=experiment,
            session=f"{experiment}-{number}",
            status=status,
            latency_ms=latency_ms + number % 10,
            **changes,
        )


def test_an_ab_report_shows_a_difference_where_there_is_one_and_none_where_there_is_none() -> None:
    first, second = [*arm("speed/a", 400, 4, 100.0)], [*arm("speed/b", 400, 100, 101.0)]
    outcomes = [Outcome(f"s{n}", f"speed/a{n}", DAY_1, "shown") for n in range(100)]
    outcomes += [Outcome(f"t{n}", f"speed/b{n}", DAY_1, "shown") for n in range(100)]
    outcomes += [Outcome(f"u{n}", f"speed/a{n}", DAY_1 + 1, "accepted") for n in range(30)]
    outcomes += [Outcome(f"v{n}", f"speed/b{n}", DAY_1 + 1, "accepted") for n in range(35)]
    fill([*first, *second, *outcomes])
    text = ghostctl_says("ab", "report", "speed")
    assert "success rate: b is lower than a (-24.0 percentage points" in text
    assert "accept rate: no difference shown between a and b (+5.0 percentage points" in text
    assert "mean cost: no difference shown" in text
    assert "share of thumbs up:" not in text  # nobody has given any
    (told,) = json.loads(ghostctl_says("ab", "report", "speed", "--json"))
    success = {found["name"]: found["estimates"]["success"] for found in told["arms"]}
    assert (success["a"]["value"], success["b"]["value"], success["a"]["requests"]) == (0.99, 0.75, 400)
    # Wilson's interval for 396 of 400, computed by hand from its formula.
    assert (success["a"]["low"], success["a"]["high"]) == (
        pytest.approx(0.974573, abs=1e-5),
        pytest.approx(0.996105, abs=1e-5),
    )
    assert told["comparisons"][0]["difference"]["value"] == pytest.approx(-0.24)


def test_an_unknown_experiment_is_told() -> None:
    fill([row("a")])
    result = CliRunner().invoke(ghostctl, ["ab", "report", "none"])
    assert (result.exit_code, "no request of an experiment 'none' is recorded" in result.output) == (1, True)


def test_reports_of_usage_import_nothing_heavy() -> None:
    code = "import sys, ghostd.cli.usage, ghostd.cli.main; print(*{'httptools', 'numpy', 'pygls'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="becomes another user, who may only read")
def test_a_folder_that_may_only_be_read_can_be_read() -> None:
    code = (
        "import os, sys; from pathlib import Path; from ghostd.ledger.reader import open_reader;"
        " from ghostd.ledger.reports import usage; os.setuid(65534)\n"
        "with open_reader(Path(sys.argv[1])) as db: print(usage(db, ()).total.requests)"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "ledger"
        shutil.copytree(fill([row("a")], [row("b")]), folder)
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        folder.parent.chmod(0o555)
        done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)
        assert {path.name for path in folder.iterdir()} == {"ledger.sqlite3", "0000000000000001.jsonl"}
    assert (done.stdout, done.stderr) == ("2\n", "")
