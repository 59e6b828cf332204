"""Every parameter of the calls that fill holes and continue texts in words of their own, with values that show."""

from __future__ import annotations

from compatible.measure import Door, Fields

_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
_LLAMACPP: dict[str, Fields] = {
    "": {},
    "stream": {"stream": True},
    "n_predict": {"n_predict": 19},
    "n_indent": {"n_indent": 4},
    "t_max_predict_ms": {"t_max_predict_ms": 5000},
    "n_cmpl": {"n_cmpl": 2},
    "stop": {"stop": ["END"]},
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "top_k": {"top_k": 5},
    "min_p": {"min_p": 0.1},
    "repeat_penalty": {"repeat_penalty": 1.2},
    "presence_penalty": {"presence_penalty": 0.5},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "seed": {"seed": 7},
    "samplers": {"samplers": ["top_k"], "top_p": 0.5},
    "n_probs": {"n_probs": 2},
    "logit_bias": {"logit_bias": [[5, 1.0]]},
    "grammar": {"grammar": 'root ::= "a"'},
    "json_schema": {"json_schema": _SCHEMA},
    "response_fields": {"response_fields": ["content"]},
    "cache_prompt": {"cache_prompt": True},
    "id_slot": {"id_slot": 0},
    "typical_p, xtc, dry, mirostat": {"mirostat": 2},
}
_OWN = frozenset(("n_indent", "t_max_predict_ms", "response_fields", "samplers"))
_HINTS = frozenset(("cache_prompt", "id_slot"))
INFILL = Door(
    "llamacpp.infill",
    "/infill",
    {"input_prefix": "def f(", "input_suffix": ")\n", "n_predict": 20},
    {
        **_LLAMACPP,
        "prompt": {"prompt": "a, "},
        "input_extra": {"input_extra": [{"filename": "b.py", "text": "def g(a, b): pass\n"}]},
        "ignore_eos": {"ignore_eos": True},
    },
    own=_OWN,
    hints=_HINTS,
)
COMPLETION = Door(
    "llamacpp.completion",
    "/completion",
    {"prompt": "hi", "n_predict": 20},
    {
        **_LLAMACPP,
        "prompt: texts": {"prompt": ["hi", "ho"]},
        "prompt: token ids": {"prompt": [5, 6]},
        "ignore_eos": {"ignore_eos": True},
    },
    own=_OWN,
    hints=_HINTS,
)
TOKENS = Door("llamacpp.tokens", "/tokenize", {"content": "hi"}, {"": {}, "with_pieces": {"with_pieces": True}})
DETOKENIZE = Door("llamacpp.tokens", "/detokenize", {"tokens": [5]}, {"/detokenize": {}})
TEMPLATE = Door(
    "llamacpp.tokens", "/apply-template", {"messages": [{"role": "user", "content": "hi"}]}, {"/apply-template": {}}
)
INPUT_TOKENS = Door("openai.responses", "/v1/responses/input_tokens", {"input": "hi"}, {"/input_tokens": {}})
FIM = Door(
    "mistral.fim",
    "/v1/fim/completions",
    {"prompt": "def f(", "suffix": ")\n", "max_tokens": 20},
    {
        "": {},
        "stream": {"stream": True},
        "max_tokens": {"max_tokens": 19},
        "min_tokens": {"min_tokens": 5},
        "temperature": {"temperature": 0.5},
        "top_p": {"top_p": 0.5},
        "stop": {"stop": ["END"]},
        "random_seed": {"random_seed": 7},
        "metadata": {"metadata": {"a": "b"}},
    },
    hints=frozenset(("metadata",)),
)
TABBY = Door(
    "tabby",
    "/v1/completions",
    {"language": "python", "segments": {"prefix": "def f(", "suffix": ")\n"}},
    {
        "": {},
        "segments: suffix absent": {"segments": {"prefix": "def f("}},
        "segments: filepath": {"segments": {"prefix": "def f(", "suffix": ")\n", "filepath": "a.py"}},
        "segments: declarations and snippets": {
            "segments": {
                "prefix": "def f(",
                "suffix": ")\n",
                "declarations": [{"filepath": "b.py", "body": "def g(a, b): pass\n"}],
            }
        },
        "segments: clipboard": {"segments": {"prefix": "def f(", "suffix": ")\n", "clipboard": "x"}},
        "temperature": {"temperature": 0.5},
        "seed": {"seed": 7},
        "user": {"user": "u"},
        "mode: next_edit_suggestion": {"mode": "next_edit_suggestion"},
        "debug_options: raw_prompt": {"debug_options": {"raw_prompt": "x"}},
    },
    hints=frozenset(("segments: clipboard", "user")),
)
