"""The reference: a nested n-gram cache, about the simplest model that learns a project (Hellendoorn and Devanbu 2017).

Counts of all n-grams up to ORDER over the project's files and, apart, over the text of the open file before the
cursor; each order is interpolated with the one below (Witten-Bell), the file's model with the project's by the same
rule. A beam search completes the line; a word that the cursor cuts is completed from its prefix.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

ORDER = 6
BEAM = 5
MAX_TOKENS = 40
END = "\n"

_TOKEN = re.compile(r"[^\W\d]\w*|\d[\w.]*|[ \t]+|\n|[^\w\s]")


def tokenize(text: str) -> list[str]:
    """Words, numbers, single signs, runs of blanks, line breaks."""
    return _TOKEN.findall(text)


class Counts:
    """n-gram counts: context (a tuple of up to ORDER - 1 tokens) → how often each token followed."""

    def __init__(self) -> None:
        self.next: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)

    def add(self, tokens: Sequence[str]) -> None:
        """Count a text."""
        for end in range(len(tokens)):
            for order in range(min(ORDER, end + 1)):
                self.next[tuple(tokens[end - order : end])][tokens[end]] += 1


class NgramCache:
    """The project's counts with the current file's on top."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.project = Counts()
        for text in texts:
            self.project.add(tokenize(text))

    def complete(self, prefix: str) -> tuple[str, float]:
        """The likeliest rest of the line after `prefix`, and its probability."""
        tokens = tokenize(prefix)
        typed = tokens.pop() if tokens and re.match(r"\w", tokens[-1]) else ""
        file = Counts()
        file.add(tokens)
        beam: list[tuple[float, tuple[str, ...]]] = [(0.0, ())]
        best: tuple[float, tuple[str, ...]] | None = None
        for step in range(MAX_TOKENS):
            grown: list[tuple[float, tuple[str, ...]]] = []
            for cost, line in beam:
                context = (*tokens[-ORDER:], *line)[-(ORDER - 1) :]
                shares = self._shares(context, file)
                if step == 0 and typed:
                    shares = {t: p for t, p in shares.items() if t.startswith(typed)}
                    whole = sum(shares.values()) + 1e-9
                    shares = {t: p / whole for t, p in shares.items()} or {typed: 1.0}
                for token, share in sorted(shares.items(), key=lambda item: -item[1])[:BEAM]:
                    total = cost - math.log(share)
                    if token == END:
                        if best is None or total < best[0]:
                            best = (total, line)
                    else:
                        grown.append((total, (*line, token)))
            beam = sorted(grown)[:BEAM]
            if not beam or (best is not None and best[0] <= beam[0][0]):
                break
        if best is None:
            best = beam[0] if beam else (math.inf, ())
        return "".join(best[1])[len(typed) :], math.exp(-best[0])

    def _shares(self, context: tuple[str, ...], file: Counts) -> dict[str, float]:
        """Probabilities of the next token, the lowest order first."""
        shares: dict[str, float] = {}
        for order in range(len(context) + 1):
            key = context[len(context) - order :]
            for counts in (self.project, file):
                seen = counts.next.get(key)
                if not seen:
                    continue
                if order == 0:
                    seen = Counter(dict(seen.most_common(50)))
                whole = sum(seen.values())
                lower = len(seen) / (whole + len(seen))
                shares = {token: share * lower for token, share in shares.items()}
                for token, count in seen.items():
                    shares[token] = shares.get(token, 0.0) + count / (whole + len(seen))
        return shares
