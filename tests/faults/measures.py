"""What a fault costs the callers: how many meet it, and how soon an upstream learns that its caller has gone.

Run, with tests/ in PYTHONPATH: python -m faults.measures
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from faults.caller import Call, Verdict, ask, judge
from faults.daemon import running_daemon, write_config
from faults.fault import BOTH, Mode
from faults.replies import contents, role
from faults.report import quantile
from faults.upstreams import Exchange, Upstream, listening, right


@dataclass(frozen=True, slots=True)
class Shared:
    """Requests to two equal deployments one of which hangs."""

    touches: int
    """Requests that met the hanging one."""
    verdicts: tuple[Verdict, ...]
    seconds: tuple[float, ...]


async def with_one_hanging(
    home: Path, requests: int, concurrency: int, mode: Mode, routing: Mapping[str, float]
) -> Shared:
    """Ask a route of two equal deployments, one of which accepts requests and says nothing."""
    async with AsyncExitStack() as stack:
        hanging = await stack.enter_async_context(listening(Upstream(_silent)))
        healthy = await stack.enter_async_context(listening(Upstream(right)))
        upstreams = {"hanging": hanging, "healthy": healthy}
        config = write_config(upstreams, {"both": [["hanging", "healthy"]]}, routing)
        daemon = await stack.enter_async_context(running_daemon(home, config))
        numbers = iter(range(requests))
        verdicts: list[Verdict] = []
        seconds: list[float] = []

        async def caller() -> None:
            for number in numbers:
                call = Call("both", f"hang-{number}", mode == "stream")
                answer = await ask(daemon.port, call, 150.0)
                verdicts.append(judge(call, answer))
                seconds.append(answer.total_s)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(concurrency):
                tasks.create_task(caller())
        return Shared(len(set(hanging.asked)), tuple(verdicts), tuple(seconds))


async def hang_up_seconds(home: Path, mode: Mode, *, after_first_byte: bool, times: int) -> list[float]:
    """How long after its caller has closed its connection the upstream sees its own closed."""
    async with AsyncExitStack() as stack:
        behave = _silent_after_a_word if after_first_byte else _silent
        upstream = await stack.enter_async_context(listening(Upstream(behave)))
        config = write_config({"slow": upstream}, {"left": [["slow"]]}, {})
        daemon = await stack.enter_async_context(running_daemon(home, config))
        return [
            await _leave(daemon.port, upstream, Call("left", f"left-{number}", mode == "stream"), after_first_byte)
            for number in range(times)
        ]


async def _leave(port: int, upstream: Upstream, call: Call, after_first_byte: bool) -> float:
    upstream.arrived.clear()
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(call.encode(f"127.0.0.1:{port}"))
        await upstream.arrived.wait()
        if after_first_byte:
            await reader.readuntil(call.nonce.encode())
        closed = time.monotonic()
        writer.close()
        return await upstream.hung_up(call.nonce) - closed


async def _silent(exchange: Exchange) -> None:
    await exchange.until_gone()


async def _silent_after_a_word(exchange: Exchange) -> None:
    await exchange.stream_head()
    await exchange.chunks([role(exchange.asked), *contents(exchange.asked)[:1]], last=False)
    await exchange.until_gone()


async def _print(home: Path) -> None:
    print(
        "| 60 requests, one of two equal deployments hangs | touch it | fail | p50 ms | p99 ms |\n|---|---|---|---|---|"
    )
    for mode in BOTH:
        for concurrency in (1, 6, 30):
            shared = await with_one_hanging(home / f"{mode}{concurrency}", 60, concurrency, mode, {})
            failed = sum(verdict.outcome != "ok" for verdict in shared.verdicts)
            times = [quantile(shared.seconds, share) * 1000 for share in (0.5, 0.99)]
            print(f"| {mode}, {concurrency} at once | {shared.touches} | {failed} | {times[0]:.0f} | {times[1]:.0f} |")
    print("\n| a caller hangs up | p50 ms | max ms |\n|---|---|---|")
    for title, mode, after in (
        ("plain", "plain", False),
        ("stream before the first byte", "stream", False),
        ("stream after the first byte", "stream", True),
    ):
        left = await hang_up_seconds(home / title.replace(" ", "-"), mode, after_first_byte=after, times=30)
        print(f"| {title} | {quantile(left, 0.5) * 1000:.1f} | {max(left) * 1000:.1f} |")


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="ghostd-faults") as home:
        asyncio.run(_print(Path(home)))


if __name__ == "__main__":
    main()
