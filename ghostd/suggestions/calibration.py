"""How often suggestions of some confidence are right for this user, from what became of those that were shown.

A model's own estimate is the prior; it counts as PRIOR observations. Later observations count more: each new one takes
a share of the older ones away (exponential forgetting), so that a new project's habits show within some hundred.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

BUCKETS = 10
PRIOR = 30.0
_KEPT = 0.99
_MODELS = 64
_VERSION = 1


class Calibration:
    """Counts by model and bucket of confidence; in a file, if one is given."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._counts: dict[str, list[list[float]]] = {}
        self.changed = False
        if file is not None:
            self._counts = _read(file)

    def probability(self, model: str, confidence: float) -> float:
        """The estimated probability (0..1) of being right, given what the model says of itself."""
        counts = self._counts.get(model)
        if counts is None:
            return confidence
        right, seen = counts[_bucket(confidence)]
        return (PRIOR * confidence + right) / (PRIOR + seen)

    def observe(self, model: str, confidence: float, *, right: bool) -> None:
        """A suggestion of this confidence was what the user wrote, or not."""
        if model not in self._counts and len(self._counts) >= _MODELS:
            return
        counts = self._counts.setdefault(model, [[0.0, 0.0] for _ in range(BUCKETS)])
        bucket = counts[_bucket(confidence)]
        bucket[0] = bucket[0] * _KEPT + right
        bucket[1] = bucket[1] * _KEPT + 1
        self.changed = True

    def save(self) -> None:
        """Write the counts down, if they have changed; a disk that takes nothing costs no more than them."""
        if self._file is None or not self.changed:
            return
        self.changed = False
        fresh = self._file.with_suffix(".new")
        with suppress(OSError):
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as out:
                json.dump({"version": _VERSION, "counts": self._counts}, out)
            fresh.replace(self._file)


def _bucket(confidence: float) -> int:
    return min(max(int(confidence * BUCKETS), 0), BUCKETS - 1)


def _read(file: Path) -> dict[str, list[list[float]]]:
    """What the file holds; nothing where it is missing, damaged or another version's."""
    try:
        found = json.loads(file.read_text("ascii"))
        if found["version"] != _VERSION:
            return {}
        counts = {str(model): [[float(a), float(b)] for a, b in buckets] for model, buckets in found["counts"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    sound = (len(b) == BUCKETS and all(0 <= right <= seen < 1e6 for right, seen in b) for b in counts.values())
    return counts if all(sound) and len(counts) <= _MODELS else {}
