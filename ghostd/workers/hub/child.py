"""A download in a process of its own: `python -m ghostd.workers.hub.child REPOSITORY WANTED FOLDER`.

What it says goes to standard output, a JSON object a line: `{"digest", "total", "completed"}` of the file that is being
fetched, `{"path"}` of the model at the end, or `{"error", "choice"}`. It ends with its standard input, and may be
killed at any time: the next one goes on where it stopped.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from ghostd.errors import GhostdError
from ghostd.workers.hub.choose import RemoteFile, RemoteModel, choose, models_of
from ghostd.workers.hub.fetch import Hub, part_of

_EVERY_S = 0.25
_USUAL = "Q4_K_M"
"""What is fetched of a repository with several models where nothing is said, as Ollama does."""


def main() -> None:
    """Fetch a model and tell how far it is."""
    repository, wanted, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        hub = Hub(repository)
        model = _chosen(repository, hub, wanted)
        if model is None:
            return
        over, files = threading.Event(), [(file, part_of(folder, file)) for file in model.files]
        watcher = threading.Thread(target=_watch, args=(files, folder, over), daemon=True)
        watcher.start()
        try:
            first, *_ = hub.pull(model, folder, lambda _: None)
        finally:
            over.set()
            watcher.join()
        _say(path=str(first))
    except GhostdError as error:
        _say(error=str(error), choice=False)


def _chosen(repository: str, hub: Hub, wanted: str) -> RemoteModel | None:
    """The model that is meant; None when that cannot be told, which has been said."""
    models = models_of(hub.files())
    try:
        return choose(repository, models, wanted)
    except GhostdError as error:
        problem = error
    if not wanted:
        try:
            return choose(repository, models, _USUAL)
        except GhostdError:
            pass  # the list of all models says more
    _say(error=str(problem), choice=True)
    return None


def _watch(files: Sequence[tuple[RemoteFile, Path]], folder: Path, over: threading.Event) -> None:
    """Tell the size of what is there of each file in turn."""
    for file, part in files:
        target, digest, total, last = folder / file.name, file.sha256 or "", file.size_bytes, -1
        while True:
            ended = over.wait(_EVERY_S)
            completed = total if target.exists() else _size(part)
            if completed != last:
                _say(digest=digest, total=total, completed=min(completed, total))
                last = completed
            if ended or completed >= total:
                break


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _say(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
