"""An obedient server of the Gemini API."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from obedient.mind import DIMENSIONS, Asked, AskedTool, Said, answer, logprob, vector, words
from providers.gemini_dialect import MODEL, GeminiDialect

from ghostd.testing.scripted_upstream import Answer, Seen, json_answer

Json = dict[str, Any]

EMBEDDING_MODEL = "gemini-embedding-001"
_DIALECT = GeminiDialect()
_MODES = {"ANY": "required", "NONE": "none"}


def serve(seen: Seen) -> Answer:
    """Answer one request."""
    if seen.method == "GET":
        return _DIALECT.models((MODEL, EMBEDDING_MODEL))
    method = seen.path.rpartition(":")[2]
    body = seen.json
    if method == "batchEmbedContents":
        texts = [_text(request["content"]) for request in body["requests"]]
        sizes = [request.get("outputDimensionality") or DIMENSIONS for request in body["requests"]]
        return _DIALECT.embed([vector(text, size) for text, size in zip(texts, sizes, strict=True)], words(texts))
    if not body.get("contents"):
        return _DIALECT.error(400, "contents is not specified")
    if method == "countTokens":
        return json_answer({"totalTokens": asked_of(body).size})
    said = answer(asked_of(body))
    if method not in ("generateContent", "streamGenerateContent"):
        return _DIALECT.error(404, "no such method")
    found = _DIALECT.whole_chat(said.reply) if method == "generateContent" else _DIALECT.chat(said.reply)
    how = body.get("generationConfig") or {}
    return _with_logprobs(found, said, how.get("logprobs") or 0) if how.get("responseLogprobs") else found


def _with_logprobs(found: Answer, said: Said, top: int) -> Answer:
    """The chunks with what was thought of their tokens."""
    pieces = []
    for piece in found.pieces:
        chunk = json.loads(piece.removeprefix(b"data: "))
        candidate = chunk["candidates"][0]
        content = _text(candidate["content"])
        tokens = said.text if content == "".join(said.text) else (content,)
        if content:
            candidate["logprobsResult"] = {
                "chosenCandidates": [{"token": token, "logProbability": logprob(token)} for token in tokens],
                "topCandidates": [
                    {
                        "candidates": [
                            {"token": token + "!" * n, "logProbability": logprob(token) - n} for n in range(top)
                        ]
                    }
                    for token in tokens
                ],
            }
        data = json.dumps(chunk).encode()
        pieces.append(b"data: " + data + b"\n\n" if piece.startswith(b"data: ") else data)
    return replace(found, pieces=tuple(pieces))


def asked_of(body: Json) -> Asked:
    """A body in no dialect's words."""
    prompt = said = ""
    results: list[str] = []
    for content in body["contents"]:
        found = [
            _result(part["functionResponse"]["response"]) for part in content["parts"] if "functionResponse" in part
        ]
        if found:
            results += found
        elif content.get("role", "user") == "user":
            said += prompt
            prompt, results = _text(content), []
    how = body.get("generationConfig") or {}
    calling: Json = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    allowed: list[str] = calling.get("allowedFunctionNames") or []
    choice = f"tool:{allowed[0]}" if len(allowed) == 1 else _MODES.get(calling.get("mode", ""), "auto")
    json_mode = how.get("responseMimeType") == "application/json"
    schema = how.get("responseJsonSchema") or how.get("responseSchema") or ({} if json_mode else None)
    thinking = how.get("thinkingConfig") or {}
    return Asked(
        prompt=prompt,
        size=words(map(_text, body["contents"])) + 3 * len(body["contents"]),
        said=said,
        results=tuple(results),
        tools=tuple(
            AskedTool(
                declared["name"],
                declared.get("description", ""),
                declared.get("parametersJsonSchema") or declared.get("parameters") or {},
            )
            for tool in body.get("tools") or ()
            for declared in tool.get("functionDeclarations", ())
        ),
        choice=choice,
        schema=schema,
        stop=tuple(how.get("stopSequences") or ()),
        max_tokens=how.get("maxOutputTokens"),
        think=bool(thinking.get("includeThoughts")),
        continues=_text(body["contents"][-1]) if body["contents"][-1].get("role") == "model" else "",
    )


def _result(response: Json) -> str:
    return str(next(iter(response.values()))) if len(response) == 1 else json.dumps(response)


def _text(content: Json) -> str:
    return "\n".join(str(part["text"]) for part in content.get("parts", ()) if "text" in part)
