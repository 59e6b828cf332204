"""An obedient server of OpenAI's dialect: chat, completions, embeddings and models, with every parameter that shows.

Shapes: the OpenAI API reference. It also refuses what OpenAI refuses, as far as clients' tests try that.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from obedient.mind import DIMENSIONS, Asked, AskedTool, Said, answer, logprob, vector, words

from ghostd.testing.scripted_upstream import Answer, Seen, json_answer, sse_answer
from ghostd.types import Usage

Json = dict[str, Any]

MODELS = ("obedient-1", "obedient-embedding-1")
_CREATED = 1_760_000_000


def serve(seen: Seen) -> Answer:
    """Answer one request."""
    if seen.method == "GET":
        data = [{"id": name, "object": "model", "created": _CREATED, "owned_by": "obedient"} for name in MODELS]
        return json_answer({"object": "list", "data": data})
    for ending, handler in (
        ("/chat/completions", _chat),
        ("/completions", _completions),
        ("/embeddings", _embeddings),
    ):
        if seen.path.endswith(ending):
            try:
                return handler(seen.json)
            except _Refused as refused:
                return _error(400, str(refused), refused.param)
    return _error(404, f"Invalid URL ({seen.method} {seen.path})", None)


class _Refused(Exception):
    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


def _error(status: int, message: str, param: str | None) -> Answer:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return json_answer({"error": error}, status)


def _check(body: Json) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _Refused("Invalid type for 'messages': expected an array of objects.", "messages")
    if not 0 <= (body.get("temperature") or 0) <= 2:
        raise _Refused("Invalid 'temperature': decimal above maximum value.", "temperature")
    if body.get("tool_choice") is not None and not body.get("tools"):
        raise _Refused("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")


def text_of(content: object) -> str:
    """The text of a message's content, in any form."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text") or part.get("refusal") or "") for part in parts)


