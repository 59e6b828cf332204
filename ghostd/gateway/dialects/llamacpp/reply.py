"""Replies of llama.cpp's completions and fills (`tools/server/server-task.cpp`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ghostd.gateway.answering import Reply
from ghostd.gateway.dialect import sse_data
from ghostd.gateway.dialects.generation import pieces
from ghostd.gateway.dialects.llamacpp.fields import CommonFields
from ghostd.routing.call import Call
from ghostd.types import Delta, TokenLogprob, Usage

_ENCODER = msgspec.json.Encoder()
_LEAST = -9999.0
_ECHOED = (
    "seed", "temperature", "dynatemp_range", "dynatemp_exponent", "top_k", "top_p", "min_p", "top_n_sigma",
    "xtc_probability", "xtc_threshold", "typical_p", "repeat_last_n", "repeat_penalty", "presence_penalty",
    "frequency_penalty", "dry_multiplier", "mirostat", "adaptive_target", "stop", "n_keep", "n_discard", "ignore_eos",
    "stream", "min_keep", "grammar", "samplers", "timings_per_token", "post_sampling_probs",
)  # fmt: skip
"""What of a request its settings repeat."""
_DEFAULTS: Mapping[str, object] = {
    "seed": 2**32 - 1,
    "temperature": 0.8,
    "top_k": 40,
    "top_p": 0.95,
    "min_p": 0.05,
    "typical_p": 1.0,
    "repeat_last_n": 64,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "mirostat": 0,
    "stop": [],
    "logit_bias": [],
    "n_predict": -1,
    "max_tokens": -1,
    "n_keep": 0,
    "ignore_eos": False,
    "stream": False,
    "n_probs": 0,
    "min_keep": 0,
    "grammar": "",
    "samplers": ["penalties", "top_k", "top_p", "min_p", "temperature"],
    "timings_per_token": False,
    "post_sampling_probs": False,
    "lora": [],
}
"""What local models do where a request says nothing."""


def generation_settings(fields: CommonFields | None = None) -> dict[str, object]:
    """The settings of a request, or the defaults."""
    settings = dict(_DEFAULTS)
    if fields is None:
        return settings
    for name in _ECHOED:
        value = getattr(fields, name)
        if value is not None:
            settings[name] = value
    pairs = fields.logit_bias or []
    biases = pairs.items() if isinstance(pairs, dict) else pairs
    settings["logit_bias"] = [{"token": token, "bias": None if bias is False else bias} for token, bias in biases]
    settings["n_predict"] = settings["max_tokens"] = -1 if fields.limit is None else fields.limit
    settings["n_probs"] = fields.probabilities
    return settings


class LlamacppReply:
    """Deltas as llama.cpp's replies. `take` must be called before the first one."""

    def __init__(self) -> None:
        self._fields = CommonFields()
        self._settings: dict[str, object] = {}
        self._prompts: Sequence[str] = ()
        self._model = ""
        self._said: dict[int, Reply] = {}
        self._made: dict[int, int] = {}
        """How many tokens each choice of a stream has so far."""

    def take(self, fields: CommonFields, prompts: Sequence[str]) -> None:
        """What was asked, and the prompt of each choice as text."""
        self._fields, self._prompts = fields, prompts
        self._settings = generation_settings(fields)

    def whole(self, call: Call, model: str, replies: list[Reply]) -> bytes:
        """The body of a reply that is not streamed: an object, or an array where there are several choices."""
        self._model = model
        results = [self._result(call, index, reply) for index, reply in enumerate(replies)]
        for result, reply in zip(results, replies, strict=True):
            if self._fields.probabilities and reply.logprobs:
                result["completion_probabilities"] = _probabilities(reply.logprobs)
        shown = [self._shown(result) for result in results]
        return _ENCODER.encode(shown[0] if len(shown) == 1 else shown)

    def begin(self, call: Call, model: str) -> None:
        """A stream begins."""
        self._model = model
        self._call = call

    def events(self, delta: Delta) -> bytes:
        """The events of a delta; the last one of a choice repeats what was asked, and has the counts."""
        index = delta.choice
        reply = self._said.setdefault(index, Reply())
        reply.add(delta)
        tokens = delta.tokens
        self._made[index] = self._made.get(index, 0) + (len(tokens) or bool(delta.text))
        data = b""
        for text, logprobs in pieces(delta):
            event: dict[str, object] = {
                "index": index,
                "content": text,
                "tokens": tokens,
                "stop": False,
                "id_slot": 0,
                "tokens_predicted": self._made[index],
            }
            if logprobs and self._fields.probabilities:
                event["completion_probabilities"] = _probabilities(logprobs)
            data += sse_data(_ENCODER.encode(event))
            tokens = ()
        if delta.finish_reason is not None:
            last = self._result(self._call, index, reply)
            last.update(content="", tokens=[])
            data += sse_data(_ENCODER.encode(self._shown(last)))
        return data

    def end(self, call: Call) -> bytes:
        """Nothing: the last event of each choice says that it stops."""
        return b""

    def _result(self, call: Call, index: int, reply: Reply) -> dict[str, object]:
        text = "".join(reply.text)
        last = reply.deltas[-1]
        tokens = [token for delta in reply.deltas for token in delta.tokens]
        usage = last.usage or Usage(0, len(tokens) or sum(bool(delta.text) for delta in reply.deltas))
        stop_type, word = _stop(last)
        return {
            "index": index,
            "content": text,
            "tokens": tokens if self._fields.return_tokens else [],
            "id_slot": 0,
            "stop": True,
            "model": self._model,
            "tokens_predicted": usage.completion_tokens,
            "tokens_evaluated": usage.prompt_tokens,
            "generation_settings": self._settings,
            "prompt": self._prompts[index] if index < len(self._prompts) else "",
            "has_new_line": "\n" in text,
            "truncated": False,
            "stop_type": stop_type,
            "stopping_word": word,
            "tokens_cached": usage.prompt_tokens + usage.completion_tokens,
            "timings": _timings(call, usage),
        }

    def _shown(self, result: dict[str, object]) -> dict[str, object]:
        """The fields that were asked for; a slash leads into an object."""
        if not self._fields.response_fields:
            return result
        shown: dict[str, object] = {}
        for path in self._fields.response_fields:
            value: object = result
            for key in path.split("/"):
                if not isinstance(value, dict) or key not in value:
                    break
                value = value[key]
            else:
                shown[path] = value
        return shown


