"""The model through its port: what it learns, what it answers, and when it is silent."""

from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from ghostd.config.completion import ProjectModelConfig
from ghostd.errors import RootError, UnsupportedParameter, WorkerFailed
from ghostd.project_model.provider import MODEL, ProjectModelProvider, project_model
from ghostd.testing.memory_index import MemoryIndex
from ghostd.testing.provider_contract import ProviderContract, Subject
from ghostd.types import ChatRequest, Delta, FillRequest, OpenDocument

Ask = Callable[[ProjectModelProvider, FillRequest], Awaitable[tuple[str, Delta]]]
Start = Callable[..., AbstractAsyncContextManager[ProjectModelProvider]]

HEAD = """\
class ReturnRepository:
    def __init__(self, connection, table_name):
        self.connection = connection
        self.table_name = table_name

    def find_by_identifier(self, identifier):
"""
TIMEOUT_S = 30


def hole(prefix: str, suffix: str = "\n", **more: Any) -> FillRequest:
    return FillRequest(MODEL, prefix, suffix, **{"min_confidence": 0.0, "path": Path("repositories/return.py"), **more})


class TestProjectModelIsAProvider(ProviderContract):
    @pytest.fixture
    async def subject(self, model: ProjectModelProvider) -> Subject:
        return Subject(model)


async def test_the_rest_of_a_line_is_completed_from_the_project(model: ProjectModelProvider, ask: Ask) -> None:
    text, last = await ask(model, hole(HEAD + "        cursor = self.connection."))
    assert text == "execute_statement(self.table_name, identifier)"
    assert last.finish_reason == "stop"
    assert last.confidence is not None and last.confidence > 0.4
    assert last.usage is not None and last.usage.completion_tokens > 3 and last.usage.prompt_tokens > 20


async def test_a_word_that_the_cursor_cuts_is_completed(model: ProjectModelProvider, ask: Ask) -> None:
    text, _ = await ask(model, hole(HEAD + "        cursor = self.connection.execute_sta"))
    assert text == "tement(self.table_name, identifier)"


async def test_a_keyword_that_the_cursor_cuts_is_completed(model: ProjectModelProvider, ask: Ask) -> None:
    text, _ = await ask(model, hole("from __future__ impo"))
    assert text == "rt annotations"


async def test_a_whole_line_is_written_after_its_indentation(model: ProjectModelProvider, ask: Ask) -> None:
    text, _ = await ask(model, hole(HEAD + "        "))
    assert text == "cursor = self.connection.execute_statement(self.table_name, identifier)"


async def test_the_indentation_is_written_when_the_cursor_is_at_the_start_of_the_line(
    model: ProjectModelProvider, ask: Ask
) -> None:
    text, _ = await ask(model, hole(HEAD))
    assert text == "        cursor = self.connection.execute_statement(self.table_name, identifier)"


async def test_tabs_are_indented_with_tabs(model: ProjectModelProvider, ask: Ask) -> None:
    text, _ = await ask(model, hole(HEAD.replace("    ", "\t")))
    assert text == "\t\tcursor = self.connection.execute_statement(self.table_name, identifier)"


async def test_a_document_with_crlf_is_read_as_one_without(model: ProjectModelProvider, ask: Ask) -> None:
    prefix = HEAD + "        cursor = self.connection."
    text, _ = await ask(model, hole(prefix.replace("\n", "\r\n"), "\r\n"))
    assert text == "execute_statement(self.table_name, identifier)"


async def test_what_stands_behind_the_cursor_is_not_repeated(model: ProjectModelProvider, ask: Ask) -> None:
    prefix = HEAD + "        cursor = self.connection.execute_statement("
    text, _ = await ask(model, hole(prefix, ")\n"))
    assert text == "self.table_name, identifier"


async def test_the_default_threshold_shows_what_is_sure(model: ProjectModelProvider, ask: Ask) -> None:
    request = hole(HEAD + "        cursor = self.connection.execute_statement(self.", min_confidence=None)
    assert (await ask(model, request))[0] == "table_name, identifier)"


async def test_nothing_is_said_when_nothing_is_known(model: ProjectModelProvider, ask: Ask) -> None:
    text, last = await ask(model, hole("qwzx = zorp", min_confidence=None))
    assert text == ""
    assert last.finish_reason == "stop"
    assert last.usage is not None and last.usage.completion_tokens == 0


async def test_a_threshold_that_nothing_reaches_silences_the_model(model: ProjectModelProvider, ask: Ask) -> None:
    assert (await ask(model, hole(HEAD + "        cursor = self.", min_confidence=1.0)))[0] == ""


