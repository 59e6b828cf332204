"""Grammars that hold a reply, or what follows a call's first marker, to calls of the tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ghostd.workers.engines.contract import RequestInvalid
from ghostd.workers.turns import harmony
from ghostd.workers.turns.contract import Syntax, ToolRule, ToolSpec
from ghostd.workers.turns.gbnf import Rules, SchemaUnusable
from ghostd.workers.turns.gemma import Gemma, GemmaConverter
from ghostd.workers.turns.pythonic import PythonConverter, Pythonic
from ghostd.workers.turns.schema_grammar import SchemaConverter
from ghostd.workers.turns.tagged import Tagged, kind_of

MAX_GRAMMAR_CHARS = 4 * 1024 * 1024
_ODD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a schema that is none may lead to; it comes from anywhere."""


def calls_grammar(syntax: Syntax | None, tools: Sequence[ToolSpec], *, several: bool) -> str:
    """GBNF for one or more calls in the syntax, None meaning gpt-oss's.

    Raises RequestInvalid for a strict tool whose schema cannot be enforced; other tools' schemas are followed as far
    as a grammar can.
    """
    rules = Rules()
    found = [_rule(rules, tool, syntax) for tool in tools]
    root = harmony.grammar(rules, found) if syntax is None else syntax.grammar(rules, found, several=several)
    text = rules.grammar(root)
    if len(text) > MAX_GRAMMAR_CHARS:
        raise RequestInvalid("The tools' schemas are too large for a grammar; send fewer or smaller ones.", "tools")
    return text


def _rule(rules: Rules, tool: ToolSpec, syntax: Syntax | None) -> ToolRule:
    try:
        return rules.attempt(lambda: _converted(rules, tool, syntax))
    except (SchemaUnusable, *_ODD) as error:
        if tool.strict:
            raise RequestInvalid(
                f"The schema of the strict tool '{tool.name[:64]}' cannot be enforced: {_problem(error)}.", "tools"
            ) from None
        return ToolRule(tool.name, _any_arguments(rules, syntax), {}, {}, free=True)


def _problem(error: Exception) -> str:
    if isinstance(error, SchemaUnusable):
        return str(error)
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it is not a JSON schema"


def _any_arguments(rules: Rules, syntax: Syntax | None) -> str:
    if isinstance(syntax, Gemma):
        return GemmaConverter(rules, {}).primitive("object")
    if isinstance(syntax, Pythonic):
        return '"(" [^()]{0,2000} ")"'
    return rules.primitive("object")


def _converted(rules: Rules, tool: ToolSpec, syntax: Syntax | None) -> ToolRule:
    if isinstance(syntax, Tagged):
        return _tagged(rules, tool)
    schema = tool.parameters
    if isinstance(syntax, Pythonic):
        python = PythonConverter(rules, schema, strict=tool.strict)
        return ToolRule(tool.name, rules.add(tool.name, python.arguments(python.resolved(schema), tool.name)), {}, {})
    kind = GemmaConverter if isinstance(syntax, Gemma) else SchemaConverter
    whole = {"type": "object", **schema} if "$ref" not in schema else schema
    body = kind(rules, schema, strict=tool.strict).value(whole, tool.name)
    return ToolRule(tool.name, rules.add(tool.name, body), {}, {})


def _tagged(rules: Rules, tool: ToolSpec) -> ToolRule:
    converter = SchemaConverter(rules, tool.parameters, strict=tool.strict)
    schema = converter.resolved(tool.parameters)
    properties, further = schema.get("properties"), schema.get("additionalProperties")
    texts: dict[str, tuple[str, ...]] = {}
    values: dict[str, str] = {}
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        if kind_of(tool, name) == "text":
            texts[name] = _texts(inner, strict=tool.strict)
            values[name] = ""
        else:
            values[name] = rules.add(f"{tool.name}-{name}", converter.value(inner, f"{tool.name}-{name}"))
    required = schema.get("required")
    return ToolRule(
        tool.name,
        "",
        values,
        texts,
        frozenset(map(str, required)) if isinstance(required, list) else frozenset(),
        free=further is not False and (further is not None or not isinstance(properties, dict)),
    )


def _texts(schema: Mapping[str, Any], *, strict: bool) -> tuple[str, ...]:
    """The texts that a string written between tags may be; () for any."""
    if "const" in schema:
        return (str(schema["const"]),)
    if isinstance(allowed := schema.get("enum"), list):
        return tuple(map(str, allowed))
    for keyword in ("minLength", "maxLength", "format", "pattern"):
        if strict and keyword in schema:
            raise SchemaUnusable(f"the keyword '{keyword}' cannot be enforced in the form in which this model calls")
    return ()


def tool_specs(tools: Sequence[Sequence[Any]]) -> list[ToolSpec]:
    """The tools of a request: [name, description, JSON schema as text, strict] each. Raises RequestInvalid."""
    found = []
    for number, (name, description, parameters, strict) in enumerate(tools):
        try:
            schema = json.loads(parameters or "{}")
        except (ValueError, RecursionError):
            schema = None
        if not isinstance(schema, dict):
            raise RequestInvalid(
                f"The parameters of the tool '{name[:64]}' must be a JSON schema of an object.", f"tools[{number}]"
            )
        found.append(ToolSpec(name, description, schema or {"type": "object", "properties": {}}, bool(strict)))
    return found
