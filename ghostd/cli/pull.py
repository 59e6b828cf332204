"""`ghostctl models pull`: fetch a model from a Hugging Face repository into ghostd's models folder."""

from __future__ import annotations

from pathlib import Path

import click

from ghostd.cli.options import read_config
from ghostd.local.paths import Paths, expand, find_paths


@click.command()
@click.argument("model", metavar="ORG/REPO[:FILE_OR_QUANTISATION]")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="Configuration file.")
def pull(model: str, config_path: Path | None) -> None:
    """Fetch a GGUF model from Hugging Face, e.g. Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF:q4_k_m.

    A download that broke off goes on where it stopped. Without a file or quantisation, a repository with several
    models lists them. HF_ENDPOINT and HF_TOKEN are honoured. Needs the extra `ghostd[pull]`.
    """
    from ghostd.workers.hub.choose import choose, models_of
    from ghostd.workers.hub.fetch import Hub

    paths = find_paths()
    folder = _models_folder(paths, config_path)
    repository, _, wanted = model.partition(":")
    hub = Hub(repository)
    chosen = choose(repository, models_of(hub.files()), wanted)
    first, *_ = hub.pull(chosen, folder, lambda text: click.echo(text, err=True))
    click.echo(str(first))


def _models_folder(paths: Paths, config_path: Path | None) -> Path:
    config, file = read_config(paths, config_path, None)
    paths.create()
    return file.parent / expand(Path(config.local.models_dir)) if config.local.models_dir else paths.models
