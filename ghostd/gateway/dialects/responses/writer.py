"""A model's deltas → output items, and the events that tell of them.

Order of events by the OpenAI API reference, "Streaming events": an item is added, its parts and deltas follow, each is
done; `sequence_number` counts all events from 0. A whole reply is made by the same steps, so that both are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ghostd.conversation import Thinking, ToolCallDelta
from ghostd.errors import UpstreamMalformed
from ghostd.gateway.dialects.responses.calls import OpenCall
from ghostd.gateway.dialects.responses.frame import Frame
from ghostd.gateway.dialects.responses.thoughts import new_id, seal
from ghostd.gateway.dialects.responses.tools import ToolBook
from ghostd.gateway.sse import DONE, unbroken
from ghostd.types import Delta, FinishReason, TokenLogprob, Usage

Item = dict[str, Any]

_encode = msgspec.json.Encoder().encode
_INCOMPLETE: Mapping[FinishReason, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
_LEAST_LOGPROB = -9999.0
"""What OpenAI sends for a probability of zero; JSON has no infinity."""


class ResponseWriter:
    """Writes one response; `keeps_thoughts`: reasoning items carry what the model must see again.

    Thoughts are shown as a summary, which every client knows.
    """

    def __init__(self, frame: Frame, book: ToolBook, *, streams: bool, keeps_thoughts: bool, logprobs: bool) -> None:
        self.frame = frame
        self.output: list[Item] = []
        self._book = book
        self._streams = streams
        self._keeps_thoughts = keeps_thoughts
        self._logprobs = logprobs
        self._sequence = 0
        self._events: list[bytes] = []
        self._begun = False
        self._message: _OpenMessage | None = None
        self._reasoning: _OpenReasoning | None = None
        self._calls: dict[int, OpenCall] = {}
        self._finish: FinishReason = "stop"

    @property
    def next_number(self) -> int:
        """The `sequence_number` of the next event."""
        return self._sequence

    # --- what callers ask ---------------------------------------------------------------

    def add(self, delta: Delta) -> bytes:
        """Take in a delta; the events that tell of it."""
        if not self._begun:
            self._begun = True
            self.frame.model = delta.model or self.frame.model
            for kind in ("response.created", "response.in_progress"):
                self.event(kind, response=self.frame.response("in_progress"))
        if delta.reasoning or delta.reasoning_signature or delta.redacted_reasoning:
            self._think(delta)
        if delta.text or delta.logprobs:
            self._say("output_text", delta.text, delta.logprobs)
        if delta.refusal:
            self._say("refusal", delta.refusal)
        for piece in delta.tool_calls:
            self._call(piece)
        if delta.finish_reason is not None:
            self._finish = delta.finish_reason
        return self._told()

    def end(self, usage: Usage | None) -> bytes:
        """The last events."""
        reason = _INCOMPLETE.get(self._finish)
        if not self.output and reason is None:
            self._say("output_text", "")  # clients look for a message
        self._close_all("completed" if reason is None else "incomplete")
        self.finished = self.frame.response(
            "completed" if reason is None else "incomplete", self.output, usage=usage, incomplete=reason
        )
        self.event("response.completed" if reason is None else "response.incomplete", response=self.finished)
        return self._told() + (DONE if self._streams else b"")

    def fail(self, error: Mapping[str, Any]) -> bytes:
        """The events that end a stream amid which something broke; `error` is OpenAI's error object."""
        told = {"code": error.get("code"), "message": error.get("message"), "param": error.get("param")}
        self.event("error", **told, error=error)
        if self._begun:
            code = told["code"] or "server_error"
            self.finished = self.frame.response("failed", self.output, error={"code": code, "message": told["message"]})
            self.event("response.failed", response=self.finished)
        return self._told()

    finished: dict[str, object]
    """The response once it has ended."""

    # --- text -----------------------------------------------------------------------------

    def _say(self, kind: str, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> None:
        if self._message is None:
            self._close_all()
            item: Item = {
                "id": new_id("msg"),
                "type": "message",
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
            self._message = _OpenMessage(item, self._added(item))
        message = self._message
        if message.kind != kind:
            self._close_part()
            message.begin(kind)
            part = {"type": kind, "text": "", "annotations": [], "logprobs": []}
            if kind == "refusal":
                part = {"type": kind, "refusal": ""}
            self.event("response.content_part.added", **message.place, part=part)
        message.texts.append(text)
        told = [_logprob(token) for token in logprobs] if self._logprobs else []
        message.logprobs.extend(told)
        if not text and not told:
            return
        more = {"logprobs": told} if kind == "output_text" else {}
        self.event(f"response.{kind}.delta", **message.place, delta=text, **more)

    def _close_part(self) -> None:
        message = self._message
        if message is None or not message.kind:
            return
        text = "".join(message.texts)
        if message.kind == "refusal":
            part: Item = {"type": "refusal", "refusal": text}
            self.event("response.refusal.done", **message.place, refusal=text)
        else:
            part = {"type": "output_text", "text": text, "annotations": [], "logprobs": message.logprobs}
            self.event("response.output_text.done", **message.place, text=text, logprobs=message.logprobs)
        self.event("response.content_part.done", **message.place, part=part)
        message.item["content"].append(part)
        message.kind = ""

    # --- thoughts ---------------------------------------------------------------------------

    def _think(self, delta: Delta) -> None:
        if self._reasoning is None:
            self._close_all()
            self._reasoning = self._opened_reasoning()
        thoughts = self._reasoning
        if delta.reasoning:
            if not thoughts.open:
                thoughts.open = True
                thoughts.texts.append([])
                self._show("added", thoughts, "")
            thoughts.texts[-1].append(delta.reasoning)
            self.event("response.reasoning_summary_text.delta", **thoughts.place, delta=delta.reasoning)
        if delta.reasoning_signature is not None:
            self._end_thought(delta.reasoning_signature)
        if delta.redacted_reasoning is not None:
            self._end_thought(None)
            thoughts.kept.append(Thinking(redacted=delta.redacted_reasoning))

    def _end_thought(self, signature: str | None) -> None:
        thoughts = self._reasoning
        assert thoughts is not None
        text = "".join(thoughts.texts[-1]) if thoughts.open else ""
        if thoughts.open:
            self.event("response.reasoning_summary_text.done", **thoughts.place, text=text)
            self._show("done", thoughts, text)
            thoughts.open = False
        if text or signature is not None:
            thoughts.kept.append(Thinking(text, signature))

    def _show(self, what: str, thoughts: _OpenReasoning, text: str) -> None:
        """A part of the thoughts begins or ends."""
        part = {"type": "summary_text", "text": text}
        self.event(f"response.reasoning_summary_part.{what}", **thoughts.place, part=part)

    def _opened_reasoning(self) -> _OpenReasoning:
        item: Item = {"id": new_id("rs"), "type": "reasoning", "status": "in_progress", "summary": []}
        return _OpenReasoning(item, self._added(item))

    def _close_reasoning(self, status: str = "completed") -> None:
        thoughts = self._reasoning
        if thoughts is None:
            return
        self._end_thought(None)
        shown = ("".join(pieces) for pieces in thoughts.texts)
        thoughts.item["summary"] = [{"type": "summary_text", "text": text} for text in shown]
        if self._keeps_thoughts:
            thoughts.item["encrypted_content"] = seal(thoughts.kept, thoughts.calls)
        thoughts.item["status"] = status
        self._reasoning = None
        self._done(thoughts.item, thoughts.index)

    # --- calls --------------------------------------------------------------------------------

    def _call(self, piece: ToolCallDelta) -> None:
        call = self._calls.get(piece.index)
        if call is None:
            call_id = piece.id or new_id("call")
            if piece.signature is not None:
                self._sign(call_id, piece.signature)
            self._close_reasoning()
            self._close_message()
            for other in self._calls.values():
                if other.complete:
                    self._close_call(other)
            call = self._calls[piece.index] = OpenCall(self._book.origin(piece.name or ""), call_id)
            call.index = self._added(call.opening())
        elif piece.signature is not None:
            self._sign(call.call_id, piece.signature)
        if call.closed:
            if piece.arguments.strip():
                raise UpstreamMalformed("a call's arguments go on after their end", self.frame.model)
            return
        if piece.arguments and (told := call.add(piece.arguments)):
            self.event(call.delta_event, item_id=call.item_id, output_index=call.index, delta=told)

    def _sign(self, call_id: str, signature: str) -> None:
        """Keep a call's signature with the thoughts that led to it, which may be none."""
        if self._reasoning is not None:
            self._reasoning.calls[call_id] = signature
        elif self._keeps_thoughts:
            self._close_message()
            self._reasoning = self._opened_reasoning()
            self._reasoning.calls[call_id] = signature
            self._close_reasoning()

    def _close_call(self, call: OpenCall, status: str = "completed") -> None:
        if call.closed:
            return
        call.closed = True
        item = call.finished(status)
        if call.rest:
            self.event(call.delta_event, item_id=call.item_id, output_index=call.index, delta=call.rest)
        if call.done_event:
            self.event(call.done_event, item_id=call.item_id, output_index=call.index, **call.done_fields())
        self._done(item, call.index)

    # --- items --------------------------------------------------------------------------------

    def _close_message(self, status: str = "completed") -> None:
        message = self._message
        if message is None:
            return
        self._close_part()
        message.item["status"] = status
        self._message = None
        self._done(message.item, message.index)

    def _close_all(self, status: str = "completed") -> None:
        """Whatever is open ends; only what comes last can be cut off."""
        self._close_reasoning(status)
        self._close_message(status)
        for call in self._calls.values():
            self._close_call(call, "completed" if call.complete else status)

    def _added(self, item: Item) -> int:
        index = len(self.output)
        self.output.append(item)
        self.event("response.output_item.added", output_index=index, item=item)
        return index

    def _done(self, item: Item, index: int) -> None:
        self.output[index] = item
        self.event("response.output_item.done", output_index=index, item=item)

    # --- events -------------------------------------------------------------------------------

    def event(self, kind: str, **members: Any) -> None:
        """Tell of something."""
        if self._streams:
            data = _encode({"type": kind, "sequence_number": self._sequence, **members})
            self._events.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))
        self._sequence += 1

    def _told(self) -> bytes:
        events = unbroken(b"".join(self._events))
        self._events.clear()
        return events


