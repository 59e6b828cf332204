"""Models that other programs have downloaded."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from gguf_fixtures import CHAT_TEXT, ModelFile, write_truncated
from workers.opening import Install, chat, text_of
from workers.stores import NEWER, REVISION, HubCache, OllamaStore

from ghostd.config.local import DiscoveryConfig, LocalConfig, LocalModelConfig
from ghostd.workers import catalog as cataloguing
from ghostd.workers import gguf_header
from ghostd.workers.catalog import Catalog, LocalModel
from ghostd.workers.provider import LocalProvider, local_provider
from ghostd.workers.stores import contract
from ghostd.workers.stores.search import allowed_stores

LIBRARY = "registry.ollama.ai/library"

Scan = Callable[..., Catalog]


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """A user's home folder."""
    folder = tmp_path / "user"
    folder.mkdir()
    return folder


@pytest.fixture
def environ(user: Path) -> dict[str, str]:
    """An environment that leads to the user's home and to nothing of the machine's."""
    return {"HOME": str(user), "OLLAMA_MODELS": str(user / ".ollama" / "models")}


@pytest.fixture
def ollama(environ: Mapping[str, str]) -> OllamaStore:
    return OllamaStore(Path(environ["OLLAMA_MODELS"]))


@pytest.fixture
def hub(user: Path) -> HubCache:
    return HubCache(user / ".cache" / "huggingface" / "hub")


@pytest.fixture
def catalog(models_dir: Path, environ: dict[str, str]) -> Scan:
    """A catalogue over the models folder and the user's stores."""

    def make(config: LocalConfig | None = None, discovery: DiscoveryConfig | None = None) -> Catalog:
        stores = allowed_stores(discovery or DiscoveryConfig())
        return Catalog(config or LocalConfig(), models_dir, models_dir.parent, stores, environ)

    return make


def ids(found: tuple[LocalModel, ...]) -> list[str]:
    return [model.id for model in found]


def reasons(catalog: Catalog) -> dict[str, str]:
    """The skipped paths' last parts and the reasons."""
    return {Path(path).name: reason for path, reason in catalog.skips}


# --- Ollama -----------------------------------------------------------------------


def test_ollamas_models_have_the_names_that_ollama_shows(
    ollama: OllamaStore, model_file: ModelFile, catalog: Scan
) -> None:
    for name in (
        f"{LIBRARY}/qwen2.5-coder/1.5b",
        "registry.ollama.ai/someone/tuned/latest",
        "hf.co/Qwen/Qwen2.5-GGUF/Q4_K_M",
    ):
        ollama.pull(name, model_file("qwen"))
    found = catalog().scan()
    assert sorted(ids(found)) == ["hf.co/Qwen/Qwen2.5-GGUF:Q4_K_M", "qwen2.5-coder:1.5b", "someone/tuned:latest"]
    assert {model.source for model in found} == {"Ollama store"}
    assert all(model.header is not None and model.header.chat_template for model in found)


def test_a_manifest_cannot_lead_out_of_the_store(
    ollama: OllamaStore, model_file: ModelFile, catalog: Scan, tmp_path: Path
) -> None:
    outside = Path(shutil.copy(model_file("qwen"), tmp_path / "outside.gguf"))
    up = os.path.relpath(outside, ollama.folder / "blobs")
    digests = {"up": f"sha256:{up}", "abs": str(outside), "short": "sha256:abc", "odd": "md5:" + "a" * 64}
    for tag, digest in digests.items():
        ollama.manifest(f"{LIBRARY}/evil/{tag}", [{"mediaType": "model", "digest": digest, "size": 1}])
    found = catalog()
    assert found.scan() == ()
    assert reasons(found) == dict.fromkeys(digests, "its digest is not a SHA-256")


