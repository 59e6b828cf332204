"""The servers that are compared: how each is started, and what a request to it looks like."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PARTS = Path(__file__).parent
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ghostd-bench"
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A started server."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    start_s: float
    """From exec to the first proxied answer."""
    model: str = "bench"
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] = field(default_factory=dict)

    def job(self, prompt: str, **more: object) -> dict[str, object]:
        """A load generator's job for this server."""
        return {
            "port": self.port,
            "model": self.model,
            "path": self.path,
            "headers": dict(self.headers),
            "prompt": prompt,
            "stream": prompt not in {"bench:plain", "bench:silent"},
            **more,
        }

    def cpu_s(self) -> float:
        """CPU seconds of all its processes so far, ended threads included."""
        # clock_getcpuclockid(3) of another process, which Python does not offer: its pid, and CPUCLOCK_SCHED.
        return sum(time.clock_gettime((~process.pid << 3) | 2) for process in self._processes())

    def memory_mb(self) -> float:
        """Resident memory of all its processes."""
        return float(sum(process.memory_info().rss for process in self._processes())) / 1e6

    def stop(self) -> None:
        """End it."""
        children = self._processes()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        for child in psutil.wait_procs(children, timeout=1)[1]:
            child.kill()

    def _processes(self) -> list[psutil.Process]:
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]


Start = Callable[[int, Path, "set[int]"], Running]
"""Starts a server in front of the upstream at this port, with a folder for its files, on these CPUs."""


def direct(upstream: int, _folder: Path, _cpus: set[int]) -> Running:
    """No server at all."""
    return Running("direct", subprocess.Popen(["sleep", "86400"]), upstream, 0.0)


def bare(upstream: int, folder: Path, cpus: set[int]) -> Running:
    """The floor."""
    port = free_port()
    command = [sys.executable, str(PARTS / "bare_proxy.py"), str(port), f"http://127.0.0.1:{upstream}/v1"]
    return _start("bare aiohttp", command, port, folder, cpus)


_GHOSTD = """
[ledger]
enabled = true

[discovery]
servers = false

[providers.main]
preset = "openai-compatible"
base_urls = ["http://127.0.0.1:{port}/v1"]
keys = ["env:BENCH_KEY"]
models = ["bench"]
max_concurrency = 200
rpm = 10000000
tpm = 1000000000

[providers.second]
preset = "openai-compatible"
base_urls = ["http://localhost:{port}/v1"]
keys = ["env:BENCH_KEY"]
models = ["bench"]

[routes.bench]
deployments = [{{ model = "main/bench", order = 1 }}, {{ model = "second/bench", order = 2 }}]
"""


def ghostd(upstream: int, folder: Path, cpus: set[int]) -> Running:
    """With ledger, routing, breaker, limits and guard."""
    port = free_port()
    home = Path(tempfile.mkdtemp(dir=folder))
    (home / "bench.toml").write_text(_GHOSTD.format(port=upstream))
    command = [sys.executable, "-m", "ghostd", "run", f"--port={port}", f"--config={home / 'bench.toml'}"]
    return _start("ghostd", command, port, folder, cpus, {"GHOSTD_HOME": str(home), "BENCH_KEY": "sk-bench"})


def litellm(upstream: int, folder: Path, cpus: set[int]) -> Running:
    """PyPI's litellm[proxy], one worker, no database."""
    program = _CACHE / "litellm" / "bin" / "litellm"
    if not program.exists():
        _venv(_CACHE / "litellm", "litellm[proxy]")
    port = free_port()
    config = folder / "litellm.yaml"
    config.write_text(
        "model_list:\n"
        "  - model_name: bench\n"
        "    litellm_params:\n"
        "      model: openai/bench\n"
        f"      api_base: http://127.0.0.1:{upstream}/v1\n"
        "      api_key: sk-bench\n"
        "general_settings:\n  master_key: sk-bench\n"
        "litellm_settings:\n  telemetry: false\n"
    )
    command = [str(program), "--config", str(config), "--port", str(port), "--host", "127.0.0.1", "--num_workers", "1"]
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"}
    return _start("LiteLLM", command, port, folder, cpus, quiet)


