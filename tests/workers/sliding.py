"""A small model of Gemma 2's kind: every other layer sees a window of the latest tokens; random weights."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from gguf_fixtures import QWEN, _bpe_vocabulary, _write_tokenizer_keys

_DIM, _LAYERS, _HEADS, _HEAD_DIM, _FFN, _WINDOW = 64, 2, 2, 32, 128, 64


def write_gemma(path: Path) -> Path:
    """Write the file."""
    tokens, merges = _bpe_vocabulary(QWEN)
    noise = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "gemma2")
    writer.add_context_length(2048)
    writer.add_embedding_length(_DIM)
    writer.add_feed_forward_length(_FFN)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_key_length(_HEAD_DIM)
    writer.add_value_length(_HEAD_DIM)
    writer.add_block_count(_LAYERS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_attn_logit_softcapping(50.0)
    writer.add_final_logit_softcapping(30.0)
    writer.add_sliding_window(_WINDOW)
    writer.add_vocab_size(len(tokens))
    _write_tokenizer_keys(writer, QWEN, tokens, merges)

    def weights(name: str, *shape: int, scale: float = 0.1) -> None:
        writer.add_tensor(name, (noise.standard_normal(shape) * scale).astype(np.float32))

    weights("token_embd.weight", len(tokens), _DIM, scale=1.0)
    weights("output_norm.weight", _DIM)
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            writer.add_tensor(f"{block}.{norm}.weight", np.ones(_DIM, np.float32))
        for name in ("attn_q", "attn_k", "attn_v"):
            weights(f"{block}.{name}.weight", _HEADS * _HEAD_DIM, _DIM)
        weights(f"{block}.attn_output.weight", _DIM, _HEADS * _HEAD_DIM)
        weights(f"{block}.ffn_gate.weight", _FFN, _DIM)
        weights(f"{block}.ffn_up.weight", _FFN, _DIM)
        weights(f"{block}.ffn_down.weight", _DIM, _FFN)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
