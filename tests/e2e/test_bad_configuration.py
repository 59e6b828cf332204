"""Mistakes in the configuration, as a user meets them: file, line, what is wrong, and what was perhaps meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from e2e.conftest import StartDaemon
from e2e.daemons import run_command

pytestmark = pytest.mark.e2e

BAD = {
    "an unknown provider": (
        "[providers.opnai]\nkeys = []\n", 1, "no provider is called 'opnai'; did you mean 'openai'?",
    ),
    "an unknown preset": ('[providers.x]\npreset = "opnai"\n', 2, "no provider is called 'opnai'"),
    "an unknown model": (
        '[providers.openai]\nmodels = ["gpt-4.1"]\n[routes.r]\ndeployments = ["openai/gpt-4.2"]\n', 4,
        "providers.openai.models does not list 'gpt-4.2'; did you mean 'gpt-4.1'?",
    ),
    "a key in the file": ('[providers.openai]\nkeys = ["sk-0123456789abcdef"]\n', 2, "keyring:"),
    "an unknown kind of key reference": ('[providers.openai]\nkeys = ["vault:openai"]\n', 2, "keyring:"),
    "a cycle of aliases": ('[aliases]\na = "b"\nb = "a"\n', 2, "a cycle: a → b → a"),
    "a cycle of fallbacks": (
        '[providers.openai]\n[routes.a]\ndeployments = ["openai/m"]\nfallbacks = ["b"]\n'
        '[routes.b]\ndeployments = ["openai/m"]\nfallbacks = ["a"]\n', 4, "a cycle: a → b → a",
    ),
    "a route in a route": (
        '[providers.openai]\n[routes.a]\ndeployments = ["openai/m"]\n[routes.b]\ndeployments = ["a"]\n', 5,
        "'a' is a route; name its deployments, or use `fallbacks`",
    ),
    "an empty route": ("[routes.r]\ndeployments = []\n", 2, "a route needs at least one deployment"),
    "a weight of 0": (
        '[providers.openai]\n[routes.r]\ndeployments = [{ model = "openai/m", weight = 0 }]\n', 3,
        "`routes.r.deployments[0].weight`: Expected `float` > 0.0",
    ),
    "an arm's weight of 0": (
        '[providers.openai]\n[experiments.e]\nmodel = "openai/m"\n'
        '[experiments.e.arms.a]\nmodel = "openai/m"\nweight = 0\n', 6, "`experiments.e.arms.a.weight`: Expected",
    ),
    "a negative price": (
        '[providers.openai.model."m"]\nprice = { input = -1, output = 2 }\n', 2, "input",
    ),
    "a price in words": ('[providers.openai.model."m"]\nprice = { input = "cheap", output = 2 }\n', 2, "input"),
    "a base URL of another scheme": (
        '[providers.openai]\nbase_urls = ["ftp://models.example/v1"]\n', 2, "a base URL begins with http:// or https://",
    ),
    "a base URL with a key in it": (
        '[providers.openai]\nbase_urls = ["https://sk-1:x@models.example/v1"]\n', 2, "keys belong into `keys`",
    ),
    "a header that is a key": (
        '[providers.openai.headers]\nAuthorization = "Bearer sk-1"\n', 2, "a key does not belong into this file",
    ),
    "a base URL that the provider lacks": (
        '[providers.vllm]\nbase_urls = ["http://a/v1"]\n[deployments.d]\nmodel = "vllm/m"\nbase_url = "http://b/v1"\n',
        5, "is none of providers.vllm.base_urls",
    ),
    "a deployment of no provider": ('[deployments.d]\nmodel = "gpt-4.1"\n', 2, 'is not "provider/model"'),
}  # fmt: skip


@pytest.mark.parametrize("case", list(BAD))
def test_a_mistake_is_told_with_file_and_line_by_check(tmp_path: Path, case: str) -> None:
    text, line, problem = BAD[case]
    file = tmp_path / "bad.toml"
    file.write_text(text)
    done = run_command(os.environ, "ghostctl", "config", "check", str(file), check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ghostctl: {file}:{line}: "), done.stderr
    assert problem in done.stderr
    assert "sk-0123456789abcdef" not in done.stderr


@pytest.mark.parametrize("case", ["an unknown provider", "a weight of 0", "a cycle of fallbacks"])
def test_a_daemon_does_not_start_with_a_mistake(start_daemon: StartDaemon, tmp_path: Path, case: str) -> None:
    text, line, problem = BAD[case]
    file = tmp_path / "bad.toml"
    file.write_text(text)
    daemon = start_daemon(f"--config={file}", ready=False)
    assert daemon.process.wait(30) == 2
    daemon.stop()
    assert f"{file}:{line}: " in daemon.output
    assert problem in daemon.output


def test_a_price_file_with_nonsense_is_told_with_its_line(start_daemon: StartDaemon, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('[prices.openai]\n"gpt-4.1" = { input = "cheap", output = 8 }\n')
    file = tmp_path / "good.toml"
    file.write_text('[ledger]\nprices = "prices.toml"\n')
    daemon = start_daemon(f"--config={file}", ready=False)
    assert daemon.process.wait(30) == 2
    daemon.stop()
    assert f"{prices}:2: " in daemon.output
    assert "Traceback" not in daemon.output


def test_check_tells_of_names_that_nothing_in_the_file_has(tmp_path: Path) -> None:
    file = tmp_path / "ghostd.toml"
    file.write_text('[providers.openai]\nmodels = ["gpt-4.1"]\n[aliases]\ngood = "gpt-4.1"\nbad = "gpt4.1"\n')
    done = run_command(os.environ, "ghostctl", "config", "check", str(file))
    assert done.stdout == f"{file}: no mistakes\n"
    assert done.stderr == (
        "`aliases.bad`: nothing here is called 'gpt4.1': it must be a local model, or one that a service lists\n"
    )