def test_broken_entries_are_left_out_with_a_reason_and_hide_no_other(
    ollama: OllamaStore, model_file: ModelFile, catalog: Scan
) -> None:
    whole = {"mediaType": "model", **ollama.blob(model_file("qwen").read_bytes())}
    ollama.manifest(f"{LIBRARY}/good/1b", [whole])
    ollama.manifest(f"{LIBRARY}/gone/1b", [{"mediaType": "model", "digest": f"sha256:{'0' * 64}", "size": 5}])
    ollama.manifest(f"{LIBRARY}/tuned/lora", [whole, {"mediaType": "adapter", **ollama.blob(b"lora")}])
    ollama.manifest(f"{LIBRARY}/mlx/tensors", [{"mediaType": "tensor", **ollama.blob(b"x")}])
    ollama.manifest(f"{LIBRARY}/cut/half", [{**whole, "size": 10**9}])
    ollama.manifest(f"{LIBRARY}/bad/text", [whole]).write_text("[" * 100_000)
    ollama.manifest(f"{LIBRARY}/big/huge", [whole]).write_bytes(b" " * (1024 * 1024 + 1))
    os.mkfifo(ollama.folder / "manifests" / LIBRARY / "bad" / "pipe")
    (ollama.folder / "manifests" / LIBRARY / "bad" / "loop").symlink_to("loop")
    found = catalog()
    assert ids(found.scan()) == ["good:1b"]
    assert reasons(found) == {
        f"sha256-{'0' * 64}": "No such file or directory",
        "lora": "a model with an adapter, which ghostd does not apply",
        "tensors": "no GGUF file",
        str(whole["digest"]).replace(":", "-"): f"has {whole['size']} bytes where half says {10**9}",
        "text": reasons(found)["text"],
        "huge": "larger than 1048576 bytes",
        "pipe": "not a regular file",
        "loop": "Too many levels of symbolic links",
    }
    assert "not a manifest" in reasons(found)["text"]


def test_a_blob_that_is_a_pipe_is_never_opened(ollama: OllamaStore, catalog: Scan) -> None:
    layer = {"mediaType": "model", **ollama.blob(b"")}
    blob = ollama.folder / "blobs" / str(layer["digest"]).replace(":", "-")
    blob.unlink()
    os.mkfifo(blob)
    ollama.manifest(f"{LIBRARY}/pipe/1b", [layer])
    assert catalog().scan() == ()


def test_a_truncated_blob_is_listed_as_failed(
    ollama: OllamaStore, model_file: ModelFile, catalog: Scan, tmp_path: Path
) -> None:
    ollama.pull(f"{LIBRARY}/half/1b", write_truncated(tmp_path / "half.gguf", model_file("qwen")))
    (model,) = catalog().scan()
    assert (model.id, model.header) == ("half:1b", None)
    assert "the header promises" in model.problem


# --- LM Studio and llama.cpp ------------------------------------------------------------