async def test_the_users_threshold_is_the_default(start: Start, ask: Ask) -> None:
    async with start(ProjectModelConfig(min_confidence=1.0)) as model:
        request = hole(HEAD + "        cursor = self.connection.", min_confidence=None)
        assert (await ask(model, request))[0] == ""


async def test_stop_strings_and_max_tokens_cut_the_answer(model: ProjectModelProvider, ask: Ask) -> None:
    prefix = HEAD + "        cursor = self.connection."
    text, last = await ask(model, hole(prefix, stop=(", ident",)))
    assert (text, last.finish_reason) == ("execute_statement(self.table_name", "stop")
    text, last = await ask(model, hole(prefix, max_tokens=2))
    assert (text, last.finish_reason) == ("execute_statement(", "length")
    assert last.usage is not None and last.usage.completion_tokens == 2


async def test_the_same_request_has_the_same_answer(model: ProjectModelProvider, ask: Ask) -> None:
    request = hole(HEAD + "        lo")
    answers = {await ask(model, request) for _ in range(5)}
    assert len(answers) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what is resident")
async def test_between_two_answers_no_page_of_the_segment_is_resident(model: ProjectModelProvider, ask: Ask) -> None:
    request = hole(HEAD + "        cursor = self.connection.")
    for _ in range(2):
        assert (await ask(model, request))[0]
        maps = await asyncio.to_thread(psutil.Process().memory_maps)
        assert [one.rss for one in maps if one.path.endswith(".segment")] == [0]


async def test_unicode_passes_unharmed(model: ProjectModelProvider, ask: Ask) -> None:
    document = 'größe_änderung = lies_größe("日本語 🎉")\n' * 3
    text, _ = await ask(model, hole(document + "größe_än"))
    assert text == 'derung = lies_größe("日本語 🎉")'


@pytest.mark.parametrize(
    "prefix", ["", "\n\n\n", "\ud800", "\0" * 50, " " * 5_000, "((((" * 2_000, "x" * 100_000, "\r\r\n\r", "\x85\u2028"]
)
async def test_odd_text_is_answered_without_an_error(model: ProjectModelProvider, ask: Ask, prefix: str) -> None:
    _, last = await ask(model, hole(prefix, prefix))
    assert last.finish_reason in ("stop", "length")


async def test_a_text_outside_all_roots_is_completed_from_itself(tmp_path: Path, ask: Ask) -> None:
    async with project_model(MemoryIndex(), tmp_path / "segments", ProjectModelConfig()) as model:
        text, _ = await ask(model, hole("first_value = compute_it(7)\n" * 3 + "first_value = comp", path=None))
        assert text == "ute_it(7)"


ZOO = """\
from zoo import open_the_gate, lantern, umbrella


def visit_the_animals(lantern, umbrella):
    zebra_crossing = open_the_gate(lantern, umbrella)
    return zebra_crossing.walk_slowly(lantern)
"""
AT_THE_GATE = ZOO[: ZOO.index("_gate(lantern")]


async def test_the_saved_text_of_an_open_document_does_not_count(start: Start, ask: Ask, project: Any) -> None:
    project.write("ledger.py", "def post():\n    return zorkify_quibble_matrix(1, 2)\n" * 3)
    project.commit("ledger.py")
    async with start() as model:
        await model.wait_learned(project.root)
        request = hole("def post():\n    return zorkify_q", path=project.root / "other.py")
        assert (await ask(model, request))[0] == "uibble_matrix(1, 2)"
        edited = OpenDocument(project.root / "ledger.py", "x = 1\n")
        assert "(1, 2)" not in (await ask(model, replace(request, open_documents=(edited,))))[0]


SKIPS = """\
def count_{0}(items):
    for item in items:
        if isinstance(item, Cached):
            continue
        yield item.{0}


"""
AT_A_SKIP = "".join(SKIPS.format(name) for name in ("boxes", "crates", "tubes", "jars", "sacks", "tins", "bags")) * 2
AT_A_SKIP += "def count_all(items):\n    for item in items:\n        if isinstance(item, Ca"


async def test_a_limit_of_tokens_holds_over_all_lines(model: ProjectModelProvider, ask: Ask) -> None:
    text, last = await ask(model, hole(AT_A_SKIP))
    assert text == "ched):\n            continue"
    assert last.usage is not None
    for limit in range(1, last.usage.completion_tokens + 1):
        cut, end = await ask(model, hole(AT_A_SKIP, max_tokens=limit))
        assert text.startswith(cut)
        assert end.usage is not None and end.usage.completion_tokens <= limit
    assert cut == text


async def test_open_documents_are_looked_into(model: ProjectModelProvider, ask: Ask, project: Any) -> None:
    open_one = OpenDocument(project.root / "new.py", ZOO)
    request = hole(AT_THE_GATE, open_documents=(open_one,))
    assert (await ask(model, request))[0] == "_gate(lantern, umbrella)"


