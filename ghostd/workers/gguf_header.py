"""Reading a GGUF file's header: what the model is and whether the file is whole. Standard library only.

The file may be hostile or cut short, so every count and length is checked against a limit and against the
file's size before anything is read or reserved for it. Format: ggml's `docs/gguf.md`, versions 2 and 3.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ghostd.fim_markers import MARKER_TEXTS

MAX_HEADER_BYTES = 256 * 1024 * 1024
MAX_KEYS = 16_384
MAX_TENSORS = 1_000_000
MAX_KEY_BYTES = 64 * 1024
MAX_STRING_BYTES = 4 * 1024 * 1024
MAX_ARRAY_ITEMS = 4 * 1024 * 1024
MAX_DIMENSIONS = 4

_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9

# ggml type → (values in a block, bytes of a block); ggml.c's type_traits. A newer type is not checked for size.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip

_VOCABULARY = "tokenizer.ggml.tokens"
_VOCABULARY_TYPES = "tokenizer.ggml.token_type"
_FIM_KEYS = {
    "fim_pre": ("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"),
    "fim_suf": ("tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"),
    "fim_mid": ("tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"),
}
_SPLIT_NAME = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")

# Encoders: their vectors are the only thing to ask for.
_EMBEDDING_ARCHITECTURES = frozenset(
    ("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert", "neo-bert", "eurobert",
     "gemma-embedding", "llama-embed", "t5encoder")
)  # fmt: skip
_TYPE_NORMAL, _TYPE_BYTE = 1, 6


class HeaderError(Exception):
    """The file is no usable GGUF; the message says why, without the path."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says about its model."""

    architecture: str
    kind: str
    """`general.type`: "model", or "mmproj", "adapter" and so on, which are no models by themselves."""
    context_tokens: int | None
    size_bytes: int
    """Of all parts, where the model is split."""
    chat_template: str | None
    embedding_only: bool
    causal: bool
    """False for encoders, whose tokens see those after them."""
    pooling: int | None
    """llama.cpp's pooling type: 0 none, 1 mean, 2 first token, 3 last token, 4 ranking."""
    kv_bytes_per_token: int
    """Estimated memory of one context position at 16 bits a value."""
    vocabulary_size: int
    fim_ids: dict[str, int]
    """As in FimVocabulary.ids."""
    bos_id: int | None
    add_bos: bool
    special_texts: tuple[str, ...] = field(repr=False, default=())
    """Texts of the tokens that are not ordinary text: control tokens and the like."""
    bos_text: str = ""
    eos_text: str = ""
    sentencepiece: bool = False
    """Whether the tokenizer puts a space in front of text by itself."""


def read_header(path: Path) -> GgufHeader:
    """Read and check the header. Blocks on the disk. Raises HeaderError, or OSError when it cannot be read."""
    with path.open("rb") as file:
        size = path.stat().st_size
        reader = _Reader(file, size)
        keys = _read_keys(reader)
        _check_whole(reader, keys, size)
    return _describe(path, keys, size)


@dataclass(slots=True)
class _Keys:
    """The keys that matter, and the tokens of interest; everything else was checked and skipped."""

    values: dict[str, str | int | float | bool] = field(default_factory=dict)
    first_items: dict[str, int] = field(default_factory=dict)
    """The largest item of small integer arrays: some models give heads per layer."""
    marker_ids: dict[str, int] = field(default_factory=dict)
    tokens: list[bytes] = field(default_factory=list)
    token_types: list[int] = field(default_factory=list)
    tensor_count: int = 0


