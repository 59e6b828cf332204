"""File name → LSP language identifier, and which of those languages have a grammar.

Identifiers are those of the LSP specification (TextDocumentItem), or what editors send for languages that it
does not list (zig, toml, …).
"""

from __future__ import annotations

import re

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
    "po": "po pot",
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

_BY_STEM = {"dockerfile": "dockerfile", "containerfile": "dockerfile", "makefile": "makefile"}
"""What stands before a first dot that is followed by no known extension: `Dockerfile.alpine`."""

_BY_INTERPRETER = {
    "python": "python pypy",
    "shellscript": "sh bash dash ksh zsh ash",
    "javascript": "node nodejs bun",
    "typescript": "deno ts-node tsx",
    "ruby": "ruby jruby",
    "perl": "perl",
    "lua": "lua luajit",
    "php": "php",
    "fish": "fish",
    "r": "rscript",
    "groovy": "groovy",
    "julia": "julia",
    "makefile": "make",
}

_INTERPRETERS = {name: language for language, names in _BY_INTERPRETER.items() for name in names.split()}
_SHEBANG = re.compile(rb"#![ \t]*([^\s]+)[ \t]*(?:-S[ \t]+|--split-string=)?([^\s]*)")
_VERSION = re.compile(r"[\d.]+$")
_MODELINE = re.compile(rb"-\*-[ \t]*(?:mode:[ \t]*)?([A-Za-z+-]{1,30}?)[ \t]*(?:;[^\n]{0,100})?-\*-")
_MODES = {"shell-script": "shellscript", "sh": "shellscript", "bash": "shellscript", "c++": "cpp"}
"""What Emacs calls languages that it does not call as LSP does."""
_SNIFFED_BYTES = 64 * 1024
_CPP_HEAD = re.compile(
    rb"^[ \t]*(?:namespace\b|template[ \t]*<|class[ \t]+\w+[^;]*$|(?:public|private|protected)[ \t]*:"
    rb"|using[ \t]+(?:namespace\b|\w+[ \t]*=)|#[ \t]*include[ \t]*<[a-z_]+>)",
    re.MULTILINE,
)
"""How a line begins that C does not have; C's own headers are included with their ".h"."""

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


def language_of(name: str, source: bytes = b"") -> str:
    """The language of a file by its base name and, where that does not tell, by how its text begins."""
    lower = name.lower()
    found = _BY_NAME.get(lower)
    if found:
        return found
    stem, dot, extension = lower.rpartition(".")
    if dot and stem:
        found = _EXTENSIONS.get(extension)
        if found == "c" and extension == "h" and _CPP_HEAD.search(source, 0, _SNIFFED_BYTES):
            return "cpp"
        return found or _BY_STEM.get(lower.partition(".")[0], PLAIN)
    found = _by_shebang(source) if source.startswith(b"#!") else PLAIN
    return found if found != PLAIN else _by_modeline(source)


def _by_modeline(source: bytes) -> str:
    """What the first line tells Emacs: `# -*- shell-script -*-`, as files of bash-completion and of libstdc++ do."""
    found = _MODELINE.search(source[:256].partition(b"\n")[0])
    mode = found[1].decode("ascii").lower() if found is not None else ""
    mode = _MODES.get(mode, mode)
    return mode if mode in GRAMMARS else PLAIN


def _by_shebang(source: bytes) -> str:
    """What the first line says is to run the file."""
    found = _SHEBANG.match(source, 0, 256)
    if found is None:
        return PLAIN
    path, argument = (part.decode("ascii", "replace") for part in found.groups())
    program = path.rpartition("/")[2]
    if program == "env":
        program = argument.rpartition("/")[2]
    return _INTERPRETERS.get(_VERSION.sub("", program.lower()), PLAIN)
