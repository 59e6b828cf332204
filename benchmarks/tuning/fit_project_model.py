"""Learns the numbers in `ghostd/project_model/weights.json` from the tuning packages.

    PYTHONPATH=benchmarks python benchmarks/tuning/fit_project_model.py [--places 250]

The weights are a softmax regression on what speaks for each candidate, at each token of the rests of lines removed
from held-out files (folds 0 and 1); the calibration is a logistic regression on the model's own answers in fold 2.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from completion_corpora import TUNING, Corpus, Place, fetch, files_of, places, split

from ghostd.project_model import evidence as ev
from ghostd.project_model.build import build
from ghostd.project_model.calibration import Calibration, confidence
from ghostd.project_model.document import read_hole
from ghostd.project_model.memory import RootMemory
from ghostd.project_model.predict import BUDGET, finished_text
from ghostd.project_model.search import CONTEXT, MAX_LINE_TOKENS, Line, best_line
from ghostd.project_model.segment import Segment
from ghostd.project_model.slots import CELLS, KIND, SIZE
from ghostd.project_model.tokens import END_OF_LINE
from ghostd.project_model.weights import Weights

TARGET = Path(ev.__file__).with_name("weights.json")
PRECISION = 0.65
"""Wanted of what the default threshold shows, in fold 2."""
ANY = (0.0,) * (MAX_LINE_TOKENS + 1)
"""Floors that every line reaches."""
EPOCHS, LEARNING_RATE, DECAY = 110, 0.05, 2e-5

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Row = tuple[list[tuple[int, ...]], int]
"""The cells of each candidate, and which of them is right."""

SLOTS = KIND // CELLS
FAMILY = np.array([0] * 5 + [1] * 5 + [2] * 8 + [3] * 4 + [4] * 4 + [5] * 6)
"""Slots of one source share a set of cells while fitting, so that rare cells are not far from their kin."""


def memory_of(corpus: Corpus, fold: int, folder: Path) -> tuple[RootMemory, list[str], Path]:
    """The learned corpus without a fold, and that fold."""
    root = fetch(corpus)
    learn, held_out = split(corpus, files_of(corpus, root), fold)
    target = folder / f"{corpus.name}-{fold}.segment"
    build(((file, "", (root / file).read_bytes()) for file in learn), target, 20_000_000)
    return RootMemory(root, Segment(target)), held_out, root


def collect(corpus: Corpus, fold: int, count: int) -> list[Row]:
    """Every step towards the truth, at some places of a fold."""
    with tempfile.TemporaryDirectory() as name:
        memory, held_out, root = memory_of(corpus, fold, Path(name))
        rows: list[Row] = []
        for place in places(root, held_out, count, f"{corpus.name}-{fold}-fit"):
            rows += steps(memory, place)
        return rows


def steps(memory: RootMemory, place: Place) -> Iterator[Row]:
    """The candidates before each token of the truth."""
    lexicon = memory.lexicon
    hole = read_hole(lexicon, place.prefix, place.suffix)
    cells: list[Any] = [(cell,) for cell in range(SIZE)]
    evidence = ev.Evidence(lexicon, hole, memory.texts_near(place.path), (), (), cells, ())
    text = hole.text
    before = [ord(char) for char in reversed(text.tokens[max(text.origin - CONTEXT, 0) : text.origin])]
    done: tuple[int, ...] = ()
    for token in (*lexicon.line(hole.typed + place.truth), END_OF_LINE):
        typed = hole.typed[len(lexicon.text(done)) :] if hole.typed and len(done) < 3 else ""
        context = [*reversed(done[-CONTEXT:]), *before][:CONTEXT]
        scores = evidence.scores(context, (*hole.line, *done), typed)
        if typed:
            scores.pop(END_OF_LINE, None)
        candidates = list(scores)
        right = token if token in scores else ev.ESCAPE
        yield [scores[candidate] for candidate in candidates], candidates.index(right)
        done = (*done, token)


class Data:
    """Rows as flat arrays, with the families' cells added."""

    def __init__(self, rows: Sequence[Row]) -> None:
        lengths = np.fromiter((len(cells) for row, _ in rows for cells in row), dtype=np.int64)
        flat = np.fromiter((c for row, _ in rows for cells in row for c in cells), dtype=np.int32)
        owner = np.repeat(np.arange(len(lengths)), lengths)
        slot = flat < KIND
        family = SIZE + FAMILY[np.where(slot, flat // CELLS, 0)] * CELLS + flat % CELLS
        common = SIZE + 6 * CELLS + flat % CELLS
        wide = np.stack([flat, np.where(slot, family, -1), np.where(slot, common, -1)], 1).ravel()
        self.cells = wide[wide >= 0]
        self.owner = np.repeat(owner, 3)[wide >= 0].astype(np.int32)
        self.cell_start = np.searchsorted(self.owner, np.arange(len(lengths)))
        self.sizes = np.array([len(row) for row, _ in rows])
        self.row_start = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        self.right = self.row_start + np.array([right for _, right in rows])

    def loss(self, weights: Floats) -> tuple[float, Floats]:
        """Mean negative log-likelihood and its gradient."""
        scores = np.add.reduceat(weights[self.cells], self.cell_start)
        exp = np.exp(scores - np.repeat(np.maximum.reduceat(scores, self.row_start), self.sizes))
        share = exp / np.repeat(np.add.reduceat(exp, self.row_start), self.sizes)
        loss = -float(np.log(np.maximum(share[self.right], 1e-12)).mean())
        share[self.right] -= 1
        gradient = np.bincount(self.cells, weights=share[self.owner], minlength=len(weights)) / len(self.sizes)
        return loss, gradient


def fit(data: Data) -> Floats:
    """The cells' weights, by Adam."""
    weights = np.zeros(SIZE + 7 * CELLS)
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for epoch in range(1, EPOCHS + 1):
        loss, gradient = data.loss(weights)
        gradient += DECAY * weights
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        rate = LEARNING_RATE * (1 if epoch < EPOCHS * 0.7 else 0.3)
        weights -= rate * (mean / (1 - 0.9**epoch)) / (np.sqrt(square / (1 - 0.999**epoch)) + 1e-8)
        if epoch % 10 == 0:
            print(f"epoch {epoch}: loss {loss:.4f}", flush=True)
    folded = weights[:SIZE].copy()
    for cell in range(KIND):
        within = cell % CELLS
        folded[cell] += weights[SIZE + FAMILY[cell // CELLS] * CELLS + within] + weights[SIZE + 6 * CELLS + within]
    return folded


def answers(corpus: Corpus, count: int, cells: Sequence[float]) -> list[tuple[Line, bool]]:
    """The model's answer at places of fold 2, and whether it is right."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        memory, held_out, root = memory_of(corpus, 2, Path(name))
        for place in places(root, held_out, count, f"{corpus.name}-calibrate"):
            hole = read_hole(memory.lexicon, place.prefix, place.suffix)
            near = memory.texts_near(place.path)
            line = best_line(ev.Evidence(memory.lexicon, hole, near, (), (), cells), ANY, BUDGET, lambda: False)
            if line:
                found.append((line, finished_text(memory.lexicon, hole, line) == place.truth))
    return found


def calibrate(found: Sequence[tuple[Line, bool]]) -> Calibration:
    """Logistic regression by Newton's method, then the threshold for the wanted precision."""
    features = np.array(
        [
            [1.0, math.log(max(line.probability, 1e-9)), math.log(max(line.weakest, 1e-9)),
             math.log(len(line.tokens) + 1), 0.0 if line.finished else 1.0]
            for line, _ in found
        ]
    )  # fmt: skip
    right = np.array([float(ok) for _, ok in found])
    beta = np.zeros(features.shape[1])
    for _ in range(50):
        share = 1 / (1 + np.exp(-features @ beta))
        hessian = features.T @ (features * (share * (1 - share))[:, None]) + 1e-2 * np.eye(len(beta))
        beta += np.linalg.solve(hessian, features.T @ (right - share) - 1e-2 * beta)
    bias, probability, weakest, tokens, unfinished = (round(float(b), 4) for b in beta)
    calibration = Calibration(bias, probability, weakest, tokens, unfinished, default_threshold=1.0)
    ranked = sorted(((confidence(calibration, line), ok) for line, ok in found), reverse=True)
    hits, threshold = 0, 1.0
    for rank, (sure, ok) in enumerate(ranked, 1):
        hits += ok
        if hits / rank >= PRECISION and rank > 50:
            threshold = sure
    shown = sum(sure >= threshold for sure, _ in ranked)
    print(f"fold 2: {right.mean():.3f} exact of {len(found)}, shown {shown / len(found):.3f}, {calibration}")
    return msgspec.structs.replace(calibration, default_threshold=round(threshold, 3))


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--places", type=int, default=250, help="places in each package and fold")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    count: int = arguments.places
    for corpus in TUNING:
        fetch(corpus)
    with ProcessPoolExecutor(arguments.processes) as pool:
        jobs = [pool.submit(collect, corpus, fold, count) for corpus in TUNING for fold in (0, 1)]
        rows = [row for job in jobs for row in job.result()]
        print(f"{len(rows)} steps", flush=True)
        cells = tuple(round(float(weight), 3) for weight in fit(Data(rows)))
        found = [answer for corpus in TUNING for answer in pool.submit(answers, corpus, count, cells).result()]
    TARGET.write_bytes(msgspec.json.encode(Weights(cells, calibrate(found))))


if __name__ == "__main__":
    main()