class _OpenMessage:
    def __init__(self, item: Item, index: int) -> None:
        self.item = item
        self.index = index
        self.kind = ""
        self.texts: list[str] = []
        self.logprobs: list[Item] = []

    @property
    def place(self) -> dict[str, Any]:
        return {
            "item_id": self.item["id"],
            "output_index": self.index,
            "content_index": len(self.item["content"]),
        }

    def begin(self, kind: str) -> None:
        self.kind = kind
        self.texts, self.logprobs = [], []


class _OpenReasoning:
    def __init__(self, item: Item, index: int) -> None:
        self.item = item
        self.index = index
        self.texts: list[list[str]] = []
        self.open = False
        self.kept: list[Thinking] = []
        self.calls: dict[str, str] = {}

    @property
    def place(self) -> dict[str, Any]:
        return {"item_id": self.item["id"], "output_index": self.index, "summary_index": len(self.texts) - 1}


def _logprob(token: TokenLogprob) -> Item:
    return {
        **_token(token.token, token.logprob),
        "top_logprobs": [_token(other, logprob) for other, logprob in token.top],
    }


def _token(token: bytes, logprob: float) -> Item:
    return {
        "token": token.decode("utf-8", "replace"),
        "bytes": list(token),
        "logprob": max(logprob, _LEAST_LOGPROB),
    }
