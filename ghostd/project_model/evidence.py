"""What speaks for each token that could come next: counts of what followed the same contexts elsewhere.

Every source (this document, its neighbours, the project) and every length of the matching context is a *slot*. A
slot that saw n occurrences, c of them with token t, adds the weight of the cell (slot, n, c/n) to t's score; so do
some properties of t itself. The weights are learned (see `weights`); a softmax over the scores gives probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ghostd.project_model.document import MAX_TOKEN, Hole, TokenText
from ghostd.project_model.lexicon import Lexicon
from ghostd.project_model.lines import COPIES, depth_and_quotes, last_class, position
from ghostd.project_model.segment import count_followers
from ghostd.project_model.slots import (
    ABOVE,
    BELOW,
    CELLS,
    CLOSER,
    COPY,
    DEPTH,
    DOCUMENT,
    ESCAPES,
    FREQUENCY,
    IN_LINE,
    KIND,
    LINE_END,
    NEAR,
    PROJECT,
    PROJECT_ORDERS,
    PROJECT_SLOT,
    QUOTED,
    RECENCY,
    SAMPLE,
    SHAPE_DOCUMENT,
    SHAPE_NEAR,
    SHAPE_ORDERS,
    SHAPE_PROJECT,
    SHAPE_PROJECT_SLOT,
    SHAPE_TEXT_STEPS,
    SHARE,
    TEXT_STEPS,
    TYPED,
)
from ghostd.project_model.tokens import BREAK, END_OF_LINE, NAME, split_line

SAMPLE_PROJECT = 32
"""The same in the project: each is a page or two somewhere in the segment."""
SAMPLE_TYPED = 120
"""The same where only those that continue a typed word count."""
ESCAPE = -1
"""Candidate that stands for every token that is not a candidate."""

Scores = dict[int, Any]
Allowed = Callable[[int], bool] | None


class Evidence:
    """Scores the tokens that may follow, for one request."""

    def __init__(
        self,
        lexicon: Lexicon,
        hole: Hole,
        near: Sequence[TokenText],
        fresh: Sequence[TokenText],
        outdated: Sequence[int],
        weights: Sequence[Any],
        zero: Any = 0.0,
    ) -> None:
        """`near`: parts of the project that count more; `fresh`: texts that the project lacks.

        `outdated`: see RootMemory.outdated.

        `weights` are numbers; training passes one-element tuples, and () as `zero`, to get the cells themselves.
        """
        self.lexicon = lexicon
        self.hole = hole
        self._texts = (
            (hole.text, DOCUMENT, SHAPE_DOCUMENT),
            *((text, DOCUMENT, SHAPE_DOCUMENT) for text in fresh),
            *((text, NEAR, SHAPE_NEAR) for text in near),
        )
        self.outdated = outdated
        self.weights = weights
        self.zero = zero
        self._static: tuple[dict[int, Any], ...] = ({}, {}, {}, {})
        self._distances: dict[int, int] = {}
        self._above = last_class(lexicon, lexicon.line(hole.above.strip()))
        self._comma = lexicon.token(",")
        self._closers = [lexicon.token(word) for word in (")", "]", "}", ") ", "] ", " }")]
        self._quotes = [lexicon.token('"'), lexicon.token("'")]
        self._below = self._names_below()
        self._below_step = self._step_below()
        self._recent = self._recent_names()

    # --- the sum ---

    def scores(self, context: Sequence[int], line: Sequence[int], typed: str = "") -> Scores:
        """The candidates and their scores; `context` is reversed and includes `line`."""
        scores: Scores = {}
        exact = self.lexicon.token(split_line(typed)[0]) if typed else 0
        allowed = self._filter(typed, exact) if typed else None
        sample = SAMPLE_TYPED if typed else SAMPLE_PROJECT
        shape = self.lexicon.shape
        shapes = [shape(token) for token in context]
        before = "".join(map(chr, reversed(context)))
        shapes_before = "".join(map(chr, reversed(shapes)))
        best_text = -1
        for text, base, shape_base in self._texts:
            found = self._add_text(scores, text, base, before, allowed)
            self._add_shapes(scores, text, shape_base, shapes_before, allowed)
            if text is self.hole.text:
                best_text = found
        best_project = 0
        segment = self.lexicon.segment
        if segment:
            best_project = self._add_project(
                scores,
                PROJECT,
                PROJECT_SLOT,
                PROJECT_ORDERS,
                segment.intervals(context),
                sample,
                allowed,
            )
            intervals = segment.shape_intervals(shapes, 12)
            if len(intervals) > 2:
                self._add_project(scores, SHAPE_PROJECT, SHAPE_PROJECT_SLOT, SHAPE_ORDERS, intervals, sample, allowed)
        zero = self.zero
        if typed:
            self._add_typed(scores, typed, exact)
        else:
            for token in self._recent:
                if token not in scores:
                    scores[token] = zero
            scores.setdefault(END_OF_LINE, zero)
        self._add_static(scores, position(self.lexicon, context))
        self._add_line(scores, line)
        weights = self.weights
        escape = ESCAPES + (best_text + 1 if best_text >= 0 else 0) * 9 + best_project
        scores[ESCAPE] = zero + weights[escape] + weights[ESCAPES + 54 + min(len(scores) // 8, 6)]
        return scores

    def _filter(self, typed: str, exact: int) -> Callable[[int], bool]:
        lexicon = self.lexicon
        learned = lexicon.starting_with(typed)
        low, high, new = learned.start, learned.stop, lexicon.first_new
        word = lexicon.word

        def allowed(token: int) -> bool:
            return low <= token < high or token == exact or (token >= new and word(token).startswith(typed))

        return allowed

    def _add(self, scores: Scores, slot: int, counts: Mapping[int, int], n: int) -> None:
        weights, zero = self.weights, self.zero
        if n > SAMPLE:
            counts = {token: max(count * SAMPLE // n, 1) for token, count in counts.items()}
            n = SAMPLE
        cells = SHARE[n]
        for token, count in counts.items():
            scores[token] = scores.get(token, zero) + weights[slot + cells[count]]

    # --- this document, and others in memory ---

    def _add_text(self, scores: Scores, text: TokenText, base: int, before: str, allowed: Allowed) -> int:
        """Add a text's slots; the longest match's slot, 0 the best, or -1 without a match."""
        found, n = -1, 0
        if len(before) > 1:
            places = text.ends(before[-2:], SAMPLE)
            if places:
                by_slot = _matches(text.tokens, text.tokens, places, before, TEXT_STEPS, allowed)
                found, n = self._add_slots(scores, base, by_slot)
        single = text.followers(before[-1], SAMPLE)
        if allowed:
            single = {token: count for token, count in single.items() if allowed(token)}
        count = sum(single.values())
        if count > n:
            self._add(scores, base + 4 * CELLS, single, count)
            if found < 0:
                found = 4
        return found

    def _add_shapes(self, scores: Scores, text: TokenText, base: int, before: str, allowed: Allowed) -> None:
        """What follows the same structure, whatever its names are."""
        if len(before) < 3:
            return
        places = text.shape_ends(before[-3:], SAMPLE)
        if places:
            by_slot = _matches(text.tokens, text.shapes, places, before, SHAPE_TEXT_STEPS, allowed)
            self._add_slots(scores, base, by_slot)

    def _add_slots(self, scores: Scores, base: int, by_slot: Sequence[Mapping[int, int]]) -> tuple[int, int]:
        """Add slots of which each includes those before it; the first that has something, and all occurrences."""
        total: dict[int, int] = {}
        found, n = -1, 0
        for slot, counts in enumerate(by_slot):
            if not counts:
                continue
            if found < 0:
                found = slot
            for token, count in counts.items():
                total[token] = total.get(token, 0) + count
                n += count
            self._add(scores, base + slot * CELLS, total, n)
        return found, n

    # --- the project ---

    def _add_project(
        self,
        scores: Scores,
        base: int,
        slots: Sequence[int],
        orders: Sequence[int],
        intervals: Sequence[tuple[int, int]],
        sample: int,
        allowed: Allowed,
    ) -> int:
        """Add slots of the project; 1 + the longest match's slot, or 0 without a match."""
        segment = self.lexicon.segment
        assert segment
        longest = len(intervals)
        lengths: list[int] = []
        parts: list[tuple[int, int]] = []
        for length in (longest, *(o for o in orders if o < longest)):
            if length and (not parts or intervals[length - 1] != parts[-1]):
                lengths.append(length)
                parts.append(intervals[length - 1])
        best = 0
        found = segment.followers(parts, sample, self.outdated, shapes=base == SHAPE_PROJECT)
        for length, followers in zip(lengths, found, strict=True):
            counts = {t: count for t, count in followers.items() if allowed(t)} if allowed else followers
            if counts:
                slot = slots[length]
                best = best or 1 + slot
                self._add(scores, base + slot * CELLS, counts, sum(counts.values()))
        return best

    # --- the tokens themselves ---

    def _add_typed(self, scores: Scores, typed: str, exact: int) -> None:
        lexicon, zero, weights = self.lexicon, self.zero, self.weights
        scores.setdefault(exact, zero)
        kind = lexicon.kind(exact)
        if kind == NAME:
            learned = lexicon.starting_with(typed)
            for text, _, _ in self._texts:
                for token in text.distinct(learned.start, learned.stop):
                    scores.setdefault(token, zero)
                for token in text.distinct(lexicon.first_new, lexicon.end):
                    if lexicon.word(token).startswith(typed):
                        scores.setdefault(token, zero)
            if len(typed) > 1 and len(learned) <= 100:
                for token in learned:
                    scores.setdefault(token, zero)
        length = min(len(typed), 6)
        for token in scores:
            if token == exact:
                scores[token] += weights[TYPED + (length if kind == NAME else 7 + min(kind, 6))]
            elif kind == NAME:
                scores[token] += weights[TYPED + 16 + length]

    def _add_static(self, scores: Scores, position: int) -> None:
        """Add what is known of the tokens without their context; `position`: see position."""
        static = self._static[position]
        for token in scores:
            known = static.get(token)
            if known is None:
                known = static[token] = self._static_of(token, position)
            scores[token] += known

    def _static_of(self, token: int, position: int) -> Any:
        weights = self.weights
        kind, frequency = self.lexicon.kind_and_frequency(token)
        found = self.zero + weights[KIND + 8 * position + kind]
        if kind == BREAK:
            return found
        distance = self._distances.get(token)
        if distance is None:
            distance = self._distances[token] = self.hole.text.nearest(chr(token))
        if kind != NAME:
            return found + weights[RECENCY + 32 + distance] + weights[FREQUENCY + 32 + frequency]
        row = 8 * position
        found += weights[RECENCY + row + distance]
        if token in self._below:
            found += weights[BELOW + 2 * position + self._below[token]]
        return found + weights[FREQUENCY + row + frequency]

    def _names_below(self) -> dict[int, int]:
        """Names in the lines right below the hole: 0 they are above it, too, 1 only below."""
        text = self.hole.text
        kind = self.lexicon.kind
        found: dict[int, int] = {}
        for char in text.tokens[text.origin + 1 : text.origin + 60]:
            token = ord(char)
            if token not in found and kind(token) == NAME:
                found[token] = 0 if text.tokens.find(char, 0, text.origin) >= 0 else 1
        return found

    def _recent_names(self) -> list[int]:
        """The names used last before the hole, and those first behind it."""
        text = self.hole.text
        kind = self.lexicon.kind
        found: dict[int, None] = {}
        for token in map(ord, reversed(text.tokens[max(text.origin - 150, 0) : text.origin])):
            if kind(token) == NAME:
                found[token] = None
                if len(found) == 16:
                    break
        for token in map(ord, text.tokens[text.origin + 1 : text.origin + 40]):
            if kind(token) == NAME:
                found[token] = None
                if len(found) == 24:
                    break
        return list(found)

    def _add_line(self, scores: Scores, line: Sequence[int]) -> None:
        """What the line so far says."""
        lexicon, weights = self.lexicon, self.weights
        kind = lexicon.kind
        seen = set(line)
        for token in seen:
            if token in scores:
                scores[token] += weights[IN_LINE + kind(token)]
        if len(line) > 1 and lexicon.word(line[-1]) in COPIES and line[-2] in scores:
            scores[line[-2]] += weights[COPY + COPIES[lexicon.word(line[-1])]]
        last = last_class(lexicon, line)
        if self._comma in scores:
            scores[self._comma] += weights[ABOVE + 64 + 8 * self._above + last]
        depth, quoted = depth_and_quotes(lexicon, line)
        for token in self._closers:
            if token in scores:
                scores[token] += weights[CLOSER + depth + 2]
        for number, token in enumerate(self._quotes):
            if token in scores:
                scores[token] += weights[QUOTED + 2 * number + quoted]
        if END_OF_LINE in scores:
            scores[END_OF_LINE] += (
                weights[DEPTH + depth + 2]
                + weights[DEPTH + 8 + min(len(line).bit_length(), 5)]
                + weights[LINE_END + last * 4 + self._below_step]
                + weights[ABOVE + 8 * self._above + last]
                + weights[QUOTED + 4 + quoted]
            )

    def _step_below(self) -> int:
        """How the next line is indented: 0 no line, 1 as this one, 2 deeper, 3 less deep."""
        hole = self.hole
        if not hole.next_line:
            return 0
        below = len((hole.next_line[: len(hole.next_line) - len(hole.next_line.lstrip())]).expandtabs(4))
        own = len(hole.own_indent.expandtabs(4))
        return 1 if below == own else 2 if below > own else 3


