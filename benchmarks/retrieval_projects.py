"""The projects that retrieval is trained and measured on, fetched where they are not there yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from completion_corpora import APART, Corpus, fetch
from platformdirs import user_cache_path
from resolution import crates, npm

TRAINING = (
    *("requests==2.34.2", "httpx==0.28.1", "click==8.5.1", "jinja2==3.1.6", "werkzeug==3.1.9", "tornado==6.6.1"),
    *("pytest==9.2.0", "aiohttp==3.14.5", "trio==0.35.0", "poetry==2.5.1", "pydantic==2.14.4", "fastapi==0.165.0"),
)
HELD_OUT = ("django==5.2.19", "scrapy==2.19.0", "sqlalchemy==2.1.9", "celery==5.7.0", "rich==15.0.0")
CACHE = user_cache_path("ghostd-resolution")
LANGUAGES = {
    "python": ("python",),
    "typescript": ("typescript", "typescriptreact"),
    "rust": ("rust",),
    "zig": ("zig",),
}


def crate(name: str) -> Path:
    """A crate of Debian's."""
    return next(path for path in sorted(crates(CACHE).iterdir()) if path.name.startswith(f"{name}-"))


GROUPS: dict[str, dict[str, Callable[[], Path]]] = {
    "python": {name: partial(lambda name: fetch(Corpus(name)), name) for name in HELD_OUT},
    "typescript": {
        "effect": lambda: npm(CACHE) / "effect" / "src",
        "rxjs": lambda: npm(CACHE) / "rxjs" / "src",
    },
    "rust": {
        "tokio": lambda: crate("tokio"),
        "regex-automata": lambda: crate("regex-automata"),
        "syn": lambda: crate("syn"),
    },
    "zig": {"zig's std": lambda: fetch(next(c for c in APART if c.name == "ziglang")) / "ziglang" / "lib" / "std"},
}
"""Language → project → its folder, fetched where it is not there."""
