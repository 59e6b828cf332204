"""The dialects of the matrix's clients: how each asks, and what it understands of a reply. A stream is judged, too."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from matrix.scenes import SCHEMA, TOOL_SCHEMA, Ask, Ending, Heard

from ghostd.types import Operation


class Client(ABC):
    """One dialect. Its methods raise AssertionError for a reply that breaks the dialect's rules."""

    operation: ClassVar[Operation]
    path: ClassVar[str]
    headers: ClassVar[Mapping[str, str]] = {}
    can: ClassVar[frozenset[str]] = frozenset(("tools", "image", "schema", "stop", "usage"))
    """What the dialect has words for."""

    @abstractmethod
    def body(self, ask: Ask, model: str, *, stream: bool) -> dict[str, Any]:
        """The request."""

    @abstractmethod
    def whole(self, body: Any) -> Heard:
        """A reply that was not streamed."""

    @abstractmethod
    def streamed(self, data: bytes) -> Heard:
        """A whole stream."""

    @abstractmethod
    def error(self, body: Any) -> str:
        """The message of an error object."""

    @abstractmethod
    def failed(self, data: bytes) -> str:
        """The message of the error that ends a stream; nothing says that the reply is complete."""

    def __str__(self) -> str:
        return self.operation


def sse(data: bytes) -> list[tuple[str, str]]:
    """The events of a stream: name ("" if none) and data."""
    assert data.endswith(b"\n\n"), "the last event is cut off"
    events = []
    for block in data.decode("utf-8").removesuffix("\n\n").split("\n\n"):
        name, lines = "", []
        for line in block.split("\n"):
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif not line.startswith(":"):
                assert line.startswith("data: "), f"not a data line: {line[:40]!r}"
                lines.append(line.removeprefix("data: "))
        if lines:
            events.append((name, "\n".join(lines)))
    return events


# --- OpenAI: chat -------------------------------------------------------------------


class OpenAIChat(Client):
    operation = "openai.chat"
    path = "/v1/chat/completions"

    def body(self, ask: Ask, model: str, *, stream: bool) -> dict[str, Any]:
        messages: list[dict[str, Any]] = [{"role": "system", "content": ask.system}] if ask.system else []
        content: Any = ask.prompt
        if ask.image:
            url = f"data:image/png;base64,{ask.image}"
            content = [{"type": "text", "text": ask.prompt}, {"type": "image_url", "image_url": {"url": url}}]
        messages.append({"role": "user", "content": content})
        if ask.past:
            calls = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": json.dumps(c.arguments)}}
                for c in ask.past
            ]
            messages.append({"role": "assistant", "content": None, "tool_calls": calls})
            messages += [{"role": "tool", "tool_call_id": c.id, "content": c.result} for c in ask.past]
        body: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": ask.max_tokens}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if ask.tools:
            body["tools"] = [{"type": "function", "function": _function(name)} for name in ask.tools]
        if ask.schema:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA}}
        if ask.stop:
            body["stop"] = list(ask.stop)
        return body

    def whole(self, body: Any) -> Heard:
        assert body["object"] == "chat.completion"
        [choice] = body["choices"]
        message = choice["message"]
        assert message["role"] == "assistant"
        calls = message.get("tool_calls") or []
        return Heard(
            message["content"] or "",
            tuple((call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls),
            _openai_ending(choice["finish_reason"]),
            (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]),
            message.get("reasoning_content") or "",
        )

    def streamed(self, data: bytes) -> Heard:
        events = sse(data)
        assert events[-1] == ("", "[DONE]")
        chunks = [json.loads(event) for _, event in events[:-1]]
        usage = chunks[-1]["usage"]
        heard = self._heard(chunks if chunks[-1]["choices"] else chunks[:-1])
        return Heard(*heard[:3], (usage["prompt_tokens"], usage["completion_tokens"]), *heard[3:])

    def _heard(self, chunks: list[Any]) -> tuple[str, Any, Ending, str, int]:
        texts, thoughts, calls, finish = [], "", dict[int, list[str]](), None
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        for chunk in chunks:
            [choice] = chunk["choices"]
            assert finish is None, "something after the finish reason"
            delta, finish = choice["delta"], choice.get("finish_reason")
            if isinstance(delta.get("content"), str):
                texts.append(delta["content"])
            thoughts += delta.get("reasoning_content") or ""
            for piece in delta.get("tool_calls") or ():
                if piece["index"] not in calls:
                    assert piece["id"], "a call without an id"
                    calls[piece["index"]] = [piece["function"]["name"], ""]
                calls[piece["index"]][1] += piece["function"].get("arguments") or ""
        assert sorted(calls) == list(range(len(calls)))
        done = tuple((calls[index][0], json.loads(calls[index][1])) for index in sorted(calls))
        return "".join(texts), done, _openai_ending(finish), thoughts, len([text for text in texts if text])

    def error(self, body: Any) -> str:
        assert body["error"].keys() >= {"message", "type", "param", "code"}
        return str(body["error"]["message"])

    def failed(self, data: bytes) -> str:
        events = [json.loads(event) for _, event in sse(data)]
        assert all(not chunk["choices"][0].get("finish_reason") for chunk in events[:-1])
        return self.error(events[-1])


