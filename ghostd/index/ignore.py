"""Which paths a root leaves out on purpose: ignore files, the setting index.exclude, and built-in defaults.

Rules are asked from the top down, one entry at a time, and an ignored folder is not entered; so, as with git, a
file below an ignored folder cannot be brought back. Precedence, highest first: index.exclude, .ghostdignore
files, .gitignore files (the innermost first in both), .git/info/exclude, the built-in defaults. A pattern that
starts with `!` brings back what a lower rule leaves out.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

IGNORE_FILES = (".ghostdignore", ".gitignore")

MAX_IGNORE_BYTES = 256 * 1024
"""A larger ignore file is not read."""

MAX_COST = 5_000
"""Of the patterns in effect in one folder, and of those of one file: each entry is held against all of them."""
MAX_PATTERNS = 50_000
"""Of all ignore files that one walk reads."""
_MAX_DOUBLE_STARS = 2
"""`**` before the end of a pattern. Time is exponential in their number."""
_COSTLY = 100
"""What a pattern with so many of them counts."""

_DIRECTORIES = frozenset(
    (
        # version control
        *(".git", ".hg", ".svn", ".bzr", ".jj"),
        # installed packages and environments
        *(
            "node_modules",
            "bower_components",
            "jspm_packages",
            ".venv",
            ".tox",
            ".nox",
            ".eggs",
            ".pnpm-store",
            ".yarn",
        ),
        # caches and build products
        *("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache"),
        *(".cache", ".ipynb_checkpoints", ".gradle", ".zig-cache", "zig-cache", "zig-out", ".next", ".nuxt"),
        *(".svelte-kit", ".turbo", ".parcel-cache", ".angular", ".terraform", ".dart_tool", ".stack-work"),
        # tools' own state
        *(".idea", ".vs", ".direnv"),
    )
)
_FILES = re.compile(r".*(?:\.py[co]|\.sw[op]|~)|\.#.*|#.*#|\.DS_Store|4913|\.git", re.DOTALL)
"""Byte code, what editors write beside a file while they save it, and a worktree's pointer to its repository."""

_TARGET_OWNERS = frozenset(("Cargo.toml", "pom.xml", "build.sbt", "project.clj"))
"""`target` is a build folder beside one of these."""

GENERATED_MARKS = ("CACHEDIR.TAG", "pyvenv.cfg")
"""A folder that holds one of these is a cache or a virtual environment (https://bford.info/cachedir/)."""

_ANCESTOR_MARK = "ps_d"
"""pathspec's group for the `/` after the part of the path that a pattern named."""


_ANY_FOLDER = re.compile(f"^.*(?P<{_ANCESTOR_MARK}>/)$", re.DOTALL)
"""The pattern `*/`, for which pathspec's own expression finds the first slash only."""


