"""Which language servers run in an editor besides ghostd, by the programs that it has started.

No server is told of the others, and few editors can be asked; but nearly every server is a child process of its editor,
whose process id comes with `initialize`. Where that tells nothing (a server that is reached over TCP, an editor on
another machine), the client can say it: see `SymbolOptions.served_languages`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

_PROGRAMS = {
    "python": "pyright-langserver pyright basedpyright-langserver basedpyright pylsp pyls jedi-language-server ty "
    "pyrefly zuban zubanls pyre",
    "typescript": "typescript-language-server tsserver vtsls tsgo deno flow vue-language-server svelteserver",
    "rust": "rust-analyzer rls",
    "zig": "zls",
    "go": "gopls",
    "c": "clangd ccls cpptools cquery",
    "java": "jdtls java-language-server",
    "lua": "lua-language-server luau-lsp emmylua_ls",
    "ruby": "solargraph ruby-lsp sorbet steep typeprof",
    "csharp": "omnisharp csharp-ls microsoft.codeanalysis.languageserver roslyn-language-server",
    "shellscript": "bash-language-server",
}
_FAMILY_OF = {program: family for family, programs in _PROGRAMS.items() for program in programs.split()}
_FOLDERS = {
    "vscode-pylance": "python",
    "org.eclipse.jdt.ls": "java",
    "ms-vscode.cpptools": "c",
    "omnisharp": "csharp",
    "shopify.ruby-lsp": "ruby",
}
"""Parts of paths in command lines whose program has no telling name."""
_ENDINGS = (".js", ".mjs", ".cjs", ".exe", ".cmd", ".py", ".dll", ".jar")
_ARGUMENTS = 40
"""How many words of a command line are read: Java's have many before the telling one."""


def families_served(editor_pid: int) -> frozenset[str]:
    """The families of languages whose servers are the editor's child processes. Blocks for some milliseconds."""
    import psutil

    try:
        editor = psutil.Process(editor_pid)
        if editor.uids().real != os.getuid():
            return frozenset()
        found: set[str] = set()
        for child in editor.children(recursive=True):
            try:
                found |= families_of(child.name(), child.cmdline())
            except psutil.Error:  # it has ended since, or is another user's
                continue
    except (psutil.Error, OverflowError, ValueError):
        return frozenset()
    return frozenset(found)


def families_of(name: str, command: Sequence[str]) -> set[str]:
    """The families of languages that a program serves."""
    words = [word.lower() for word in command[:_ARGUMENTS]]
    # The program, and what an interpreter runs. Later words are arguments, which may name anything.
    programs = {_stem(word) for word in (name.lower(), *words[:2], *_scripts(words))}
    found = {_FAMILY_OF[program] for program in programs if program in _FAMILY_OF}
    return found | {family for part, family in _FOLDERS.items() if any(part in word for word in words)}


def _scripts(words: Sequence[str]) -> Iterable[str]:
    return [word for word in words[2:] if word.startswith("/") and word.endswith(_ENDINGS)]


def _stem(word: str) -> str:
    base = word.replace("\\", "/").rpartition("/")[2]
    return next((base.removesuffix(ending) for ending in _ENDINGS if base.endswith(ending)), base)
