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

    def draft(self, most: int) -> list[int]:
        """At most so many tokens that may come next, in order; [] where nothing is known."""
        if self._expected:
            return list(self._expected[:most])
        tokens = self._tokens
        if len(tokens) < _GRAM or most < 1:
            return []
        best, length = 0, 0
        end = len(tokens)
        for place in reversed(self._places.get(tuple(tokens[-_GRAM:]), ())[-_PLACES - 1 :]):
            if place == end:
                continue  # the end itself
            found = self._match(place, end)
            if found > length:
                best, length = place, found
        if not length:
            return []
        following = tokens[best : best + most]
        return following[: following.index(_SEPARATOR)] if _SEPARATOR in following else following

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


class Length:
    """How many tokens to draft: more while the model agrees, none for a while where it does not.

    Verifying n tokens at once costs COST × n more than one; so drafts pay while more than that share is accepted.
    """

    COST = 0.2

    def __init__(self, most: int) -> None:
        self._most = most
        self._rate = 0.6
        """Moving average of the share of drafted tokens that were accepted."""
        self._rest = 0

    def __call__(self) -> int:
        """For the next step."""
        if self._rest:
            self._rest -= 1
            return 0
        return max(1, round(self._most * self._rate))

    def seen(self, drafted: int, accepted: int) -> None:
        """So many of so many were right."""
        if not drafted:
            return
        self._rate += 0.3 * (accepted / drafted - self._rate)
        if self._rate < self.COST:
            self._rest, self._rate = 8, 2 * self.COST
