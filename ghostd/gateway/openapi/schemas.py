"""JSON schemas of the types that requests are decoded into.

msgspec makes such schemas, too, but none of structs in which JSON text of any kind (msgspec.Raw) has a default value.
"""

from __future__ import annotations

import inspect as python
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import inspect

Json = dict[str, Any]

_SCALARS: dict[type[inspect.Type], Json] = {
    inspect.AnyType: {},
    inspect.RawType: {},
    inspect.NoneType: {"type": "null"},
    inspect.BoolType: {"type": "boolean"},
    inspect.IntType: {"type": "integer"},
    inspect.FloatType: {"type": "number"},
    inspect.StrType: {"type": "string"},
    inspect.BytesType: {"type": "string", "contentEncoding": "base64"},
}
_BOUNDS = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
}
_LISTS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)


class Schemas:
    """Schemas by name, and references to them."""

    def __init__(self, types: Iterable[Any]) -> None:
        """Of these types and of all that they are made of. Raises TypeError for a type that JSON does not have."""
        self.components: dict[str, Json] = {}
        self._names: dict[type, str] = {}
        self._of = {kind: self._schema(inspect.type_info(kind)) for kind in types}

    def of(self, kind: Any) -> Json:
        """The schema of one of the types, a reference where it is a struct; of None, any JSON."""
        return {} if kind is None else self._of[kind]

    def properties(self, kind: type) -> Json:
        """The members of a struct, to be changed in place."""
        found: Json = self.components[self._names[kind]]["properties"]
        return found

    def _schema(self, kind: inspect.Type) -> Json:
        if type(kind) in _SCALARS:
            bounds = {word: getattr(kind, bound, None) for bound, word in _BOUNDS.items()}
            return {**_SCALARS[type(kind)], **{word: value for word, value in bounds.items() if value is not None}}
        if isinstance(kind, inspect.StructType):
            return {"$ref": f"#/components/schemas/{self._name(kind)}"}
        return self._compound(kind)

    def _compound(self, kind: inspect.Type) -> Json:
        if isinstance(kind, inspect.UnionType):
            return {"anyOf": [self._schema(one) for one in kind.types]}
        if isinstance(kind, inspect.LiteralType):
            return {"enum": list(kind.values)}
        if isinstance(kind, inspect.DictType):
            return {"type": "object", "additionalProperties": self._schema(kind.value_type)}
        if isinstance(kind, _LISTS):
            return {"type": "array", "items": self._schema(kind.item_type)}
        if isinstance(kind, inspect.TupleType):
            items = [self._schema(one) for one in kind.item_types]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        raise TypeError(f"{kind!r} has no place in the OpenAPI document")

    def _name(self, kind: inspect.StructType) -> str:
        known = self._names.get(kind.cls)
        if known is not None:
            return known
        name = kind.cls.__name__
        if name.startswith("_") or name in self.components:  # it is clear in its own module only
            package, module = kind.cls.__module__.split(".")[-2:]  # "errors" alone is a module of several dialects
            name = f"{package}_{module}".title().replace("_", "") + name.removeprefix("_")
        assert name not in self.components, f"two structs are called {name}"
        self._names[kind.cls] = name
        self.components[name] = found = {}  # it may hold itself
        found.update(self._struct(kind))
        return name

    def _struct(self, kind: inspect.StructType) -> Json:
        properties: Json = {}
        if kind.tag_field is not None:
            properties[kind.tag_field] = {"const": kind.tag}
        for field in kind.fields:
            schema = properties[field.encode_name] = self._schema(field.type)
            if isinstance(field.default, bool | int | float | str):
                schema["default"] = field.default
        found: Json = {"type": "object", "properties": properties}
        if told := _told(kind.cls):
            found["description"] = told
        if required := [field.encode_name for field in kind.fields if field.required]:
            found["required"] = required
        if kind.forbid_unknown_fields:
            found["additionalProperties"] = False
        return found


def _told(cls: type[msgspec.Struct]) -> str:
    """The docstring's words, on one line."""
    return " ".join((python.getdoc(cls) or "").split())
