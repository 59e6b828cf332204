"""All stores that the configuration allows, searched under their limits."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ghostd.config.local import DiscoveryConfig
from ghostd.workers.stores.contract import MAX_MODELS, FoundModel, LimitReached, Search, Store
from ghostd.workers.stores.folders import LLAMA_CPP, LM_STUDIO
from ghostd.workers.stores.huggingface import HUGGINGFACE
from ghostd.workers.stores.ollama import OLLAMA

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What the stores hold."""

    models: tuple[tuple[Store, FoundModel], ...] = ()
    skips: tuple[tuple[str, str], ...] = ()
    """(path, reason) pairs."""


def allowed_stores(config: DiscoveryConfig) -> tuple[Store, ...]:
    """Those that are switched on, in the order in which names are given."""
    switches = (
        (config.ollama_store, OLLAMA),
        (config.lm_studio, LM_STUDIO),
        (config.llama_cpp, LLAMA_CPP),
        (config.huggingface, HUGGINGFACE),
    )
    return tuple(store for on, store in switches if on)


def search_stores(stores: Sequence[Store], environ: Mapping[str, str]) -> Found:
    """Look into each store. Blocks on the disk; opens no model. A store that cannot be read hides no other."""
    models: list[tuple[Store, FoundModel]] = []
    skips: list[tuple[str, str]] = []
    for store in stores:
        search = Search(environ)
        count = 0
        try:
            for found in store.look(search):
                models.append((store, found))
                count += 1
                if count == MAX_MODELS:
                    raise LimitReached(f"more than {MAX_MODELS} models")
        except LimitReached as reached:
            search.skip(store.source, f"the rest: {reached}")
        except OSError as error:  # it changed under our eyes
            search.skip(store.source, f"the rest: {error}")
        skips.extend(search.skips)
    return Found(tuple(models), tuple(skips))
