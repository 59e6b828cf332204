"""What a GGUF file's header says about its model: what it can do, and what it needs. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ghostd.fim_markers import MARKER_TEXTS, WITNESS_TEXTS
from ghostd.workers.gguf_reader import HeaderError, Keys, read_keys

_FIM_KEYS = {
    "fim_pre": ("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"),
    "fim_suf": ("tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"),
    "fim_mid": ("tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"),
}
_TOKENIZER = "tokenizer.ggml.model"
_MAX_PARTS = 1000
_SPLIT_NAME = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")

# Encoders: their vectors are the only thing to ask for.
_EMBEDDING_ARCHITECTURES = frozenset(
    ("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert", "neo-bert", "eurobert",
     "gemma-embedding", "llama-embed", "t5encoder")
)  # fmt: skip
_TYPE_NORMAL, _TYPE_BYTE = 1, 6


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says about its model."""

    architecture: str
    kind: str
    """`general.type`: "model", or "mmproj", "adapter" and so on, which are no models by themselves."""
    context_tokens: int | None
    blocks: int
    """Of the transformer; llama.cpp counts one layer more, the output."""
    size_bytes: int
    """Of all parts, where the model is split."""
    chat_template: str | None
    tool_template: str | None
    """A second template that some files have for conversations with tools."""
    embedding_only: bool
    causal: bool
    """False for encoders, whose tokens see those after them."""
    pooling: int | None
    """llama.cpp's pooling type: 0 none, 1 mean, 2 first token, 3 last token, 4 ranking."""
    kv_bytes_per_token: int
    """Memory of one context position, over all layers, at 16 bits a value."""
    state_bytes: int
    """Memory of recurrent layers (Mamba and the like), which does not grow with the context."""
    activation_values: int
    """Values that the widest steps of one token's computation hold at once: a layer's, and the vocabulary's scores."""
    vocabulary_size: int
    fim_ids: dict[str, int]
    """As in FimVocabulary.ids."""
    bos_id: int | None
    add_bos: bool
    end_id: int | None
    """Token that inputs to embed end with, where the vocabulary says so: BERT's separator, Qwen's end of text."""
    special_texts: tuple[str, ...] = field(repr=False, default=())
    """Texts of the tokens that are not ordinary text: control tokens and the like."""
    bos_text: str = ""
    eos_text: str = ""
    sentencepiece: bool = False
    """Whether the tokenizer puts a space in front of text by itself."""
    parameters: int = 0
    """Of this file; the other parts of a split model are not counted."""
    file_type: int | None = None
    """llama.cpp's number for how most tensors are quantised."""


def read_header(path: Path) -> GgufHeader:
    """Read and check the header. Blocks on the disk. Raises HeaderError, or OSError when it cannot be read."""
    keys, size = read_keys(path)
    return _describe(path, keys, size)


def _describe(path: Path, keys: Keys, size: int) -> GgufHeader:
    architecture = str(keys.values.get("general.architecture", ""))
    if not architecture:
        raise HeaderError("the key general.architecture is missing")

    def number(name: str) -> int | None:
        value = keys.values.get(f"{architecture}.{name}", keys.largest_items.get(f"{architecture}.{name}"))
        return int(value) if isinstance(value, (int, float)) else None

    pooling, file_type = number("pooling_type"), keys.values.get("general.file_type")
    causal = keys.values.get(f"{architecture}.attention.causal", True)
    bos_id = _token_id(keys, "bos")
    if bos_id is None and keys.values.get(_TOKENIZER) == "bert":
        bos_id = _token_id(keys, "cls")
    return GgufHeader(
        architecture=architecture,
        kind="mmproj" if architecture == "clip" else str(keys.values.get("general.type", "model")),
        context_tokens=number("context_length"),
        blocks=number("block_count") or 0,
        size_bytes=_size_of_all_parts(path, keys, size),
        chat_template=_text(keys, "tokenizer.chat_template"),
        tool_template=_text(keys, "tokenizer.chat_template.tool_use"),
        embedding_only=architecture in _EMBEDDING_ARCHITECTURES or bool(pooling) or causal is False,
        causal=causal is not False and architecture not in _EMBEDDING_ARCHITECTURES,
        pooling=pooling,
        kv_bytes_per_token=_kv_bytes_per_token(number, keys.item_sums.get(f"{architecture}.attention.head_count_kv")),
        state_bytes=_state_bytes(number),
        activation_values=_activation_values(number, len(keys.tokens)),
        vocabulary_size=len(keys.tokens),
        fim_ids=_fim_ids(keys),
        bos_id=bos_id,
        add_bos=_adds_bos(keys) and bos_id is not None,
        end_id=_end_id(keys),
        special_texts=_special_texts(keys),
        bos_text=_token_text(keys, bos_id),
        eos_text=_token_text(keys, _token_id(keys, "eos")),
        sentencepiece=keys.values.get(_TOKENIZER) == "llama"
        and keys.values.get("tokenizer.ggml.add_space_prefix", True) is True,
        parameters=min(keys.parameters, 2**62),
        file_type=file_type if isinstance(file_type, int) else None,
    )


