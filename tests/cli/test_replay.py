"""What `ghostctl route replay` prints."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from ledger_harness import row

from ghostd.cli.main import ghostctl
from ghostd.ledger.store import Store, store_path
from ghostd.local.paths import find_paths
from ghostd.records import LedgerRow


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(ghostctl, ["route", "replay", *arguments])
    assert result.exit_code == 0, result.output
    return result


def fill(*rows: LedgerRow) -> None:
    folder = find_paths().ledger
    folder.mkdir(parents=True)
    store = Store(store_path(folder))
    store.insert(list(rows), [])
    store.close()


def request(number: int, deployment: str, cost_usd: float | None, latency_ms: float, **changes: Any) -> LedgerRow:
    features = {
        "capability": "chat", "complexity": "simple", "prompt_tokens": 100, "reply_tokens": 50, "needs": [],
        "stream": False, "urgent": False, "thrifty": False,
    }  # fmt: skip
    fields = {
        "time_s": 1_795_000_000.0 + 10 * number,
        "deployment": deployment,
        "provider": deployment.partition("/")[0],
        "cost_usd": cost_usd,
        "latency_ms": latency_ms,
        "reason": "balanced of auto",
        "features": json.dumps(features),
    }
    return row(f"req_{number}", **(fields | changes))


def configure(text: str) -> Path:
    file = find_paths().config_file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_the_policies_are_shown_beside_what_really_happened() -> None:
    fill(*(request(n, ("a/cheap", "b/dear")[n % 2], (0.001, 0.01)[n % 2], (800, 100)[n % 2]) for n in range(4)))
    assert (
        run("--policy", "cheapest", "--policy", "fastest").output
        == """\
4 requests, 4 of them answered in the end

policy      same choice          first try        mean cost USD    mean ms  estimated  fewest samples
as it went                         100.0 %             0.005500        450
cheapest              2  100.0 % (100.0 %)  0.001000 (0.005500)  800 (450)          2               2
fastest               2  100.0 % (100.0 %)  0.005500 (0.005500)  450 (450)          2               2
(in brackets: what really happened to the same requests)

policy      deployment  requests  same choice  samples
as it went  a/cheap            2                     2
as it went  b/dear             2                     2
cheapest    a/cheap            4            2        2
fastest     a/cheap            2            1        2
fastest     b/dear             2            1        2
"""
    )


def test_one_object_of_json_says_it_all() -> None:
    fill(request(0, "a/cheap", 0.001, 800), request(1, "a/cheap", 0.003, 600, status="refused"))
    found = json.loads(run("--json").output)
    assert (found["requests"], found["answered"], found["left_out"]) == (1, 1, {"refused": 1})
    assert [score["name"] for score in found["scores"]] == [
        "as it went", "balanced", "cheapest", "fastest", "quality", "local-first",
    ]  # fmt: skip
    assert found["scores"][1] == {
        "name": "balanced",
        "requests": 1,
        "same": 1,
        "unable": 0,
        "success": {"mean": 1.0, "went": 1.0, "requests": 1, "estimated": 0, "fewest": None},
        "cost_usd": {"mean": 0.001, "went": 0.001, "requests": 1, "estimated": 0, "fewest": None},
        "latency_ms": {"mean": 800.0, "went": 800.0, "requests": 1, "estimated": 0, "fewest": None},
        "choices": [{"deployment": "a/cheap", "requests": 1, "same": 1, "samples": 1}],
    }


def test_a_deployment_that_only_the_configuration_names_is_chosen_but_its_figures_are_unknown() -> None:
    configure(
        '[providers.b]\npreset = "openai-compatible"\nbase_urls = ["http://127.0.0.1:9/v1"]\nmodels = ["new"]\n'
        '[providers.b.model."new"]\nprice = { input = 0, output = 0 }\n'
    )
    fill(*(request(n, "a/cheap", 0.001, 800) for n in range(3)))
    output = run("--policy", "cheapest").output
    assert "cheapest: unknown, and not in the means: first try of 3, cost of 3, latency of 3\n" in output
    assert ["cheapest", "b/new", "3", "0", "0"] in [line.split() for line in output.splitlines()]


def test_since_and_route_narrow_it_down() -> None:
    now = time.time()
    fill(
        request(0, "a/cheap", 0.001, 800),
        request(1, "b/dear", 0.01, 100, time_s=now - 60, route="work"),
        request(2, "b/dear", 0.01, 100, time_s=now - 30),
    )
    assert run("--since", "1h").output.startswith("2 requests, ")
    assert run("--since", "1h", "--route", "work").output.startswith("1 requests, ")
    assert "no requests are recorded that could be replayed" in run("--route", "nobody").output


def test_without_a_ledger_there_is_nothing_to_replay() -> None:
    assert run().output == "no requests are recorded that could be replayed\n"
    assert not find_paths().ledger.exists()


def test_a_broken_configuration_is_told_and_the_ledger_must_do() -> None:
    file = configure("[http]\nprot = 1\n")
    fill(request(0, "a/cheap", 0.001, 800))
    result = run()
    assert f"the configuration cannot be used: {file}:2: unknown setting `http.prot`" in result.stderr
    assert "1 requests, 1 of them" in result.stdout


def test_a_policy_that_ranks_nothing_is_refused() -> None:
    result = CliRunner().invoke(ghostctl, ["route", "replay", "--policy", "ordered"])
    assert result.exit_code == 2