def asked_of(body: Json) -> Asked:
    """A chat body in no dialect's words."""
    messages = body["messages"]
    users = [number for number, message in enumerate(messages) if message["role"] == "user"]
    last = users[-1] if users else -1
    results = tuple(text_of(m.get("content")) for m in messages[last + 1 :] if m["role"] in ("tool", "function"))
    offered = [tool["function"] if tool["type"] == "function" else tool["custom"] for tool in body.get("tools") or ()]
    tools = tuple(
        AskedTool(tool["name"], tool.get("description") or "", tool.get("parameters") or {}) for tool in offered
    )
    think = body.get("reasoning_effort") not in (None, "none")
    return Asked(
        prompt=text_of(messages[last].get("content")) if users else "",
        size=words(text_of(message.get("content")) for message in messages) + 3 * len(messages),
        said="\n".join(text_of(m.get("content")) for m in messages if m["role"] == "user"),
        results=results,
        tools=tools,
        choice=_choice(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False,
        schema=_schema(body.get("response_format") or {}),
        stop=_stops(body.get("stop")),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        think=think,
        continues=text_of(messages[-1].get("content")) if messages[-1]["role"] == "assistant" else "",
    )


def _choice(given: Any) -> str:
    if given is None or isinstance(given, str):
        return given or "auto"
    if given["type"] == "allowed_tools":
        return str(given["allowed_tools"]["mode"])
    return "tool:" + str(given[given["type"]]["name"])


def _schema(wanted: Json) -> Json | None:
    if wanted.get("type") == "json_schema":
        found: Json = wanted["json_schema"]["schema"]
        return found
    return {} if wanted.get("type") == "json_object" else None


def _stops(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def _chat(body: Json) -> Answer:
    _check(body)
    said = answer(asked_of(body))
    count = body.get("n") or 1
    top = (body.get("top_logprobs") or 0) if body.get("logprobs") else None
    if body.get("stream"):
        return sse_answer(list(_chunks(body, said, count, top)), done=True)
    message: Json = {"role": "assistant", "content": "".join(said.text) if said.text or not said.calls else None}
    if said.thoughts:
        message["reasoning_content"] = "".join(said.thoughts)
    if said.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in said.calls
        ]
    message["refusal"] = None
    logprobs = None if top is None else {"content": _logprobs(said.text, top), "refusal": None}
    choices = [
        {"index": index, "message": message, "logprobs": logprobs, "finish_reason": said.finish}
        for index in range(count)
    ]
    return json_answer(
        {**_shell(body, "chat.completion"), "choices": choices, "usage": _usage(said.usage, count)},
        headers={"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "99"},
    )


def _shell(body: Json, kind: str) -> Json:
    name = "cmpl" if kind == "text_completion" else "chatcmpl"
    return {"id": f"{name}-obedient", "object": kind, "created": _CREATED, "model": body["model"]}


def _usage(usage: Usage, count: int) -> Json:
    completion = usage.completion_tokens * count
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": usage.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens * count, "audio_tokens": 0},
    }


def _logprobs(tokens: Iterable[str], top: int) -> list[Json]:
    def entry(token: str, likelihood: float) -> Json:
        return {"token": token, "logprob": likelihood, "bytes": list(token.encode())}

    return [
        {
            **entry(token, logprob(token)),
            "top_logprobs": [entry(token + "!" * rank, logprob(token) - rank) for rank in range(top)],
        }
        for token in tokens
    ]


def _chunks(body: Json, said: Said, count: int, top: int | None) -> Iterator[Json]:
    options = body.get("stream_options") or {}
    usage: Json = {"usage": None} if options.get("include_usage") else {}
    shell = {**_shell(body, "chat.completion.chunk"), **usage}

    def chunk(index: int, delta: Json, finish: str | None = None, logprobs: Json | None = None) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {**shell, "choices": [choice]}

    for index in range(count):
        yield chunk(index, {"role": "assistant", "content": "", "refusal": None})
        for text in said.thoughts:
            yield chunk(index, {"reasoning_content": text})
        for text in said.text:
            told = None if top is None else {"content": _logprobs((text,), top), "refusal": None}
            yield chunk(index, {"content": text}, logprobs=told)
        for number, call in enumerate(said.calls):
            opening = {"index": number, "id": call.id, "type": "function"}
            yield chunk(index, {"tool_calls": [{**opening, "function": {"name": call.name, "arguments": ""}}]})
            middle = len(call.arguments) // 2
            for piece in (call.arguments[:middle], call.arguments[middle:]):
                yield chunk(index, {"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
        yield chunk(index, {}, said.finish)
    if usage:
        yield {**shell, "choices": [], "usage": _usage(said.usage, count)}


def _completions(body: Json) -> Answer:
    prompts = body.get("prompt", "")
    texts = prompts if isinstance(prompts, list) and prompts and isinstance(prompts[0], str) else [prompts]
    every: list[Said] = []
    for prompt in texts:
        text = prompt if isinstance(prompt, str) else " ".join(map(str, prompt))
        asked = Asked(text, words([text]), stop=_stops(body.get("stop")), max_tokens=body.get("max_tokens") or 16)
        every += [answer(asked)] * (body.get("n") or 1)
    total = Usage(sum(s.usage.prompt_tokens for s in every), sum(s.usage.completion_tokens for s in every))
    shell = _shell(body, "text_completion")
    top = body.get("logprobs")
    if not body.get("stream"):
        choices = [
            _completion(index, said.text, said.finish, top, (body.get("echo") and texts[index % len(texts)]) or "")
            for index, said in enumerate(every)
        ]
        return json_answer({**shell, "choices": choices, "usage": _usage(total, 1)})
    chunks: list[Json] = []
    for index, said in enumerate(every):
        chunks += [{**shell, "choices": [_completion(index, (token,), None, top)]} for token in said.text]
        chunks.append({**shell, "choices": [_completion(index, (), said.finish, None)]})
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**shell, "choices": [], "usage": _usage(total, 1)})
    return sse_answer(chunks, done=True)


def _completion(index: int, tokens: Sequence[str], finish: str | None, top: int | None, echo: str = "") -> Json:
    logprobs = None
    if top is not None:
        logprobs = {
            "tokens": list(tokens),
            "token_logprobs": [logprob(token) for token in tokens],
            "top_logprobs": [{token + "!" * rank: logprob(token) - rank for rank in range(top)} for token in tokens],
            "text_offset": [len(echo) + len("".join(tokens[:number])) for number in range(len(tokens))],
        }
    return {"index": index, "text": echo + "".join(tokens), "logprobs": logprobs, "finish_reason": finish}


def _embeddings(body: Json) -> Answer:
    given = body.get("input")
    if not given:
        raise _Refused("'input' must not be empty.", "input")
    inputs = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    vectors = [vector(str(text), body.get("dimensions") or DIMENSIONS) for text in inputs]
    packed = body.get("encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(struct.pack(f"<{len(found)}f", *found)).decode() if packed else list(found),
        }
        for index, found in enumerate(vectors)
    ]
    tokens = words(str(text) for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json_answer({"object": "list", "data": data, "model": body["model"], "usage": usage})
