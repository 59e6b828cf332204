"""How OpenAI's Responses API says a reply. Shapes: the OpenAI API reference, "Responses"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ghostd.testing.scripted_upstream import Answer, json_answer, sse_answer
from ghostd.testing.upstream_dialect import Reply


def responses_whole(reply: Reply) -> Answer:
    """A reply that is not streamed."""
    return json_answer(_response(reply, "incomplete" if reply.finish == "length" else "completed"))


def responses_stream(reply: Reply) -> Answer:
    """The same, streamed."""
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(_events(reply))]
    return sse_answer(numbered, named=True)


def _events(reply: Reply) -> Iterator[dict[str, Any]]:
    begun = {**_response(reply, "in_progress"), "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(_items(reply)):
        where = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "message":
            yield {"type": "response.output_item.added", "output_index": index, "item": {**item, "content": []}}
            part = {"content_index": 0, **where}
            empty = {"type": "output_text", "text": "", "annotations": []}
            yield {"type": "response.content_part.added", **part, "part": empty}
            for text in reply.text:
                yield {"type": "response.output_text.delta", **part, "delta": text, "logprobs": []}
            yield {"type": "response.output_text.done", **part, "text": "".join(reply.text), "logprobs": []}
            yield {"type": "response.content_part.done", **part, "part": item["content"][0]}
        elif item["type"] == "reasoning":
            yield {"type": "response.output_item.added", "output_index": index, "item": {**item, "content": []}}
            part = {"content_index": 0, **where}
            for text in reply.reasoning:
                yield {"type": "response.reasoning_text.delta", **part, "delta": text}
            yield {"type": "response.reasoning_text.done", **part, "text": "".join(reply.reasoning)}
        else:
            yield {"type": "response.output_item.added", "output_index": index, "item": {**item, "arguments": ""}}
            half = len(item["arguments"]) // 2
            for piece in (item["arguments"][:half], item["arguments"][half:]):
                yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
            yield {"type": "response.function_call_arguments.done", **where, "arguments": item["arguments"]}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    ended = "incomplete" if reply.finish == "length" else "completed"
    yield {"type": f"response.{ended}", "response": _response(reply, ended)}


def _items(reply: Reply) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if reply.reasoning:
        thoughts = [{"type": "reasoning_text", "text": "".join(reply.reasoning)}]
        items.append({"id": "rs_1", "type": "reasoning", "summary": [], "content": thoughts})
    if reply.text:
        part = {"type": "output_text", "text": "".join(reply.text), "annotations": [], "logprobs": []}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        items.append(message)
    items.extend(
        {
            "id": f"fc_{number}",
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        for number, call in enumerate(reply.tool_calls)
    )
    return items


def _response(reply: Reply, status: str) -> dict[str, Any]:
    usage = reply.usage
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1760000000,
        "status": status,
        "model": "model-1-2026",
        "output": _items(reply),
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "top_p": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        },
    }
