"""LSP's kinds of symbols for the index's."""

from __future__ import annotations

from lsprotocol.types import SymbolKind as Lsp

from ghostd.indexed import SymbolKind

SYMBOL_KINDS: dict[SymbolKind, Lsp] = {
    "class": Lsp.Class,
    "function": Lsp.Function,
    "method": Lsp.Method,
    "variable": Lsp.Variable,
    "constant": Lsp.Constant,
    "field": Lsp.Field,
    "enum": Lsp.Enum,
    "enum_member": Lsp.EnumMember,
    "interface": Lsp.Interface,
    "type": Lsp.Class,
    "struct": Lsp.Struct,
    "trait": Lsp.Interface,
    "module": Lsp.Module,
    "macro": Lsp.Function,
    "property": Lsp.Property,
    "union": Lsp.Struct,
    "test": Lsp.Function,
}
