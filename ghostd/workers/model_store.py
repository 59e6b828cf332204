"""Looking after the model files of this machine: loading, fetching, copying, removing (the port ModelStore)."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from ghostd.errors import InvalidRequest, ModelFileInvalid, ModelNotFound, Overloaded
from ghostd.models import LoadedModel, ModelDescription, PullProgress
from ghostd.workers.catalog import LocalModel
from ghostd.workers.gguf_header import other_parts
from ghostd.workers.gguf_reader import HeaderError, read_keys
from ghostd.workers.hub.download import download, remote_name
from ghostd.workers.pool import ModelWorker
from ghostd.workers.provider import LocalProvider
from ghostd.workers.pulls import Pulls

_FOLDER = "models folder"
"""Source of the models that belong to ghostd (Catalog)."""
_COPY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}(:[A-Za-z0-9_][A-Za-z0-9._-]{0,79})?")
_PARTS = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)")
_MAX_PULLS = 2
"""At once."""
_KEPT_APART = frozenset(("tokenizer.chat_template", "general.license", "general.name"))
_MAX_KEY_CHARS = 4096


class LocalModelStore:
    """Implements ghostd.ports.ModelStore over the local provider's models."""

    def __init__(self, provider: LocalProvider, models_dir: Path, pulls_file: Path | None) -> None:
        """`pulls_file` keeps the names under which models were pulled. Blocks on the disk."""
        self._provider = provider
        self._folder = models_dir
        self._pulls = Pulls(pulls_file)
        self._pulling = 0
        self._changing = asyncio.Lock()

    def holds(self, model: str) -> bool:
        """Whether the model is one of these files."""
        return self._provider.worker(model) is not None

    def pulled(self, name: str) -> str | None:
        """The model that a pull of this name has fetched."""
        remote = remote_name(name)
        file_name = self._pulls.get(remote.key) if remote is not None else None
        return None if file_name is None else self._named(self._folder / file_name)

    def loaded(self) -> Sequence[LoadedModel]:
        """Those in memory."""
        return self._provider.loaded()

    async def describe(self, model: str) -> ModelDescription:
        """What the file's header says."""
        found = self._worker(model).model
        try:
            keys, _ = await asyncio.to_thread(read_keys, found.path)
        except (HeaderError, OSError) as error:
            raise ModelFileInvalid(f"The model '{model}' cannot be read: {error}") from None
        kept = {
            name: value
            for name, value in keys.values.items()
            if name not in _KEPT_APART and not (isinstance(value, str) and len(value) > _MAX_KEY_CHARS)
        }
        kept["general.parameter_count"] = min(keys.parameters, 2**62)
        template, license_ = keys.values.get("tokenizer.chat_template"), keys.values.get("general.license")
        return ModelDescription(kept, str(template or ""), str(license_ or ""))

    async def load(self, model: str) -> None:
        """Have it in memory."""
        await self._worker(model).load()

    async def unload(self, model: str) -> None:
        """Let it go when its requests have ended."""
        await self._worker(model).unload_in_turn()

    def keep(self, model: str, seconds: float) -> None:
        """How long it stays in memory without use."""
        self._worker(model).keep(seconds)

    # --- the folder ---------------------------------------------------------------

    async def pull(self, name: str) -> AsyncGenerator[PullProgress, None]:
        """Fetch a GGUF model from Hugging Face into ghostd's folder."""
        remote = remote_name(name)
        if remote is None:
            raise InvalidRequest(
                f"'{name[:200]}' cannot be pulled: ghostd fetches GGUF models from Hugging Face, by names such as "
                "hf.co/USER/REPOSITORY:Q4_K_M. Models of Ollama's library are pulled by Ollama; ghostd offers what "
                "lies in its store.",
                "model",
            )
        if self._pulling >= _MAX_PULLS:
            raise Overloaded(f"{self._pulling} models are being pulled already.", retry_after_s=10.0)
        self._pulling += 1
        fetched: list[Path] = []
        try:
            yield PullProgress("pulling manifest")
            async with aclosing(download(remote, self._folder, fetched)) as steps:
                async for progress in steps:
                    yield progress
            yield PullProgress("writing manifest")
            await asyncio.to_thread(self._pulls.note, remote.key, fetched[0].name)
            await self._provider.refresh()
        finally:
            self._pulling -= 1

    async def copy(self, source: str, destination: str) -> None:
        """Give a file of the folder a second name; nothing is copied where the file system has links."""
        name = destination.removesuffix(":latest")
        if not _COPY_NAME.fullmatch(name):
            raise InvalidRequest(
                f"Invalid value for 'destination': {destination[:100]!r} is no name of a file (letters, digits, "
                "'.', '_', '-', and one ':').",
                "destination",
            )
        async with self._changing:
            model = self._own(source, "copied", "source")
            await asyncio.to_thread(_link_parts, model.path, name)
            await self._provider.refresh()

    async def delete(self, model: str) -> None:
        """Remove a file of the folder once its requests have ended."""
        async with self._changing:
            self._own(model, "removed", "model")
            await self.unload(model)
            path = self._own(model, "removed", "model").path
            await asyncio.to_thread(_remove_parts, path)
            await asyncio.to_thread(self._pulls.forget, path.name)
            await self._provider.refresh()

    def _own(self, model: str, done: str, param: str) -> LocalModel:
        """A model that belongs to ghostd; raises ModelNotFound or InvalidRequest."""
        found = self._worker(model).model
        if found.source != _FOLDER or not found.path.is_relative_to(self._folder):
            where = "named by the configuration" if found.settings is not None else f"from elsewhere ({found.source})"
            raise InvalidRequest(
                f"The model '{model}' is {where}; only models in ghostd's own folder are {done}.", param
            )
        return found

    def _worker(self, model: str) -> ModelWorker:
        worker = self._provider.worker(model)
        if worker is None:
            raise ModelNotFound(model)
        return worker

    def _named(self, path: Path) -> str | None:
        return next((info.id for info in self._provider.models() if info.path == path), None)


def _link_parts(path: Path, name: str) -> None:
    """Raises InvalidRequest where something has the name already, or the disk refuses."""
    made: list[Path] = []
    try:
        for part in [*reversed(other_parts(path)), path]:  # with the first part the model is there
            number = _PARTS.search(part.name)
            target = path.with_name(f"{name}{number[0] if number is not None else ''}.gguf")
            if target.is_symlink() or target.exists():
                raise FileExistsError
            _link(part, target)
            made.append(target)
    except OSError as error:
        for target in made:
            target.unlink(missing_ok=True)
        reason = "something of that name is there" if isinstance(error, FileExistsError) else error.strerror
        raise InvalidRequest(f"The model cannot be copied to '{name}': {reason}.", "destination") from None


def _link(source: Path, target: Path) -> None:
    if source.is_symlink():
        target.symlink_to(source.resolve())
        return
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        temporary = target.with_name(f".{target.name}.copy")
        try:
            shutil.copyfile(source, temporary)
            temporary.rename(target)
        finally:
            temporary.unlink(missing_ok=True)


def _remove_parts(path: Path) -> None:
    """The first part first: without it the model is gone. Links are removed, not what they lead to."""
    try:
        for part in [path, *other_parts(path)]:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidRequest(f"{path.name} cannot be removed: {error.strerror}.", "model") from None
