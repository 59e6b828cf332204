"""docs/http-api.md says what the gateway does."""

from __future__ import annotations

import re
from pathlib import Path

from ghostd.engine import Engine
from ghostd.errors import RequestError, UpstreamRejected
from ghostd.gateway.dialects.anthropic.request import MessagesBody
from ghostd.gateway.dialects.openai.chat_request import ChatBody
from ghostd.gateway.dialects.openai.completions import CompletionBody
from ghostd.gateway.dialects.openai.embeddings import EmbeddingBody
from ghostd.gateway.doors import api_routes
from ghostd.gateway.errors import KINDS
from ghostd.gateway.routes import Routes

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "http-api.md").read_text("utf-8")


def test_every_route_is_documented() -> None:
    routes = Routes()
    routes.add(api_routes(Engine([]), dict))
    for route in routes.all():
        if route.doc is not None and route.doc.absent:
            continue
        path = route.path + "{id}" if route.prefix else route.path
        assert f"`{route.method} {path}`" in PAGE


def test_every_error_code_is_documented_with_its_status() -> None:
    errors = PAGE.partition("\n## Errors\n")[2].partition("\n## ")[0]  # other dialects have tables of their own
    documented = {
        (code, int(status))
        for status, codes in re.findall(r"^\| (\d{3}) \| (.*?) \|", errors, re.M)
        for code in re.findall(r"`(\w+)`", codes)
    }
    expected = {
        (kind.code or str(getattr(cls, "code", None)), kind.status)
        for cls, kind in KINDS.items()
        if cls not in (RequestError, UpstreamRejected)
    }
    for source in (ROOT / "ghostd" / "gateway").rglob("*.py"):
        calls = re.findall(r'HttpError\(\s*(\d{3}),\s*"(\w+)"', source.read_text("utf-8"))
        expected |= {(code, int(status)) for status, code in calls}
    assert documented == expected


def test_every_field_is_documented() -> None:
    for body in (ChatBody, CompletionBody, EmbeddingBody, MessagesBody):
        for field in body.__struct_fields__:
            assert f"`{field}" in PAGE, field
