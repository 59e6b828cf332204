"""Tokens that may come next, drafted from texts: the model verifies several in the time of two or three.

Prompt look-up decoding (A. Saxena, "Prompt Lookup Decoding", 2023) over more than the prompt: also over reference
texts, as REST does (Z. He et al., "REST: Retrieval-Based Speculative Decoding", NAACL 2024). A draft is what followed
the longest earlier occurrence of the last tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

_GRAM = 3
_LONGEST = 24
"""Tokens of a match that are compared, at most."""
_PLACES = 6
"""Latest occurrences of a gram that are looked at."""
_SEPARATOR = -1
EXPECTED = 0
"""The evidence of what somebody expects."""
_PRIORS = {EXPECTED: 0.75, 4: 0.6, 8: 0.75, 16: 0.85, _LONGEST: 0.9}
"""How often a drafted token is right, by the evidence (at most so many tokens), before anything was seen."""
_PRIOR = 12.0
"""Tokens that the priors count as."""
_KEPT = 0.97
"""Of what was seen before, with each new draft."""


class Drafts:
    """What has been said so far, and the references; costs about a microsecond a token to take in."""

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._places: dict[tuple[int, ...], list[int]] = {}
        """Where each gram ends, in order."""
        self._expected: Sequence[int] = ()

    def refer(self, tokens: Sequence[int]) -> None:
        """Take in a reference text. Call it before `say`, the most valuable text last."""
        self._add(tokens)
        self._tokens.append(_SEPARATOR)

    def say(self, tokens: Sequence[int]) -> None:
        """Take in what stands before the next token: the prompt, then what is generated."""
        expected = self._expected
        if expected and len(tokens) <= len(expected) and list(expected[: len(tokens)]) == list(tokens):
            self._expected = expected[len(tokens) :]
        else:
            self._expected = ()
        self._add(tokens)

    def expect(self, tokens: Sequence[int]) -> None:
        """What somebody who knows the place holds for the next tokens; it goes before all else."""
        self._expected = tokens

    def draft(self, most: int) -> tuple[list[int], int]:
        """At most so many tokens that may come next, in order, and the evidence for them: EXPECTED, or how many tokens
        were the same before. [] where nothing is known."""
        if self._expected:
            return list(self._expected[:most]), EXPECTED
        tokens = self._tokens
        if len(tokens) < _GRAM or most < 1:
            return [], 0
        best, length = 0, 0
        end = len(tokens)
        for place in reversed(self._places.get(tuple(tokens[-_GRAM:]), ())[-_PLACES - 1 :]):
            if place == end:
                continue  # the end itself
            found = self._match(place, end)
            if found > length:
                best, length = place, found
        if not length:
            return [], 0
        following = tokens[best : best + most]
        return (following[: following.index(_SEPARATOR)] if _SEPARATOR in following else following), length

    def _match(self, place: int, end: int) -> int:
        """How many tokens before two places are the same."""
        tokens = self._tokens
        count = _GRAM
        while count < _LONGEST and place > count and tokens[place - count - 1] == tokens[end - count - 1] >= 0:
            count += 1
        return count

    def _add(self, tokens: Sequence[int]) -> None:
        known, places = self._tokens, self._places
        start = len(known)
        known.extend(tokens)
        for end in range(max(start + 1, _GRAM), len(known) + 1):
            gram = tuple(known[end - _GRAM : end])
            found = places.get(gram)
            if found is None:
                places[gram] = [end]
            else:
                found.append(end)


class Policy:
    """How many tokens to draft, so that a step gives the most tokens in its time.

    Each further token of a draft is right with a probability that depends on the evidence; it is learned from what the
    model accepted. A step of n drafted tokens then gives 1 + p + p² + … tokens.
    """

    def __init__(self, costs: Sequence[float]) -> None:
        """`costs`: the time of decoding 1, 2, … tokens at once, in those of one; as many as may be drafted, and one."""
        self._costs = costs
        self._seen = {kind: [right * _PRIOR, (1 - right) * _PRIOR] for kind, right in _PRIORS.items()}

    def length(self, evidence: int) -> int:
        """For a draft of this evidence; 0 where none pays."""
        right, wrong = self._seen[_kind(evidence)]
        share = right / (right + wrong)
        best, length, given, power = 1.0, 0, 1.0, 1.0
        for count in range(1, len(self._costs)):
            power *= share
            given += power
            if given / self._costs[count] > best:
                best, length = given / self._costs[count], count
        return length

    def seen(self, evidence: int, drafted: int, accepted: int) -> None:
        """So many of so many were right."""
        if drafted:
            counts = self._seen[_kind(evidence)]
            counts[0] = counts[0] * _KEPT + accepted
            counts[1] = counts[1] * _KEPT + (accepted < drafted)


def _kind(evidence: int) -> int:
    return next(kind for kind in _PRIORS if evidence <= kind)