def _matches(
    tokens: str, known: str, places: Sequence[int], before: str, steps: Sequence[int], allowed: Allowed
) -> list[dict[int, int]]:
    """What follows these places of `tokens`, counted by the slot of the match of `before` in `known`.

    `steps`: the lengths of a match from which on it is in slot 0, 1, or 2; any other is in slot 3.
    """
    by_slot: list[list[int]] = [[], [], [], []]
    best, good, fair = (before[-length:] if len(before) >= length else _NEVER * length for length in steps)
    # A start before the text's counts from its end, where too little is left to match.
    best_back, good_back, fair_back = (length - 1 for length in steps)
    starts = known.startswith
    end = len(tokens) - 1
    for place in places:
        if place == end:
            continue
        if not starts(fair, place - fair_back):
            slot = 3
        elif not starts(good, place - good_back):
            slot = 2
        else:
            slot = 0 if starts(best, place - best_back) else 1
        by_slot[slot].append(ord(tokens[place + 1]))
    counted = [count_followers(found) if found else {} for found in by_slot]
    if allowed:
        counted = [{token: count for token, count in counts.items() if allowed(token)} for counts in counted]
    return counted


_NEVER = chr(MAX_TOKEN)
"""No text has it: `build.MAX_WORDS` and `lexicon.MAX_NEW_WORDS` leave it out."""
