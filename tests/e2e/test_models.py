"""`ghostctl models` against a real daemon with tiny models."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import StartDaemon
from e2e.daemons import QUIET, DaemonProcess, alive, wait_until_gone
from gguf_fixtures import CHAT_TEXT, ModelFile, model_file
from workers.stores import OllamaStore

__all__ = ["model_file"]

pytestmark = [pytest.mark.e2e, pytest.mark.local_model]


@pytest.fixture
def daemon(start_daemon: StartDaemon, model_file: ModelFile, ghostd_home: Path, tmp_path: Path) -> DaemonProcess:
    """A daemon with a model of its own and one of Ollama's."""
    own = ghostd_home / "data" / "models"
    own.mkdir(parents=True)
    shutil.copy(model_file("qwen"), own / "mine.gguf")
    store = OllamaStore(tmp_path / "user" / ".ollama" / "models")
    store.pull("registry.ollama.ai/library/qwen/0.5b", model_file("qwen"))
    store.manifest("registry.ollama.ai/library/bad/1b", [{"mediaType": "model", "digest": "sha256:../x", "size": 1}])
    daemon = start_daemon()
    wait_offered(daemon, "qwen:0.5b")
    return daemon


def models(daemon: DaemonProcess) -> dict[str, Any]:
    listed = json.loads(daemon.command("ghostctl", "models", "--json").stdout)
    return {model["id"]: model for model in listed if model["owned_by"] == "local"}


def wait_offered(daemon: DaemonProcess, name: str) -> None:
    """Wait until the search for models, which does not hold the start up, has found this one."""
    while name not in models(daemon):
        time.sleep(0.05)


def worker_of(daemon: DaemonProcess) -> list[int]:
    import psutil

    children = psutil.Process(daemon.pid).children()
    return [child.pid for child in children if "ghostd.workers.main" in child.cmdline()]


def test_models_are_listed_with_their_source_and_what_is_not_offered(daemon: DaemonProcess) -> None:
    found = models(daemon)
    assert {name: model["source"] for name, model in found.items()} == {
        "mine": "models folder", "qwen:0.5b": "Ollama store",
    }  # fmt: skip
    text = daemon.command("ghostctl", "models", "--skipped").stdout
    assert re.search(r"^qwen:0\.5b +unloaded +chat, complete, embed, fill +2048 +1 +Ollama store$", text, re.M)
    assert "bad/1b: its digest is not a SHA-256" in text
    assert "local models hold about 0 of " in text


def test_a_model_is_loaded_pinned_and_unloaded(daemon: DaemonProcess) -> None:
    loaded = daemon.command("ghostctl", "models", "load", "qwen:0.5b").stdout
    assert loaded.startswith("qwen:0.5b: ready; ") and "tokens/s; from: Ollama store" in loaded
    (worker,) = worker_of(daemon)
    assert daemon.command("ghostctl", "models", "pin", "qwen:0.5b").stdout == "qwen:0.5b is pinned\n"
    assert models(daemon)["qwen:0.5b"]["pinned"] is True
    assert re.search(r"^qwen:0\.5b +ready, pinned +chat", daemon.command("ghostctl", "models").stdout, re.M)
    body = {"model": "qwen:0.5b", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
    assert daemon.request("/v1/chat/completions", body)["choices"][0]["message"]["content"] == CHAT_TEXT
    assert alive(worker)
    assert daemon.command("ghostctl", "models", "unload", "qwen:0.5b").stdout == "qwen:0.5b is unloaded\n"
    wait_until_gone(worker)
    assert daemon.command("ghostctl", "models", "unpin", "qwen:0.5b").stdout == "qwen:0.5b is no longer pinned\n"
    assert models(daemon)["qwen:0.5b"]["pinned"] is False


@pytest.mark.parametrize("action", ["load", "unload", "pin", "unpin"])
def test_a_model_that_is_not_there_is_told(daemon: DaemonProcess, action: str) -> None:
    done = daemon.command("ghostctl", "models", action, "none", check=False)
    assert (done.returncode, "The model 'none' does not exist" in done.stderr) == (1, True)


def test_the_routes_are_not_on_the_tcp_port(daemon: DaemonProcess) -> None:
    import urllib.error

    for path, body in (("/ghostd/v1/models", None), ("/ghostd/v1/models/load", {"model": "mine"})):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            daemon.request(path, body)


def test_a_load_shows_its_progress_on_a_terminal(
    daemon: DaemonProcess, model_file: ModelFile, ghostd_home: Path
) -> None:
    shutil.copy(model_file("slow"), ghostd_home / "data" / "models" / "slow.gguf")
    wait_offered(daemon, "slow")
    ours, theirs = pty.openpty()
    program = str(Path(sys.executable).with_name("ghostctl"))
    process = subprocess.Popen([program, "models", "load", "slow"], stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    while not (workers := worker_of(daemon)):
        time.sleep(0.002)
    os.kill(workers[0], signal.SIGSTOP)  # so that the load lasts until it was seen
    shown = ""
    while "slow: load" not in shown:
        shown += os.read(ours, 65536).decode()
    os.kill(workers[0], signal.SIGCONT)
    out, _ = process.communicate(timeout=60)
    shown += os.read(ours, 65536).decode()
    os.close(ours)
    assert out.startswith(b"slow: ready; ")
    assert shown.endswith("\r")


def test_what_a_model_has_read_is_there_after_a_restart_and_deleted_on_wish(
    daemon: DaemonProcess, start_daemon: StartDaemon, ghostd_home: Path
) -> None:
    pytest.importorskip("llama_cpp")
    text = "def add(a, b):\n    return a + b\n" * 20
    body = {"model": "mine", "prompt": text, "max_tokens": 1, "temperature": 0}
    read = daemon.request("/v1/completions", body)["usage"]["prompt_tokens"]
    assert read > 256 and daemon.stop() == 0
    kept = ghostd_home / "cache" / "prompts"
    assert [file.suffix for file in kept.iterdir()] == [".prompt"]
    again = start_daemon()
    usage = again.request("/v1/completions", {**body, "prompt": f"{text}x"})["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == read
    again.kill()
    (ghostd_home / "config" / "config.toml").write_text(f"{QUIET}[local]\nkeep_prompt_cache = false\n")
    start_daemon()
    assert not kept.exists()
