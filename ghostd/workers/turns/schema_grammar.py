"""JSON schemas as rules of a GBNF grammar (llama.cpp, grammars/README.md).

The engines' own converters make whole grammars; a tool call needs the rules inside one that also writes markers.
Keywords that a grammar cannot express (`not`, `uniqueItems`, `multipleOf`, …) leave the value freer than the schema;
for strict tools they are refused. Properties come in the schema's order, and only those it declares unless it says
otherwise, as llama.cpp has it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from ghostd.workers.turns.gbnf import FORMATS, Rules, SchemaUnusable, json_literal
from ghostd.workers.turns.number_grammar import integers

_MAX_DEPTH = 64
_MAX_REPEATS = 1000
"""llama.cpp unrolls repetitions; above this a bound is not enforced."""
_FREER = ("not", "if", "then", "else", "uniqueItems", "multipleOf", "contains", "patternProperties",
          "propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "pattern",
          "minProperties", "maxProperties")  # fmt: skip
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


class SchemaConverter:
    """Rules for the values of one schema."""

    def __init__(self, rules: Rules, schema: Any, *, strict: bool = False) -> None:
        self._rules = rules
        self._root = schema
        self._strict = strict
        self._references: dict[str, str] = {}
        self._open: set[str] = set()  # references on the way to the first character

    def value(self, schema: Any, hint: str = "value", depth: int = 0) -> str:
        """The body of a rule for the schema's values, without a choice at its top. Raises SchemaUnusable."""
        if schema is True or schema == {} or schema is None:
            return self.primitive("value")
        if not isinstance(schema, dict):
            return self._freer("a schema that is no object")
        if depth > _MAX_DEPTH:
            raise SchemaUnusable(f"it is nested deeper than {_MAX_DEPTH}")
        self.refuse(schema, (*_FREER, *(_BOUNDS if schema.get("type") != "integer" else ())))
        if "$ref" in schema:
            return self._reference(schema["$ref"], depth)
        return self._shaped(schema, hint, depth)

    def _shaped(self, schema: Mapping[str, Any], hint: str, depth: int) -> str:
        if "const" in schema:
            return self.literal(schema["const"])
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return self._rules.add(hint, " | ".join(self.literal(value) for value in schema["enum"]))
        ways = self._ways(schema)
        if ways is not None:
            return self._rules.add(hint, " | ".join(f"({self.value(way, hint, depth + 1)})" for way in ways))
        if isinstance(schema.get("allOf"), list) and schema["allOf"]:
            merged: Any = {key: value for key, value in schema.items() if key != "allOf"}
            for part in schema["allOf"]:
                merged = _merged(merged, self._resolved(part, 0))
            return self.value(merged, hint, depth + 1)
        return self._typed(schema.get("type"), schema, hint, depth)

    def refuse(self, schema: Mapping[str, Any], keywords: Sequence[str]) -> None:
        """Raise SchemaUnusable where a strict schema has one of them."""
        for keyword in keywords:
            if self._strict and keyword in schema:
                raise SchemaUnusable(f"the keyword '{keyword}' cannot be enforced")

    def _ways(self, schema: Mapping[str, Any]) -> list[Any] | None:
        """The schemas of which one must hold; None where there is no such choice."""
        for keyword in ("anyOf", "oneOf"):
            if isinstance(schema.get(keyword), list) and schema[keyword]:
                common = {key: value for key, value in schema.items() if key not in (keyword, "$defs", "definitions")}
                return [_merged(common, self._resolved(way, 0) if len(common) > 1 else way) for way in schema[keyword]]
        kind = schema.get("type")
        return [{**schema, "type": one} for one in kind] if isinstance(kind, list) and kind else None

    def _typed(self, kind: Any, schema: Mapping[str, Any], hint: str, depth: int) -> str:
        if kind == "object" or (kind is None and ("properties" in schema or "additionalProperties" in schema)):
            return self._object(schema, hint, depth)
        if kind == "array" or (kind is None and ("items" in schema or "prefixItems" in schema)):
            return self._array(schema, hint, depth)
        if kind == "string":
            return self.string(schema)
        if kind in ("integer", "number", "boolean", "null"):
            bounded = kind == "integer" and any(keyword in schema for keyword in _BOUNDS)
            return self._integer(schema, hint) if bounded else self.primitive(kind)
        if kind is None:
            return self.primitive("value")
        return self._freer(f"the type {json.dumps(kind)[:60]}")

    def _integer(self, schema: Mapping[str, Any], hint: str) -> str:
        least, most = _whole(schema, "minimum", math.ceil), _whole(schema, "maximum", math.floor)
        above, below = _whole(schema, "exclusiveMinimum", math.floor), _whole(schema, "exclusiveMaximum", math.ceil)
        lows = [low for low in (least, above + 1 if above is not None else None) if low is not None]
        highs = [high for high in (most, below - 1 if below is not None else None) if high is not None]
        body = integers(max(lows, default=None), min(highs, default=None))
        if body is None:
            raise SchemaUnusable("its bounds leave no integer")
        return self._rules.add(hint, body)

    def _freer(self, what: str) -> str:
        if self._strict:
            raise SchemaUnusable(f"{what} does not exist")
        return self.primitive("value")

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema, or the one that it refers to. Raises SchemaUnusable."""
        target = self._resolved(schema, 0)
        return target if isinstance(target, Mapping) else schema

    def _resolved(self, schema: Any, hops: int) -> Any:
        if isinstance(schema, dict) and "$ref" in schema and hops < _MAX_DEPTH:
            return self._resolved(self._target(schema["$ref"]), hops + 1)
        return schema

    def _target(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise SchemaUnusable("$ref may only point into the schema itself (#/…)")
        target = self._root
        for escaped in filter(None, reference[1:].split("/")):
            part = escaped.replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict) and part in target:
                target = target[part]
            elif isinstance(target, list) and part.isdecimal() and int(part) < len(target):
                target = target[int(part)]
            else:
                raise SchemaUnusable(f"$ref {reference[:100]!r} leads nowhere")
        return target

    def _reference(self, reference: Any, depth: int) -> str:
        target, key = self._target(reference), str(reference)
        if key in self._open:
            raise SchemaUnusable(f"$ref {key[:100]!r} refers to itself with nothing between")
        name = self._references.get(key)
        if name is None:
            name = self._references[key] = self._rules.reserve("ref")
            self._open.add(key)
            self._rules.define(name, self.value(target, "ref", depth + 1))
            self._open.discard(key)
        return name

    # What other notations than JSON write otherwise.

    def literal(self, value: Any) -> str:
        """The value itself."""
        return json_literal(value)

    def primitive(self, name: str) -> str:
        """Any value, or any of a type."""
        return self._rules.primitive(name)

    def pair(self, name: str, value: str) -> str:
        """A property of an object."""
        return f'{json_literal(name)} ":" {self._rules.primitive("space")} {value}'

    def further(self, value: str) -> str:
        """A property of any name."""
        return f'{self._rules.primitive("string")} ":" {self._rules.primitive("space")} {value}'

    def string(self, schema: Mapping[str, Any]) -> str:
        """A string of the schema's format and length."""
        form = schema.get("format")
        if form in FORMATS:
            return f'"\\"" {self._rules.primitive(form)} "\\""'
        if form == "date-time":
            return f'"\\"" {self._rules.primitive("date")} "T" {self._rules.primitive("time")} "\\""'
        least, most = self._bounds(schema, "minLength", "maxLength")
        if not least and most is None:
            return self._rules.primitive("string")
        return f'"\\"" {self._rules.primitive("char")}{{{least},{"" if most is None else most}}} "\\""'

    def _inside(self, schema: Any, hint: str, depth: int) -> str:
        """A value inside of another, before which something is written."""
        outside, self._open = self._open, set()
        body = self.value(schema, hint, depth + 1)
        self._open = outside
        return body

    def _bounds(self, schema: Mapping[str, Any], least: str, most: str) -> tuple[int, int | None]:
        """Two bounds of a length."""
        low, high = self._bound(schema, least) or 0, self._bound(schema, most)
        if high is not None and high < low:
            raise SchemaUnusable(f"nothing is as long as '{least}' and '{most}' say")
        return low, high

    def _bound(self, schema: Mapping[str, Any], keyword: str) -> int | None:
        value = schema.get(keyword)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_REPEATS:
            return value
        if self._strict and value is not None:
            raise SchemaUnusable(f"the keyword '{keyword}' is enforced up to {_MAX_REPEATS} only")
        return None

    def _array(self, schema: Mapping[str, Any], hint: str, depth: int) -> str:
        space = self._rules.primitive("space")
        first = schema.get("prefixItems")
        if isinstance(first, list) and first:
            items = [self._inside(item, hint, depth) for item in first]
            return f'"[" {space} ' + f' "," {space} '.join(items) + f' {space} "]"'
        item = self._rules.add(f"{hint}-item", self._inside(schema.get("items", True), hint, depth))
        least, most = self._bounds(schema, "minItems", "maxItems")
        if most == 0:
            return '"[]"'
        more = f'("," {space} {item}){{{max(least - 1, 0)},{"" if most is None else most - 1}}}'
        return f'"[" {space} {item} {more} {space} "]"' if least else f'"[" {space} ({item} {more})? {space} "]"'

    def _object(self, schema: Mapping[str, Any], hint: str, depth: int) -> str:
        space = self._rules.primitive("space")
        further = schema.get("additionalProperties")
        properties = schema.get("properties")
        required = schema.get("required")
        if not isinstance(properties, dict):
            if further in (None, True) and not required:
                return self.primitive("object")
            properties, further = {}, True if further is None else further
        needed = dict.fromkeys(map(str, required)) if isinstance(required, list) else {}
        undeclared = further if isinstance(further, dict) else True
        properties = {**properties, **{name: undeclared for name in needed if name not in properties}}
        pairs, more = self.pairs(properties, further, hint, depth)
        if not pairs and more is None:
            return f'"{{" {space} "}}"'
        return f'"{{" {space} {self.members(pairs, needed, more, hint)} {space} "}}"'

    def pairs(
        self, properties: Mapping[str, Any], further: Any, hint: str, depth: int
    ) -> tuple[dict[str, str], str | None]:
        """Rules of the properties, and of one of any other name where there may be some."""
        pairs = {
            name: self._rules.add(f"{hint}-{name}", self.pair(name, self._inside(inner, f"{hint}-{name}", depth)))
            for name, inner in properties.items()
        }
        if further in (None, False):
            return pairs, None
        return pairs, self._rules.add(hint, self.further(self._inside(further, hint, depth)))

    def members(self, pairs: Mapping[str, str], needed: Container[str], more: str | None, hint: str) -> str:
        """Pairs in order, optional ones left out or not, with commas only between two: two rules for each pair."""
        space = self._rules.primitive("space")
        first = f'({more} ("," {space} {more})*)?' if more else '""'
        later = f'("," {space} {more})*' if more else '""'
        for name, pair in reversed(list(pairs.items())):
            later_name = self._rules.add(hint, later)
            if name in needed:
                first = f"{pair} {later_name}"
                later = f'"," {space} {pair} {later_name}'
            else:
                first = f"{pair} {later_name} | {self._rules.add(hint, first)}"
                later = f'("," {space} {pair})? {later_name}'
        return self._rules.add(hint, first)


def _whole(schema: Mapping[str, Any], keyword: str, rounded: Callable[[float], int]) -> int | None:
    """A bound as the integer that it comes to."""
    value = schema.get(keyword)
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    return rounded(value) if isinstance(value, float) and math.isfinite(value) else None


def _merged(one: Any, other: Any) -> Any:
    """Both schemas in one, for `allOf` and for what stands beside `anyOf`."""
    if not isinstance(one, dict) or not one or not isinstance(other, dict):
        return other if not isinstance(one, dict) or not one else one
    merged = {**one, **other}
    if isinstance(one.get("properties"), dict) and isinstance(other.get("properties"), dict):
        merged["properties"] = {**one["properties"], **other["properties"]}
    if isinstance(one.get("required"), list) and isinstance(other.get("required"), list):
        merged["required"] = [*one["required"], *other["required"]]
    return merged
