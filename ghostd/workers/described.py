"""What a local model can do, by its file's header."""

from __future__ import annotations

from ghostd.fim_markers import form_of
from ghostd.models import FimVocabulary, ModelInfo, Speed
from ghostd.types import Capability, Feature
from ghostd.workers.gguf_header import GgufHeader
from ghostd.workers.gguf_words import digest_of, parameter_size, quantization
from ghostd.workers.messages import Ready
from ghostd.workers.pool import ModelWorker
from ghostd.workers.turns.thoughts import thinks

_ALL: frozenset[Capability] = frozenset(("chat", "complete", "fill", "embed"))
_UNREAD: frozenset[Capability] = frozenset(("chat", "complete", "embed"))
"""Of a file whose header is still to be read; a request reads it."""


def info_of(worker: ModelWorker) -> ModelInfo:
    """What there is to know of a worker's model."""
    model, header = worker.model, worker.model.header
    return ModelInfo(
        id=model.id,
        owned_by="local",
        # A broken file offers everything, so that asking for it gives its own reason.
        capabilities=_capabilities(header) if header is not None else _UNREAD if model.unread else _ALL,
        created=model.stamp.mtime_ns // 1_000_000_000 if model.stamp is not None else 0,
        context_tokens=worker.context_tokens if header is not None else None,
        fim=_fim(header, *worker.fim),
        path=model.path,
        size_bytes=header.size_bytes if header is not None else None,
        state=worker.state,
        detail=worker.detail,
        features=_features(header),
        tells_stop=True,
        source=model.source,
        family=header.architecture if header is not None else "",
        parameter_size=parameter_size(header.parameters) if header is not None else "",
        quantization=quantization(header.file_type) if header is not None else "",
        digest=digest_of(model.path),
        speed=_speed(worker.facts),
    )


def _speed(facts: Ready | None) -> Speed | None:
    return Speed(facts.prefill_tokens_per_s, facts.decode_tokens_per_s) if facts is not None else None


def _features(header: GgufHeader | None) -> frozenset[Feature]:
    """Tools work with every template: those without words for them get ghostd's."""
    if header is None:
        return frozenset(("json", "tools", "reasoning"))
    if header.embedding_only or header.chat_template is None:
        return frozenset(("json",))
    return frozenset(("json", "tools", "reasoning") if thinks(header.chat_template) else ("json", "tools"))


def _capabilities(header: GgufHeader) -> frozenset[Capability]:
    if header.embedding_only:
        return frozenset(("embed",))
    found: set[Capability] = {"complete", "embed"}
    if header.chat_template is not None:
        found.add("chat")
    if form_of(header.fim_ids) is not None:
        found.add("fill")
    return frozenset(found)


def _fim(header: GgufHeader | None, order: str, works: bool) -> FimVocabulary | None:
    if header is None or header.embedding_only or (form := form_of(header.fim_ids)) is None:
        return None
    found = next((one for one in (form.order, form.or_order) if one == order), None)
    bos_id = header.bos_id if header.add_bos else None
    return FimVocabulary(header.fim_ids, header.architecture, bos_id, found, works)
