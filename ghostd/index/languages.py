"""File name → LSP language identifier, and which of those languages have a grammar.

Identifiers are those of the LSP specification (TextDocumentItem), or what editors send for languages that it
does not list (zig, toml, …).
"""

from __future__ import annotations

PLAIN = "plaintext"
"""Language of textual files with an unknown extension."""

_BY_EXTENSION = {
    "python": "py pyi pyw",
    "typescript": "ts mts cts",
    "typescriptreact": "tsx",
    "javascript": "js mjs cjs",
    "javascriptreact": "jsx",
    "rust": "rs",
    "zig": "zig zon",
    "go": "go",
    "c": "c h",
    "cpp": "cc cpp cxx c++ hh hpp hxx h++ ipp tpp inl cu cuh",
    "java": "java",
    "markdown": "md markdown mdx",
    "restructuredtext": "rst",
    "toml": "toml",
    "json": "json webmanifest",
    "jsonc": "jsonc code-workspace",
    "yaml": "yaml yml",
    "lua": "lua",
    "ruby": "rb rake gemspec",
    "csharp": "cs csx",
    "shellscript": "sh bash zsh ksh",
    "fish": "fish",
    "powershell": "ps1 psm1 psd1",
    "html": "html htm xhtml",
    "django-html": "djhtml",
    "css": "css",
    "scss": "scss",
    "less": "less",
    "sql": "sql",
    "xml": "xml xsd xsl xslt",
    "svg": "svg",
    "swift": "swift",
    "kotlin": "kt kts",
    "scala": "scala sc",
    "groovy": "groovy gradle",
    "php": "php",
    "perl": "pl pm",
    "r": "r",
    "julia": "jl",
    "haskell": "hs",
    "ocaml": "ml mli",
    "elixir": "ex exs",
    "erlang": "erl hrl",
    "clojure": "clj cljs cljc edn",
    "dart": "dart",
    "nix": "nix",
    "vim": "vim",
    "vue": "vue",
    "svelte": "svelte",
    "graphql": "graphql gql",
    "proto": "proto",
    "terraform": "tf tfvars",
    "cmake": "cmake",
    "makefile": "mk mak",
    "objective-c": "m",
    "objective-cpp": "mm",
    "asm": "s asm",
    "ini": "ini cfg conf",
    "latex": "tex sty cls",
    "diff": "diff patch",
    "scheme": "scm",
    "bat": "bat cmd",
}

_BY_NAME = {
    "makefile": "makefile",
    "gnumakefile": "makefile",
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    "cmakelists.txt": "cmake",
    "rakefile": "ruby",
    "gemfile": "ruby",
    "sconstruct": "python",
    "sconscript": "python",
    ".bashrc": "shellscript",
    ".bash_profile": "shellscript",
    ".profile": "shellscript",
    ".zshrc": "shellscript",
    ".clang-format": "yaml",
    "cargo.lock": "toml",
    "pipfile": "toml",
    "poetry.lock": "toml",
    "uv.lock": "toml",
}

_EXTENSIONS = {ext: language for language, exts in _BY_EXTENSION.items() for ext in exts.split()}

GRAMMARS = {
    "python": "python",
    "typescript": "typescript",
    "typescriptreact": "tsx",
    "javascript": "javascript",
    "javascriptreact": "javascript",
    "rust": "rust",
    "zig": "zig",
    "go": "go",
    "c": "c",
    "cpp": "cpp",
    "java": "java",
    "lua": "lua",
    "ruby": "ruby",
    "csharp": "c_sharp",
    "shellscript": "bash",
}
"""Language → grammar, which is also the name of the query file in `queries/`."""


def language_of(name: str) -> str:
    """The language of a file by its base name."""
    lower = name.lower()
    found = _BY_NAME.get(lower)
    if found:
        return found
    stem, dot, extension = lower.rpartition(".")
    if not dot or not stem:
        return PLAIN
    return _EXTENSIONS.get(extension, PLAIN)
