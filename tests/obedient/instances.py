"""Values that follow a JSON schema, as far as possible of words and numbers that a text mentions."""

from __future__ import annotations

import re
from typing import Any

_QUOTED = re.compile(r"'([^']+)'|\"([^\"]+)\"|`([^`]+)`")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z]\w+(?: [A-Z]\w+)*")
_VERBATIM = re.compile(r"exactly:\s*(.+)", re.DOTALL)
_FORMATS = {"date": "2026-01-02", "date-time": "2026-01-02T03:04:05Z", "email": "ann@example.com"}
_MAX_DEPTH = 8

Json = dict[str, Any]


class Instances:
    """Makes one instance; each word and number of the text is used once, in its order."""

    def __init__(self, root: Json, text: str) -> None:
        self._root = root
        verbatim = _VERBATIM.search(text)
        self._verbatim = verbatim[1] if verbatim else None
        self._quoted = ["".join(found) for found in _QUOTED.findall(text)]
        self._names = _NAME.findall(text)
        self._numbers = [float(found) for found in _NUMBER.findall(_QUOTED.sub("", text))]

    def make(self) -> Any:
        """The instance."""
        return self._of(self._root, "", 0)

    def _of(self, schema: Any, name: str, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > _MAX_DEPTH:
            return name
        if "$ref" in schema:
            return self._of(self._resolved(schema["$ref"]), name, depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        for choices in ("anyOf", "oneOf", "allOf"):
            if choices in schema:
                wanted = [option for option in schema[choices] if option != {"type": "null"}]
                return self._of(wanted[0], name, depth + 1)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next(one for one in kind if one != "null")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            if "maxItems" in schema and (each := schema.get("items", {}).get("anyOf")):
                return [self._of(option, name, depth + 1) for option in each[: schema["maxItems"]]]
            count = max(1, schema.get("minItems", 1))
            return [self._of(schema.get("items", {}), name, depth + 1) for _ in range(count)]
        return self._scalar(schema, kind, name)

    def _object(self, schema: Json, depth: int) -> Json:
        return {name: self._of(inner, name, depth + 1) for name, inner in schema.get("properties", {}).items()}

    def _scalar(self, schema: Json, kind: str, name: str) -> Any:
        if kind in ("integer", "number"):
            number = self._numbers.pop(0) if self._numbers else 1.0
            number = min(max(number, schema.get("minimum", number)), schema.get("maximum", number))
            return int(number) if kind == "integer" or number.is_integer() else number
        if kind == "boolean":
            return True
        if kind == "null":
            return None
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        if self._verbatim is not None and name == "content":
            return self._verbatim
        for words in (self._quoted, self._names):
            if words:
                return words.pop(0)
        return name.replace("_", " ") or "something"

    def _resolved(self, reference: str) -> Any:
        found: Any = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            found = found.get(part, {}) if isinstance(found, dict) else {}
        return found