def _stop(last: Delta) -> tuple[str, str]:
    if last.finish_reason == "length":
        return "limit", ""
    return ("word", last.stop_sequence) if last.stop_sequence else ("eos", "")


def _timings(call: Call, usage: Usage) -> dict[str, object]:
    """As measured here: the prompt's time is up to the first piece, waiting and loading included."""
    prompt_ms = call.trace.first_byte_ms or 0.0
    predicted_ms = max(call.age_ms - prompt_ms, 0.0)
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    return {
        "cache_n": cached,
        **_speed("prompt", usage.prompt_tokens - cached, prompt_ms),
        **_speed("predicted", usage.completion_tokens, predicted_ms),
    }


def _speed(name: str, count: int, time_ms: float) -> dict[str, object]:
    return {
        f"{name}_n": count,
        f"{name}_ms": time_ms,
        f"{name}_per_token_ms": time_ms / count if count else 0.0,
        f"{name}_per_second": 1000 * count / time_ms if time_ms else 0.0,
    }


def _probabilities(tokens: Sequence[TokenLogprob]) -> list[dict[str, object]]:
    return [
        {
            "id": token.token_id,
            **_token(token.token, token.logprob),
            "top_logprobs": _alternatives(token),
        }
        for token in tokens
    ]


def _alternatives(token: TokenLogprob) -> list[dict[str, object]]:
    told = [_token(other, logprob) for other, logprob in token.top]
    if len(token.top_ids) == len(told):
        return [{"id": number, **other} for number, other in zip(token.top_ids, told, strict=True)]
    return told


def _token(token: bytes, logprob: float) -> dict[str, object]:
    return {"token": token.decode("utf-8", "replace"), "bytes": list(token), "logprob": max(logprob, _LEAST)}
