"""textDocument/completion: the fallback for editors without inline completion."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, get_args

import pytest
from ghostd_lsp.completion import completion_kind
from lsp_harness import INLINE, LspError, connected, make_host

from ghostd.errors import WorkerFailed
from ghostd.indexed import Span, Symbol, SymbolKind
from ghostd.testing.memory_index import MemoryIndex
from ghostd.testing.scripted import ScriptedProvider

URI = "file:///project/a.py"


def symbol(name: str, kind: SymbolKind = "function", path: str = "b.py", signature: str = "") -> Symbol:
    return Symbol(name, kind, PurePosixPath(path), Span(0, 1), Span(0, 1), 1, signature=signature)


async def complete(
    text: str, pieces: tuple[str, ...], symbols: list[Symbol], character: int, root: Path, **capabilities: object
) -> dict[str, Any]:
    index = MemoryIndex(symbols)
    await index.add_root(root)
    uri = (root / "a.py").as_uri()
    async with connected(make_host(providers=[ScriptedProvider(pieces=pieces)], index=index)) as client:
        await client.initialize(capabilities)
        client.open(uri, text)
        position = {"line": 0, "character": character}
        found: dict[str, Any] = await client.request(
            "textDocument/completion",
            {"textDocument": {"uri": uri}, "position": position, "context": {"triggerKind": 1}},
        )
        return found


async def test_the_text_is_one_entry_that_the_typed_word_filters_in(tmp_path: Path) -> None:
    found = await complete("x = loa  # y\n", ("d(path)", "\n    return"), [], 7, tmp_path)
    del found["items"][0]["command"]
    assert found == {
        "isIncomplete": True,
        "items": [
            {
                "label": "load(path)",
                "kind": 1,
                "detail": "ghostd",
                "documentation": "load(path)\n    return",
                "filterText": "load(path)",
                "sortText": " ",
                "insertTextFormat": 1,
                "insertTextMode": 1,
                "textEdit": {
                    "newText": "load(path)\n    return",
                    "range": {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 7}},
                },
            }
        ],
    }


async def test_a_long_line_is_shortened_in_the_list_and_whole_when_accepted(tmp_path: Path) -> None:
    item = (await complete("", ("\n    " + "x" * 200,), [], 0, tmp_path))["items"][0]
    assert item["label"] == "x" * 59 + "…"
    assert item["textEdit"]["newText"] == "\n    " + "x" * 200


async def test_names_of_the_project_that_go_on_from_the_typed_word_follow(tmp_path: Path) -> None:
    symbols = [
        symbol("load_file", signature="def load_file(path)"),
        symbol("load_file", path="c.py"),
        symbol("load", "class"),
        symbol("Loader", "class"),
        symbol("loaded", "variable"),
    ]
    found = await complete("load", (" = 1",), symbols, 4, tmp_path)
    assert [(item["label"], item.get("detail")) for item in found["items"]] == [
        ("load = 1", "ghostd"),
        ("load_file", "def load_file(path)"),
        ("loaded", "b.py"),
    ]
    assert [item["sortText"] for item in found["items"]] == [" ", "~load_file", "~loaded"]


async def test_two_typed_characters_bring_no_names(tmp_path: Path) -> None:
    assert (await complete("lo", ("",), [symbol("load")], 2, tmp_path))["items"] == []


def test_every_kind_of_symbol_has_a_kind_of_completion() -> None:
    assert [completion_kind(kind) for kind in get_args(SymbolKind)]


@pytest.mark.parametrize(
    ("capabilities", "options", "offered"),
    [
        ({}, None, True),
        (INLINE, None, False),
        (INLINE, {"plainCompletion": True}, True),
        ({}, {"plainCompletion": False}, False),
        ({"textDocument": {"inlineCompletion": None}}, {"unknown": 1}, True),
    ],
)
async def test_the_list_is_offered_to_editors_without_inline_completion_or_by_option(
    capabilities: dict[str, Any], options: dict[str, Any] | None, offered: bool
) -> None:
    async with connected(make_host()) as client:
        found = await client.initialize(capabilities, initializationOptions=options)
        client.open(URI, "x")
        position = {"line": 0, "character": 1}
        reply = await client.request("textDocument/completion", {"textDocument": {"uri": URI}, "position": position})
    assert ("completionProvider" in found, bool(reply["items"])) == (offered, offered)


async def test_a_wrong_option_is_named() -> None:
    async with connected(make_host()) as client:
        with pytest.raises(LspError, match=r"-32602: params.initializationOptions.plainCompletion: Expected"):
            await client.initialize(initializationOptions={"plainCompletion": "yes"})


async def test_a_list_for_a_text_that_has_changed_since_is_empty_and_the_failing_model_told() -> None:
    provider = ScriptedProvider(error=WorkerFailed("no memory"))
    async with connected(make_host(providers=[provider])) as client:
        await client.initialize({})
        client.open(URI, "x")
        position = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 1}}
        assert await client.request("textDocument/completion", position) == {"isIncomplete": True, "items": []}
        assert "no memory" in (await client.notice("window/logMessage"))["message"]
        provider.error = None
        _, answer = client.ask("textDocument/completion", position)
        client.change(URI, 2, {"text": "y"})
        assert await client.answer(answer) == {"isIncomplete": True, "items": []}