class _Reader:
    """Sequential reads that never go past the file or the header limit."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._limit = min(size, MAX_HEADER_BYTES)
        self._size = size
        self.position = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if self.position + count > self._limit:
            if self._limit == self._size:
                raise HeaderError(
                    f"truncated: the header goes on after the file's end (the file has {self._size} bytes)"
                )
            raise HeaderError(f"the header is larger than {MAX_HEADER_BYTES} bytes")
        data = self._file.read(count)
        if len(data) != count:
            raise HeaderError("the file changed while it was read")
        self.position += count
        return data

    def number(self, form: str) -> int:
        """One little-endian number."""
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def string(self, limit: int = MAX_STRING_BYTES) -> bytes:
        """A length and that many bytes."""
        length = self.number("<Q")
        if length > limit:
            raise HeaderError(f"a string of {length} bytes in the header exceeds the limit of {limit}")
        return self.take(length)

    def strings(self, count: int) -> Iterator[bytes]:
        """`count` strings. Spelled out, because vocabularies hold hundreds of thousands."""
        read, unpack = self._file.read, struct.Struct("<Q").unpack
        for _ in range(count):
            head = read(8)
            if len(head) != 8:
                raise HeaderError(f"truncated: the vocabulary goes on after the file's end ({self._size} bytes)")
            (length,) = unpack(head)
            self.position += 8 + length
            if length > MAX_STRING_BYTES or self.position > self._limit:
                raise HeaderError(f"truncated or damaged: a token of {length} bytes (the file has {self._size} bytes)")
            yield read(length)


def _read_keys(reader: _Reader) -> _Keys:
    if reader.take(4) != b"GGUF":
        raise HeaderError("not a GGUF file: it does not start with the bytes GGUF")
    version = reader.number("<I")
    if version not in (2, 3):
        raise HeaderError(f"GGUF version {version} is not known (versions 2 and 3 are; big-endian files are not)")
    keys = _Keys(tensor_count=reader.number("<Q"))
    count = reader.number("<Q")
    if keys.tensor_count > MAX_TENSORS or count > MAX_KEYS:
        raise HeaderError(
            f"the header promises {keys.tensor_count} tensors and {count} keys; "
            f"the limits are {MAX_TENSORS} and {MAX_KEYS}"
        )
    for _ in range(count):
        name = reader.string(MAX_KEY_BYTES).decode("utf-8", "replace")
        _read_value(reader, name, reader.number("<I"), keys)
    return keys


def _read_value(reader: _Reader, name: str, kind: int, keys: _Keys) -> None:
    if kind == _STRING:
        keys.values[name] = reader.string().decode("utf-8", "replace")
    elif kind == _ARRAY:
        _read_array(reader, name, keys)
    elif form := _SCALARS.get(kind):
        keys.values[name] = struct.unpack(form, reader.take(struct.calcsize(form)))[0]
    else:
        raise HeaderError(f"the key {name!r} has the unknown type {kind}")


def _read_array(reader: _Reader, name: str, keys: _Keys) -> None:
    kind, count = reader.number("<I"), reader.number("<Q")
    if count > MAX_ARRAY_ITEMS:
        raise HeaderError(f"the array {name!r} has {count} items; the limit is {MAX_ARRAY_ITEMS}")
    if kind == _STRING:
        items = reader.strings(count)
        if name == _VOCABULARY:
            keys.tokens = list(items)
        else:
            for _ in items:
                pass
    elif form := _SCALARS.get(kind):
        data = reader.take(struct.calcsize(form) * count)
        if name == _VOCABULARY_TYPES or (count <= 4096 and form in ("<I", "<i") and count):
            numbers = struct.unpack(f"<{count}{form[1]}", data)
            if name == _VOCABULARY_TYPES:
                keys.token_types = list(numbers)
            else:
                keys.first_items[name] = max(numbers)
    else:
        raise HeaderError(f"the array {name!r} holds the type {kind}, which is not allowed there")


def _check_whole(reader: _Reader, keys: _Keys, size: int) -> None:
    """The tensors' offsets must lie within the file."""
    alignment = keys.values.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 1024 * 1024:
        raise HeaderError(f"the alignment {alignment!r} makes no sense")
    end = 0
    for _ in range(keys.tensor_count):
        reader.string(MAX_KEY_BYTES)
        dimensions = reader.number("<I")
        if dimensions > MAX_DIMENSIONS:
            raise HeaderError(f"a tensor has {dimensions} dimensions; the limit is {MAX_DIMENSIONS}")
        elements = 1
        for _ in range(dimensions):
            elements *= reader.number("<Q")
        kind, offset = reader.number("<I"), reader.number("<Q")
        per_block, block_bytes = _BLOCKS.get(kind, (1, 0))
        end = max(end, offset + elements // per_block * block_bytes)
    data_start = -(-reader.position // alignment) * alignment
    if keys.tensor_count and data_start + end > size:
        raise HeaderError(f"truncated: the header promises {data_start + end} bytes, the file has {size}")


def _describe(path: Path, keys: _Keys, size: int) -> GgufHeader:
    architecture = str(keys.values.get("general.architecture", ""))
    if not architecture:
        raise HeaderError("the key general.architecture is missing")

    def number(name: str) -> int | None:
        value = keys.values.get(f"{architecture}.{name}", keys.first_items.get(f"{architecture}.{name}"))
        return int(value) if isinstance(value, (int, float)) else None

    pooling = number("pooling_type")
    causal = keys.values.get(f"{architecture}.attention.causal", True)
    bos_id = _token_id(keys, "bos")
    return GgufHeader(
        architecture=architecture,
        kind="mmproj" if architecture == "clip" else str(keys.values.get("general.type", "model")),
        context_tokens=number("context_length"),
        size_bytes=_size_of_all_parts(path, keys, size),
        chat_template=_text(keys, "tokenizer.chat_template"),
        embedding_only=architecture in _EMBEDDING_ARCHITECTURES or bool(pooling) or causal is False,
        causal=causal is not False and architecture not in _EMBEDDING_ARCHITECTURES,
        pooling=pooling,
        kv_bytes_per_token=_kv_bytes_per_token(number),
        vocabulary_size=len(keys.tokens),
        fim_ids=_fim_ids(keys),
        bos_id=bos_id,
        add_bos=_adds_bos(keys) and bos_id is not None,
        special_texts=_special_texts(keys),
        bos_text=_token_text(keys, bos_id),
        eos_text=_token_text(keys, _token_id(keys, "eos")),
        sentencepiece=keys.values.get("tokenizer.ggml.model") == "llama"
        and keys.values.get("tokenizer.ggml.add_space_prefix", True) is True,
    )


def _adds_bos(keys: _Keys) -> bool:
    """As llama.cpp decides: by the key, else by the kind of tokenizer."""
    declared = keys.values.get("tokenizer.ggml.add_bos_token")
    if isinstance(declared, bool):
        return declared
    return keys.values.get("tokenizer.ggml.model") == "llama"


def _size_of_all_parts(path: Path, keys: _Keys, size: int) -> int:
    count = keys.values.get("split.count", 0)
    match = _SPLIT_NAME.search(path.name)
    if not isinstance(count, int) or count <= 1 or match is None:
        return size
    stem = path.name[: match.start()]
    total = 0
    for number in range(1, min(count, 99_999) + 1):
        part = path.with_name(f"{stem}-{number:05d}-of-{count:05d}.gguf")
        try:
            total += part.stat().st_size
        except OSError:
            raise HeaderError(f"part {number} of {count} is missing: {part.name}") from None
    return total


def is_later_part(path: Path) -> bool:
    """Whether the name is that of a split file's part other than the first."""
    match = _SPLIT_NAME.search(path.name)
    return match is not None and int(match[1]) != 1


def _text(keys: _Keys, name: str) -> str | None:
    value = keys.values.get(name)
    return value if isinstance(value, str) and value else None


def _token_id(keys: _Keys, role: str) -> int | None:
    value = keys.values.get(f"tokenizer.ggml.{role}_token_id")
    if isinstance(value, int) and 0 <= value < len(keys.tokens):
        return value
    return None


def _token_text(keys: _Keys, token_id: int | None) -> str:
    return "" if token_id is None else keys.tokens[token_id].decode("utf-8", "replace")


def _fim_ids(keys: _Keys) -> dict[str, int]:
    wanted = {text.encode(): text for text in MARKER_TEXTS}
    found = {wanted[token]: number for number, token in enumerate(keys.tokens) if token in wanted}
    for role, names in _FIM_KEYS.items():
        declared = next((keys.values[name] for name in names if name in keys.values), None)
        if isinstance(declared, int) and 0 <= declared < len(keys.tokens):
            text = _token_text(keys, declared)
            found[text if text in MARKER_TEXTS else role] = declared
    return found


def _special_texts(keys: _Keys) -> tuple[str, ...]:
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


def _kv_bytes_per_token(number: Callable[[str], int | None]) -> int:
    layers, heads = number("block_count") or 0, number("attention.head_count") or 1
    kv_heads = number("attention.head_count_kv") or heads
    head_size = (number("embedding_length") or 0) // max(heads, 1)
    key_size = number("attention.key_length") or head_size
    value_size = number("attention.value_length") or head_size
    return layers * kv_heads * (key_size + value_size) * 2
