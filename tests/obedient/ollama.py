"""An obedient server of Ollama's own API."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from obedient.mind import DIMENSIONS, Asked, AskedTool, Said, answer, logprob, vector, words
from providers.ollama_dialect import MODEL, OllamaDialect

from ghostd.testing.scripted_upstream import Answer, Seen, json_answer

Json = dict[str, Any]

EMBEDDING_MODEL = "nomic-embed-text:latest"
_DIALECT = OllamaDialect()


def serve(seen: Seen) -> Answer:
    """Answer one request."""
    call = seen.path.rpartition("/api/")[2]
    if seen.method == "GET":
        return json_answer({"version": "0.20.0"}) if call == "version" else _DIALECT.models((MODEL, EMBEDDING_MODEL))
    body = seen.json
    if call == "show":
        embeds = body.get("model") == EMBEDDING_MODEL
        capabilities = ["embedding"] if embeds else ["completion", "tools", "vision", "insert", "thinking"]
        return json_answer({"capabilities": capabilities, "details": {}, "model_info": {}})
    if call == "embed":
        given = body["input"]
        inputs = given if isinstance(given, list) else [given]
        size = body.get("dimensions") or DIMENSIONS
        return _DIALECT.embed([vector(str(text), size) for text in inputs], words(map(str, inputs)))
    if call == "generate":
        options = body.get("options") or {}
        prompt = body.get("prompt", "")
        asked = Asked(prompt, max(1, words([prompt])), stop=_stops(options), max_tokens=_limit(options))
        said = answer(asked)
        found = _DIALECT.complete(said.reply)
        if not body.get("stream", True):
            return json_answer({**json.loads(found.pieces[-1]), "response": "".join(said.text)})
        return _with_logprobs(found, said, body.get("top_logprobs") or 0) if body.get("logprobs") else found
    if call != "chat" or not isinstance(body.get("messages"), list):
        return _DIALECT.error(400 if call == "chat" else 404, "json: cannot unmarshal")
    said = answer(asked_of(body))
    found = _DIALECT.chat(said.reply) if body.get("stream", True) else _DIALECT.whole_chat(said.reply)
    return _with_logprobs(found, said, body.get("top_logprobs") or 0) if body.get("logprobs") else found


def asked_of(body: Json) -> Asked:
    """A chat body in no dialect's words."""
    prompt = said = ""
    results: list[str] = []
    for message in body["messages"]:
        if message["role"] == "user":
            said += prompt
            prompt, results = message.get("content", ""), []
        elif message["role"] == "tool":
            results.append(message.get("content", ""))
    last = body["messages"][-1]
    options = body.get("options") or {}
    wanted = body.get("format")
    return Asked(
        prompt=prompt,
        size=words(message.get("content", "") for message in body["messages"]) + 3 * len(body["messages"]),
        said=said,
        results=tuple(results),
        tools=tuple(
            AskedTool(
                tool["function"]["name"],
                tool["function"].get("description", ""),
                tool["function"].get("parameters", {}),
            )
            for tool in body.get("tools") or ()
        ),
        schema={} if wanted == "json" else wanted,
        stop=_stops(options),
        max_tokens=_limit(options),
        think=bool(body.get("think")),
        continues=last.get("content", "") if last["role"] == "assistant" else "",
    )


def _with_logprobs(found: Answer, said: Said, top: int) -> Answer:
    """The lines with what was thought of their tokens."""
    pieces = []
    for piece in found.pieces:
        line = json.loads(piece)
        content = line["message"]["content"] if "message" in line else line["response"]
        tokens = said.text if content == "".join(said.text) else (content,)
        if content:
            line["logprobs"] = [
                {
                    "token": token,
                    "logprob": logprob(token),
                    "top_logprobs": [{"token": token + "!" * n, "logprob": logprob(token) - n} for n in range(top)],
                }
                for token in tokens
            ]
        pieces.append(json.dumps(line).encode() + b"\n")
    return replace(found, pieces=tuple(pieces))


def _stops(options: Json) -> tuple[str, ...]:
    given = options.get("stop") or ()
    return (given,) if isinstance(given, str) else tuple(given)


def _limit(options: Json) -> int | None:
    limit = options.get("num_predict")
    return limit if limit is not None and limit > 0 else None
