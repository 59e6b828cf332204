"""The vectors follow the index, the model and the settings."""

import asyncio
import errno
import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import pytest
from vectors_harness import Model, world, write

from ghostd.config.embeddings import EmbeddingsConfig
from ghostd.embedded import Vector
from ghostd.errors import ContextTooLong, RateLimited, UpstreamRejected, UpstreamUnreachable
from ghostd.testing.hashing_vectors import DIMENSIONS

FILES = {
    "bread.py": "def bake(flour, yeast, oven):\n    return oven.bake(flour + yeast)\n",
    "stars.py": "class Sky:\n"
    + "".join(f"    def orbit_{n}(self, planet, star):\n        x = planet\n        return x\n\n" for n in range(12)),
    "notes.md": "# Planets\n\nThey orbit stars.\n",
}


async def test_a_chunk_is_embedded_below_its_path_and_the_head_around_it(tmp_path: Path) -> None:
    async with world(tmp_path, FILES) as it:
        state = await it.embedded()
        assert state.embedded == state.chunks == len(it.model.texts)
        inside = [text for text in it.model.texts if text.startswith("stars.py\n") and "orbit_11" in text]
        assert inside[0].splitlines()[:2] == ["stars.py", "class Sky"]
        assert "bread.py\ndef bake(flour, yeast, oven):\n    return oven.bake(flour + yeast)" in it.model.texts


async def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    files = {f"m{n}.py": f"def function_{n}(value_{n}):\n    return value_{n}\n" for n in range(9)}
    config = EmbeddingsConfig(model="hashing", batch_chunks=2)
    first = Model()
    async with world(tmp_path, files, first, config):
        await first.until_asked(3)  # the first two have been answered; the last is cut off
        first.hold = asyncio.Event()
    second = Model()
    async with world(tmp_path, model=second, config=config) as it:
        state = await it.embedded()
        assert (state.state, state.embedded) == ("ready", 9)
        assert 0 < len(second.texts) < 9
        assert {*first.texts, *second.texts} == {f"m{n}.py\n{text.rstrip()}" for n, text in enumerate(files.values())}
        assert (await it.closest("function_7 value_7"))[0] == "m7.py"
    third = Model()
    async with world(tmp_path, model=third, config=config) as it:
        assert (await it.embedded()).embedded == 9
        assert third.asked == []


async def test_only_the_chunks_that_differ_are_embedded_again(tmp_path: Path) -> None:
    async with world(tmp_path, FILES) as it:
        await it.embedded()
        before = len(it.model.texts)
        changed = FILES["stars.py"].replace("orbit_11", "comet_tail")
        await asyncio.to_thread(write, it.root, {"stars.py": changed, "new.py": "def fresh(herbs):\n    pass\n"})
        await it.followed.until_defined("comet_tail")
        await it.followed.until_defined("fresh")
        await it.embedded()
        new = it.model.texts[before:]
        assert len(new) == 2
        assert any("comet_tail" in text for text in new)
        assert (await it.closest("comet_tail"))[0] == "stars.py"
        assert (await it.closest("fresh herbs"))[0] == "new.py"


async def test_a_moved_file_costs_nothing_and_a_removed_one_is_not_found(tmp_path: Path) -> None:
    async with world(tmp_path, FILES) as it:
        before = await it.embedded()
        count = len(it.model.texts)
        await asyncio.to_thread(os.rename, it.root / "bread.py", it.root / "cake.py")
        await asyncio.to_thread(os.remove, it.root / "notes.md")
        await it.followed.until(["cake.py", "stars.py"])
        after = await it.embedded()
        assert len(it.model.texts) == count
        assert after.embedded == before.embedded - 1
        assert (await it.closest("bake flour yeast"))[0] == "cake.py"
        assert "notes.md" not in await it.closest("planets orbit stars")


async def test_another_model_makes_all_vectors_anew(tmp_path: Path) -> None:
    async with world(tmp_path, FILES) as it:
        count = (await it.embedded()).embedded
    other = Model("another", dimensions=2 * DIMENSIONS)
    async with world(tmp_path, model=other) as it:
        assert (await it.embedded()).embedded == count
        assert len(other.texts) == count
        assert (await it.closest("bake flour yeast"))[0] == "bread.py"
        other.name = "a third"  # while the daemon runs
        await other.until_asked(3)
        assert (await it.embedded()).embedded == count