def _function(name: str) -> dict[str, Any]:
    return {"name": name, "description": f"Tells the {name}.", "parameters": TOOL_SCHEMA}


def _openai_ending(reason: str | None) -> Ending:
    endings: dict[str | None, Ending] = {"stop": "stop", "length": "length", "tool_calls": "tools"}
    return endings[reason]


# --- OpenAI: responses --------------------------------------------------------------


class OpenAIResponses(Client):
    operation = "openai.responses"
    path = "/v1/responses"
    can = frozenset(("tools", "image", "schema", "usage"))

    def body(self, ask: Ask, model: str, *, stream: bool) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "input_text", "text": ask.prompt}]
        if ask.image:
            content.append({"type": "input_image", "image_url": f"data:image/png;base64,{ask.image}"})
        items: list[dict[str, Any]] = [{"type": "message", "role": "user", "content": content}]
        for call in ask.past:
            arguments = json.dumps(call.arguments)
            items.append({"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments})
        items += [{"type": "function_call_output", "call_id": c.id, "output": c.result} for c in ask.past]
        body: dict[str, Any] = {"model": model, "input": items, "max_output_tokens": ask.max_tokens, "stream": stream}
        if ask.system:
            body["instructions"] = ask.system
        if ask.tools:
            body["tools"] = [{"type": "function", "strict": False, **_function(name)} for name in ask.tools]
        if ask.schema:
            body["text"] = {"format": {"type": "json_schema", "name": "reply", "schema": SCHEMA}}
        return body

    def whole(self, body: Any) -> Heard:
        assert body["object"] == "response"
        text, calls, thoughts = "", [], ""
        for item in body["output"]:
            if item["type"] == "message":
                assert item["role"] == "assistant"
                text += "".join(part["text"] for part in item["content"] if part["type"] == "output_text")
            elif item["type"] == "function_call":
                assert item["call_id"]
                calls.append((item["name"], json.loads(item["arguments"])))
            else:
                assert item["type"] == "reasoning"
                parts = [*(item.get("content") or ()), *item["summary"]]
                thoughts += "".join(part["text"] for part in parts)
        ending: Ending = "tools" if calls else "stop"
        if body["status"] == "incomplete":
            assert body["incomplete_details"]["reason"] == "max_output_tokens"
            ending = "length"
        else:
            assert body["status"] == "completed"
        usage = (body["usage"]["input_tokens"], body["usage"]["output_tokens"])
        return Heard(text, tuple(calls), ending, usage, thoughts)

    def streamed(self, data: bytes) -> Heard:
        events = list(self._events(data))
        assert events[0]["type"] == "response.created"
        assert events[-1]["type"] in ("response.completed", "response.incomplete")
        heard = self.whole(events[-1]["response"])
        deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
        assert "".join(deltas) == heard.text
        arguments: dict[int, str] = {}
        for event in events:
            if event["type"] == "response.function_call_arguments.delta":
                arguments[event["output_index"]] = arguments.get(event["output_index"], "") + event["delta"]
        assert [json.loads(arguments[index]) for index in sorted(arguments)] == [call[1] for call in heard.calls]
        return Heard(heard.text, heard.calls, heard.ending, heard.usage, heard.thoughts, len([d for d in deltas if d]))

    def _events(self, data: bytes) -> Iterator[Any]:
        ids: dict[int, str] = {}
        events = sse(data)
        if events[-1] == ("", "[DONE]"):  # which clients of other servers wait for
            del events[-1]
        for number, (name, text) in enumerate(events):
            event = json.loads(text)
            assert name == event["type"]
            assert event["sequence_number"] == number, "a gap in the sequence"
            if event["type"] == "response.output_item.added":
                assert event["output_index"] == len(ids)
                ids[event["output_index"]] = event["item"]["id"]
            elif "item_id" in event:
                assert event["item_id"] == ids[event["output_index"]]
            yield event

    def error(self, body: Any) -> str:
        assert body["error"].keys() >= {"message", "type", "param", "code"}
        return str(body["error"]["message"])

    def failed(self, data: bytes) -> str:
        events = [json.loads(text) for _, text in sse(data)]
        kinds = [event.get("type") for event in events]
        assert "response.completed" not in kinds
        last = events[-1]
        if last.get("type") == "response.failed":
            return str(last["response"]["error"]["message"])
        return str(last["error"]["message"] if "error" in last else last["message"])


# --- Anthropic ----------------------------------------------------------------------


class AnthropicMessages(Client):
    operation = "anthropic.messages"
    path = "/v1/messages"
    headers: ClassVar[Mapping[str, str]] = {"anthropic-version": "2023-06-01", "x-api-key": "none"}

    def body(self, ask: Ask, model: str, *, stream: bool) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": ask.prompt}]
        if ask.image:
            source = {"type": "base64", "media_type": "image/png", "data": ask.image}
            content.append({"type": "image", "source": source})
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if ask.past:
            uses = [{"type": "tool_use", "id": c.id, "name": c.name, "input": c.arguments} for c in ask.past]
            results = [{"type": "tool_result", "tool_use_id": c.id, "content": c.result} for c in ask.past]
            messages += [{"role": "assistant", "content": uses}, {"role": "user", "content": results}]
        body: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": ask.max_tokens, "stream": stream}
        if ask.system:
            body["system"] = ask.system
        if ask.tools:
            body["tools"] = [
                {"name": name, "description": f"Tells the {name}.", "input_schema": TOOL_SCHEMA} for name in ask.tools
            ]
        if ask.schema:
            body["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        if ask.stop:
            body["stop_sequences"] = list(ask.stop)
        return body

    def whole(self, body: Any) -> Heard:
        assert (body["type"], body["role"]) == ("message", "assistant")
        content = body["content"]
        usage = body["usage"]
        return Heard(
            "".join(block["text"] for block in content if block["type"] == "text"),
            tuple((block["name"], block["input"]) for block in content if block["type"] == "tool_use"),
            _anthropic_ending(body["stop_reason"]),
            (_all_input(usage), usage["output_tokens"]),
            "".join(block["thinking"] for block in content if block["type"] == "thinking"),
        )

    def streamed(self, data: bytes) -> Heard:
        texts, thoughts, calls = [], "", list[list[str]]()
        prompt = output = 0
        open_block: int | None = None
        blocks = 0
        events = [(name, json.loads(text)) for name, text in sse(data)]
        kinds = [name for name, _ in events if name != "ping"]
        assert kinds[0] == "message_start"
        assert kinds[-2:] == ["message_delta", "message_stop"]
        ending: Ending = "stop"
        for name, event in events:
            assert event["type"] == name
            if name == "message_start":
                prompt = _all_input(event["message"]["usage"])
            elif name == "content_block_start":
                assert open_block is None, "a block within a block"
                assert event["index"] == blocks
                open_block = blocks
                blocks += 1
                if event["content_block"]["type"] == "tool_use":
                    calls.append([event["content_block"]["name"], ""])
            elif name == "content_block_delta":
                assert event["index"] == open_block
                delta = event["delta"]
                if delta["type"] == "text_delta":
                    texts.append(delta["text"])
                elif delta["type"] == "input_json_delta":
                    calls[-1][1] += delta["partial_json"]
                elif delta["type"] == "thinking_delta":
                    thoughts += delta["thinking"]
            elif name == "content_block_stop":
                assert event["index"] == open_block
                open_block = None
            elif name == "message_delta":
                assert open_block is None
                ending = _anthropic_ending(event["delta"]["stop_reason"])
                prompt = _all_input(event["usage"]) or prompt
                output = event["usage"]["output_tokens"]
        done = tuple((name, json.loads(arguments or "{}")) for name, arguments in calls)
        return Heard("".join(texts), done, ending, (prompt, output), thoughts, len([text for text in texts if text]))

    def error(self, body: Any) -> str:
        assert body["type"] == "error"
        assert body["error"]["type"].endswith("_error")
        return str(body["error"]["message"])

    def failed(self, data: bytes) -> str:
        events = sse(data)
        assert events[-1][0] == "error"
        assert "message_stop" not in [name for name, _ in events]
        return self.error(json.loads(events[-1][1]))


def _all_input(usage: Mapping[str, Any]) -> int:
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(usage.get(name) or 0 for name in names)


def _anthropic_ending(reason: str) -> Ending:
    endings: dict[str, Ending] = {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "tool_use": "tools",
    }
    return endings[reason]


# --- Ollama -------------------------------------------------------------------------


class OllamaChat(Client):
    operation = "ollama.chat"
    path = "/api/chat"

    def body(self, ask: Ask, model: str, *, stream: bool) -> dict[str, Any]:
        messages: list[dict[str, Any]] = [{"role": "system", "content": ask.system}] if ask.system else []
        user: dict[str, Any] = {"role": "user", "content": ask.prompt}
        messages.append(user | ({"images": [ask.image]} if ask.image else {}))
        if ask.past:
            calls = [{"id": c.id, "function": {"name": c.name, "arguments": c.arguments}} for c in ask.past]
            messages.append({"role": "assistant", "content": "", "tool_calls": calls})
            messages += [
                {"role": "tool", "content": c.result, "tool_name": c.name, "tool_call_id": c.id} for c in ask.past
            ]
        body: dict[str, Any] = {"model": model, "messages": messages, "options": _options(ask)}
        if not stream:
            body["stream"] = False  # it is true where nothing is said
        if ask.tools:
            body["tools"] = [{"type": "function", "function": _function(name)} for name in ask.tools]
        if ask.schema:
            body["format"] = SCHEMA
        return body

    def whole(self, body: Any) -> Heard:
        message = body["message"]
        assert message["role"] == "assistant"
        return self._heard([body])

    def streamed(self, data: bytes) -> Heard:
        assert data.endswith(b"\n")
        lines = [json.loads(line) for line in data.decode("utf-8").splitlines()]
        assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
        return self._heard(lines)

    def _heard(self, lines: list[Any]) -> Heard:
        texts, thoughts, calls = [], "", []
        for line in lines:
            said, thought, called = self._said(line)
            texts.append(said)
            thoughts += thought
            calls += called
        last = lines[-1]
        assert last["done"] is True
        ending: Ending = "tools" if calls else "length" if last["done_reason"] == "length" else "stop"
        usage = (last["prompt_eval_count"], last["eval_count"])
        return Heard("".join(texts), tuple(calls), ending, usage, thoughts, len([text for text in texts if text]))

    def _said(self, line: Any) -> tuple[str, str, list[Any]]:
        message = line["message"]
        calls = [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or ()]
        return message["content"], message.get("thinking") or "", calls

    def error(self, body: Any) -> str:
        assert isinstance(body["error"], str)
        return str(body["error"])

    def failed(self, data: bytes) -> str:
        lines = [json.loads(line) for line in data.decode("utf-8").splitlines()]
        assert not any(line.get("done") for line in lines)
        return self.error(lines[-1])


class OllamaGenerate(OllamaChat):
    operation = "ollama.generate"
    path = "/api/generate"
    can = frozenset(("image", "schema", "stop", "usage"))

    def body(self, ask: Ask, model: str, *, stream: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"model": model, "prompt": ask.prompt, "options": _options(ask)}
        if not stream:
            body["stream"] = False
        if ask.system:
            body["system"] = ask.system
        if ask.image:
            body["images"] = [ask.image]
        if ask.schema:
            body["format"] = SCHEMA
        return body

    def whole(self, body: Any) -> Heard:
        return self._heard([body])

    def _said(self, line: Any) -> tuple[str, str, list[Any]]:
        return line["response"], line.get("thinking") or "", []


def _options(ask: Ask) -> dict[str, Any]:
    return {"num_predict": ask.max_tokens, **({"stop": list(ask.stop)} if ask.stop else {})}


CLIENTS: tuple[Client, ...] = (OpenAIChat(), OpenAIResponses(), AnthropicMessages(), OllamaChat(), OllamaGenerate())