async def test_a_changed_file_is_learned_without_a_training(
    model: ProjectModelProvider, ask: Ask, project: Any
) -> None:
    trained = model.trainings
    project.write("fresh.py", ZOO)
    project.commit("fresh.py")
    async with asyncio.timeout(TIMEOUT_S):
        await model.wait_learned(project.root)
    assert (await ask(model, hole(AT_THE_GATE)))[0] == "_gate(lantern, umbrella)"
    assert model.trainings == trained


async def test_a_removed_file_is_forgotten(model: ProjectModelProvider, ask: Ask, project: Any) -> None:
    for name in ("order", "customer", "invoice", "product", "shipment", "payment", "address", "supplier"):
        project.forget(f"repositories/{name}.py")
    project.commit(removed=("repositories/order.py",))
    async with asyncio.timeout(TIMEOUT_S):
        await model.wait_learned(project.root)
    text, _ = await ask(model, hole("cursor = connection.exec"))
    assert "execute_statement" not in "cursor = connection.exec" + text


async def test_a_document_does_not_match_its_own_stored_version(
    model: ProjectModelProvider, ask: Ask, project: Any
) -> None:
    project.write("single.py", "mountain_river = valley_forest(ocean)\n")
    project.commit("single.py")
    await model.wait_learned(project.root)
    request = hole("mountain_ri", "", path=project.root / "single.py")
    assert (await ask(model, request))[0] == ""


async def test_many_changes_lead_to_one_training(model: ProjectModelProvider, ask: Ask, project: Any) -> None:
    trained = model.trainings
    for number in range(150):
        project.write(f"many/m{number}.py", f"value_{number} = transform_the_input({number})\n" * 3)
    project.commit()
    async with asyncio.timeout(TIMEOUT_S):
        await model.wait_learned(project.root)
    assert model.trainings == trained + 1
    assert (await ask(model, hole("value_1 = transf")))[0].startswith("orm_the_input(")


async def test_a_restart_trains_nothing(start: Start, ask: Ask) -> None:
    request = hole(HEAD + "        cursor = self.connection.")
    async with start() as model:
        before = await ask(model, request)
        assert model.trainings == 1
    async with start() as model:
        assert await ask(model, request) == before
        assert model.trainings == 0


async def test_entering_does_not_wait_for_the_learning(start: Start, project: Any) -> None:
    async with start(wait=False) as model:
        assert not model.learned(project.root)
        async with asyncio.timeout(TIMEOUT_S):
            await model.wait_learned(project.root)
        assert model.learned(project.root)


async def test_a_damaged_segment_is_learned_anew(start: Start, ask: Ask, tmp_path: Path) -> None:
    request = hole(HEAD + "        cursor = self.connection.")
    async with start() as model:
        before = await ask(model, request)
    (segment,) = (tmp_path / "segments").glob("*.segment")
    whole = segment.read_bytes()
    for damage in (b"", b"GHOST", whole[:-1], whole[:200] + b"\xff" + whole[201:], b"\0" * len(whole)):
        segment.write_bytes(damage)
        async with start() as model:
            assert await ask(model, request) == before
            assert model.trainings == 1


async def test_files_are_for_the_user_only(start: Start, tmp_path: Path) -> None:
    async with start():
        pass
    (segment,) = (tmp_path / "segments").iterdir()
    assert stat.S_IMODE(segment.stat().st_mode) == 0o600
    assert stat.S_IMODE(segment.parent.stat().st_mode) == 0o700


async def test_the_index_of_each_root_answers_for_its_own_files(
    model: ProjectModelProvider, ask: Ask, project: Any, tmp_path: Path
) -> None:
    """Innermost first: a root inside another one has its own memory."""
    inner = project.root / "vendored"
    inner.mkdir()
    await project.index.add_root(inner)
    async with asyncio.timeout(TIMEOUT_S):
        await model.wait_learned(inner)
    assert model.learned(inner) and model.learned(project.root)
    await project.index.remove_root(inner)
    assert not model.learned(inner)
    with pytest.raises(RootError):
        await model.wait_learned(inner)
    text, _ = await ask(model, hole(HEAD + "        cursor = self.connection.", path=inner / "x.py"))
    assert text.startswith("execute_statement(")


