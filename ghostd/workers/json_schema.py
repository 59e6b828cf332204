"""Checks a JSON schema before an engine gets it: xllamacpp's would ignore one that it cannot use, and say nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ghostd.workers.engines.contract import RequestInvalid
from ghostd.workers.grammar_bounds import MAX_ALTERNATIVES, alternatives, bounded

_TYPES = frozenset(("object", "array", "string", "number", "integer", "boolean", "null"))
_MAX_DEPTH = 64
MAX_SCHEMAS = 5000
"""Inside of one schema, itself included: each property is one. OpenAI's limit on properties is the same."""
MAX_OPTIONAL = 300
"""Properties that are not required, of a whole schema: the rules for leaving some out grow with their square, so that
300 take a quarter of a second, and 900 more than three."""
MAX_REFERENCES = 500
"""Different values of `$ref`, which are followed by recursion."""
_ROOT = frozenset(("#", "#/"))
_APART = "#/$defs/whole"
_IN_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_IN_OBJECTS = ("properties", "$defs", "definitions")
_DIRECT = ("items", "additionalProperties")


def checked_schema(text: str) -> str:
    """The schema, with an empty one as any object: JSON mode's replies are objects.

    Raises RequestInvalid for what is not a schema, or refers to another document.
    """
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        raise _invalid("it is not valid JSON", "") from None
    if schema == {}:
        schema = {"type": "object"}
    size = _Size()
    _check(schema, schema, "", 0, size)
    return json.dumps(_apart(schema) if size.references & _ROOT else schema)


@dataclass(slots=True)
class _Size:
    """What has been seen of a schema so far."""

    schemas: int = 0
    alternatives: int = 0
    optional: int = 0
    references: set[str] = field(default_factory=set)

    def add(self, schema: dict[str, Any]) -> None:
        """Count one more; raises RequestInvalid where it is too much."""
        self.schemas += 1
        self.alternatives += alternatives(schema)
        self.optional += _optional(schema)
        if isinstance(reference := schema.get("$ref"), str):
            self.references.add(reference)
        for what, found, most in (
            ("properties and other schemas", self.schemas, MAX_SCHEMAS),
            ("alternatives (enum, anyOf, oneOf)", self.alternatives, MAX_ALTERNATIVES),
            ("properties that are not required", self.optional, MAX_OPTIONAL),
            ("different $refs", len(self.references), MAX_REFERENCES),
        ):
            if found > most:
                raise _invalid(f"it has more than {most} {what}", "")


def _optional(schema: dict[str, Any]) -> int:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict):
        return 0
    needed = {name for name in required if isinstance(name, str)} if isinstance(required, list) else frozenset()
    return len(properties.keys() - needed)


def _check(schema: Any, root: Any, path: str, depth: int, size: _Size) -> None:
    if isinstance(schema, bool) and path:
        return
    if not isinstance(schema, dict):
        raise _invalid("a schema must be an object", path)
    if depth > _MAX_DEPTH:
        raise _invalid(f"it is nested deeper than {_MAX_DEPTH}", "")
    size.add(schema)
    _check_keywords(schema, root, path)
    for place, inner in _inner_schemas(schema, path):
        _check(inner, root, place, depth + 1, size)


def _check_keywords(schema: dict[str, Any], root: Any, path: str) -> None:
    bounded(schema)
    types = schema.get("type", [])
    for name in types if isinstance(types, list) else [types]:
        if not isinstance(name, str) or name not in _TYPES:
            raise _invalid(f"the type {json.dumps(name)[:60]} does not exist", path)
    if "$ref" in schema:
        _resolve(schema["$ref"], root, path)
    if "enum" in schema and not (isinstance(schema["enum"], list) and schema["enum"]):
        raise _invalid("enum must be a list of values", path)


def _inner_schemas(schema: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key in _DIRECT:
        if key in schema:
            yield f"{path}/{key}", schema[key]
    for key in (*_IN_LISTS, *_IN_OBJECTS):
        if key not in schema:
            continue
        inner = schema[key]
        if key in _IN_LISTS and isinstance(inner, list) and inner:
            yield from ((f"{path}/{key}/{number}", item) for number, item in enumerate(inner))
        elif key in _IN_OBJECTS and isinstance(inner, dict):
            yield from ((f"{path}/{key}/{name}", item) for name, item in inner.items())
        else:
            raise _invalid(f"{key} must be {'a list' if key in _IN_LISTS else 'an object'} of schemas", path)


def _apart(schema: Any) -> Any:
    """A schema that contains itself ("#"), which the engines only know of parts."""
    return {"$ref": _APART, "$defs": {"whole": _moved(schema)}}


def _moved(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    if isinstance(reference := schema.get("$ref"), str):
        made["$ref"] = _APART if reference in _ROOT else _APART + reference[1:]
    for key in _DIRECT:
        if key in schema:
            made[key] = _moved(schema[key])
    for key in _IN_LISTS:
        if key in schema:
            made[key] = [_moved(inner) for inner in schema[key]]
    for key in _IN_OBJECTS:
        if key in schema:
            made[key] = {name: _moved(inner) for name, inner in schema[key].items()}
    return made


def _resolve(reference: Any, root: Any, path: str, hops: int = 0) -> None:
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise _invalid("$ref may only point into the schema itself (#/…)", path)
    target = root
    for part in reference[1:].strip("/").split("/"):
        if not part:
            continue
        if not isinstance(target, dict) or part not in target:
            raise _invalid(f"$ref {reference[:100]!r} leads nowhere", path)
        target = target[part]
    if isinstance(target, dict) and "$ref" in target:
        if hops >= _MAX_DEPTH:
            raise _invalid(f"$ref {reference[:100]!r} refers to itself with nothing between", path)
        _resolve(target["$ref"], root, path, hops + 1)


def _invalid(problem: str, path: str) -> RequestInvalid:
    where = f" at {path[:200]}" if path else ""
    return RequestInvalid(f"The JSON schema cannot be used{where}: {problem}.", "response_format")
