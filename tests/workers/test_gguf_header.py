"""What a GGUF header says, and files that lie in it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from gguf_fixtures import QWEN, ModelFile, write_evil_counts, write_gguf, write_not_a_gguf, write_truncated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ghostd.workers.gguf_header import read_header
from ghostd.workers.gguf_reader import HeaderError


def test_a_whole_file_tells_what_the_model_is(model_file: ModelFile) -> None:
    header = read_header(model_file("qwen"))
    assert (header.architecture, header.context_tokens, header.kind) == ("llama", 2048, "model")
    assert header.size_bytes == model_file("qwen").stat().st_size
    repository = {"<|repo_name|>": 5, "<|file_sep|>": 6}
    assert header.fim_ids == {
        "<|fim_prefix|>": 1,
        "<|fim_suffix|>": 2,
        "<|fim_middle|>": 3,
        "<|fim_pad|>": 4,
        **repository,
    }
    assert (header.bos_id, header.add_bos, header.embedding_only) == (None, False, False)
    assert header.chat_template is not None
    assert {"<|im_start|>", "<|im_end|>", "<|file_sep|>"} <= set(header.special_texts)
    # 2 layers × 2 KV heads × (32 + 32) values × 2 bytes
    assert header.kv_bytes_per_token == 512


@pytest.mark.parametrize(
    ("model", "markers", "bos"),
    [
        ("starcoder", {"<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>"}, None),
        ("codestral", {"[PREFIX]", "[SUFFIX]", "[MIDDLE]"}, 1),
        ("codellama", {"▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"}, 1),
        ("chat-only", set(), None),
    ],
)
def test_markers_are_found_by_their_text(model_file: ModelFile, model: str, markers: set[str], bos: int | None) -> None:
    header = read_header(model_file(model))
    assert set(header.fim_ids) == markers
    assert (header.bos_id, header.add_bos) == (bos, bos is not None)


def test_markers_of_unknown_text_are_found_by_their_declared_ids(tmp_path: Path) -> None:
    from dataclasses import replace

    recipe = replace(
        QWEN,
        specials=tuple(text.replace("<|fim_", "<|odd_") for text in QWEN.specials),
        fill_after="<|odd_middle|>",
        fim_ids={"fim_pre": "<|odd_prefix|>", "fim_suf": "<|odd_suffix|>", "fim_mid": "<|odd_middle|>"},
    )
    assert read_header(write_gguf(tmp_path / "odd.gguf", recipe)).fim_ids == {
        **{"fim_pre": 1, "fim_suf": 2, "fim_mid": 3},
        **{"<|repo_name|>": 5, "<|file_sep|>": 6},
    }


def test_a_truncated_file_is_told_with_both_sizes(model_file: ModelFile, tmp_path: Path) -> None:
    whole = model_file("qwen")
    half = write_truncated(tmp_path / "half.gguf", whole)
    with pytest.raises(HeaderError, match=rf"the header promises \d+ bytes, the file has {half.stat().st_size}"):
        read_header(half)


@pytest.mark.parametrize("size", [0, 3, 4, 20, 24, 100, 4000])
def test_a_file_cut_inside_its_header_is_an_error(model_file: ModelFile, tmp_path: Path, size: int) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model_file("qwen").read_bytes()[:size])
    with pytest.raises(HeaderError, match="truncated"):
        read_header(cut)


def test_another_kind_of_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HeaderError, match="not a GGUF file"):
        read_header(write_not_a_gguf(tmp_path / "zip.gguf"))


@pytest.mark.parametrize("array", [None, 2**31, 2**62])
def test_absurd_counts_are_refused_before_anything_is_reserved(tmp_path: Path, array: int | None) -> None:
    with pytest.raises(HeaderError, match="limit"):
        read_header(write_evil_counts(tmp_path / "evil.gguf", array=array))


def test_an_unknown_version_is_told(tmp_path: Path) -> None:
    path = tmp_path / "new.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 9, 0, 0))
    with pytest.raises(HeaderError, match="version 9"):
        read_header(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(position=st.integers(0, 9000), value=st.binary(min_size=1, max_size=8))
def test_damage_anywhere_in_the_header_is_an_error_or_harmless(
    model_file: ModelFile, tmp_path: Path, position: int, value: bytes
) -> None:
    data = bytearray(model_file("qwen").read_bytes())
    data[position : position + len(value)] = value
    path = tmp_path / "damaged.gguf"
    path.write_bytes(data)
    try:
        read_header(path)
    except HeaderError as error:
        assert str(error)
