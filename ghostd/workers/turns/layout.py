"""A conversation as a chat template takes it: in Hugging Face's shape, and without what the template cannot write.

Tools, calls and results for which a template has no words become text, in the form of Hermes and Qwen. A system
message that it would drop or refuse goes in front of the first user message.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ghostd.workers.chat_template import ChatTemplate, Segment
from ghostd.workers.engines.contract import EngineFailed, RequestInvalid
from ghostd.workers.turns.abilities import Abilities
from ghostd.workers.turns.contract import ToolSpec

Turn = dict[str, Any]


class Layout:
    """Lays conversations out for one template."""

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template
        self._abilities = Abilities(template)

    def writes_tools(self) -> bool:
        """Whether the template describes tools itself."""
        return self._abilities.tools

    def segments(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[ToolSpec] = (),
        variables: Mapping[str, Any] | None = None,
        *,
        described: bool = False,
    ) -> list[Segment]:
        """The prompt. With `described` the tools are told in the system message. Raises as ChatTemplate.render."""
        declared = [_declared(tool) for tool in tools] if tools and not described else None
        words = description(tools) if tools and described else None
        turns = self._turns(messages, native=not described)
        try:
            return self._first_taken(turns, declared, words, variables)
        except (RequestInvalid, EngineFailed):
            # Some templates know calls, but not several at once, or not without an answer before.
            plain = self._turns(messages, native=False)
            if plain == turns:
                raise
            try:
                return self._first_taken(plain, declared, words, variables)
            except (RequestInvalid, EngineFailed):
                pass
            raise

    def _first_taken(
        self, turns: list[Turn], tools: list[Turn] | None, words: str | None, variables: Mapping[str, Any] | None
    ) -> list[Segment]:
        """The turns as they are, or in the first of the other orders that the template takes."""
        if words is not None:
            turns = _with_system(turns, words)
        elif tools and self._abilities.tools_need_system and (not turns or turns[0]["role"] != "system"):
            turns = [{"role": "system", "content": ""}, *turns]
        if any(turn["role"] == "system" for turn in turns) and not self._abilities.system:
            turns = _folded(turns)
        try:
            return self._rendered(turns, tools, variables)
        except RequestInvalid:
            # Templates that want turns to alternate, or one system message at the start, refuse all else.
            for other in (_merged(turns), _bridged(_merged(turns)), _bridged(_merged(_folded(turns)))):
                if other != turns:
                    try:
                        return self._rendered(other, tools, variables)
                    except RequestInvalid:
                        continue
            raise

    def _rendered(
        self, turns: list[Turn], tools: list[Turn] | None, variables: Mapping[str, Any] | None
    ) -> list[Segment]:
        if self._abilities.parts:
            turns = [
                {**turn, "content": [{"type": "text", "text": turn["content"]}]} if turn["content"] else turn
                for turn in turns
            ]
        return self._template.render(turns, tools, variables)

    def _turns(self, messages: Sequence[Mapping[str, Any]], *, native: bool) -> list[Turn]:
        turns: list[Turn] = []
        made: dict[str, tuple[str, str]] = {}  # id of each call → its name, and the id that the template gets
        if native and any(len(message.get("calls", ())) > 1 for message in messages) and self._abilities.calls:
            messages = messages if self._abilities.several_calls else _one_by_one(messages)
        for message in messages:
            role, text = message["role"], message["content"]
            if role == "tool":
                result = self._result(message, made, native=native)
                if native and turns and "tool_calls" in turns[-1] and self._abilities.joined_results:
                    name = message.get("name") or made.get(message.get("call_id", ""), ("", ""))[0]
                    response = {"name": name, "response": text}
                    turns[-1].setdefault("tool_responses", []).append(response)
                else:
                    turns.append(result)
            elif role == "assistant":
                calls = message.get("calls", ())
                for call_id, name, _ in calls:
                    made[call_id] = name, self._id(call_id, name, len(made))
                turns.append(self._assistant(message, [(made[call[0]][1], *call[1:]) for call in calls], native=native))
            else:
                # Templates know "system" only; "developer" is OpenAI's newer word for it.
                turns.append({"role": "system" if role == "developer" else role, "content": text})
        return turns

    def _assistant(self, message: Mapping[str, Any], calls: Sequence[Sequence[str]], *, native: bool) -> Turn:
        text = message["content"]
        turn: Turn = {"role": "assistant", "content": text}
        if thoughts := message.get("thoughts"):
            turn["reasoning_content"] = turn["thinking"] = thoughts
        if not calls:
            return turn
        if native and self._abilities.calls:
            turn["tool_calls"] = [self._call(*call) for call in calls]
            if text and thoughts and self._abilities.thoughts_or_text:
                text, turn["content"] = "", ""
                turn["reasoning_content"] = turn["thinking"] = f"{thoughts}\n\n{message['content']}"
            if not text and self._abilities.null_content:
                turn["content"] = None
        else:
            blocks = (_block({"name": name, "arguments": _arguments(given)}) for _, name, given in calls)
            turn["content"] = "\n".join(filter(None, (text, *blocks)))
        return turn

    def _call(self, call_id: str, name: str, given: str) -> Turn:
        arguments = _arguments(given)
        return {
            "id": call_id,
            "type": "function",
            "function": {
                "name": name,
                "arguments": json.dumps(arguments, ensure_ascii=False) if self._abilities.text_arguments else arguments,
            },
        }

    def _result(self, message: Mapping[str, Any], made: Mapping[str, tuple[str, str]], *, native: bool) -> Turn:
        call_id, text = message.get("call_id", ""), message["content"]
        if native and self._abilities.results:
            called, told_id = made.get(call_id) or ("", self._id(call_id, "", 0))
            turn = {"role": "tool", "content": text, "tool_call_id": told_id}
            if name := message.get("name") or called:
                turn["name"] = name
            return turn
        return {"role": "user", "content": f"<tool_response>\n{text}\n</tool_response>"}

    def _id(self, call_id: str, name: str, number: int) -> str:
        if self._abilities.named_ids and name:
            return f"functions.{name}:{number}"
        if not self._abilities.short_ids or (len(call_id) == 9 and call_id.isalnum()):
            return call_id
        return hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()[:9]


def description(tools: Sequence[ToolSpec]) -> str:
    """The tools and the form of a call, in words."""
    listed = "\n".join(json.dumps(_declared(tool), ensure_ascii=False) for tool in tools)
    return (
        "# Tools\n\nYou may call functions. These are described by JSON schemas:\n"
        f"<tools>\n{listed}\n</tools>\n\n"
        "To call one, write its name and its arguments as a JSON object between these tags; for several calls, write "
        'several blocks. Results come back between <tool_response> tags.\n<tool_call>\n{"name": "the name", '
        '"arguments": {"argument": "value"}}\n</tool_call>'
    )


def _declared(tool: ToolSpec) -> Turn:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _block(call: Mapping[str, Any]) -> str:
    return f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"


def _arguments(given: str) -> Any:
    """The arguments as an object. What is none, because a model wrote it so, is the value of one argument."""
    try:
        arguments = json.loads(given or "{}")
    except (ValueError, RecursionError):
        arguments = given
    if arguments is None:
        return {}
    return arguments if isinstance(arguments, dict) else {"arguments": arguments}


def _one_by_one(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each call in a message of its own, with its result behind it."""
    found: list[Mapping[str, Any]] = []
    number = 0
    while number < len(messages):
        message = messages[number]
        number += 1
        calls = message.get("calls", ())
        if len(calls) < 2:
            found.append(message)
            continue
        results = []
        while number < len(messages) and messages[number]["role"] == "tool":
            results.append(messages[number])
            number += 1
        for call in calls:
            alone = {"role": "assistant", "content": ""} if call is not calls[0] else message
            found.append({**alone, "calls": [call]})
            found += [result for result in results if result.get("call_id") == call[0]]
        known = {call[0] for call in calls}
        found += [result for result in results if result.get("call_id") not in known]
    return found