async def test_a_link_out_of_the_root_is_not_followed(start: Start, ask: Ask, project: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret.py"
    secret.write_text("hidden_password = reveal_everything(now)\n" * 3)
    project.write("link.py", "x = 1\n")
    (project.root / "link.py").unlink()
    (project.root / "link.py").symlink_to(secret)
    async with start() as model:
        text, _ = await ask(model, hole("hidden_pass"))
        assert "reveal" not in text


async def test_closing_a_stream_or_cancelling_its_reader_leaves_the_model_usable(
    model: ProjectModelProvider, ask: Ask
) -> None:
    request = hole(HEAD + "        cursor = self.connection.")
    for _ in range(20):
        reader = asyncio.ensure_future(ask(model, request))
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
    async with aclosing(model.fill(request)) as deltas:
        await anext(deltas)
    assert (await ask(model, request))[0].startswith("execute_statement(")


async def test_the_daemons_process_never_imports_numpy(start: Start, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ghostd.project_model.build", raising=False)  # other tests build segments
    async with start() as model:
        await ask(model, hole(HEAD))
    assert "ghostd.project_model.build" not in sys.modules


async def test_chat_is_refused(model: ProjectModelProvider) -> None:
    with pytest.raises(UnsupportedParameter, match="cannot chat"):
        model.chat(ChatRequest(MODEL, ()))


async def test_leftovers_of_a_killed_training_are_removed(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "segments"
    folder.mkdir()
    (folder / ".building-abc").write_bytes(b"half")
    async with start():
        assert [path.suffix for path in folder.iterdir()] == [".segment"]


async def test_sure_lines_follow_where_the_request_allows_several(model: ProjectModelProvider, ask: Ask) -> None:
    assert (await ask(model, hole(AT_A_SKIP, max_lines=4)))[0] == "ched):\n            continue"
    assert (await ask(model, hole(AT_A_SKIP, max_lines=1)))[0] == "ched):"
    assert (await ask(model, hole(AT_A_SKIP, stop=("\n",))))[0] == "ched):"


@pytest.mark.e2e
def trains(child: psutil.Process) -> bool:
    """Whether this child of the tests is a training; others may still be ending."""
    try:
        return "ghostd.project_model.train" in child.cmdline()
    except psutil.Error:
        return False


async def test_a_training_killed_midway_harms_nothing(start: Start, ask: Ask, project: Any, tmp_path: Path) -> None:
    for number in range(40):  # enough text that the training is still at work when the kill comes
        lines = (f"value_{number}_{n} = compute_{n}(argument_{n}, option_{number})" for n in range(2000))
        project.write(f"big/m{number}.py", "\n".join(lines))
    project.commit()
    async with start(wait=False) as model:
        waiting = asyncio.ensure_future(model.wait_learned(project.root))
        async with asyncio.timeout(TIMEOUT_S):
            while not (training := [child for child in psutil.Process().children() if trains(child)]):
                await asyncio.sleep(0.001)
            training[0].kill()
            with pytest.raises(WorkerFailed, match="learning"):
                await waiting
        assert not model.learned(project.root)
        assert list((tmp_path / "segments").glob("*.segment")) == []
        assert (await ask(model, hole(HEAD + "        cursor = self.conn")))[0] == "ection"
        project.commit("repositories/order.py")
        async with asyncio.timeout(TIMEOUT_S):
            await model.wait_learned(project.root)
        text, _ = await ask(model, hole(HEAD + "        cursor = self.connection."))
        assert text.startswith("execute_statement(")


async def test_a_project_beyond_the_memory_limit_is_learned_in_part(start: Start, project: Any, tmp_path: Path) -> None:
    for number in range(60):
        words = " ".join(f"word_{number}_{n} = other_{n}" for n in range(300))
        project.write(f"big/m{number}.py", words.replace(" word", "\nword"))
    async with start(ProjectModelConfig(max_memory_mb=1)) as model:
        assert model.learned(project.root)
        (segment,) = (tmp_path / "segments").glob("*.segment")
        assert segment.stat().st_size < 1_500_000
        project.commit()
        async with asyncio.timeout(TIMEOUT_S):
            await model.wait_learned(project.root)
        assert model.trainings == 1


async def test_the_segments_of_roots_that_rest_are_unmapped_and_come_back(
    start: Start, ask: Ask, project: Any, tmp_path: Path
) -> None:
    """Two roots of which only one fits."""
    other = tmp_path / "other"
    other.mkdir()
    for path in (project.root / "repositories").iterdir():
        target = other / "repositories" / path.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    request = hole(HEAD + "        cursor = self.connection.", path=project.root / "repositories/return.py")
    async with start() as model:
        model._learner._max_bytes = 10_000
        await project.index.add_root(other)
        async with asyncio.timeout(TIMEOUT_S):
            await model.wait_learned(other)
            await ask(model, request)
            while not (await ask(model, request))[0]:
                await asyncio.sleep(0)
        assert (await ask(model, request))[0].startswith("execute_statement(")
