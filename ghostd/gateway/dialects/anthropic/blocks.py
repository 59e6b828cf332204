"""From deltas to content blocks: one after the other, each whole before the next begins."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from ghostd.conversation import ToolCallDelta
from ghostd.errors import UpstreamMalformed
from ghostd.gateway.dialects.anthropic.signature import Kept, written
from ghostd.types import Delta

Kind = Literal["text", "thinking", "redacted_thinking", "tool_use"]
Thoughts = Literal["shown", "omitted", "dropped"]
"""What a client wants of a model's thoughts: to read them, to send them back unread, or nothing."""
_SPECIAL = re.compile(r'\\.|\\|["{}\[\]]', re.DOTALL)


class _Json:
    """Tells when the pieces of a JSON object make a whole, without keeping them."""

    __slots__ = ("_depth", "_escaped", "_quoted", "whole")

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = self._escaped = False
        self.whole = False

    def read(self, piece: str) -> None:
        """Take the next piece."""
        start = 1 if self._escaped and piece else 0
        self._escaped = self._escaped and not piece
        for match in _SPECIAL.finditer(piece, start):
            found = match[0]
            if found.startswith("\\"):
                self._escaped = len(found) == 1
            elif found == '"':
                self._quoted = not self._quoted
            elif not self._quoted:
                self._depth += 1 if found in "{[" else -1
                self.whole = self._depth <= 0


@dataclass(slots=True, eq=False)
class Block:
    """A content block in the making."""

    kind: Kind
    id: str = ""
    name: str = ""
    data: str = ""
    """Of redacted thoughts."""
    signature: str | None = None
    """Of thoughts, as their own provider gave it."""
    proof: str = ""
    """Of the tool call behind the thoughts, if its provider wants one back."""
    thoughts: list[str] = field(default_factory=list)
    """Those that the client does not want to see."""
    arguments: _Json = field(default_factory=_Json)
    """Of a tool call, so far."""
    waiting: list[str] = field(default_factory=list)
    """What has not been given out yet."""
    opened: bool = False
    closed: bool = False

    def is_whole(self) -> bool:
        """Whether it can be closed now that another block has begun: a call once its arguments are an object."""
        return self.kind != "tool_use" or self.arguments.whole

    def seal(self) -> str:
        """The signature that ends a block of thoughts."""
        if self.signature is not None:
            return self.signature
        return written(Kept("".join(self.thoughts), self.proof))


Step = tuple[Literal["open", "piece", "close"], Block, str]
"""What happens to a block; only a piece has text."""


class Blocks:
    """Takes deltas in and says what happens to which block, in the order that the API promises.

    Calls that come interleaved are put one behind the other: while one is not whole, what belongs to others waits.
    """

    def __init__(self, thoughts: Thoughts) -> None:
        self._thoughts = thoughts
        self._queue: deque[Block] = deque()
        self._calls: dict[int, Block] = {}
        self._space = ""
        self._any = False

    def add(self, delta: Delta) -> Iterator[Step]:
        """Take in one delta; raises UpstreamMalformed for a call that goes on after its end."""
        if self._thoughts != "dropped":
            self._think(delta)
        if said := delta.text + delta.refusal:
            self._say(said)
        for piece in delta.tool_calls:
            self._call(piece)
        yield from self._flow(ended=False)

    def finish(self) -> Iterator[Step]:
        """The reply is complete."""
        if self._space and not self._any:
            self._begin(Block("text", waiting=[self._space]))
        yield from self._flow(ended=True)

    def _think(self, delta: Delta) -> None:
        if delta.reasoning:
            block = self._last("thinking")
            if self._thoughts == "shown":
                block.waiting.append(delta.reasoning)
            else:
                block.thoughts.append(delta.reasoning)
        if delta.reasoning_signature is not None:
            self._last("thinking").signature = delta.reasoning_signature
        if delta.redacted_reasoning is not None:
            self._begin(Block("redacted_thinking", data=delta.redacted_reasoning))

    def _say(self, said: str) -> None:
        """Text; a block of nothing but white space would be refused when it is sent back, so that none is begun."""
        if not (self._queue and self._queue[-1].kind == "text"):
            said = self._space + said
            self._space = ""
            if not said.strip():
                self._space = said
                return
        self._last("text").waiting.append(said)

    def _call(self, piece: ToolCallDelta) -> None:
        block = self._calls.get(piece.index)
        if block is None:
            if piece.signature and self._thoughts != "dropped":
                self._last("thinking").proof = piece.signature
            block = self._calls[piece.index] = Block("tool_use", piece.id or "", piece.name or "")
            self._begin(block)
        if not piece.arguments:
            return
        if block.closed:
            if piece.arguments.strip():
                raise UpstreamMalformed("a tool call goes on after its end")
            return
        block.arguments.read(piece.arguments)
        block.waiting.append(piece.arguments)

    def _last(self, kind: Kind) -> Block:
        """The block that goes on, or a new one: thoughts with a signature are over."""
        if self._queue:
            last = self._queue[-1]
            if last.kind == kind and last.signature is None:
                return last
        return self._begin(Block(kind))

    def _begin(self, block: Block) -> Block:
        self._space = ""
        self._any = True
        self._queue.append(block)
        return block

    def _flow(self, *, ended: bool) -> Iterator[Step]:
        while self._queue:
            head = self._queue[0]
            if not head.opened:
                head.opened = True
                yield "open", head, ""
            for text in head.waiting:
                yield "piece", head, text
            head.waiting.clear()
            if not ended and (len(self._queue) == 1 or not head.is_whole()):
                return
            head.closed = True
            self._queue.popleft()
            yield "close", head, ""