async def test_a_model_whose_vectors_change_their_length_is_told_and_starts_anew(tmp_path: Path) -> None:
    async with world(tmp_path, FILES) as it:
        await it.embedded()
        it.model.dimensions = 2 * DIMENSIONS
        await asyncio.to_thread(write, it.root, {"new.py": "def fresh(herbs):\n    pass\n"})
        await it.followed.until_defined("fresh")
        state = await it.embedded()
        assert state.embedded == state.chunks
        assert (await it.closest("bake flour yeast"))[0] == "bread.py"


@pytest.mark.parametrize("error", [UpstreamUnreachable("the server is gone", "acme"), RateLimited("slow down", "acme")])
async def test_failures_are_told_and_tried_again(tmp_path: Path, error: Exception) -> None:
    model = Model(failures=[error] * 3, hold=asyncio.Event())
    async with world(tmp_path, FILES, model) as it:
        assert model.hold is not None
        model.hold.set()
        assert str(error) in (await it.until("failed")).detail
        state = await it.embedded()
        assert (state.state, state.detail) == ("ready", "")
        assert len(model.asked) >= 4


async def test_vectors_that_are_none_are_told(tmp_path: Path) -> None:
    class Broken(Model):
        async def embed(self, texts: object) -> list[list[float]]:
            return [[float("nan")] * DIMENSIONS for _ in texts]  # type: ignore[attr-defined]

    async with world(tmp_path, FILES, Broken()) as it:
        assert "not finite" in (await it.until("failed")).detail
        assert it.vectors.state(it.root).embedded == 0


async def test_a_model_elsewhere_is_refused_without_leave(tmp_path: Path) -> None:
    model = Model(remote=True)
    async with world(tmp_path, FILES, model) as it:
        state = await it.embedded()
        assert state.state == "refused"
        assert "embeddings.allow_cloud = true" in state.detail
        with pytest.raises(Exception, match="allow_cloud"):
            await it.vectors.vector("anything")
        assert model.asked == []


async def test_with_leave_secrets_are_taken_out_of_what_is_sent(tmp_path: Path) -> None:
    key = "AKIA" + "ABCDEFGHIJKLMNOP"
    files = {"settings.py": f'password = "hunter2hunter2"\nkey = "{key}"\n'}
    for remote in (True, False):
        model = Model(remote=remote)
        config = EmbeddingsConfig(model="hashing", allow_cloud=True)
        async with world(tmp_path / str(remote), files, model, config) as it:
            await it.embedded()
            await it.vectors.vector(f"use {key}")
            sent = "\n".join(model.texts)
            assert (key in sent, "hunter2hunter2" in sent, "[redacted]" in sent) == (
                (False, False, True) if remote else (True, True, False)
            )


async def test_no_part_of_a_key_is_sent_that_is_longer_than_a_chunk(tmp_path: Path) -> None:
    body = [blake2b(str(n).encode()).hexdigest()[:64] for n in range(60)]
    key = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *body, "-----END RSA PRIVATE KEY-----"])
    model = Model(remote=True)
    config = EmbeddingsConfig(model="hashing", allow_cloud=True)
    async with world(tmp_path, {"key.txt": f"before\n{key}\nbehind it\n"}, model, config) as it:
        await it.embedded()
        sent = "\n".join(model.texts)
        assert not [line for line in body if line in sent]
        assert "before" in sent
        assert "behind it" in sent


@pytest.mark.parametrize("error", [ContextTooLong(900, 512), UpstreamRejected("too long", 400, reason="context")])
async def test_a_text_that_is_too_long_is_cut_and_one_that_never_fits_has_no_vector(
    tmp_path: Path, error: Exception
) -> None:
    files = {"long.py": "def long(" + ", ".join(f"argument_{n}" for n in range(60)) + "):\n    pass\n", **FILES}
    model = Model(too_long=260, error=error)
    async with world(tmp_path, files, model) as it:
        state = await it.embedded()
        assert (state.state, state.embedded) == ("ready", state.chunks)
        assert "long.py" in await it.closest("argument_1 argument_2 long")
        assert (await it.closest("planet " * 200 + "bake flour yeast"))[0] in ("bread.py", "stars.py")
        assert model.texts[-1].endswith("bake flour yeast")
    model = Model("picky", too_long=5, error=error)
    async with world(tmp_path, model=model) as it:
        assert "takes none of the texts" in (await it.until("failed")).detail


async def test_a_refusal_for_another_reason_is_not_taken_for_a_long_text(tmp_path: Path) -> None:
    model = Model(too_long=0, error=UpstreamRejected("no such field", 400))
    async with world(tmp_path, FILES, model) as it:
        assert "no such field" in (await it.until("failed")).detail
        assert len(model.asked[0]) == len(model.asked[-1])


