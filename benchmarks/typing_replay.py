"""Real files, typed key by key, with ghostd and Tabby's agent before a scripted model.

    python benchmarks/typing_replay.py [--keys 250] [--latency 80 200 600] [--peers …] [--ways …] [--quick]

Files of held-out packages (Python, TypeScript, Rust, Zig) are typed at 60-150 ms a key, at three places of each, with
pauses and 5 % wrong keys that are taken back (`typing_parts/typist.py`); the model writes up to three lines, each right
with probability 0.7 (`typing_parts/model.py`). The client asks at every key and cancels the older request, as VS Code
does. All of it goes through real processes: `ghostd lsp` with a daemon; npm's tabby-agent, which is installed into the
user's cache folder.

Ways: "end": nothing stands behind the cursor, and nothing is accepted. "hole": some lines in the middle of the file are
typed, the others stand there. "accept": as "end", and where a suggestion's first line is what the author is about to
write, its right lines are taken at the time of the next key.

soon: the share of keys with a valid suggestion within 100 ms of the key, by the server's answers alone; valid: it goes
on from the text before the cursor as the model's script does for that place or for an earlier one, or as the file
does. screen: soon, and what an editor goes on showing because it was typed on into. right: of the different suggestions
(the rest of the one before is none), those whose first line is what the author wrote next. stale: suggestions that are
not valid. accepted: the share of the characters that came from suggestions. stopped: how many generations were of no
use any more and were stopped, and the milliseconds from then to the stop, median and most (`typing_parts/stops.py`).
After a pause: from a key to the model's being asked, and from its last token to the answer (a pause of the server's own
before it asks is part of it). The storms are 40 keys 30 ms apart before a model of 250 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from typing_parts.bursts import STORMS, isolated, storm
from typing_parts.editor import Editor
from typing_parts.judging import Judged, judge
from typing_parts.model import RIGHT, Model, serve
from typing_parts.peers import PEERS, Peer
from typing_parts.replay import replay
from typing_parts.sources import Source, at_hand, sources
from typing_parts.stops import delays_ms, told

WAYS = ("end", "hole", "accept")
PLACES = (0.2, 0.45, 0.7)
"""Where in each file it is typed: shares of its text."""
_HOLE_CHARS_A_KEY = 0.8
HEAD = (
    "| model, file | keys | soon | screen | right | stale | starts a key | accepted | stopped |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def row(name: str, found: Judged, delays: list[float], *, scripted: bool) -> str:
    """A line of the table."""

    def percent(part: int, whole: int) -> str:
        return f"{100 * part / whole:.0f} %" if whole else "–"

    cells = (
        name,
        str(found.keys),
        percent(found.soon, found.keys),
        percent(found.on_screen, found.keys),
        percent(found.right, found.suggested),
        str(found.stale) if scripted else "–",
        f"{found.starts / found.keys:.2f}",
        percent(found.accepted, found.typed),
        told(delays),
    )
    return f"| {' | '.join(cells)} |"


async def table(
    peer: Peer, way: str, editor: Editor, model: Model, files: list[Source], args: argparse.Namespace
) -> None:
    """All files at each latency, typed one way."""
    print(f"\n{peer.name}, {way}\n\n{HEAD}", flush=True)
    for latency in args.latency:
        everything, all_delays = Judged(), list[float]()
        for file in files:
            found, delays = Judged(), list[float]()
            for share in PLACES:
                count = args.keys // len(PLACES)
                source = file.at(share)
                source = source.with_hole(int(count * _HOLE_CHARS_A_KEY)) if way == "hole" else source
                model.latency_s, model.right = latency / 1000, RIGHT
                replayed = await replay(editor, model, source, args.project, count, accepts=way == "accept")
                found.add(judge(replayed, model))
                delays += delays_ms(replayed, keeps=peer.keeps)
            everything.add(found)
            all_delays += delays
            print(row(f"{latency} ms, {source.language}", found, delays, scripted=peer.scripted), flush=True)
        if not everything.starts:
            raise SystemExit(f"{peer.name} never asked the model: it is not set up, or found no reason to")
        print(row(f"**{latency} ms**", everything, all_delays, scripted=peer.scripted), flush=True)


async def measure(args: argparse.Namespace) -> None:
    """All of it."""
    model = Model()
    runner, port = await serve(model)
    files = at_hand() if args.quick else sources()
    with tempfile.TemporaryDirectory() as scratch:
        args.project = Path(scratch) / "project"
        args.project.mkdir()
        for name in args.peers:
            peer = PEERS[name]
            async with peer.start(port, Path(scratch) / name, args.project) as editor:
                for way in args.ways:
                    await table(peer, way, editor, model, files, args)
                if args.quick:
                    continue
                print(f"\nafter a pause: {await isolated(editor, model, files[0], args.project)}", flush=True)
                for kind, typed in STORMS.items():
                    line = await storm(editor, model, files[0], args.project, typed)
                    print(f"\nstorm, {kind}: {line}", flush=True)
    await runner.cleanup()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=250, help="keys in each file")
    parser.add_argument("--latency", type=int, nargs="+", default=[80, 200, 600], help="of the model, in ms")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="whom to measure")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), help="how files are typed; none: bursts alone")
    parser.add_argument("--quick", action="store_true", help="ghostd alone, a file of Python's library, 200 ms")
    args = parser.parse_args()
    if unknown := set(args.ways) - set(WAYS):
        parser.error(f"--ways: {', '.join(sorted(unknown))}: none of {', '.join(WAYS)}")
    if args.quick:
        args.latency, args.keys, args.peers = [200], min(args.keys, 80), ["ghostd"]
    asyncio.run(measure(args))


if __name__ == "__main__":
    main()
