"""Small GGUF files written at test time, and fixtures that hand them out.

Weights are scripted: the next token depends on the current one alone, so greedy output is the same on any CPU.

- after the fill trigger (the middle marker, or ":" where the prompt ends with the prefix): "return a + b", end
- after the last token of the chat template's generation prompt: "Hello from the tiny ghostd model.", end
- after the tokens in `replies`: what those say
- after any other token: " wa wb wc … wp wa …" for ever, good for limits and cancellation

Load it as a plug-in: `pytest_plugins = ["tests.gguf_fixtures"]`, or import the fixtures in a conftest.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import numpy.typing as npt
import pytest
from chat_templates import TEMPLATES

FILL_TEXT = "return a + b"
CHAT_TEXT = "Hello from the tiny ghostd model."
LOOP_WORDS = tuple(f" w{chr(97 + number)}" for number in range(16))
UNICODE_TEXT = "né😀!"

_FILL = ("return", " a", " +", " b")
_CHAT = ("Hello", " from", " the", " tiny", " ghostd", " model", ".")
_WORDS = ("def", " def", "self", " self", "assistant", "user", "system", "import", " import", "class")

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ENDLESS_TEMPLATE = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}x"
)
FLOOD_TEMPLATE = "{% for a in range(99999) %}{{ 'x' * 900 }}{% endfor %}"
ESCAPE_TEMPLATE = "{{ ''.__class__.__mro__[1].__subclasses__() }}"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one file is made of."""

    specials: tuple[str, ...]
    end: str
    """The end-of-generation token."""
    fill_after: str | None = None
    """The token whose successor starts the fill."""
    fim_ids: dict[str, str] | None = None
    """`tokenizer.ggml.<key>_token_id` → marker text."""
    bos: str | None = None
    chat_template: str | None = None
    tool_template: str | None = None
    """A second template for conversations with tools."""
    chat_reply: tuple[str, ...] = _CHAT
    chat_after: str = "\n"
    """The token that the template's generation prompt ends with."""
    replies: dict[str, tuple[str, ...]] | None = None
    """Further tokens and what follows each, up to the end token."""
    words: tuple[str, ...] = ()
    """Texts that are one token each, where those before them are not."""
    user_defined: tuple[str, ...] = ()
    """Tokens that are plain text, and yet one token each wherever they are spelled."""
    tokenizer: Literal["bpe", "spm"] = "bpe"
    weights: Literal["scripted", "random", "random-q8_0"] = "scripted"
    layers: int = 2
    dim: int = 128
    ffn: int = 256
    heads: int = 4
    kv_heads: int | None = None
    """None: half of `heads`."""
    context: int = 2048
    extra_tokens: int = 0
    """Tokens that only make the vocabulary bigger."""
    declared_layers: int | None = None
    """A number of layers that the file claims and does not have; llama.cpp aborts on absurd ones."""
    pooling: int | None = None
    """llama.cpp's pooling type, for models that make embeddings only."""


QWEN = Recipe(
    specials=(
        "<|endoftext|>",
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
        "<|fim_pad|>",
        "<|repo_name|>",
        "<|file_sep|>",
        "<|im_start|>",
        "<|im_end|>",
    ),
    end="<|im_end|>",
    fill_after="<|fim_middle|>",
    fim_ids={"fim_pre": "<|fim_prefix|>", "fim_suf": "<|fim_suffix|>", "fim_mid": "<|fim_middle|>"},
    chat_template=CHATML,
)
STARCODER = Recipe(
    specials=("<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>"),
    end="<|endoftext|>",
    fill_after="<fim_middle>",
)
CODESTRAL = Recipe(
    specials=("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[PREFIX]", "[SUFFIX]", "[MIDDLE]"),
    end="</s>",
    fill_after=":",
    bos="<s>",
)
CODELLAMA = Recipe(
    specials=("<unk>", "<s>", "</s>", "▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"),
    end="</s>",
    fill_after="▁<MID>",
    bos="<s>",
    tokenizer="spm",
)
CHAT_ONLY = Recipe(specials=("<|endoftext|>", "<|im_start|>", "<|im_end|>"), end="<|im_end|>", chat_template=CHATML)

