"""`ghostctl models pull` against a Hub on this machine."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cli.hub_server import HubServer, hub_server
from gguf_fixtures import ModelFile, model_file

from ghostd.config.local import LocalConfig
from ghostd.errors import GhostdError
from ghostd.workers.catalog import Catalog
from ghostd.workers.hub.choose import RemoteFile, choose, models_of

__all__ = ["model_file"]

pytest.importorskip("huggingface_hub")

REPOSITORY = "org/coder-GGUF"
CHUNK = 10 * 1024 * 1024
"""huggingface_hub writes its downloads in steps of this many bytes."""


@pytest.fixture
def models(ghostd_home: Path) -> Path:
    """ghostd's models folder."""
    return ghostd_home / "data" / "models"


@pytest.fixture
async def hub(model_file: ModelFile) -> AsyncIterator[HubServer]:
    data = model_file("qwen").read_bytes()
    files = {"coder-q4_k_m.gguf": data, "coder-q8_0.gguf": data + b"8", "mmproj-coder.gguf": data, "README.md": b"#"}
    async with hub_server(REPOSITORY, files) as server:
        yield server


async def start(hub: HubServer, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    program = str(Path(sys.executable).with_name("ghostctl"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return await asyncio.create_subprocess_exec(
        program, "models", "pull", *arguments,
        env={**kept, "HF_ENDPOINT": hub.url, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def pull(hub: HubServer, *arguments: str, **environment: str) -> tuple[int | None, str, str]:
    """Exit status, output, errors."""
    process = await start(hub, *arguments, **environment)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def big(size: int) -> bytes:
    return random.Random(1).randbytes(size)


# --- what is fetched ------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["Q4_K_M", "coder-q4_k_m.gguf", "coder-q4_k_m"])
async def test_a_model_is_fetched_by_quantisation_or_file(hub: HubServer, models: Path, wanted: str) -> None:
    status, out, err = await pull(hub, f"{REPOSITORY}:{wanted}")
    assert (status, out) == (0, f"{models}/coder-q4_k_m.gguf\n"), err
    assert (models / "coder-q4_k_m.gguf").read_bytes() == hub.files["coder-q4_k_m.gguf"]
    assert [path.name for path in models.iterdir()] == ["coder-q4_k_m.gguf"]
    offered = await asyncio.to_thread(Catalog(LocalConfig(), models, models).scan)
    assert [model.id for model in offered] == ["coder-q4_k_m"]
    assert err == ""


async def test_several_models_are_listed_when_none_is_named(hub: HubServer, models: Path) -> None:
    status, out, err = await pull(hub, REPOSITORY)
    assert (status, out) == (1, "")
    assert "may be any of these:" in err
    assert [line.split()[0] for line in err.splitlines()[1:]] == [
        f"{REPOSITORY}:coder-q4_k_m.gguf", f"{REPOSITORY}:coder-q8_0.gguf",
    ]  # fmt: skip
    assert hub.gets == []


async def test_all_parts_of_a_split_model_are_fetched(hub: HubServer, models: Path) -> None:
    parts = {f"q8/big-q8-0000{number}-of-00002.gguf": big(1000 + number) for number in (1, 2)}
    hub.files = {**hub.files, **parts}
    status, _, err = await pull(hub, f"{REPOSITORY}:q8")
    assert status == 0, err
    assert {path.name: path.read_bytes() for path in models.iterdir()} == {
        name.removeprefix("q8/"): data for name, data in parts.items()
    }


async def test_the_users_token_is_sent_and_the_configured_folder_used(
    hub: HubServer, tmp_path: Path, ghostd_home: Path
) -> None:
    config = ghostd_home / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[local]\nmodels_dir = "mine"\n')
    status, out, err = await pull(hub, f"{REPOSITORY}:q8_0", HF_TOKEN="hf_secret")
    assert (status, out) == (0, f"{config.parent}/mine/coder-q8_0.gguf\n"), err
    assert hub.tokens == {"Bearer hf_secret"}


async def test_a_small_file_is_checked_by_gits_hash(hub: HubServer, models: Path) -> None:
    hub.small = {"coder-q8_0.gguf"}
    status, _, err = await pull(hub, f"{REPOSITORY}:q8_0")
    assert status == 0, err
    hub.small, hub.wrong = {"coder-q4_k_m.gguf"}, {"coder-q4_k_m.gguf"}
    status, _, err = await pull(hub, f"{REPOSITORY}:q4_k_m")
    assert (status, "checksum" in err) == (1, True)


# --- interruptions --------------------------------------------------------------------


async def test_a_connection_that_is_cut_goes_on_where_it_stopped(hub: HubServer, models: Path) -> None:
    hub.files = {"big.gguf": big(2 * CHUNK + 5)}
    hub.cut_at = CHUNK + 100
    status, _, err = await pull(hub, REPOSITORY)
    assert status == 0, err
    assert hub.gets == [("big.gguf", ""), ("big.gguf", f"bytes={CHUNK}-")]
    assert (models / "big.gguf").read_bytes() == hub.files["big.gguf"]


async def test_a_command_that_was_killed_goes_on_where_it_stopped(hub: HubServer, models: Path) -> None:
    hub.files = {"big.gguf": big(2 * CHUNK + 5)}
    hub.hang_at = CHUNK + 100
    process = await start(hub, REPOSITORY)
    while not [part for part in models.glob(".incoming/*.part") if part.stat().st_size == CHUNK]:
        assert process.returncode is None
        await asyncio.sleep(0.02)
    status, _, err = await pull(hub, REPOSITORY)
    assert (status, "another process already" in err) == (1, True)
    process.kill()
    await process.communicate()
    assert not (models / "big.gguf").exists()
    status, _, err = await pull(hub, REPOSITORY)
    assert status == 0, err
    assert hub.gets == [("big.gguf", ""), ("big.gguf", f"bytes={CHUNK}-")]
    assert (models / "big.gguf").read_bytes() == hub.files["big.gguf"]
    assert [path.name for path in models.iterdir()] == ["big.gguf"]


# --- what goes wrong ------------------------------------------------------------------


async def test_content_that_differs_from_the_checksum_never_becomes_a_model(hub: HubServer, models: Path) -> None:
    hub.wrong = {"coder-q4_k_m.gguf"}
    status, _, err = await pull(hub, f"{REPOSITORY}:q4_k_m")
    assert (status, "checksum" in err) == (1, True)
    assert list(models.rglob("*.gguf")) == list(models.rglob("*.part")) == []


async def test_nothing_is_overwritten(hub: HubServer, models: Path) -> None:
    models.mkdir(parents=True)
    mine = models / "coder-q4_k_m.gguf"
    mine.write_bytes(b"mine")
    status, _, err = await pull(hub, f"{REPOSITORY}:q4_k_m")
    assert (status, "does not overwrite it" in err) == (1, True)
    assert mine.read_bytes() == b"mine"
    mine.write_bytes(hub.files["coder-q4_k_m.gguf"])
    status, out, err = await pull(hub, f"{REPOSITORY}:q4_k_m")
    assert (status, out, err) == (0, f"{mine}\n", "coder-q4_k_m.gguf is there already\n")
    assert hub.gets == []


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ("no/such", None, "There is no repository no/such, or it is private"),
        (REPOSITORY, (403, "GatedRepo"), "is gated: accept its terms"),
        (REPOSITORY, (404, "RepoNotFound"), "There is no repository"),
        (REPOSITORY, (418, ""), "HTTP status 418"),
        (REPOSITORY, (401, ""), "refuses to show"),
        (f"{REPOSITORY}:q5_k_s", None, "has no 'q5_k_s'; it has these:"),
        ("a/b/c", None, "is no repository's name"),
    ],
)
async def test_refusals_are_told_in_one_message(
    hub: HubServer, arguments: str, error: tuple[int, str] | None, told: str
) -> None:
    hub.error = error
    status, _, err = await pull(hub, arguments)
    assert (status, told in err) == (1, True), err
    assert "Traceback" not in err


async def test_a_hub_that_is_not_there_is_told(hub: HubServer) -> None:
    status, _, err = await pull(hub, f"{REPOSITORY}:q8_0", HF_ENDPOINT="http://127.0.0.1:9")
    assert (status, "The connection to the Hub failed (ConnectError)" in err) == (1, True), err


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ghostd.workers.hub import fetch

    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 70_000_000}))
    (model,) = models_of([RemoteFile("m.gguf", 10_000_000, "a" * 64, None)])
    with pytest.raises(GhostdError, match="70 MB free; the model needs 10 MB more"):
        fetch.Hub(REPOSITORY).pull(model, tmp_path, print)


