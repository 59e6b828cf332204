"""What hundreds of models cost at start: half in the models folder, half in LM Studio's, a large vocabulary each.

Prints when the provider is ready, when every header is known, the CPU time, and the longest that the event loop was
held up meanwhile; first with nothing kept, then as at the next start.

Run: python benchmarks/model_discovery.py [--models N] [--tokens N]
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from gguf_fixtures import QWEN, write_gguf

from ghostd.config.local import DiscoveryConfig, LocalConfig
from ghostd.workers.provider import local_provider

TICK_S = 0.005


async def start(home: Path, count: int) -> str:
    """One start; the figures."""
    began, cpu = time.perf_counter(), time.process_time()
    folder, environ = home / "models", {"HOME": str(home), "OLLAMA_MODELS": str(home / "none")}
    options = {"discovery": DiscoveryConfig(), "environ": environ, "cache": home}
    async with local_provider(LocalConfig(), folder, folder, **options) as provider:  # type: ignore[arg-type]
        ready_s = time.perf_counter() - began
        worst_s, last = 0.0, time.perf_counter()
        while len(models := provider.models()) < count or any("not read" in model.detail for model in models):
            await asyncio.sleep(TICK_S)
            now = time.perf_counter()
            worst_s, last = max(worst_s, now - last - TICK_S), now
        known_s = time.perf_counter() - began
    return (
        f"ready after {ready_s * 1e3:5.0f} ms   all known after {known_s:5.2f} s   "
        f"CPU {time.process_time() - cpu:5.2f} s   event loop held up {worst_s * 1e3:4.1f} ms at most"
    )


def main() -> None:
    """Print both starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=300)
    parser.add_argument("--tokens", type=int, default=50_000, help="size of each vocabulary")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        model = write_gguf(home / "model.gguf", replace(QWEN, extra_tokens=arguments.tokens, dim=32, heads=2))
        for number in range(arguments.models):
            target = home / ("models" if number % 2 else ".lmstudio/models/publisher/repository") / f"m{number}.gguf"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(model, target)
        for which in ("first start", "next start"):
            print(f"{which:12} {asyncio.run(start(home, arguments.models))}")


if __name__ == "__main__":
    main()