def portkey(upstream: int, folder: Path, cpus: set[int]) -> Running:
    """npm's @portkey-ai/gateway."""
    package = _CACHE / "portkey" / "node_modules" / "@portkey-ai" / "gateway"
    if not package.exists():
        (_CACHE / "portkey").mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "@portkey-ai/gateway"]
        subprocess.run(install, cwd=_CACHE / "portkey", check=True)
    port = free_port()
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1"}
    command = ["node", str(package / "build" / "start-server.js"), f"--port={port}", "--headless"]
    trusted = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"}
    return _start("Portkey", command, port, folder, cpus, trusted, headers=headers)


_TENSORZERO = """
import sys, threading
from tensorzero import _start_http_gateway
gateway = _start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)
print("at", gateway.base_url, flush=True)
threading.Event().wait()
"""


def tensorzero(upstream: int, folder: Path, cpus: set[int]) -> Running:
    """PyPI's tensorzero: its gateway, a Rust program, as the wheel's library starts it; no database, no logs."""
    python = _CACHE / "tensorzero" / "bin" / "python"
    if not python.exists():
        _venv(_CACHE / "tensorzero", "tensorzero")
    config = folder / "tensorzero.toml"
    config.write_text(
        "[gateway]\nobservability.enabled = false\n\n"
        '[models.bench]\nrouting = ["main"]\n\n'
        '[models.bench.providers.main]\ntype = "openai"\nmodel_name = "bench"\n'
        f'api_base = "http://127.0.0.1:{upstream}/v1/"\napi_key_location = "none"\n'
    )
    command = [str(python), "-c", _TENSORZERO, str(config)]
    return _start(
        "TensorZero",
        command,
        None,
        folder,
        cpus,
        model="tensorzero::model_name::bench",
        path="/openai/v1/chat/completions",
    )


ALL: dict[str, Start] = {
    "bare": bare,
    "ghostd": ghostd,
    "litellm": litellm,
    "portkey": portkey,
    "tensorzero": tensorzero,
}


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def _bytecode(folder: Path) -> dict[str, str]:
    """Have it kept as for an installed package, whatever the caller's environment says."""
    return {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}


def _venv(folder: Path, requirement: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", requirement]
    try:
        subprocess.run(pip, check=True)
    except subprocess.CalledProcessError:
        shutil.rmtree(folder)
        raise


def _start(
    name: str,
    command: list[str],
    port: int | None,
    folder: Path,
    cpus: set[int],
    environment: Mapping[str, str] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    model: str = "bench",
    path: str = "/v1/chat/completions",
) -> Running:
    """Start it and wait for its first proxied answer; without a port it prints its address."""
    log = folder / f"{name}.log"
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **_bytecode(folder), **(environment or {})},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    os.sched_setaffinity(process.pid, cpus)
    while time.perf_counter() - began < _START_S and process.poll() is None:
        if port is None and (found := re.search(r"at http://[^:]+:(\d+)", log.read_text(errors="replace"))):
            port = int(found[1])
        if port is not None:
            running = Running(name, process, port, time.perf_counter() - began, model, path, headers or {})
            if _answers(running):
                return Running(name, process, port, time.perf_counter() - began, model, path, headers or {})
        time.sleep(0.005)
    process.kill()
    raise RuntimeError(f"{name} does not answer:\n{log.read_text(errors='replace')[-3000:]}")


def _answers(server: Running) -> bool:
    body = b'{"model":"%b","messages":[{"role":"user","content":"bench:plain"}]}' % server.model.encode()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-bench", **server.headers}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{server.path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{server.name} refuses the request: {error.code} {error.read()[:2000]!r}") from None
    except OSError:
        return False
