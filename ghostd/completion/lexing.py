"""A small lexer for strings, comments and brackets: what editing needs to know of a language, without a parser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import Literal

Blocks = Literal["indentation", "brackets", "words", "none"]
"""What makes a block: more indentation (Python), braces, words such as `end`, or nothing (prose)."""
Inside = Literal["code", "string", "comment"]

CLOSER = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Syntax:
    """A family of languages that look alike to the lexer."""

    blocks: Blocks
    tokens: re.Pattern[str]
    """Groups: comment, string, begun (a string or comment without its end), open, close."""


@dataclass(frozen=True, slots=True)
class Bracket:
    """One bracket and where it stands."""

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Lexed:
    """The brackets of a text that have no partner, and what its end is inside of."""

    opened: Sequence[Bracket]
    closed: Sequence[Bracket]
    """Closers that no bracket before them opened, those of another kind among them."""
    inside: Inside
    loose: bool = False
    """Whether a line has a quote that it does not close."""

    @property
    def sound(self) -> bool:
        """Whether every bracket and string is closed."""
        return not self.opened and not self.closed and not self.loose and self.inside != "string"


def _syntax(blocks: Blocks, comments: str, strings: str, begun: str) -> Syntax:
    return Syntax(
        blocks,
        re.compile(
            rf"(?P<comment>{comments})|(?P<string>{strings})|(?P<begun>{begun})|(?P<open>[(\[{{])|(?P<close>[)\]}}])",
            re.DOTALL,
        ),
    )


_SHORT = r'"(?:\\.|[^"\\\n])*"|' + r"'(?:\\.|[^'\\\n])*'"
_BLOCK = r"//[^\n]*|/\*.*?\*/"
_CHARACTER = r"'(?:\\(?:u\{[0-9a-fA-F]+\}|x[0-9a-fA-F]{2}|.)|[^'\\\n])'"
_REGEX = r"(?<=[(,=:\[!&|?{; ])/(?![/*= ])(?:\\.|\[(?:\\.|[^\]\\\n]){0,200}\]|[^/\\\n\[])+/"

_LONG = r'"""(?:\\.|[^\\])*?"""|' + r"'''(?:\\.|[^\\])*?'''"
PYTHON = _syntax("indentation", r"#[^\n]*", rf"{_LONG}|(?!\"\"\"|''')(?:{_SHORT})", "\"\"\"|'''|\"|'")
C_LIKE = _syntax("brackets", _BLOCK, r'"(?:\\.|[^"\\\n])*"|' + _CHARACTER, r'/\*|"')
_APOSTROPHE = r"(?<![A-Za-z])'"
"""In a script: behind a letter it stands for itself, in the text of an element, and quotes nothing."""
SCRIPT = _syntax(
    "brackets",
    _BLOCK,
    r"`(?:\\.|[^`\\])*`|" + _REGEX + r'|"(?:\\.|[^"\\\n])*"|' + _APOSTROPHE + r"(?:\\.|[^'\\\n])*'",
    r"/\*|`|\"|" + _APOSTROPHE,
)
GO = _syntax("brackets", _BLOCK, r"`[^`]*`|" + r'"(?:\\.|[^"\\\n])*"|' + _CHARACTER, r'/\*|`|"')
RUST = _syntax("brackets", _BLOCK, r'r#+".*?"#+|' + r'"(?:\\.|[^"\\])*"|' + _CHARACTER, r'/\*|r#+"|"')
ZIG = _syntax("brackets", r"//[^\n]*", r"\\\\[^\n]*|" + r'"(?:\\.|[^"\\\n])*"|' + _CHARACTER, r'"')
SHELL = _syntax("words", r"(?<![\w$])#[^\n]*", _SHORT, "\"|'")
LUA = _syntax("words", r"--\[\[.*?\]\]|--[^\n]*", r"\[\[.*?\]\]|" + _SHORT, r"--\[\[|\[\[|" + "\"|'")
PLAIN = _syntax("none", r"(?!)", r"(?!)", r"(?!)")

_BY_SUFFIX = {
    **dict.fromkeys((".py", ".pyi", ".pyx"), PYTHON),
    **dict.fromkeys((".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".java", ".cs", ".kt", ".scala", ".swift", ".m",
                     ".proto", ".dart"), C_LIKE),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".json", ".css", ".scss", ".php"),
                    SCRIPT),
    ".go": GO, ".rs": RUST, ".zig": ZIG, ".lua": LUA,
    **dict.fromkeys((".sh", ".bash", ".zsh", ".rb", ".pl", ".toml", ".yaml", ".yml", ".ex", ".jl", ".r"), SHELL),
}  # fmt: skip
_BY_LANGUAGE = {
    "python": PYTHON, "c": C_LIKE, "cpp": C_LIKE, "java": C_LIKE, "csharp": C_LIKE, "kotlin": C_LIKE, "swift": C_LIKE,
    "javascript": SCRIPT, "javascriptreact": SCRIPT, "typescript": SCRIPT, "typescriptreact": SCRIPT, "json": SCRIPT,
    "go": GO, "rust": RUST, "zig": ZIG, "lua": LUA, "shellscript": SHELL, "ruby": SHELL, "toml": SHELL, "yaml": SHELL,
}  # fmt: skip


def syntax_of(language: str | None, path: PurePath | None) -> Syntax:
    """By LSP's language identifier, else by the name's ending; PLAIN where neither is known."""
    if language and language in _BY_LANGUAGE:
        return _BY_LANGUAGE[language]
    return _BY_SUFFIX.get(path.suffix.lower(), PLAIN) if path is not None else PLAIN


@lru_cache(maxsize=8)  # the parts before and after one cursor are asked for several times
def lex(text: str, syntax: Syntax) -> Lexed:
    """Read a text that begins in code."""
    opened: list[Bracket] = []
    closed: list[Bracket] = []
    inside: Inside = "code"
    loose = False
    for match in syntax.tokens.finditer(text):
        kind, at = match.lastgroup, match.start()
        if kind == "open":
            opened.append(Bracket(match[0], at))
        elif kind == "close":
            if opened and CLOSER[opened[-1].text] == match[0]:
                opened.pop()
            else:
                closed.append(Bracket(match[0], at))
        elif kind == "comment":
            if match.end() == len(text) and "\n" not in match[0] and not match[0].endswith("*/"):
                inside = "comment"
        elif kind == "begun":
            if match[0] == "/*":
                return Lexed(opened, closed, "comment")
            if len(match[0]) > 1 or match[0] == "`" or "\n" not in text[at:]:
                return Lexed(_before(opened, at), closed, "string")
            loose = True  # an apostrophe, or a string that is being written; the next line is code
    return Lexed(opened, closed, inside, loose)


def _before(opened: list[Bracket], at: int) -> list[Bracket]:
    return [bracket for bracket in opened if bracket.offset < at]


def chunk_before(prefix: str, limit: int = 4000) -> str:
    """The end of `prefix` from the last line that begins at the margin, which is where nothing is open; at most
    `limit` characters, from a line's start."""
    start = len(prefix)
    floor = max(len(prefix) - limit, 0)
    while start > floor:
        line = prefix.rfind("\n", 0, start) + 1
        if line < floor:
            break
        if _begins(prefix, line) and not _joined(prefix, line):
            return prefix[line:]
        if line == 0:
            return prefix
        start = line - 1
    cut = prefix.find("\n", floor) + 1
    return prefix[cut:] if cut > 0 else prefix[floor:]