_STAR = "[^/]*"
_MARK = "\0"
"""Stands for a star while an expression is rewritten."""
_CLASS = r"\[\^?\]?(?:\\.|[^]\\])*\]"
_STARRED = re.compile(rf"{_MARK}((?:\\.|{_CLASS}|[^{_MARK}/()\[\\])+)(?={_MARK})", re.DOTALL)
"""A star and what stands between it and the next one, which has a fixed length."""
_TOKEN = re.compile(rf"\\.|{_CLASS}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The patterns of one ignore file; `base` is its folder with a trailing slash, "" for the root."""

    base: str
    any_of: re.Pattern[str]
    patterns: tuple[tuple[re.Pattern[str], bool], ...]
    """(expression, whether it ignores), last one first."""
    cost: int = 0
    """See MAX_COST."""

    def verdict(self, path: str) -> bool | None:
        """Whether `path` (folders end with a slash) is ignored; None when no pattern names it."""
        below = path[len(self.base) :]
        if self.any_of.search(below) is None:
            return None
        for expression, ignores in self.patterns:
            found = expression.search(below)
            if found is None:
                continue
            if _ANCESTOR_MARK in expression.groupindex:
                mark = found.end(_ANCESTOR_MARK)
                if mark not in (-1, len(below)):
                    continue  # it names a parent folder, which has been asked already
            elif below.endswith("/") and found.end() == len(below):
                continue  # `folder/**`, which names what is inside and not the folder
            return ignores
        return None


@dataclass(frozen=True, slots=True)
class Rules:
    """All rule sets that hold in one folder."""

    exclude: tuple[RuleSet, ...] = ()
    ghostdignore: tuple[RuleSet, ...] = ()
    gitignore: tuple[RuleSet, ...] = ()
    info_exclude: tuple[RuleSet, ...] = ()

    @property
    def cost(self) -> int:
        """See MAX_COST."""
        groups = (self.exclude, self.ghostdignore, self.gitignore, self.info_exclude)
        return sum(rules.cost for group in groups for rules in group)

    def extended(self, file_name: str, rules: RuleSet) -> Rules:
        """These rules with those of one more ignore file, of a folder further in."""
        if file_name == ".ghostdignore":
            return Rules(self.exclude, (rules, *self.ghostdignore), self.gitignore, self.info_exclude)
        return Rules(self.exclude, self.ghostdignore, (rules, *self.gitignore), self.info_exclude)

    def ignores(self, path: str, name: str, siblings: frozenset[str] | set[str]) -> bool:
        """Whether the entry `path` (relative to the root; folders end with a slash) is left out."""
        for group in (self.exclude, self.ghostdignore, self.gitignore, self.info_exclude):
            for rules in group:
                verdict = rules.verdict(path)
                if verdict is not None:
                    return verdict
        if path.endswith("/"):
            return name in _DIRECTORIES or name.endswith(".egg-info") or _is_build_target(name, siblings)
        return _FILES.fullmatch(name) is not None


def is_generated(names: frozenset[str] | set[str]) -> bool:
    """Whether a folder with entries of these names says itself that it holds no source."""
    return any(mark in names for mark in GENERATED_MARKS)


def is_default_ignored_folder(name: str) -> bool:
    """Whether folders of this name are left out unless a rule brings them back."""
    return name in _DIRECTORIES


def parse_rules(base: str, lines: Sequence[str]) -> tuple[RuleSet | None, list[str]]:
    """The patterns in `lines` (.gitignore syntax), None when there are none; and the patterns refused."""
    wanted = [line for line in lines if line.strip() and not line.startswith("#")]
    if not wanted:
        return None, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of Python, for `[` and `--` inside of brackets
        return _compiled(base, wanted)


def _compiled(base: str, wanted: Sequence[str]) -> tuple[RuleSet | None, list[str]]:
    # Imported late: a tree without ignore files does not pay for it.
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    refused: list[str] = []
    patterns: list[tuple[re.Pattern[str], bool]] = []
    total = 0
    for line in wanted:
        double_stars = line.removeprefix("!").split("/")[:-1].count("**")
        cost = _COSTLY if double_stars == _MAX_DOUBLE_STARS else 1
        if double_stars > _MAX_DOUBLE_STARS or total + cost > MAX_COST or _MARK in line:
            refused.append(line)
            continue
        try:
            pattern = GitIgnoreSpecPattern(line)
        except (ValueError, re.error):  # the latter for `[z-a]`
            continue  # git, too, passes over a pattern that is none
        if pattern.include is not None and pattern.regex is not None:
            total += cost
            text = pattern.regex.pattern
            expression = _ANY_FOLDER if text == f"(?P<{_ANCESTOR_MARK}>/)" else re.compile(_linear(text), re.DOTALL)
            patterns.append((expression, pattern.include))
    if not patterns:
        return None, refused
    union = "|".join(f"(?:{_without_groups(expression.pattern)})" for expression, _ in patterns)
    return RuleSet(base, re.compile(union, re.DOTALL), tuple(reversed(patterns)), total), refused


def _is_build_target(name: str, siblings: frozenset[str] | set[str]) -> bool:
    return name == "target" and not _TARGET_OWNERS.isdisjoint(siblings)


def _without_groups(expression: str) -> str:
    return expression.replace(f"(?P<{_ANCESTOR_MARK}>/)", "/")


def _linear(expression: str) -> str:
    """The same expression, in time that is linear in a name's length and not exponential in the number of its stars.

    Between two stars the first place that fits is as good as any, so that none need be given up again.
    """
    marked = re.sub(f"{_MARK}+", _MARK, expression.replace(_STAR, _MARK))
    linear = _STARRED.sub(r"(?>[^/]*?\1)", marked).replace(_MARK, _STAR)
    return _TOKEN.sub(_no_slash, linear)


def _no_slash(found: re.Match[str]) -> str:
    """`[!a]` stands for no slash either."""
    part = found[0]
    return f"(?!/){part}" if part.startswith("[^") and part != "[^/]" else part
