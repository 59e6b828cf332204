"""What a chat template can write, found out by giving it small examples, as llama.cpp does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ghostd.workers.chat_template import ChatTemplate

_NEEDLE, _ARGUMENT = "zq7needle", "zq7argument"
_TOOL = {
    "type": "function",
    "function": {
        "name": _NEEDLE,
        "description": "An example.",
        "parameters": {"type": "object", "properties": {_ARGUMENT: {"type": "string", "description": "A word."}}},
    },
}


class Abilities:
    """Each is looked for when it is first asked about, and kept."""

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template

    @cached_property
    def parts(self) -> bool:
        """Whether contents must be lists of parts: a string is lost."""
        if _NEEDLE in (self._template.probe([{"role": "user", "content": _NEEDLE}]) or ""):
            return False
        parts = [{"type": "text", "text": _NEEDLE}]
        return _NEEDLE in (self._template.probe([{"role": "user", "content": parts}]) or "")

    @cached_property
    def system(self) -> bool:
        """Whether it writes system messages."""
        return _NEEDLE in self._written(self._message("system", _NEEDLE), self._message("user", "hi"))

    @cached_property
    def tools(self) -> bool:
        """Whether it writes the tools, at least beside a system message."""
        return self._writes_tools(self._message("user", "hi")) or self.tools_need_system

    @cached_property
    def tools_need_system(self) -> bool:
        """Whether it writes the tools only where there is a system message."""
        messages = self._message("system", "x"), self._message("user", "hi")
        return not self._writes_tools(messages[1]) and self._writes_tools(*messages)

    def _writes_tools(self, *messages: Mapping[str, Any]) -> bool:
        return _NEEDLE in (self._template.probe(messages, [_TOOL]) or "")

    @cached_property
    def calls(self) -> bool:
        """Whether it writes calls that an assistant has made."""
        return self._call_form is not None

    @property
    def null_content(self) -> bool:
        """Whether a message of calls alone has None as its content, else an empty string."""
        return self._call_form is not None and self._call_form[0]

    @property
    def text_arguments(self) -> bool:
        """Whether it wants arguments as JSON text, else as an object."""
        return self._call_form is not None and self._call_form[1]

    @cached_property
    def _call_form(self) -> tuple[bool, bool] | None:
        objects: Mapping[str, Any] = {_ARGUMENT: "x"}
        for text_arguments, arguments in ((False, objects), (True, f'{{"{_ARGUMENT}": "x"}}')):
            for null_content in (True, False):
                written = self._written(*self._called(None if null_content else "", arguments))
                # As JSON or as tags; neither Python's spelling nor JSON within a JSON string.
                told = _ARGUMENT in written and f"'{_ARGUMENT}'" not in written and f'\\"{_ARGUMENT}' not in written
                if told and _NEEDLE in written and not (null_content and re.search(r"\bNone\b", written)):
                    return null_content, text_arguments
        return None

    @cached_property
    def results(self) -> bool:
        """Whether it writes what tools have said."""
        if self._call_form is None:
            return False
        user, call = self._called(None if self.null_content else "", self._example)
        result = {"role": "tool", "content": _ARGUMENT, "tool_call_id": "call00001", "name": _NEEDLE}
        return _ARGUMENT in self._written(user, call, {**result, **self._message("tool", _ARGUMENT)})

    @cached_property
    def several_calls(self) -> bool:
        """Whether it writes all calls of a message; some write the first one only, or refuse a second."""
        user, one = self._called(None if self.null_content else "", self._example)
        (call,) = one["tool_calls"]
        second = {**call, "id": "call00002", "function": {**call["function"], "name": _ARGUMENT + "2"}}
        if self.named_ids:
            second["id"] = f"functions.{_ARGUMENT}2:1"
        return _ARGUMENT + "2" in self._written(user, {**one, "tool_calls": [call, second]})

    @cached_property
    def thoughts_or_text(self) -> bool:
        """Whether a message of calls may hold thoughts or text, but not both (gpt-oss)."""
        user, call = self._called("x", self._example)
        thoughts = {"thinking": "x", "reasoning_content": "x"}
        return not self._written(user, {**call, **thoughts}) and bool(self._written(user, call))

    @property
    def _example(self) -> Any:
        return '{"x": 1}' if self.text_arguments else {"x": 1}

    @cached_property
    def joined_results(self) -> bool:
        """Whether results belong to the message of their calls, as its `tool_responses` (Gemma 4)."""
        if self._call_form is None or "tool_responses" not in self._template.source:
            return False
        user, call = self._called(None if self.null_content else "", self._example)
        result = {"name": _NEEDLE, "response": _ARGUMENT}
        return _ARGUMENT in self._written(user, {**call, "tool_responses": [result]})

    @cached_property
    def short_ids(self) -> bool:
        """Whether ids of calls must be nine letters and digits (Mistral)."""
        return re.search(r"\|\s*length\s*(?:!=|<)\s*9\b", self._template.source) is not None

    @cached_property
    def named_ids(self) -> bool:
        """Whether ids of calls are `functions.NAME:NUMBER`, by which the model knows what was called (Kimi K2)."""
        return "<|tool_call_argument_begin|>" in self._template.source

    def _called(self, content: str | None, arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        call_id = f"functions.{_NEEDLE}:0" if self.named_ids else "call00001"
        call = {"id": call_id, "type": "function", "function": {"name": _NEEDLE, "arguments": arguments}}
        assistant = {"role": "assistant", "content": content, "tool_calls": [call]}
        if content is not None:
            assistant.update(self._message("assistant", content))
        return self._message("user", "hi"), assistant

    def _message(self, role: str, text: str) -> dict[str, Any]:
        return {"role": role, "content": [{"type": "text", "text": text}] if self.parts else text}

    def _written(self, *messages: Mapping[str, Any]) -> str:
        return self._template.probe(list(messages)) or ""