def chunk_after(suffix: str, limit: int = 4000) -> str:
    """The start of `suffix` up to the next line that begins something at the margin; at most `limit` characters."""
    at = suffix.find("\n") + 1
    while 0 < at < limit:
        if _begins(suffix, at):
            return suffix[:at]
        at = suffix.find("\n", at) + 1
    return suffix if at <= 0 and len(suffix) <= limit else suffix[: suffix.rfind("\n", 0, limit) + 1]


def whole_chunk(prefix: str, suffix: str, before: str, after: str) -> bool:
    """Whether the two chunks reach to the margin, or to the file's ends, on either side."""
    if _CONDITIONAL.search(before) or _CONDITIONAL.search(after):
        return False  # of C's branches only one counts, and each may have the same bracket
    if any(text.count(mark) % 2 for text in (prefix, suffix) for mark in _LONG_MARKS):
        return False  # it lies in a long string, whose lines may begin at the margin, too
    starts = len(before) == len(prefix) or _begins(before, 0)
    return starts and (len(after) == len(suffix) or _begins(suffix, len(after)))


def _begins(text: str, line: int) -> bool:
    """Whether a line begins at the margin, and with what does not end something."""
    return line < len(text) and text[line] not in " \t\r\n)]}#/*'\"`|.,;:&=+-\\" and not _LABEL.match(text, line)


_LABEL = re.compile(r"(?:(?:public|private|protected) )?\w+[ \t]*:[ \t]*(?:$|/[/*])", re.MULTILINE)
"""C's labels, and C++'s accesses, stand at the margin amid a function or a class."""
_LONG_MARKS = ('"""', "'''")
_CONDITIONAL = re.compile(r"^#\s*(?:if|el|endif)", re.MULTILINE)
_CONTINUES = re.compile(r"(?:else|elif|except|finally|catch|case|end|then|do|fi|done|esac|in)\b")


def _joined(text: str, line: int) -> bool:
    return _CONTINUES.match(text, line) is not None
