"""How often the text that really stands at a place passes the steps that cut models' texts (a line while it streams,
too), and what they cost.

    python benchmarks/postprocess.py

Prints, for files of each language of the corpora (see `completion_corpora`), the share of places whose own text comes
out unchanged, and the time of one call.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from completion_corpora import APART, REPORTED, fetch

from ghostd.completion.halting import halt_at
from ghostd.completion.lexing import syntax_of
from ghostd.completion.shape import wants_lines
from ghostd.completion.tidy import tidy

LANGUAGES = {"Python": "*.py", "Zig": "*.zig", "JavaScript": "*.js", "C headers": "*.h"}
PLACES = 500
MAX_FILE_CHARS = 200_000


def holes(texts: Sequence[tuple[Path, str]], count: int, seed: int) -> Iterator[tuple[Path, str, str, str]]:
    """Places anywhere in the files: part of a line, its rest, or up to seven lines."""
    chance = random.Random(seed)
    while count:
        path, text = chance.choice(texts)
        at = chance.randrange(len(text))
        end = text.find("\n", at)
        for _ in range(chance.choice((0, 0, 0, 1, 3, 6))):
            end = text.find("\n", end + 1) if end >= 0 else end
        if chance.random() < 0.3:
            end = min(end, at + chance.randrange(1, 40))
        middle = text[at : max(end, at)]
        if middle.strip() and middle == middle.rstrip():
            count -= 1
            yield path, text[:at], middle, text[end:]


def main() -> None:
    """Measure each language."""
    roots = [fetch(corpus) for corpus in (*REPORTED, *APART)]
    passed_in_all = 0
    for language, pattern in LANGUAGES.items():
        chance = random.Random(3)
        paths = sorted(path for root in roots for path in root.rglob(pattern))
        read = [(path, path.read_text(errors="replace")) for path in chance.sample(paths, min(len(paths), 300))]
        texts = [(path, text) for path, text in read if 500 < len(text) < MAX_FILE_CHARS]
        passed, tidy_s, start_s = 0, 0.0, 0.0
        for path, prefix, text, suffix in holes(texts, PLACES, seed=11):
            syntax = syntax_of(None, path)
            started = time.perf_counter()
            lines = wants_lines(prefix, suffix, syntax)
            decided = time.perf_counter()
            start_s += decided - started
            halt = halt_at(prefix, suffix, syntax, lines=lines)
            # Lines beyond what is wanted may be cut while they stream; a line must not.
            whole = "\n" in text or halt.end(text) is None
            started = time.perf_counter()
            passed += whole and tidy(text, prefix, suffix, syntax) == text
            tidy_s += time.perf_counter() - started
        passed_in_all += passed
        print(
            f"{language}: {len(texts)} files, {passed / PLACES:.1%} of {PLACES} unchanged, "
            f"{tidy_s / PLACES * 1000:.2f} ms each; one line or several: {start_s / PLACES * 1000:.2f} ms"
        )
    print(f"all: {passed_in_all / PLACES / len(LANGUAGES):.2%} of {PLACES * len(LANGUAGES)}")


if __name__ == "__main__":
    main()
