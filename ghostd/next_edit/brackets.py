"""Which brackets belong together, and in which one each token stands; each is found in one pass over the tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ghostd.next_edit.tokens import Token

CLOSER = {"(": ")", "[": "]", "{": "}"}
CLOSING = frozenset(CLOSER.values())


def pairs_of(tokens: Sequence[Token]) -> dict[int, int]:
    """Brackets and their partners, as far as they have one."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for at, token in enumerate(tokens):
        if token.kind != "op":
            continue
        if token.text in CLOSER:
            opened.append(at)
        elif token.text in CLOSING:
            while opened and CLOSER[tokens[opened[-1]].text] != token.text:
                opened.pop()
            if opened:
                partner = opened.pop()
                pairs[partner], pairs[at] = at, partner
    return pairs


def around_of(tokens: Sequence[Token], pairs: Mapping[int, int]) -> list[int]:
    """For each token the opening bracket that it stands in, one without a partner included; -1 for none."""
    around: list[int] = []
    opened: list[int] = []
    for at, token in enumerate(tokens):
        partner = pairs.get(at, -1)
        if 0 <= partner < at:
            while opened.pop() != partner:
                pass
        around.append(opened[-1] if opened else -1)
        if token.kind == "op" and token.text in CLOSER:
            opened.append(at)
    return around


def ends_of(tokens: Sequence[Token], pairs: Mapping[int, int], ends: frozenset[str]) -> list[int]:
    """For each token the first one from there on, in the same brackets, that is one of `ends`, or closes these.

    The number of tokens where there is none; so it is for the place behind the last one.
    """
    found = [len(tokens)] * (len(tokens) + 1)
    for at in range(len(tokens) - 1, -1, -1):
        if tokens[at].text in ends or tokens[at].text in CLOSING:
            found[at] = at
        else:
            found[at] = found[max(pairs.get(at, at), at) + 1]
    return found
