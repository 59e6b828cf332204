"""Which files are offered, and under which names."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from gguf_fixtures import ModelFile

from ghostd.config.local import LocalConfig, LocalModelConfig
from ghostd.workers.catalog import Catalog


def names(config: LocalConfig, models_dir: Path) -> list[str]:
    return [model.id for model in Catalog(config, models_dir, models_dir.parent).scan()]


def test_folders_are_searched_two_levels_deep_and_no_deeper(model_file: ModelFile, models_dir: Path) -> None:
    for place in ("a.gguf", "x/b.gguf", "x/y/c.gguf", "x/y/z/d.gguf"):
        target = models_dir / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(model_file("qwen"), target)
    assert names(LocalConfig(), models_dir) == ["a", "b", "c"]


def test_a_link_to_a_file_is_a_model_and_a_link_to_a_folder_is_not_followed(
    model_file: ModelFile, models_dir: Path, tmp_path: Path
) -> None:
    (models_dir / "linked.gguf").symlink_to(model_file("qwen"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(model_file("qwen"), elsewhere / "hidden.gguf")
    (models_dir / "folder").symlink_to(elsewhere)
    (models_dir / "dangling.gguf").symlink_to(tmp_path / "nothing")
    assert names(LocalConfig(), models_dir) == ["linked"]


def test_equal_names_in_two_folders_are_told_apart_by_the_folder(model_file: ModelFile, models_dir: Path) -> None:
    for place in ("a.gguf", "x/a.gguf"):
        (models_dir / place).parent.mkdir(exist_ok=True)
        shutil.copy(model_file("qwen"), models_dir / place)
    assert names(LocalConfig(), models_dir) == ["a", "x/a"]


def test_a_configured_name_replaces_the_files_own(model_file: ModelFile, models_dir: Path) -> None:
    shutil.copy(model_file("qwen"), models_dir / "long-name-q4_k_m.gguf")
    config = LocalConfig(models={"coder": LocalModelConfig(path="models/long-name-q4_k_m.gguf")})
    assert names(config, models_dir) == ["coder"]


def test_a_split_model_is_one_model_and_fails_when_a_part_is_missing(model_file: ModelFile, models_dir: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(models_dir / "big-00001-of-00002.gguf", "llama")
    writer.add_uint16("split.count", 2)
    writer.add_context_length(64)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    (model,) = Catalog(LocalConfig(), models_dir, models_dir).scan()
    assert (model.id, model.header) == ("big", None)
    assert "part 2 of 2 is missing: big-00002-of-00002.gguf" in model.problem
    shutil.copy(model_file("qwen"), models_dir / "big-00002-of-00002.gguf")
    (models_dir / "big-00001-of-00002.gguf").touch()
    (model,) = Catalog(LocalConfig(), models_dir, models_dir).scan()
    assert model.header is not None
    assert model.header.size_bytes > model_file("qwen").stat().st_size


def test_projectors_and_adapters_are_no_models(models_dir: Path) -> None:
    import gguf

    for name, architecture, kind in (("mmproj", "clip", None), ("lora", "llama", "adapter")):
        writer = gguf.GGUFWriter(models_dir / f"{name}.gguf", architecture)
        if kind is not None:
            writer.add_type(kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
    assert names(LocalConfig(), models_dir) == []


def test_a_missing_folder_offers_nothing(tmp_path: Path) -> None:
    assert names(LocalConfig(), tmp_path / "none") == []


def test_a_file_whose_name_is_not_text_is_listed_under_one_that_can_be_told(
    model_file: ModelFile, models_dir: Path
) -> None:
    shutil.copy(model_file("qwen"), models_dir / os.fsdecode(b"bad\xff.gguf"))
    (model,) = Catalog(LocalConfig(), models_dir, models_dir.parent).scan()
    assert (model.id, model.header) == ("bad\\udcff", None)
    assert "not UTF-8; rename it" in model.problem
    assert model.problem.encode()


def test_a_configured_file_below_a_home_that_is_not_there_is_listed_as_failed(models_dir: Path) -> None:
    config = LocalConfig(models={"coder": LocalModelConfig(path="~nobody-of-this-name/coder.gguf")})
    (model,) = Catalog(config, models_dir, models_dir.parent).scan()
    assert "no home folder" in model.problem
