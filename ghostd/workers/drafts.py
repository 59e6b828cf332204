"""Tokens that may come next, drafted from texts: the model verifies several in the time of two or three.

Prompt look-up decoding (A. Saxena, "Prompt Lookup Decoding", 2023) over more than the prompt: also over reference
texts, as REST does (Z. He et al., "REST: Retrieval-Based Speculative Decoding", NAACL 2024). A draft is what followed
the longest earlier occurrence of the last tokens.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence

MOST_TOKENS = 8
"""Of a draft."""
EXPECTED = 0
"""The evidence of what somebody expects."""
_GRAM = 3
_LONGEST = 24
"""Tokens of a match that are compared, at most."""
_PLACES = 6
"""Latest occurrences that are looked at, in what was said and in the references."""
_BYTES = 4
"""Of a token, packed."""
_SEPARATOR = b"\xff" * _BYTES
_PRIORS = {EXPECTED: 0.75, 4: 0.6, 8: 0.75, 16: 0.85, _LONGEST: 0.9}
"""How often a drafted token is right, by the evidence (at most so many tokens), before anything was seen."""
_PRIOR = 12.0
"""Tokens that the priors count as."""
_KEPT = 0.97
"""Of what was seen before, with each new draft."""
_LEARNED = 0.2
"""Share of the latest step's time in what a step is thought to take."""
_SECOND, _FURTHER = 1.4, 0.15
"""What the second token of a step is thought to cost at most, with the first one, and each further one, until it is
measured; in single steps. Rather too little, else nobody would ever try."""


def packed(tokens: Sequence[int]) -> bytes:
    """Tokens as they are searched."""
    return array("i", tokens).tobytes()


def joined(references: Iterable[bytes]) -> bytes:
    """Several packed texts as one, of which no draft goes from one into the next; the most valuable last."""
    return _SEPARATOR.join(references)


class Drafts:
    """What has been said so far, and the references. Finding a draft takes some microseconds for each 10,000 tokens."""

    def __init__(self, references: bytes = b"", expected: Sequence[int] = ()) -> None:
        """`references`: packed. `expected`: what somebody who knows the place holds for the next tokens; it goes before
        all else."""
        self._references = references
        self._said = bytearray()
        self._expected = expected

    def start(self, prompt: Sequence[int]) -> None:
        """Take in what stands before the first token."""
        self._said += packed(prompt)

    def say(self, tokens: Sequence[int]) -> None:
        """Take in what is generated."""
        expected = self._expected
        if expected and len(tokens) <= len(expected) and list(expected[: len(tokens)]) == list(tokens):
            self._expected = expected[len(tokens) :]
        else:
            self._expected = ()
        self._said += packed(tokens)

    def draft(self, most: int) -> tuple[list[int], int]:
        """At most so many tokens that may come next, in order, and the evidence for them: EXPECTED, or how many tokens
        were the same before. [] where nothing is known."""
        if self._expected:
            return list(self._expected[:most]), EXPECTED
        if len(self._said) < _GRAM * _BYTES or most < 1:
            return [], 0
        found, length = self._search(self._said, most)
        if length < _LONGEST and self._references:
            other, longer = self._search(self._references, most)
            if longer > length:
                return other, longer
        return found, length

    def _search(self, text: bytes | bytearray, most: int) -> tuple[list[int], int]:
        """What followed the longest match, of equals the latest, and its length."""
        needle = bytes(self._said[-_GRAM * _BYTES :])
        best, length = 0, 0
        end = len(text) - _BYTES  # at least one token follows
        for _ in range(_PLACES):
            place = text.rfind(needle, 0, end)
            while place % _BYTES and place > 0:
                place = text.rfind(needle, 0, place + len(needle) - 1)
            if place < 0 or place % _BYTES:
                break
            end = place + len(needle) - 1
            if text.startswith(_SEPARATOR, place + len(needle)):
                continue
            found = self._match(text, place)
            if found > length:
                best, length = place + len(needle), found
            if length == _LONGEST:
                break
        if not length:
            return [], 0
        following = text[best : best + most * _BYTES]
        tokens = array("i", bytes(following)).tolist()
        return (tokens[: tokens.index(-1)] if -1 in tokens else tokens), length

    def _match(self, text: bytes | bytearray, place: int) -> int:
        """How many tokens up to the end of a gram at `place` are those that were said last."""
        said = self._said
        count, at, own = _GRAM, place - _BYTES, len(said) - (_GRAM + 1) * _BYTES
        while count < _LONGEST and at >= 0 and own >= 0 and text[at : at + _BYTES] == said[own : own + _BYTES]:
            count, at, own = count + 1, at - _BYTES, own - _BYTES
        return count


class Costs:
    """What a step of several tokens takes, in steps of one; learned from the steps."""

    def __init__(self) -> None:
        self._single_s: float | None = None
        self._seen: dict[int, float] = {}

    def __call__(self, tokens: int) -> float:
        """Of a step of so many tokens. What was not seen is guessed from the nearest that was."""
        if tokens == 1:
            return 1.0
        if self._single_s is None or not self._seen:
            return _guess(tokens)
        near = min(self._seen, key=lambda seen: abs(seen - tokens))
        return max(1.0, self._seen[near] / self._single_s * _guess(tokens) / _guess(near))

    def took(self, tokens: int, seconds: float) -> None:
        """A step of so many tokens took so long."""
        before = self._single_s if tokens == 1 else self._seen.get(tokens)
        value = seconds if before is None else before + _LEARNED * (min(seconds, 3 * before) - before)
        if tokens == 1:
            self._single_s = value
        else:
            self._seen[tokens] = value


def _guess(tokens: int) -> float:
    return 1.0 if tokens == 1 else _SECOND + _FURTHER * (tokens - 2)


class Policy:
    """How many tokens to draft, so that a step gives the most tokens in its time.

    Each further token of a draft is right with a probability that depends on the evidence; it is learned from what the
    model accepted. A step of n drafted tokens then gives 1 + p + p² + … tokens.
    """

    def __init__(self, cost: Callable[[int], float], most: int = MOST_TOKENS) -> None:
        """`cost`: the time of decoding so many tokens at once, in those of one. `most`: tokens of a draft."""
        self._cost, self._most = cost, most
        self._seen = {kind: [right * _PRIOR, (1 - right) * _PRIOR] for kind, right in _PRIORS.items()}

    def length(self, evidence: int) -> int:
        """For a draft of this evidence; 0 where none pays."""
        right, wrong = self._seen[_kind(evidence)]
        share = right / (right + wrong)
        best, length, given, power = 1.0, 0, 1.0, 1.0
        for count in range(1, self._most + 1):
            power *= share
            given += power
            worth = given / self._cost(count + 1)
            if worth > best:
                best, length = worth, count
        return length

    def seen(self, evidence: int, drafted: int, accepted: int) -> None:
        """So many of so many were right."""
        if drafted:
            counts = self._seen[_kind(evidence)]
            counts[0] = counts[0] * _KEPT + accepted
            counts[1] = counts[1] * _KEPT + (accepted < drafted)


def _kind(evidence: int) -> int:
    return next(kind for kind in _PRIORS if evidence <= kind)
