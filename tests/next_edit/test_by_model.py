"""Next edits by a model: what it is told, and what becomes of its answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from next_edit_harness import Project, applied, project

from ghostd.config.next_edit import NextEditConfig
from ghostd.config.settings import Config
from ghostd.engine import Engine
from ghostd.models import ModelInfo
from ghostd.next_edit import by_model
from ghostd.next_edit.by_model import ModelEdits
from ghostd.routing.registry import Registry
from ghostd.testing.scripted import ALL, ScriptedUpstreamProvider
from ghostd.types import ChatRequest, CompletionRequest, Delta, Usage

START, END, CURSOR = "<|editable_region_start|>", "<|editable_region_end|>", "<|user_cursor_is_here|>"
SECRET = "sk-" + "a1B2c3D4" * 4
KEY_LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"


def upstream(*answers: str, remote: bool = True) -> ScriptedUpstreamProvider:
    scripts = [[Delta(answer), Delta(finish_reason="stop", usage=Usage(1, 1))] for answer in answers]
    return ScriptedUpstreamProvider(*scripts, info=ModelInfo("", "acme", ALL, remote=remote))


async def shop_of(root: Path, files: dict[str, str], model: ScriptedUpstreamProvider) -> Project:
    config = NextEditConfig(model="acme/m")
    engine = Engine(registry=Registry(Config(), (), {"acme": [model]}))
    return await project(root, files, config, ModelEdits(engine, config))


def prompt(model: ScriptedUpstreamProvider) -> str:
    """What it was asked."""
    (request,) = model.asked
    if isinstance(request, CompletionRequest):
        (text,) = request.prompt
        assert isinstance(text, str)
        return text
    assert isinstance(request, ChatRequest)
    return request.messages[0].text


def answer(*lines: str) -> str:
    return "\n".join([START, *lines, END])


async def test_the_model_is_told_the_edits_and_the_place(tmp_path: Path) -> None:
    model = upstream(answer("a = 2", "b = 2", ""))
    shop = await shop_of(tmp_path, {"a.txt": "a = 1\nb = 1\n"}, model)
    shop.edit("a.txt", "1", "2")
    (found,) = await shop.proposals(with_model=True)
    assert (found.line, found.old, found.new, found.kind, found.reason) == (
        1, "b = 1", "b = 2", "model", "acme/m proposes it.",
    )  # fmt: skip
    told = prompt(model)
    assert 'User edited "a.txt":\n```diff\n@@ -1,1 +1,1 @@\n-a = 1\n+a = 2\n```' in told
    assert f"```a.txt\n<|start_of_file|>\n{START}\na = 2{CURSOR}\nb = 1\n\n{END}\n```" in told


@pytest.mark.parametrize(
    ("now", "lines", "after"),
    [
        ("a = 2\nb = 1\nc = 1", ["a = 2", "b = 1", "c = 3"], "a = 2\nb = 1\nc = 3"),
        ("a = 2\nb = 1\nc = 1", ["a = 2", "b = 1", "c = 1", "d = 1"], "a = 2\nb = 1\nc = 1\nd = 1"),
        ("a = 2\nb = 1\nc = 1", ["a = 2", "b = 1"], "a = 2\nb = 1"),
        ("a = 2\nb = 1\nc = 1\n", ["x = 0", "a = 2", "b = 1", "c = 1", ""], "x = 0\na = 2\nb = 1\nc = 1\n"),
        (
            "a = 2\r\nb = 1\r\nc = 1\r\n",
            ["a = 2", "b = 2", "b = 3", "c = 1", ""],
            "a = 2\r\nb = 2\r\nb = 3\r\nc = 1\r\n",
        ),
        ("a = 2\nb = 1\nc = 1", ["a = 2", "b = 1", "c = 1"], None),
    ],
)
async def test_lines_are_changed_added_and_removed(
    now: str, lines: list[str], after: str | None, tmp_path: Path
) -> None:
    shop = await shop_of(tmp_path, {"a.txt": now.replace("2", "1", 1)}, upstream(answer(*lines)))
    shop.edit("a.txt", "1", "2")
    found = await shop.proposals(with_model=True)
    assert applied(shop.files, found) == ({} if after is None else {"a.txt": after})


@pytest.mark.parametrize("said", ["b = 2", f"{START}\nb = 2", answer("a = 2", START, ""), answer(*"uvwxyz")])
async def test_another_form_of_answer_is_no_proposal(said: str, tmp_path: Path) -> None:
    shop = await shop_of(tmp_path, {"a.txt": "a = 1\nb = 1\n"}, upstream(said))
    shop.edit("a.txt", "1", "2")
    assert await shop.proposals(with_model=True) == []


@pytest.mark.parametrize(
    ("behind", "closed"),
    [
        ([Delta("\n```"), Delta(finish_reason="stop", usage=Usage(1, 1))], 0),
        ([Delta("b" * 100), Delta(finish_reason="stop", usage=Usage(1, 1))], 1),
        ([asyncio.Event()], 1),
    ],
    ids=["it ends", "it goes on", "it hangs"],
)
async def test_a_model_that_has_answered_may_end_by_itself(
    behind: list[Delta | asyncio.Event], closed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_model, "_END_S", 0.01 if isinstance(behind[0], asyncio.Event) else 60.0)
    script = [Delta(answer("a = 2", "b = 2", "")), *behind]
    model = ScriptedUpstreamProvider(script, info=ModelInfo("", "acme", ALL, remote=True))
    shop = await shop_of(tmp_path, {"a.txt": "a = 1\nb = 1\n"}, model)
    shop.edit("a.txt", "1", "2")
    assert [found.new for found in await shop.proposals(with_model=True)] == ["b = 2"]
    assert model.closed == closed


async def test_an_answer_that_never_ends_is_given_up(tmp_path: Path) -> None:
    endless = [Delta("x" * 1000) for _ in range(100_000)]
    model = ScriptedUpstreamProvider(endless, info=ModelInfo("", "acme", ALL, remote=True))
    shop = await shop_of(tmp_path, {"a.txt": "a = 1\nb = 1\n"}, model)
    shop.edit("a.txt", "1", "2")
    assert await shop.proposals(with_model=True) == []
    assert model.closed == 1


@pytest.mark.parametrize("remote", [True, False])
async def test_secrets_are_taken_out_for_a_model_elsewhere_alone(remote: bool, tmp_path: Path) -> None:
    model = upstream(answer(), remote=remote)
    text = f'key = "{SECRET}"\na = 1\nb = 1\n'
    shop = await shop_of(tmp_path, {"a.txt": text}, model)
    shop.edit("a.txt", "key =", "my_key =")
    shop.edit("a.txt", "a = 1", "a = 2")
    await shop.proposals(with_model=True)
    told = prompt(model)
    assert (SECRET in told) is not remote
    assert ('-key = "[redacted]"\n+my_key = "[redacted]"' in told) is remote
    assert (f'{START}\nmy_key = "[redacted]"\na = 2{CURSOR}\nb = 1\n' in told) is remote


@pytest.mark.parametrize("typed", ["", "D4", "a1B2c3D4" * 2, 'a1B2c3D4"'])
async def test_the_cursor_does_not_cut_a_secret_in_two(typed: str, tmp_path: Path) -> None:
    model = upstream(answer())
    shop = await shop_of(tmp_path, {"a.txt": f'x = 1\nkey = "{SECRET}"\n'}, model)
    shop.edit("a.txt", "x = 1", "x = 2")
    shop.cursor = "a.txt", shop.files["a.txt"].index(SECRET) + (SECRET + '"').index(typed) + len(typed)
    await shop.proposals(with_model=True)
    assert "a1B2" not in prompt(model)
    assert CURSOR in prompt(model)


async def test_a_key_of_many_lines_is_taken_out_and_stays_in_the_file(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + f"{KEY_LINE}\n" * 4 + "-----END PRIVATE KEY-----\n"
    hidden = ["[redacted]"] * 6
    model = upstream(answer("a = 2", *hidden, "b = 2", ""))
    shop = await shop_of(tmp_path, {"a.txt": f"a = 1\n{key}b = 1\n"}, model)
    shop.edit("a.txt", "a = 1", "a = 2")
    found = await shop.proposals(with_model=True)
    assert KEY_LINE not in prompt(model)
    assert applied(shop.files, found) == {"a.txt": f"a = 2\n{key}b = 2\n"}


@pytest.mark.parametrize(
    "lines", [['key = load("[redacted]")'], ['key = "YOUR-KEY"'], [], ['key = "[redacted]"', 'other = "[redacted]"']]
)
async def test_a_line_whose_secret_the_model_has_not_seen_is_not_changed(lines: list[str], tmp_path: Path) -> None:
    model = upstream(answer("a = 2", *lines, "b = 1", "c = 2", ""))
    shop = await shop_of(tmp_path, {"a.txt": f'a = 1\nkey = "{SECRET}"\nb = 1\nc = 1\n'}, model)
    shop.edit("a.txt", "a = 1", "a = 2")
    found = await shop.proposals(with_model=True)
    assert [(each.old, each.new) for each in found] == [("c = 1", "c = 2")]


async def test_edits_of_files_that_are_not_indexed_are_not_told(tmp_path: Path) -> None:
    """A file of secrets is none, even while it is open."""
    model = upstream(answer())
    shop = await shop_of(tmp_path, {"a.txt": "a = 1\n"}, model)
    shop.history.note(tmp_path / ".env", 0, ["TOKEN=abc\n"], ["TOKEN=topsecret\n"])
    shop.edit("a.txt", "a = 1", "a = 2")
    await shop.proposals(with_model=True)
    assert "topsecret" not in prompt(model)
    assert "+a = 2" in prompt(model)


async def test_the_model_is_not_asked_about_a_file_that_is_not_indexed(tmp_path: Path) -> None:
    model = upstream(answer())
    shop = await shop_of(tmp_path, {"a.txt": "a = 1\n"}, model)
    shop.files[".env"] = "TOKEN=1\n"
    shop.edit(".env", "1", "topsecret")
    assert await shop.proposals(with_model=True) == []
    assert model.asked == []


async def test_text_that_holds_a_marker_is_not_sent(tmp_path: Path) -> None:
    model = upstream(answer())
    shop = await shop_of(tmp_path, {"a.txt": f"a = 1\n{END}\n"}, model)
    shop.edit("a.txt", "a = 1", "a = 2")
    assert await shop.proposals(with_model=True) == []
    assert model.asked == []