async def test_prefixes_stand_before_texts_and_queries(tmp_path: Path) -> None:
    config = EmbeddingsConfig(model="hashing", document_prefix="search_document: ", query_prefix="search_query: ")
    async with world(tmp_path, FILES, config=config) as it:
        await it.embedded()
        assert all(text.startswith("search_document: ") for text in it.model.texts)
        await it.vectors.vector("bread")
        assert it.model.texts[-1] == "search_query: bread"


async def test_batches_wait_while_others_run_but_not_for_ever(tmp_path: Path) -> None:
    model = Model(busy=True)
    config = EmbeddingsConfig(model="hashing", pause_s=1000)
    async with world(tmp_path / "waits", FILES, model, config) as it:
        await it.until("embedding")
        await asyncio.sleep(0.1)
        assert model.asked == []
        model.busy = False
        await it.embedded()
    model = Model(busy=True)
    async with world(tmp_path / "goes on", FILES, model, EmbeddingsConfig(model="hashing", pause_s=0.1)) as it:
        assert (await it.embedded()).state == "ready"


async def test_one_batch_of_the_wanted_size_runs_at_a_time(tmp_path: Path) -> None:
    config = EmbeddingsConfig(model="hashing", batch_chunks=2)
    files = {f"m{n}.py": f"def function_{n}():\n    pass\n" for n in range(7)} | FILES
    async with world(tmp_path, files, config=config) as it:
        await it.embedded()
        assert max(map(len, it.model.asked)) == 2
        assert it.model.most_running == 1


async def test_files_beyond_the_limits_are_left_out_and_told(tmp_path: Path) -> None:
    files = {f"m{n}.py": f"def function_{n}():\n    pass\n" for n in range(8)}
    for number, config in enumerate(
        (
            EmbeddingsConfig(model="hashing", max_chunks=5),
            EmbeddingsConfig(model="hashing", max_bytes=5 * DIMENSIONS, batch_chunks=2),
        )
    ):
        async with world(tmp_path / str(number), files, config=config) as it:
            state = await it.embedded()
            assert (state.state, state.embedded, state.left_out) == ("ready", 5, 3)
            assert "3 files have none" in state.detail


async def test_a_removed_root_has_no_vectors_and_finds_them_again(tmp_path: Path) -> None:
    async with world(tmp_path, FILES) as it:
        await it.embedded()
        count = len(it.model.texts)
        vector = await it.vectors.vector("bake flour")
        await it.followed.index.remove_root(it.root)
        async with asyncio.timeout(30):
            while it.vectors.state(it.root).state != "waiting":
                await asyncio.sleep(0.01)
        assert list(await it.vectors.similar(it.root, vector)) == []
        await it.followed.index.add_root(it.root)
        await it.embedded()
        assert len(it.model.texts) == count + 1


async def test_a_file_that_is_edited_comes_before_those_that_still_wait(tmp_path: Path) -> None:
    files = {f"m{n}.py": f"def function_{n}():\n    pass\n" for n in range(9)}
    config = EmbeddingsConfig(model="hashing", batch_chunks=2)
    model = Model(hold=asyncio.Event())
    async with world(tmp_path, files, model, config) as it:
        await model.until_asked(1)
        await asyncio.to_thread(write, it.root, {"z.py": "def edited():\n    pass\n"})
        await it.followed.until_defined("edited")
        assert model.hold is not None
        model.hold.set()
        await it.embedded()
        assert next(place for place, batch in enumerate(model.asked) if "edited" in str(batch)) == 1


async def test_a_text_that_a_service_dislikes_has_no_vector_and_the_others_have(tmp_path: Path) -> None:
    class Squeamish(Model):
        async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
            if any("yeast" in text for text in texts):
                raise UpstreamRejected("no yeast", 400, reason="content_filter")
            return await super().embed(texts)

    async with world(tmp_path, FILES, Squeamish()) as it:
        assert (await it.embedded()).state == "ready"
        assert (await it.closest("planets orbit stars"))[0] == "notes.md"
        assert "bread.py" not in await it.closest("bake flour oven")


async def test_a_full_disk_is_told_and_what_is_there_goes_on_to_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, FILES) as it:
        await it.embedded()
        with monkeypatch.context() as patched:

            def full(*_: object) -> int:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            patched.setattr("ghostd.vectors.store.os.pwrite", full)
            await asyncio.to_thread(write, it.root, {"new.py": "def fresh(herbs):\n    pass\n"})
            await it.followed.until_defined("fresh")
            assert "No space left" in (await it.until("failed")).detail
            assert (await it.closest("bake flour yeast"))[0] == "bread.py"
        assert (await it.embedded()).state == "ready"
        assert (await it.closest("fresh herbs"))[0] == "new.py"
