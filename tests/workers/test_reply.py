"""A turn on its way from the engine to the pool: bytes in, pieces out."""

from __future__ import annotations

import json

from ghostd.workers.engines.contract import EndStep, PromptStep, Step, TokenStep
from ghostd.workers.messages import Ended, Message, Progress, TurnPiece
from ghostd.workers.reply import TurnReply
from ghostd.workers.turns.families import HERMES, Family
from ghostd.workers.turns.parser import TurnParser
from ghostd.workers.turns.thoughts import Thoughts

TURN = '<think>Hm é😀</think>\n\nNaïve <b>:\n<tool_call>\n{"name": "f", "arguments": {"q": "日本 <x>"}}\n</tool_call>'


def followed(pieces: list[bytes], *stop: str, end: EndStep | None = None, single: bool = False) -> list[Message]:
    sent: list[Message] = []
    parser = TurnParser(Family(HERMES, Thoughts("<think>", "</think>")), HERMES, {}, thinking=False, single=single)
    steps: list[Step] = [PromptStep(3), *(TokenStep(piece, 1) for piece in pieces), end or EndStep("stop")]
    reply = TurnReply(sent.append, 7, 10, parser, list(stop))
    assert any(reply.take(step, lambda: [1.0, 2.0, 3.0]) for step in steps)
    return sent


def told(sent: list[Message]) -> tuple[str, str, list[tuple[str, str]], Ended]:
    """Thoughts, text, calls, and the end."""
    assert isinstance(sent[0], Progress) and isinstance(sent[-1], Ended)
    pieces = [message for message in sent if isinstance(message, TurnPiece)]
    calls: list[tuple[str, str]] = []
    for index, call_id, name, arguments in (call for piece in pieces for call in piece.calls):
        if name is not None:
            assert call_id.startswith("call_") and index == len(calls)
            calls.append((name, ""))
        calls[index] = (calls[index][0], calls[index][1] + arguments)
    return "".join(piece.thoughts for piece in pieces), "".join(piece.text for piece in pieces), calls, sent[-1]


def test_a_turn_byte_by_byte_is_the_turn_at_once() -> None:
    for pieces in ([TURN.encode()], [bytes((byte,)) for byte in TURN.encode()]):
        thoughts, text, ((name, arguments),), ended = told(followed(pieces))
        assert (thoughts, text, name) == ("Hm é😀", "Naïve <b>:", "f")
        assert json.loads(arguments) == {"q": "日本 <x>"}
        assert (ended.finish_reason, ended.completion_tokens, ended.cached_tokens) == ("tool_calls", len(pieces), 3)


def test_thoughts_are_counted_by_their_tokens() -> None:
    thought = len("<think>Hm é😀</think>".encode())
    *_, ended = told(followed([bytes((byte,)) for byte in TURN.encode()]))
    # The first bytes of the opening marker may be text yet.
    assert ended.thought_tokens == thought - len("<think>") + 1


def test_a_stop_string_in_the_answer_ends_the_turn_before_its_calls() -> None:
    thoughts, text, calls, ended = told(followed([bytes((byte,)) for byte in TURN.encode()], "ve <", "Hm"))
    assert (thoughts, text, calls) == ("Hm é😀", "Naï", [])
    assert (ended.finish_reason, ended.stop_text) == ("stop", "ve <")


def test_the_last_call_allowed_ends_the_turn() -> None:
    more = TURN.encode() + b"\n<tool_call>"
    _, _, calls, ended = told(followed([bytes((byte,)) for byte in more], single=True))
    assert len(calls) == 1
    assert (ended.finish_reason, ended.completion_tokens) == ("tool_calls", len(TURN.encode()))


def test_a_call_that_the_limit_cuts_ends_with_length() -> None:
    cut = TURN.encode()[:-20]
    _, _, ((name, arguments),), ended = told(followed([cut], end=EndStep("length")))
    assert (name, ended.finish_reason) == ("f", "length")
    assert '{"q": "日本 <x>"}'.startswith(arguments)


def test_every_token_is_a_sign_of_life() -> None:
    assert len(followed([b"<tool", b"_call", b">"])) == 1 + 3 + 1 + 1  # progress, tokens, the text they were, the end
