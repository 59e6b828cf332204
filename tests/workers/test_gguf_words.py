"""A file's facts in words."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest
from gguf_fixtures import ModelFile, model_file

from ghostd.workers.gguf_header import read_header
from ghostd.workers.gguf_words import digest_of, parameter_size, quantization

__all__ = ["model_file"]


def test_file_types_have_the_names_that_the_gguf_package_gives_them() -> None:
    known = 0
    for member in gguf.LlamaFileType:
        name = quantization(int(member))
        if name:
            known += 1
            assert member.name in (f"MOSTLY_{name}", f"ALL_{name}", f"MOSTLY_{name}_MOE")
    assert known > 30
    assert (quantization(None), quantization(9999)) == ("", "")


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        (0, ""),
        (999, "999"),
        (387_200, "387K"),
        (494_032_768, "494.03M"),
        (8_000_000, "8M"),
        (1_543_714_304, "1.5B"),
        (7_000_000_000, "7B"),
        (70_553_706_496, "70.6B"),
    ],
)
def test_sizes_are_told_as_people_do(parameters: int, told: str) -> None:
    assert parameter_size(parameters) == told


def test_blobs_are_named_by_their_digest() -> None:
    digest = "0123456789abcdef" * 4
    assert digest_of(Path(f"/store/blobs/sha256-{digest}")) == digest
    assert digest_of(Path("/models/qwen.gguf")) == ""


def test_a_header_counts_the_values_of_all_tensors(model_file: ModelFile) -> None:
    path = model_file("qwen")
    header = read_header(path)
    assert header.parameters == sum(int(tensor.n_elements) for tensor in gguf.GGUFReader(path).tensors)
    assert header.file_type == gguf.LlamaFileType.MOSTLY_F16