def _adds_bos(keys: Keys) -> bool:
    """As llama.cpp decides: by the key, else by the kind of tokenizer."""
    declared = keys.values.get("tokenizer.ggml.add_bos_token")
    if isinstance(declared, bool):
        return declared
    return keys.values.get(_TOKENIZER) in ("llama", "bert")


def _end_id(keys: Keys) -> int | None:
    if keys.values.get(_TOKENIZER) == "bert":
        return _token_id(keys, "seperator")  # GGUF's own spelling
    return _token_id(keys, "eos") if keys.values.get("tokenizer.ggml.add_eos_token") is True else None


def _size_of_all_parts(path: Path, keys: Keys, size: int) -> int:
    count = keys.values.get("split.count", 0)
    if not isinstance(count, int) or count <= 1:
        return size
    total = size
    for number, part in enumerate(other_parts(path), 2):
        try:
            total += part.stat().st_size
        except OSError:
            raise HeaderError(f"part {number} of {count} is missing: {part.name}") from None
    return total


def other_parts(path: Path) -> list[Path]:
    """The parts after the first that the name promises; they need not be there."""
    match = _SPLIT_NAME.search(path.name)
    if match is None or int(match[1]) != 1:
        return []
    stem, count = path.name[: match.start()], min(int(match[2]), _MAX_PARTS)
    return [path.with_name(f"{stem}-{number:05d}-of-{match[2]}.gguf") for number in range(2, count + 1)]


def is_later_part(path: Path) -> bool:
    """Whether the name is that of a split file's part other than the first."""
    match = _SPLIT_NAME.search(path.name)
    return match is not None and int(match[1]) != 1


def _text(keys: Keys, name: str) -> str | None:
    value = keys.values.get(name)
    return value if isinstance(value, str) and value else None


def _token_id(keys: Keys, role: str) -> int | None:
    value = keys.values.get(f"tokenizer.ggml.{role}_token_id")
    if isinstance(value, int) and 0 <= value < len(keys.tokens):
        return value
    return None


def _token_text(keys: Keys, token_id: int | None) -> str:
    return "" if token_id is None else keys.tokens[token_id].decode("utf-8", "replace")


def _fim_ids(keys: Keys) -> dict[str, int]:
    wanted = {text.encode(): text for text in MARKER_TEXTS | WITNESS_TEXTS}
    found = {wanted[token]: number for number, token in enumerate(keys.tokens) if token in wanted}
    for role, names in _FIM_KEYS.items():
        declared = next((keys.values[name] for name in names if name in keys.values), None)
        if isinstance(declared, int) and 0 <= declared < len(keys.tokens):
            text = _token_text(keys, declared)
            found[text if text in MARKER_TEXTS else role] = declared
    return found


def _special_texts(keys: Keys) -> tuple[str, ...]:
    """Tokens of a type other than normal and byte, plus the markers, whatever their type."""
    special = {
        token.decode("utf-8", "replace")
        for token, kind in zip(keys.tokens, keys.token_types, strict=False)
        if kind not in (_TYPE_NORMAL, _TYPE_BYTE)
    }
    special.update(token.decode() for token in keys.tokens if token in _MARKER_BYTES)
    # Runs of white space are user-defined tokens in some vocabularies, and harmless.
    return tuple(sorted(text for text in special - _TAGS if len(text) > 1 and text.strip()))


# Tags inside one turn. Templates look for them in a message's content, and they end no turn.
_TAGS = frozenset(
    ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
)  # fmt: skip
_MARKER_BYTES = frozenset(text.encode() for text in MARKER_TEXTS) | {b"<|im_start|>", b"<|im_end|>", b"<|endoftext|>"}


def _kv_bytes_per_token(number: Callable[[str], int | None], kv_heads_of_all_layers: int | None) -> int:
    """`kv_heads_of_all_layers` is given where the layers differ."""
    layers, heads = number("block_count") or 0, number("attention.head_count") or 1
    kv_heads = number("attention.head_count_kv")
    head_size = (number("embedding_length") or 0) // max(heads, 1)
    key_size = number("attention.key_length") or head_size
    value_size = number("attention.value_length") or head_size
    if kv_heads_of_all_layers is None:
        kv_heads_of_all_layers = layers * (heads if kv_heads is None else kv_heads)
    return max(kv_heads_of_all_layers, 0) * (key_size + value_size) * 2


def _state_bytes(number: Callable[[str], int | None]) -> int:
    """32-bit values of each layer's convolution and state, as llama.cpp's `n_embd_r` and `n_embd_s` count them."""
    inner, state = number("ssm.inner_size") or 0, number("ssm.state_size") or 0
    convolution = max((number("ssm.conv_kernel") or 1) - 1, 0) * (inner + 2 * (number("ssm.group_count") or 0) * state)
    return (number("block_count") or 0) * (convolution + inner * state) * 4


def _activation_values(number: Callable[[str], int | None], vocabulary_size: int) -> int:
    embedding, ffn = number("embedding_length") or 0, number("feed_forward_length") or 0
    return 4 * embedding + 3 * ffn + (number("vocab_size") or vocabulary_size)
