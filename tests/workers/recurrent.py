"""A small model of Mamba's kind: a state in place of keys and values, random weights."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from gguf_fixtures import QWEN, _bpe_vocabulary, _write_tokenizer_keys

_DIM, _LAYERS, _STATE, _KERNEL, _RANK = 64, 2, 8, 4, 4


def write_mamba(path: Path) -> Path:
    """Write the file."""
    inner = 2 * _DIM
    tokens, merges = _bpe_vocabulary(QWEN)
    noise = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "mamba")
    writer.add_context_length(2048)
    writer.add_embedding_length(_DIM)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(_LAYERS)
    writer.add_ssm_conv_kernel(_KERNEL)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(_STATE)
    writer.add_ssm_time_step_rank(_RANK)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    _write_tokenizer_keys(writer, QWEN, tokens, merges)

    def weights(name: str, *shape: int, scale: float = 0.3) -> None:
        writer.add_tensor(name, (noise.standard_normal(shape) * scale).astype(np.float32))

    weights("token_embd.weight", len(tokens), _DIM, scale=1.0)
    weights("output.weight", len(tokens), _DIM)
    writer.add_tensor("output_norm.weight", np.ones(_DIM, np.float32))
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        writer.add_tensor(f"{block}.attn_norm.weight", np.ones(_DIM, np.float32))
        weights(f"{block}.ssm_in.weight", 2 * inner, _DIM)
        weights(f"{block}.ssm_conv1d.weight", inner, _KERNEL)
        weights(f"{block}.ssm_conv1d.bias", inner)
        weights(f"{block}.ssm_x.weight", _RANK + 2 * _STATE, inner)
        weights(f"{block}.ssm_dt.weight", inner, _RANK)
        weights(f"{block}.ssm_dt.bias", inner)
        writer.add_tensor(f"{block}.ssm_a", -np.abs(noise.standard_normal((inner, _STATE))).astype(np.float32))
        weights(f"{block}.ssm_d", inner)
        weights(f"{block}.ssm_out.weight", _DIM, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
