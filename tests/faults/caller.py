"""A caller that takes nothing on trust: it reads the raw reply and says what a program would make of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from faults.replies import text, usage

Outcome = Literal["ok", "error", "partial", "silent", "broken", "hang"]
"""ok: the right answer, whole; error: an HTTP error with an OpenAI error object; partial: the beginning of the right
answer and then an error event; silent: a wrong or partial answer that looks complete; broken: neither an answer nor an
error that a client understands; hang: no end within the limit."""


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False
    """Whether the framing says that the reply is complete."""
    ended: bool = False
    """Whether reply or connection came to an end within the limit."""
    first_byte_s: float | None = None
    total_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer, judged."""

    outcome: Outcome
    why: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A chat completion to ask for."""

    model: str
    nonce: str
    stream: bool
    with_usage: bool = False
    own_text: bool = True
    """Whether the text before an error event must be the beginning of the right one."""

    def encode(self, host: str) -> bytes:
        """As HTTP; `x-project` carries the nonce into the ledger."""
        wanted: dict[str, object] = {
            "model": self.model,
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Say {self.nonce}"}],
            "stream": self.stream,
        }
        if self.stream and self.with_usage:
            wanted["stream_options"] = {"include_usage": True}
        body = msgspec.json.encode(wanted)
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"x-client: campaign\r\nx-project: {self.nonce}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


async def ask(port: int, call: Call, limit_s: float) -> Answer:
    """Make the call on a connection of its own and read the reply to its end, or for so long."""
    answer = Answer()
    began = time.perf_counter()
    try:
        async with asyncio.timeout(limit_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
            try:
                writer.write(call.encode(f"127.0.0.1:{port}"))
                await _read(reader, answer, began)
            finally:
                writer.close()
        answer.ended = True
    except TimeoutError:
        pass
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        answer.ended = True
    answer.total_s = time.perf_counter() - began
    return answer


async def _read(reader: asyncio.StreamReader, answer: Answer, began: float) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    answer.first_byte_s = time.perf_counter() - began
    status_line, *lines = head.decode("latin-1").split("\r\n")
    answer.status = int(status_line.split(" ")[1])
    answer.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
    if "chunked" in answer.headers.get("transfer-encoding", ""):
        while size := int(await reader.readuntil(b"\r\n"), 16):
            answer.body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
    elif "content-length" in answer.headers:
        answer.body += await reader.readexactly(int(answer.headers["content-length"]))
    else:
        answer.body += await reader.read()
    answer.whole = True


def judge(call: Call, answer: Answer) -> Verdict:
    """What the answer is worth."""
    outcome, why = _judge(call, answer)
    return Verdict(outcome, why, answer.status)


def _judge(call: Call, answer: Answer) -> tuple[Outcome, str]:
    if not answer.ended:
        return "hang", f"no end; {len(answer.body)} bytes so far"
    if answer.status != 200:
        return _judge_error(answer)
    if call.stream:
        return _judge_stream(call, answer)
    if not answer.whole:
        return "broken", "the reply was cut off"
    try:
        reply = msgspec.json.decode(answer.body)
        choice = reply["choices"][0]
        said, finish, told = choice["message"]["content"], choice["finish_reason"], reply["usage"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, IndexError, TypeError) as error:
        return "silent", f"200 with {type(error).__name__}: {bytes(answer.body[:80])!r}"
    if (said, finish) != (text(call.nonce), "stop"):
        return "silent", f"200 with the content {said!r:.80} and finish {finish}"
    if {name: told.get(name) for name in usage(call.nonce)} != usage(call.nonce):
        return "silent", f"a wrong usage: {told}"
    if answer.headers.get("content-type", "").split(";")[0] != "application/json":
        return "broken", f"the content type {answer.headers.get('content-type')}"
    return "ok", ""


def _judge_error(answer: Answer) -> tuple[Outcome, str]:
    if not answer.whole:
        return "broken", f"status {answer.status}, then cut off"
    try:
        error = msgspec.json.decode(answer.body)["error"]
        message = error["message"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return "broken", f"status {answer.status} with {bytes(answer.body[:80])!r}"
    if set(error) < {"message", "type", "param", "code"} or not message or answer.status < 400:
        return "broken", f"status {answer.status} with the error {error}"
    return "error", message


def _judge_stream(call: Call, answer: Answer) -> tuple[Outcome, str]:
    if answer.headers.get("content-type", "").split(";")[0] != "text/event-stream":
        return "broken", f"the content type {answer.headers.get('content-type')} for a stream"
    try:
        events = parse_events(bytes(answer.body))
    except UnicodeDecodeError:
        return "silent", "invalid UTF-8 in the stream"
    chunks = []
    for event in events:
        if event != "[DONE]":
            try:
                chunks.append(msgspec.json.decode(event))
            except msgspec.DecodeError:
                return "silent", f"an event that is not JSON: {event:.60}"
    failed = [chunk for chunk in chunks if isinstance(chunk, dict) and "error" in chunk]
    if failed:
        return _judge_failed(call, answer, events, chunks)
    if not answer.whole:
        return "broken", f"cut off without an error event after {len(events)} events"
    if not events or events[-1] != "[DONE]":
        return "silent", f"ended without [DONE] or an error after {len(events)} events"
    return _judge_complete(call, events, chunks)


def _judge_complete(call: Call, events: list[str], chunks: list[dict[str, Any]]) -> tuple[Outcome, str]:
    said = _said(chunks)
    if said != text(call.nonce):
        return "silent", f"the text {said!r:.80} with a clean end"
    try:
        told = _check_rules(chunks, with_usage=call.with_usage)
    except (AssertionError, KeyError, IndexError, TypeError, AttributeError) as error:
        return "broken", f"the right text, but {error!r}"
    if events.count("[DONE]") != 1:
        return "broken", "the right text, but [DONE] twice"
    if call.with_usage and told != usage(call.nonce):
        return "silent", f"a wrong usage: {told}"
    return "ok", ""


def _check_rules(chunks: list[dict[str, Any]], *, with_usage: bool) -> dict[str, int] | None:
    """What clients rely on in a chat stream, of the OpenAI reference; the usage."""
    told = None
    finished = started = False
    for number, chunk in enumerate(chunks):
        for name in ("id", "model", "created", "object"):
            assert chunk[name] == chunks[0][name], f"{name} changes"
        assert chunk["object"] == "chat.completion.chunk"
        if not chunk["choices"]:
            if "prompt_filter_results" in chunk:
                continue  # Azure's first event, which a relay may pass on
            assert with_usage, "empty choices"
            assert number == len(chunks) - 1, "empty choices before the end"
            told = {name: chunk["usage"].get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
            continue
        assert chunk.get("usage") is None, "usage before the last chunk"
        (choice,) = chunk["choices"]
        assert not finished, "more behind the finish reason"
        finished = choice["finish_reason"] is not None
        assert choice["delta"].get("content", "") is not None, "a content of null"
        assert ("role" in choice["delta"]) is not started, "the role is not in the first chunk, or not only there"
        started = True
    assert finished, "no finish reason"
    return told


def _judge_failed(call: Call, answer: Answer, events: list[str], chunks: list[dict[str, Any]]) -> tuple[Outcome, str]:
    if "[DONE]" in events:
        return "broken", "[DONE] behind an error event"
    if not answer.whole:
        return "broken", "cut off behind the error event"
    if "error" not in chunks[-1] or sum("error" in chunk for chunk in chunks) > 1:
        return "broken", "more behind the error event"
    said = _said(chunks[:-1])
    error = chunks[-1]["error"]
    if not isinstance(error, dict) or not error.get("message"):
        return "broken", f"the error event {error!r:.80}"
    if call.own_text and not text(call.nonce).startswith(said):
        return "broken", f"a wrong text before the error: {said!r:.80}"
    if call.own_text and said != text(call.nonce) and _finished(chunks):
        return "broken", "a finish reason before the error, but not the whole text"
    return "partial", str(error["message"])


def _finished(chunks: list[dict[str, Any]]) -> bool:
    return any(choice.get("finish_reason") for chunk in chunks for choice in chunk.get("choices") or ())


def _said(chunks: list[dict[str, Any]]) -> str:
    said = ""
    for chunk in chunks:
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        for choice in choices if isinstance(choices, list) else ():
            said += str((choice.get("delta") or {}).get("content") or "")
    return said


def parse_events(body: bytes) -> list[str]:
    """The data of each complete event, as a browser's EventSource reads it (WHATWG HTML 9.2.6)."""
    found: list[str] = []
    data: list[str] = []
    lines = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode("utf-8").split("\n")
    for line in lines[:-1]:
        if not line:
            if data:
                found.append("\n".join(data))
            data = []
        elif line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
    return found
