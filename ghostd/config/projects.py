"""The settings of what is read of projects: [index], [history]."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ghostd.config.kinds import Bytes, Count, Seconds

SECRET_FILES = (
    *(".env", ".env.*", "!.env.example", "!.env.sample", "!.env.template", "!.env.dist", ".envrc"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk"),
    *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"),
    *(".netrc", "_netrc", ".pgpass", ".my.cnf", ".npmrc", ".pypirc", ".git-credentials", ".htpasswd", ".dockercfg"),
    *("credentials", "credentials.json", "credentials.toml", "credentials.y*ml", "credentials.ini", "credentials.xml"),
    *("secrets.json", "secrets.toml", "secrets.y*ml", "*.tfstate", "*.tfstate.backup"),
)
"""Names under which programs keep passwords and keys."""


class IndexConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is indexed, and the limits."""

    roots: tuple[str, ...] = ()
    """Folders to index at start, besides those given with --root and those that editors open."""
    exclude: tuple[str, ...] = ()
    """Further ignore patterns, in .gitignore syntax, for every root."""
    secret_files: tuple[str, ...] = SECRET_FILES
    """Names of files that are never read, with `*` and `?`; a pattern after `!` says which of them are."""
    max_file_bytes: Bytes = 1024 * 1024
    """Larger files are skipped."""
    max_line_bytes: Bytes = 20_000
    """Files with a longer line (minified or generated) are skipped."""
    max_depth: Count = 64
    """Folders nested deeper are skipped."""
    max_files: Count = 200_000
    """Files of one root; the rest is skipped."""
    parse_timeout_ms: Annotated[int, Meta(ge=1)] = 2_000
    """Time to parse one file."""
    parse_memory_mb: Count = 1024
    """Address space that the parse worker may add while it works."""
    reconcile_s: Seconds = 600.0
    """Period of the check for changes that the file watcher missed."""
    keep_bytes: Annotated[int, Meta(ge=0)] = 16 * 1024 * 1024
    """What is known of contents that no file of a root has any more, kept for the way back to another branch."""
    max_postings: Count = 20_000_000
    """Words in chunks of one root that chunk search keeps, at some 4 bytes each; further files are not found by it."""
    max_open_documents: Count = 500
    """Editors' open documents that stand in for their files; those changed longest ago count as their files."""
    max_open_chars: Count = 32 * 1024 * 1024
    """Characters of these documents together."""


class HistoryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Git history of the indexed folders."""

    enabled: bool = True
    """Whether to read it."""
    max_commits: Count = 20_000
    """Commits of one repository, the newest first; older ones are not read."""
    max_files_per_commit: Annotated[int, Meta(ge=2)] = 50
    """Commits that touched more files say nothing about which files belong together."""
    half_life_days: Annotated[float, Meta(gt=0)] = 180.0
    """Age at which a commit counts half."""
    max_read_cpu_s: Seconds = 60.0
    """CPU time of one reading of commits."""
    max_diff_bytes: Bytes = 262_144
    """Text of one answer about changes; the files beyond it are named without their lines."""
    max_file_bytes: Bytes = 1024 * 1024
    """Larger files are compared and blamed by name only."""
    timeout_s: Seconds = 5.0
    """Time of one question, e.g. a blame; one that takes longer is answered with nothing."""