def test_lm_studios_folders_are_searched(user: Path, model_file: ModelFile, catalog: Scan, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    (user / ".lmstudio-home-pointer").write_text(f"{moved}\n")
    for place in (
        user / ".lmstudio/models/pub/repo/a.gguf",
        user / ".cache/lm-studio/models/pub/repo/b.gguf",
        moved / "models/pub/repo/c.gguf",
        user / ".lmstudio/models/pub/repo/mmproj-a-f16.gguf",
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(model_file("qwen"), place)
    found = catalog().scan()
    assert sorted(ids(found)) == ["a", "b", "c"]
    assert {model.source for model in found} == {"LM Studio"}


@pytest.mark.parametrize("variable", ["LLAMA_CACHE", "XDG_CACHE_HOME", None])
def test_llama_cpps_cache_is_searched(
    user: Path, model_file: ModelFile, catalog: Scan, environ: dict[str, str], variable: str | None
) -> None:
    folder = {"LLAMA_CACHE": user / "x", "XDG_CACHE_HOME": user / "y/llama.cpp", None: user / ".cache/llama.cpp"}[
        variable
    ]
    if variable is not None:
        environ[variable] = str(folder if variable == "LLAMA_CACHE" else folder.parent)
    folder.mkdir(parents=True)
    shutil.copy(model_file("qwen"), folder / "org_repo_model-q8.gguf")
    (folder / "org_repo_model-q4.gguf.downloadInProgress").write_bytes(b"GGUF")
    (model,) = catalog().scan()
    assert (model.id, model.source) == ("org_repo_model-q8", "llama.cpp cache")


def test_a_variable_that_names_no_absolute_folder_is_told(catalog: Scan, environ: dict[str, str]) -> None:
    environ["LLAMA_CACHE"] = "models"
    found = catalog()
    assert found.scan() == ()
    assert reasons(found) == {"models": "the variable LLAMA_CACHE is no absolute path"}


# --- Hugging Face -------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", None])
def test_the_hugging_face_cache_is_searched(
    user: Path, model_file: ModelFile, catalog: Scan, environ: dict[str, str], variable: str | None
) -> None:
    base = user / ("elsewhere" if variable else ".cache")
    below = {"HF_HUB_CACHE": "", "HF_HOME": "hub", "XDG_CACHE_HOME": "huggingface/hub", None: "huggingface/hub"}[
        variable
    ]
    if variable is not None:
        environ[variable] = str(base)
    HubCache(base / below).download("Qwen/Coder-GGUF", "q4/coder-q4.gguf", model_file("qwen"))
    (model,) = catalog().scan()
    assert (model.id, model.source) == ("coder-q4", "Hugging Face cache")


def test_each_file_is_taken_from_the_newest_revision_that_has_it(
    hub: HubCache, model_file: ModelFile, catalog: Scan
) -> None:
    hub.download("Qwen/Coder-GGUF", "coder-q4.gguf", model_file("qwen"))
    hub.download("Qwen/Coder-GGUF", "coder-q8.gguf", model_file("qwen"))
    hub.download("Qwen/Coder-GGUF", "coder-q4.gguf", model_file("starcoder"), NEWER)
    assert {model.id: model.path.parent.name for model in catalog().scan()} == {
        "coder-q4": NEWER, "coder-q8": REVISION,
    }  # fmt: skip


def test_links_that_lead_nowhere_or_to_devices_are_left_out(
    hub: HubCache, model_file: ModelFile, catalog: Scan
) -> None:
    link = hub.download("Qwen/Coder-GGUF", "coder-q4.gguf", model_file("qwen"))
    (link.parent / "gone.gguf").symlink_to("../../blobs/none")
    (link.parent / "zero.gguf").symlink_to("/dev/zero")
    (link.parent / "loop.gguf").symlink_to("loop.gguf")
    (link.parent / "folder").symlink_to("/")
    found = catalog()
    assert ids(found.scan()) == ["coder-q4"]
    assert set(reasons(found)) == {"gone.gguf", "zero.gguf", "loop.gguf"}


def test_a_split_model_appears_as_one_when_its_last_part_has_come(
    hub: HubCache, model_file: ModelFile, catalog: Scan, tmp_path: Path
) -> None:
    import gguf

    first = tmp_path / "first.gguf"
    writer = gguf.GGUFWriter(first, "llama")
    writer.add_uint16("split.count", 2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    hub.download("big/model", "q8/big-00001-of-00002.gguf", first)
    found = catalog()
    (model,) = found.scan()
    assert (model.id, model.header) == ("big", None)
    assert "part 2 of 2 is missing" in model.problem
    hub.download("big/model", "q8/big-00002-of-00002.gguf", model_file("qwen"))
    (model,) = found.scan()
    assert model.header is not None and not model.problem
    assert model.header.size_bytes > model_file("qwen").stat().st_size


# --- all together ---------------------------------------------------------------------


def test_a_name_that_is_taken_gets_its_stores_name_in_front(
    install: Install, hub: HubCache, user: Path, model_file: ModelFile, catalog: Scan, tmp_path: Path
) -> None:
    install("qwen")
    hub.download("one/repo", "qwen.gguf", model_file("qwen"))
    hub.download("two/repo", "qwen.gguf", model_file("qwen"))
    studio = user / ".lmstudio/models/pub/repo/qwen.gguf"
    studio.parent.mkdir(parents=True)
    shutil.copy(model_file("qwen"), studio)
    assert [(model.id, model.source) for model in catalog().scan()] == [
        ("qwen", "models folder"),
        ("lm-studio/qwen", "LM Studio"),
        ("huggingface/qwen", "Hugging Face cache"),
        ("huggingface/two/repo/qwen", "Hugging Face cache"),
    ]


def test_a_file_that_the_user_has_named_is_not_offered_a_second_time(
    ollama: OllamaStore, model_file: ModelFile, catalog: Scan, models_dir: Path
) -> None:
    manifest = ollama.pull(f"{LIBRARY}/qwen/7b", model_file("qwen"))
    ollama.pull(f"{LIBRARY}/qwen/latest", model_file("qwen"))
    assert ids(catalog().scan()) == ["qwen:7b", "qwen:latest"]
    digest = json.loads(manifest.read_text())["layers"][0]["digest"].replace(":", "-")
    blob = ollama.folder / "blobs" / digest
    (models_dir / "mine.gguf").symlink_to(blob)
    assert ids(catalog().scan()) == ["mine"]
    assert ids(catalog(LocalConfig(models={"coder": LocalModelConfig(path=str(blob))})).scan()) == ["coder"]


def test_each_store_can_be_switched_off(
    ollama: OllamaStore, hub: HubCache, user: Path, model_file: ModelFile, catalog: Scan
) -> None:
    ollama.pull(f"{LIBRARY}/o/1b", model_file("qwen"))
    hub.download("org/repo", "h.gguf", model_file("qwen"))
    for place in (user / ".lmstudio/models/p/r/l.gguf", user / ".cache/llama.cpp/c.gguf"):
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(model_file("qwen"), place)
    every = {"ollama_store": "o:1b", "lm_studio": "l", "llama_cpp": "c", "huggingface": "h"}
    assert ids(catalog().scan()) == list(every.values())
    for switch, name in every.items():
        assert name not in ids(catalog(discovery=DiscoveryConfig(**{switch: False})).scan())


def test_a_store_beyond_the_limits_offers_what_was_found_within_them(
    ollama: OllamaStore, hub: HubCache, model_file: ModelFile, catalog: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract, "MAX_ENTRIES", 20)
    for number in range(30):
        ollama.pull(f"{LIBRARY}/m/{number:02}", model_file("qwen"))
    hub.download("org/repo", "h.gguf", model_file("qwen"))
    found = catalog()
    assert ids(found.scan()) == ["h"]
    assert reasons(found) == {"Ollama store": "the rest: more than 20 files and folders"}


# --- at start -------------------------------------------------------------------------


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose headers are read from now on."""
    read: list[Path] = []

    def reading(path: Path) -> object:
        read.append(path)
        return original(path)

    original = gguf_header.read_header
    monkeypatch.setattr(cataloguing, "read_header", reading)
    return read


async def test_headers_are_read_once_and_kept_for_the_next_start(
    ollama: OllamaStore,
    install: Install,
    model_file: ModelFile,
    models_dir: Path,
    environ: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install("qwen")
    ollama.pull(f"{LIBRARY}/star/3b", model_file("starcoder"))
    read = count_reads(monkeypatch)

    async def start() -> list[tuple[str, frozenset[str]]]:
        async with local_provider(
            LocalConfig(), models_dir, models_dir, discovery=DiscoveryConfig(), environ=environ, cache=tmp_path
        ) as provider:
            await provider.refresh()
            return [(model.id, model.capabilities) for model in provider.models()]

    first = await start()
    assert [name for name, _ in first] == ["qwen", "star:3b"]
    assert len(read) == 2
    assert await start() == first
    assert len(read) == 2
    (tmp_path / "gguf-headers").write_bytes(b"damaged")
    assert await start() == first
    assert len(read) == 4


async def test_models_whose_headers_are_not_read_yet_are_listed_and_answer(
    install: Install, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ghostd.workers.provider._FIRST_READ_S", -1.0)
    monkeypatch.setattr(LocalProvider, "begin_scan", lambda self: None)
    install("chat-only")
    install("qwen")
    async with local_provider(LocalConfig(), models_dir, models_dir) as provider:
        read, model = provider.models()
        assert read.detail == ""  # one is read in any case
        assert (model.state, model.detail) == ("unloaded", "its header is not read yet")
        assert await text_of(provider.chat(chat("qwen", "hi"))) == CHAT_TEXT
        _, model = provider.models()
        assert "fill" in model.capabilities


async def test_a_model_in_a_store_answers(
    ollama: OllamaStore, model_file: ModelFile, models_dir: Path, environ: dict[str, str]
) -> None:
    ollama.pull(f"{LIBRARY}/qwen/0.5b", model_file("qwen"))
    discovery = DiscoveryConfig()
    async with local_provider(LocalConfig(), models_dir, models_dir, discovery=discovery, environ=environ) as provider:
        await provider.refresh()
        (model,) = provider.models()
        assert (model.id, model.source) == ("qwen:0.5b", "Ollama store")
        assert await text_of(provider.chat(chat("qwen:0.5b", "hi"))) == CHAT_TEXT