async def test_a_missing_library_names_the_extra(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "huggingface_hub.py").write_text("raise ImportError")
    status, _, err = await pull(hub, REPOSITORY, PYTHONPATH=str(tmp_path))
    assert (status, 'pip install "ghostd[pull]"' in err) == (1, True)


# --- choosing -------------------------------------------------------------------------


def remote(*paths: str) -> list[RemoteFile]:
    return [RemoteFile(path, 1, "a" * 64, None) for path in paths]


def test_a_quantisation_is_a_whole_word_of_the_name() -> None:
    models = models_of(remote("m-Q4_K.gguf", "m-Q4_K_M.gguf", "m-IQ4_K.gguf", "m.Q4_0.gguf", "m.Q4_0_4_4.gguf"))
    assert choose("o/r", models, "q4_k").name == "m-Q4_K"
    assert choose("o/r", models, "q4_0").name == "m.Q4_0"
    with pytest.raises(GhostdError, match="no 'q4'"):
        choose("o/r", models, "q4")


def test_names_that_lead_elsewhere_or_are_no_models_are_left_out() -> None:
    names = ("../up.gguf", ".hidden.gguf", "a\\b.gguf", "a\nb.gguf", "mmproj-f16.gguf", "x.imatrix.gguf", "x.bin")
    assert [model.files[0].name for model in models_of(remote(*names))] == ["up.gguf"]
    assert models_of(remote("cut-00001-of-00003.gguf", "cut-00003-of-00003.gguf")) == []
    with pytest.raises(GhostdError, match="no GGUF model"):
        choose("o/r", [], "")