def _with_system(turns: list[Turn], text: str) -> list[Turn]:
    if turns and turns[0]["role"] == "system":
        return [{"role": "system", "content": f"{turns[0]['content']}\n\n{text}"}, *turns[1:]]
    return [{"role": "system", "content": text}, *turns]


def _merged(turns: Sequence[Turn]) -> list[Turn]:
    """One system message at the start, and neighbours of one role in one message."""
    system = [turn["content"] for turn in turns if turn["role"] == "system"]
    found: list[Turn] = [{"role": "system", "content": "\n\n".join(system)}] if system else []
    for turn in turns:
        last = found[-1] if found else None
        if turn["role"] == "system":
            continue
        if last is not None and last["role"] == turn["role"] and turn["role"] != "tool" and "tool_calls" not in last:
            found[-1] = {**last, **turn, "content": "\n\n".join(filter(None, (last["content"], turn["content"])))}
        else:
            found.append(turn)
    return found


def _bridged(turns: Sequence[Turn]) -> list[Turn]:
    """With an empty answer between what a tool said and the user's next message: each follows the assistant only."""
    found: list[Turn] = []
    for turn in turns:
        if turn["role"] == "user" and found and found[-1]["role"] == "tool":
            found.append({"role": "assistant", "content": ""})
        found.append(turn)
    return found


def _folded(turns: Sequence[Turn]) -> list[Turn]:
    """System messages in front of the first user message."""
    system = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system")
    others = [turn for turn in turns if turn["role"] != "system"]
    if not system:
        return others
    for number, turn in enumerate(others):
        if turn["role"] == "user":
            return [*others[:number], {**turn, "content": f"{system}\n\n{turn['content']}"}, *others[number + 1 :]]
    return [{"role": "user", "content": system}, *others]
