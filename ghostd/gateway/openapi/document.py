"""The OpenAPI 3.1 document of what the gateway serves, made from its routes and the types that they decode.

Source: https://spec.openapis.org/oas/v3.1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from ghostd import __version__
from ghostd.gateway.doc import JSON, Doc
from ghostd.gateway.openapi.schemas import Schemas
from ghostd.gateway.routes import Route

Json = dict[str, Any]

_BRACES = re.compile(r"{(\w+)}")
_NOT_NAMES = re.compile(r"[^A-Za-z0-9]+")
_MAX_EXACT = 2**53
"""Bounds beyond it are left out: a reader of JSON may take numbers for 64-bit floats."""
_ABOUT = (
    "ghostd answers these calls on the loopback port and on a Unix socket. No key is needed. A request for a model "
    "whose service speaks the same dialect is passed on as it came, so that members which are not listed survive."
)
_HEADERS: Json = {
    "x-request-id": {"description": "The request's id.", "schema": {"type": "string"}},
    "openai-processing-ms": {"description": "Milliseconds from head to head.", "schema": {"type": "string"}},
}
_HEADER_REFS: Json = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}


def document(routes: Iterable[Route]) -> bytes:
    """The document, as JSON, of the routes that have a `doc` and are not only there to refuse."""
    documented = [(route, route.doc) for route in routes if route.doc is not None and not route.doc.absent]
    schemas = _schemas(documented)
    paths: dict[str, Json] = {}
    for route, doc in documented:
        paths.setdefault(template(route), {})[route.method.lower()] = _operation(route, doc, schemas)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "ghostd", "version": __version__, "description": _ABOUT},
            "servers": [{"url": "/"}],
            "tags": [{"name": tag} for tag in dict.fromkeys(doc.tag for _, doc in documented)],
            "paths": paths,
            "components": {
                "schemas": schemas.components,
                "headers": _HEADERS,
                "responses": {_error_name(route): _error(route, schemas) for route, _ in documented},
            },
        }
    )


def template(route: Route) -> str:
    """The route's path; what follows a prefix is its `id`."""
    return f"{route.path}{{id}}" if route.prefix else route.path


def _schemas(documented: Iterable[tuple[Route, Doc]]) -> Schemas:
    """The schemas of all types, with the bounds and words of members."""
    types: dict[Any, None] = {}
    for route, doc in documented:
        for kind in (doc.body, doc.reply, doc.event, route.dialect.error_type):
            if kind is not None:
                types.setdefault(kind)
    found = Schemas(types)
    for _, doc in documented:
        if doc.ranges or doc.words:
            _narrow(found.properties(doc.body), doc)
    return found


def _narrow(properties: Json, doc: Doc) -> None:
    for name, (low, high) in doc.ranges.items():
        for kind in _kinds(properties.get(name, {}), ("integer", "number")):
            kind.update({"minimum": low} if abs(low) < _MAX_EXACT else {})
            kind.update({"maximum": high} if abs(high) < _MAX_EXACT else {})
    for name, words in doc.words.items():
        for kind in _kinds(properties.get(name, {}), ("string",)):
            kind["enum"] = list(words)


def _kinds(schema: Json, types: tuple[str, ...]) -> Iterator[Json]:
    return (kind for kind in schema.get("anyOf", [schema]) if kind.get("type") in types)


def _operation(route: Route, doc: Doc, schemas: Schemas) -> Json:
    found: Json = {
        "operationId": _NOT_NAMES.sub("_", f"{route.method.lower()}{template(route)}").strip("_"),
        "summary": doc.summary,
        "tags": [doc.tag],
        "parameters": _parameters(route, doc),
        "responses": _responses(route, doc, schemas),
    }
    if doc.description:
        found["description"] = doc.description
    content: Json = {}
    if doc.body is not None:
        content[JSON] = {"schema": schemas.of(doc.body)}
    if doc.form is not None:
        content["multipart/form-data"] = {"schema": _form(doc.form, doc.required)}
    if content:
        found["requestBody"] = {"required": True, "content": content}
    return found


def _parameters(route: Route, doc: Doc) -> list[Json]:
    names = _BRACES.findall(template(route))
    found: list[Json] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": doc.path.get(name, f"The {name}."),
            "schema": {"type": "string"},
        }
        for name in names
    ]
    found += [
        {"name": name, "in": "query", "description": told, "schema": {"type": "string"}}
        for name, told in doc.query.items()
    ]
    return found


def _form(fields: Mapping[str, str], required: Iterable[str]) -> Json:
    properties: Json = {}
    for name, told in fields.items():
        properties[name] = {"type": "string", "description": told}
        if "file" in told:
            properties[name]["contentMediaType"] = "application/octet-stream"
    return {"type": "object", "properties": properties, "required": list(required)}


def _responses(route: Route, doc: Doc, schemas: Schemas) -> Json:
    content: Json = {doc.media: {"schema": schemas.of(doc.reply)} if doc.media == JSON else {}}
    told = "The reply."
    if doc.streams:
        content[doc.streams] = {"x-event-schema": schemas.of(doc.event)} if doc.event is not None else {}
        told = "The reply, or with `stream` its pieces as they come."
    return {
        str(doc.status): {"description": told, "headers": _HEADER_REFS, "content": content},
        "default": {"$ref": f"#/components/responses/{_error_name(route)}"},
    }


def _error_name(route: Route) -> str:
    return f"{route.dialect.name}-error"


def _error(route: Route, schemas: Schemas) -> Json:
    return {
        "description": "What is wrong; docs/http-api.md lists statuses and codes.",
        "headers": _HEADER_REFS,
        "content": {JSON: {"schema": schemas.of(route.dialect.error_type)}},
    }
