"""The settings of the language server: [lsp]."""

from __future__ import annotations

from typing import Literal

import msgspec

from ghostd.config.kinds import Bytes, Count


class LspConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Editors over LSP."""

    max_sessions: Count = 32
    """Editors connected at once."""
    max_document_bytes: Bytes = 8 * 1024 * 1024
    """Larger documents get no completions."""
    max_message_bytes: Bytes = 64 * 1024 * 1024
    """Largest JSON-RPC message."""
    symbols: Literal["auto", "on", "off"] | tuple[str, ...] = "auto"
    """For which languages editors get symbols, definitions, references, calls and hovers: "auto" for those that no
    other language server of the editor serves, or a list of languages."""