_CALL_TAGS, _THINK_TAGS = ("<tool_call>", "</tool_call>"), ("<think>", "</think>")
_AFTER_RESULTS = TEMPLATES["hermes"].replace(
    "<|im_start|>assistant\n{% endif %}",
    "<|im_start|>assistant{{ '<|answer|>' if messages[-1].role == 'tool' else '\n' }}{% endif %}",
)
CALLER = replace(
    CHAT_ONLY,
    specials=(*CHAT_ONLY.specials, "<|answer|>"),
    user_defined=_CALL_TAGS,
    chat_template=_AFTER_RESULTS,
    chat_reply=("<tool_call>",),
    replies={"<|answer|>": _CHAT},
    context=4096,
)
"""Begins a tool call, which a grammar must complete since the weights would end there; answers after a result."""
THINKER = replace(
    CHAT_ONLY,
    user_defined=(*_CALL_TAGS, *_THINK_TAGS),
    chat_template=TEMPLATES["qwen3"],
    chat_reply=("<think>", "def", " self", "</think>", *_CHAT),
)
_FAMILY_TOKENS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # family → control tokens, user-defined tokens
    "hermes": ((), _CALL_TAGS),
    "qwen3": ((), (*_CALL_TAGS, *_THINK_TAGS)),
    "qwq": ((), (*_CALL_TAGS, *_THINK_TAGS)),
    "qwen-coder": ((), _CALL_TAGS),
    "llama3": (("<|python_tag|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), ()),
    "mistral": (("[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"), ()),
    "mistral-new": (("[INST]", "[/INST]", "[TOOL_CALLS]", "[ARGS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"), ()),
    "deepseek-r1": (
        ("<｜User｜>", "<｜Assistant｜>"),
        ("<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", *_THINK_TAGS),
    ),
    "deepseek-v31": (
        ("<｜User｜>", "<｜Assistant｜>"),
        ("<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁calls▁end｜>", *_THINK_TAGS),
    ),
    "kimi": (("<|tool_calls_section_begin|>", "<|tool_call_begin|>", "<|tool_calls_section_end|>"), ()),
    "command-r7b": (("<|START_ACTION|>", "<|END_ACTION|>", "<|START_THINKING|>", "<|END_THINKING|>"), ()),
    "granite": (("<|tool_call|>", "<|start_of_role|>", "<|end_of_role|>"), ()),
    "phi4-mini": (("<|tool_call|>", "<|/tool_call|>"), ()),
    "nemotron": (("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), ()),
    "glm": (("<|user|>", "<|assistant|>", "<|observation|>"), _CALL_TAGS),
    "minimax": (("]~b]", "[e~["), ("<minimax:tool_call>", "</minimax:tool_call>")),
    "functionary": (("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), ()),
    "gpt-oss": (("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>", "<|constrain|>"), ()),
    "gemma": (("<start_of_turn>", "<end_of_turn>"), ()),
    "gemma4": (("<|tool_call>", "<tool_call|>", '<|"|>', "<|channel>", "<channel|>", "<|turn>", "<turn|>"), ()),
    "lfm2": (("<|tool_call_start|>", "<|tool_call_end|>"), ()),
    "parts-only": ((), ()),
}


def family_recipe(family: str) -> Recipe:
    """A model with random weights, whose template and marker tokens are of this family."""
    control, user_defined = _FAMILY_TOKENS[family]
    return replace(
        CHAT_ONLY,
        specials=(*CHAT_ONLY.specials, *control),
        user_defined=user_defined,
        chat_template=TEMPLATES[family],
        weights="random",
        context=4096,
    )


_PROMPT_ENDS = {
    # family → the last token of its generation prompt
    "hermes": "\n", "qwen3": "\n", "qwen-coder": "\n", "lfm2": "\n", "minimax": "\n",
    "mistral": "[/INST]", "mistral-new": "[/INST]",
    "kimi": ">", "phi4-mini": ">", "command-r7b": ">",
    "granite": "<|end_of_role|>", "glm": "<|assistant|>", "gemma4": "<channel|>", "deepseek-v31": "</think>",
}  # fmt: skip
OPENERS = {
    family: next(token for token in (*user_defined, *control) if "call" in token.lower() or "ACTION" in token)
    for family, (control, user_defined) in _FAMILY_TOKENS.items()
    if family in _PROMPT_ENDS
}
"""Family → the token that begins its calls."""


def beginning_recipe(family: str) -> Recipe:
    """A model of this family that begins a call, and would end there."""
    recipe = replace(family_recipe(family), weights="scripted")
    return replace(recipe, chat_after=_PROMPT_ENDS[family], chat_reply=(OPENERS[family],))


RECIPES = {
    "qwen": QWEN,
    "starcoder": STARCODER,
    "codestral": CODESTRAL,
    "codellama": CODELLAMA,
    "chat-only": CHAT_ONLY,
    "unicode": replace(CHAT_ONLY, chat_reply=tuple(chr(b) for b in UNICODE_TEXT.encode())),
    "caller": CALLER,
    "two-templates": replace(CALLER, chat_template=CHATML, tool_template=CALLER.chat_template),
    "thinker": THINKER,
    **{f"begins-{family}": beginning_recipe(family) for family in _PROMPT_ENDS},
    **{f"family-{family}": family_recipe(family) for family in TEMPLATES},
    "random": replace(QWEN, weights="random"),
    "endless-template": replace(CHAT_ONLY, chat_template=ENDLESS_TEMPLATE),
    "flood-template": replace(CHAT_ONLY, chat_template=FLOOD_TEMPLATE),
    "escape-template": replace(CHAT_ONLY, chat_template=ESCAPE_TEMPLATE),
    "broken-template": replace(CHAT_ONLY, chat_template="{% for %}"),
    "strict-template": replace(CHAT_ONLY, chat_template="{{ raise_exception('roles must alternate') }}"),
    "aborting": replace(QWEN, declared_layers=4000),
    "last-embedder": replace(CHAT_ONLY, chat_template=None, weights="random", pooling=3),
    # Big enough that a prompt of some hundred tokens takes a noticeable time.
    "slow": replace(QWEN, weights="random", layers=8, dim=512, ffn=2048, heads=8, context=4096),
}


def write_gguf(path: Path, recipe: Recipe) -> Path:
    """Write the file that `recipe` describes."""
    tokens, merges = _bpe_vocabulary(recipe) if recipe.tokenizer == "bpe" else (_spm_vocabulary(recipe), [])
    writer = gguf.GGUFWriter(path, "llama")
    _write_model_keys(writer, recipe, len(tokens))
    _write_tokenizer_keys(writer, recipe, tokens, merges)
    _write_tensors(writer, recipe, tokens)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_model_keys(writer: Any, recipe: Recipe, vocabulary: int) -> None:
    writer.add_name("ghostd test fixture")
    writer.add_context_length(recipe.context)
    writer.add_embedding_length(recipe.dim)
    writer.add_block_count(recipe.declared_layers or recipe.layers)
    writer.add_feed_forward_length(recipe.ffn)
    writer.add_head_count(recipe.heads)
    writer.add_head_count_kv(recipe.kv_heads or recipe.heads // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(recipe.dim // recipe.heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(vocabulary)
    quantised = recipe.weights == "random-q8_0"
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if quantised else gguf.LlamaFileType.MOSTLY_F16)
    if recipe.pooling is not None:
        writer.add_pooling_type(gguf.PoolingType(recipe.pooling))


def _write_tokenizer_keys(writer: Any, recipe: Recipe, tokens: list[str], merges: list[str]) -> None:
    index = {token: number for number, token in enumerate(tokens)}
    kinds = dict.fromkeys(recipe.specials, gguf.TokenType.CONTROL)
    kinds |= dict.fromkeys(recipe.user_defined, gguf.TokenType.USER_DEFINED)
    types = [int(kinds.get(token, gguf.TokenType.NORMAL)) for token in tokens]
    if recipe.tokenizer == "bpe":
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list(tokens)
        writer.add_token_merges(merges)
    else:
        writer.add_tokenizer_model("llama")
        writer.add_token_list(tokens)
        writer.add_token_scores([-float(number) for number in range(len(tokens))])
        for number in range(256):
            types[index[f"<0x{number:02X}>"]] = int(gguf.TokenType.BYTE)
        types[index["<unk>"]] = int(gguf.TokenType.UNKNOWN)
    writer.add_token_types(types)
    writer.add_eos_token_id(index[recipe.end])
    writer.add_add_bos_token(recipe.bos is not None)
    writer.add_add_eos_token(False)
    if recipe.bos is not None:
        writer.add_bos_token_id(index[recipe.bos])
    for key, marker in (recipe.fim_ids or {}).items():
        writer.add_uint32(f"tokenizer.ggml.{key}_token_id", index[marker])
    if recipe.chat_template is not None:
        writer.add_chat_template(recipe.chat_template)
    if recipe.tool_template is not None:
        writer.add_string("tokenizer.chat_template.tool_use", recipe.tool_template)


def _write_tensors(writer: Any, recipe: Recipe, tokens: list[str]) -> None:
    noise = np.random.default_rng(0)
    dim = recipe.dim
    kv_dim = dim // recipe.heads * (recipe.kv_heads or recipe.heads // 2)
    residual = 1e-4 if recipe.weights == "scripted" else 0.02

    def matrix(name: str, rows: int, columns: int, scale: float = 0.02) -> None:
        if recipe.weights == "random-q8_0":
            writer.add_tensor(name, _random_q8_0(noise, rows, columns, scale), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, (noise.standard_normal((rows, columns)) * scale).astype(np.float16))

    def ones(name: str) -> None:
        writer.add_tensor(name, np.ones(dim, np.float32))

    if recipe.weights == "scripted":
        embedding, output = _scripted(recipe, tokens, noise)
        writer.add_tensor("token_embd.weight", embedding.astype(np.float16))
        writer.add_tensor("output.weight", output.astype(np.float16))
    else:
        matrix("token_embd.weight", len(tokens), dim, 1.0)
        matrix("output.weight", len(tokens), dim, 0.05)
    ones("output_norm.weight")
    for layer in range(recipe.layers):
        block = f"blk.{layer}"
        ones(f"{block}.attn_norm.weight")
        ones(f"{block}.ffn_norm.weight")
        matrix(f"{block}.attn_q.weight", dim, dim)
        matrix(f"{block}.attn_k.weight", kv_dim, dim)
        matrix(f"{block}.attn_v.weight", kv_dim, dim)
        matrix(f"{block}.attn_output.weight", dim, dim, residual)
        matrix(f"{block}.ffn_gate.weight", recipe.ffn, dim)
        matrix(f"{block}.ffn_up.weight", recipe.ffn, dim)
        matrix(f"{block}.ffn_down.weight", dim, recipe.ffn, residual)


def _random_q8_0(noise: np.random.Generator, rows: int, columns: int, scale: float) -> npt.NDArray[np.uint8]:
    """Rows of Q8_0 blocks, each a 16-bit scale and 32 signed bytes; few are drawn and repeated, since some are GB."""
    blocks = np.empty((4096, 34), np.uint8)
    blocks[:, :2] = np.frombuffer(np.float16(scale / 74).tobytes(), np.uint8)  # uniform bytes deviate by 74
    blocks[:, 2:] = noise.integers(0, 256, (len(blocks), 32), np.uint8)
    return np.resize(blocks, (rows, columns // 32 * 34))


def _scripted(recipe: Recipe, tokens: list[str], noise: np.random.Generator) -> tuple[Floats, Floats]:
    """Embedding and output matrices whose product is a table of successors.

    Each token has a random ±1 code with a constant first feature. The constant leads to the loop's first word;
    least squares find the output rows that lead each scripted token to its successor more strongly.
    """
    index = {token: number for number, token in enumerate(tokens)}
    successor = _successors(recipe, index)
    code = noise.choice([-1.0, 1.0], size=(len(tokens), recipe.dim)).astype(np.float32)
    code[:, 0] = 1.0
    scripted = sorted(successor)
    rows = np.vstack([code[scripted], code.mean(0, keepdims=True)])
    wanted = np.zeros((len(rows), len(tokens)), np.float32)
    for row, token in enumerate(scripted):
        wanted[row, successor[token]] = 60.0
    output = np.linalg.lstsq(rows, wanted, rcond=None)[0].T.astype(np.float32)
    output[index[_spell(LOOP_WORDS[0], recipe)], 0] += 30.0
    return code, output


def _successors(recipe: Recipe, index: dict[str, int]) -> dict[int, int]:
    table: dict[int, int] = {}

    def chain(first: str, words: Sequence[str], last: str) -> None:
        current = index[first]
        for word in words:
            table[current] = index[_spell(word, recipe)]
            current = table[current]
        table[current] = index[last]

    loop = [_spell(word, recipe) for word in LOOP_WORDS]
    chain(loop[0], LOOP_WORDS[1:], loop[0])
    if recipe.chat_template is not None:
        chain(_spell(recipe.chat_after, recipe), recipe.chat_reply, recipe.end)
    for first, words in (recipe.replies or {}).items():
        chain(_spell(first, recipe), words, recipe.end)
    if recipe.fill_after is not None:
        end = "<|endoftext|>" if "<|endoftext|>" in index else recipe.end
        chain(recipe.fill_after, _FILL, end)
    return table


def _spell(word: str, recipe: Recipe) -> str:
    """The vocabulary's spelling of a word: GPT-2's byte alphabet, or SentencePiece's word marks."""
    if word in recipe.specials or word in recipe.user_defined:
        return word
    if recipe.tokenizer == "spm":
        return word.replace(" ", "▁")
    alphabet = _byte_alphabet()
    return "".join(alphabet[byte] for byte in word.encode("latin-1"))


def _byte_alphabet() -> list[str]:
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def _bpe_vocabulary(recipe: Recipe) -> tuple[list[str], list[str]]:
    tokens = [*recipe.specials, *recipe.user_defined, *_byte_alphabet()]
    known, merges = set(tokens), []
    for word in (*_FILL, *_CHAT, *LOOP_WORDS, *_WORDS, *recipe.words):
        spelled = _spell(word, recipe)
        for end in range(2, len(spelled) + 1):
            if spelled[:end] not in known:
                known.add(spelled[:end])
                tokens.append(spelled[:end])
                merges.append(f"{spelled[: end - 1]} {spelled[end - 1]}")
    tokens.extend(f"<extra {number}>" for number in range(recipe.extra_tokens))
    return tokens, merges


def _spm_vocabulary(recipe: Recipe) -> list[str]:
    tokens = [*recipe.specials[:3], *(f"<0x{number:02X}>" for number in range(256))]
    known = set(tokens)
    characters = ["▁", *(chr(number) for number in range(33, 127))]
    words = [_spell(word, recipe) for word in (*_FILL, *LOOP_WORDS, *_WORDS)]
    pieces = [word[:end] for word in words for end in range(2, len(word) + 1)]
    for piece in (*reversed(pieces), *characters):
        if piece not in known:
            known.add(piece)
            tokens.append(piece)
    return [*tokens, *recipe.specials[3:]]


# --- an encoder ---------------------------------------------------------------


def write_bert(path: Path, *, dim: int = 64, ffn: int = 128, layers: int = 2, context: int = 128) -> Path:
    """A small encoder of BERT's kind: word pieces, attention to both sides, mean pooling, random weights."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"▁{chr(97 + n)}" for n in range(26)), "▁alpha", "▁beta"]
    noise = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_context_length(context)
    writer.add_embedding_length(dim)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(4)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_tokenizer_model("bert")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 5 + [1] * (len(tokens) - 5))
    writer.add_token_type_count(2)
    writer.add_unk_token_id(1)
    writer.add_uint32("tokenizer.ggml.cls_token_id", 2)
    writer.add_sep_token_id(3)
    writer.add_mask_token_id(4)
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(3)

    def weights(name: str, *shape: int) -> None:
        writer.add_tensor(f"{name}.weight", (noise.standard_normal(shape) * 0.5).astype(np.float32))

    def linear(name: str, rows: int, columns: int) -> None:
        weights(name, rows, columns)
        writer.add_tensor(f"{name}.bias", np.zeros(rows, np.float32))

    def norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(dim, np.float32))
        writer.add_tensor(f"{name}.bias", np.zeros(dim, np.float32))

    weights("token_embd", len(tokens), dim)
    weights("position_embd", context, dim)
    weights("token_types", 2, dim)
    norm("token_embd_norm")
    for layer in range(layers):
        block = f"blk.{layer}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            linear(f"{block}.{name}", dim, dim)
        norm(f"{block}.attn_output_norm")
        linear(f"{block}.ffn_up", ffn, dim)
        linear(f"{block}.ffn_down", dim, ffn)
        norm(f"{block}.layer_output_norm")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


# --- broken files -------------------------------------------------------------


def write_truncated(path: Path, whole: Path) -> Path:
    """The first half of a good file: its header promises tensors that are not there."""
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def write_not_a_gguf(path: Path) -> Path:
    """A file of another kind under a .gguf name."""
    path.write_bytes(b"PK\x03\x04 not a model" * 64)
    return path


def write_evil_counts(path: Path, *, keys: int = 2**40, array: int | None = None) -> Path:
    """A header that promises absurd numbers of keys, or one key with an absurd array."""
    body = b"GGUF" + struct.pack("<IQQ", 3, 1, 1 if array is not None else keys)
    if array is not None:
        body += struct.pack("<Q", 4) + b"evil" + struct.pack("<IIQ", 9, 8, array)
    path.write_bytes(body + b"\0" * 64)
    return path


# --- fixtures -----------------------------------------------------------------

ModelFile = Callable[[str], Path]


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    """A function from a name in RECIPES to its file, written once a session."""
    folder = tmp_path_factory.mktemp("gguf")

    def get(name: str) -> Path:
        path = folder / f"{name}.gguf"
        return path if path.exists() else write_gguf(path, RECIPES[name])

    return get


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """An empty folder for models."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder
