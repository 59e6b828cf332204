"""The learned numbers, in `weights.json`: the cells' weights and the calibration.

`benchmarks/tuning/fit_project_model.py` writes the file.
"""

from __future__ import annotations

from importlib import resources

import msgspec

from ghostd.project_model.calibration import Calibration
from ghostd.project_model.slots import SIZE


class Weights(msgspec.Struct, frozen=True):
    """Everything that was learned from the tuning packages."""

    cells: tuple[float, ...]
    """See `evidence`; SIZE of them."""
    calibration: Calibration


def load_weights() -> Weights:
    """Read the file; blocks."""
    data = resources.files("ghostd.project_model").joinpath("weights.json").read_bytes()
    weights = msgspec.json.decode(data, type=Weights)
    assert len(weights.cells) == SIZE
    return weights
