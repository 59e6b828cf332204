"""Completions by a real daemon, counted for `ghostctl completions` and for Prometheus."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.daemons import DaemonProcess, run_command
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.e2e
StartDaemon = Callable[..., DaemonProcess]

PREFIX = (
    "from shop.storage import Storage\n\n\nclass ShelfRepository:\n"
    "    def __init__(self, storage: Storage) -> None:\n        self._storage = "
)


def test_what_editors_saw_is_counted_by_source(start_daemon: StartDaemon, project: Path, ghostd_home: Path) -> None:
    daemon = start_daemon()
    environment = {**os.environ, "GHOSTD_HOME": str(ghostd_home)}
    assert "No editor has asked" in run_command(environment, "ghostctl", "completions").stdout
    run_command(environment, "ghostd", "index", str(project))
    body = {"suffix": "\n", "file_path": str(project / "shop" / "shelf.py"), "incremental": True}
    reply = daemon.request("/v1/zeke/code/complete", {**body, "prefix": PREFIX})
    assert (reply["content"], reply["model"]) == ("storage", "ghostd/project")
    typed_on = daemon.request("/v1/zeke/code/complete", {**body, "prefix": PREFIX + "sto"})
    assert typed_on["content"] == "rage"

    with urllib.request.urlopen(f"{daemon.url}/metrics") as answer:
        families = {family.name: family for family in text_string_to_metric_families(answer.read().decode())}
    samples = families["ghostd_completion_latency_seconds"].samples
    counts = {one.labels["source"]: one.value for one in samples if one.name.endswith("_count")}
    assert counts == {"fresh": 1.0, "kept": 1.0}
    report = json.loads(run_command(environment, "ghostctl", "completions", "--json").stdout)
    assert (report["requests"], report["empty"], report["off"]) == (2, 0, {})
    assert {source["origin"]: source["shown"] for source in report["sources"]} == {"fresh": 1, "kept": 1}
    shown = run_command(environment, "ghostctl", "completions").stdout
    assert "2 requests; 2 completions shown" in shown and "ghostd/project" in shown
