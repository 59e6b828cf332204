"""What fill prompts quote of the project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from ghostd.context.service import ContextService
from ghostd.types import FillRequest


async def quote_for(service: ContextService, request: FillRequest, remote: bool) -> Sequence[tuple[str, str]]:
    """(name, text) of each piece, the most valuable last; secrets are taken out of
    what leaves this machine.

    When a model on this machine reads it is decided by `ghostd.completion.prompting`.
    """
    config = service.config
    budget = config.fill_tokens
    if not config.enabled or not budget or request.path is None:
        return ()
    path = request.path
    root = service.index.root_of(path) if path.is_absolute() else request.root
    if root is None or service.index.root_of(root) != root:
        return ()
    inside = PurePosixPath(path.relative_to(root) if path.is_absolute() else path)
    await service.load()
    from ghostd.context.selection import ContextRequest

    context = await service.retriever.select(
        ContextRequest(
            root,
            inside,
            request.prefix,
            request.suffix,
            budget,
            request.session,
            request.open_documents,
            redact=remote,
            deadline_s=config.deadline_ms / 1000,
        )
    )
    return [(str(chunk.path), chunk.text) for chunk in context.in_prompt_order()]
