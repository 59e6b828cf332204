"""Secrets in the text of a repository, taken out before it leaves the machine.

Forms that their issuers document, and what is assigned to a name that says it is a secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

REDACTED = "[redacted]"

_FORMS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\A(?:(?!-----BEGIN )[\s\S])*?-----END [A-Z ]*PRIVATE KEY-----"  # of one whose beginning is cut off
    r"|(?:^[ \t\"'+]*[A-Za-z0-9+/]{48,76}={0,2}(?:\\n)?[\"'+,; \t]*\r?(?:\n|\Z)){3,}"  # from the middle of one
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # AWS
    r"|\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_\w{22,255}\b"
    r"|\bglpat-[\w-]{20,}"
    r"|\bxox[abeoprs]-[\w-]{10,}"  # Slack
    r"|\bsk-(?:ant-|proj-|or-)?[\w-]{20,}"
    r"|\bAIza[\w-]{35}"
    r"|\b(?:sk|rk)_live_[A-Za-z0-9]{16,}"  # Stripe
    r"|\bnpm_[A-Za-z0-9]{36}\b|\bpypi-[\w-]{32,}|\bhf_[A-Za-z0-9]{30,}\b"
    r"|\bxai-[A-Za-z0-9]{64,}\b|\bgsk_[A-Za-z0-9]{40,}\b"  # xAI, Groq
    r"|\bSG\.[\w-]{16,64}\.[\w-]{16,64}\b|\bdo[opr]_v1_[0-9a-f]{64}\b"  # SendGrid, DigitalOcean
    r"|\b\d{8,10}:AA[\w-]{33}(?![\w-])"  # Telegram
    r"|\b[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,38}(?![\w-])"  # Discord
    r"|\beyJ[\w-]{8,2000}\.eyJ[\w-]{8,}\.[\w-]+",  # JWT (RFC 7519)
    re.MULTILINE,
)
_ASSIGNED = re.compile(
    r"(?i)((?:secret|passwd|password|api_?key|access_?key|auth_?token|access_?token|private_?key)\w{0,40}[\"']?\s{0,40}(?::=|[:=])\s*[\"'])"
    r"([^\"'\s]{8,})([\"'])"
)
_WRITTEN = re.compile(
    r"(?im)"
    r"((?:\bauthorization[\"']?\s{0,4}[:=,]\s{0,4}[\"']?(?:bearer|basic|token)\s"  # a header
    r"|[;\"'](?:accountkey|sharedaccesskey|password|pwd)="  # a connection string
    r"|\s--?(?:password|token|api-key|secret)[= ]))"  # an argument
    r"([^\s\"';]{8,})()"
)
_LINE = re.compile(
    r"(?im)(^[ \t]*(?:export |set |env )?[\w.-]{0,60}"
    r"(?:secret|passwd|password|token|api_?key|access_?key|private_?key)(?:=|:[ \t]+))"
    r"([^\s\"'#,;()\[\]{}]{8,})([ \t]*(?:#.*)?\r?$)"
)
"""A whole line of a shell's, .env, .ini, .properties or YAML file."""
_MIXED = re.compile(r"(?=.*\d)(?=.*[A-Za-z])(?!(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*$)")
"""What stands without quotes may be code: only what has digits among letters and is no attribute."""
_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@\"']*:)([^\s/@\"']{3,})(@)")
_NOT_SECRET = re.compile(r"[{}<>$%]|^(?:example|changeme|password|secret|dummy|test)", re.IGNORECASE)


def without_secrets(text: str) -> tuple[str, int]:
    """The text with each secret replaced, and how many there were."""
    text, count = _FORMS.subn(REDACTED, text)
    replaced = 0

    def assigned(match: re.Match[str]) -> str:
        nonlocal replaced
        if _NOT_SECRET.search(match[2]):
            return match[0]
        replaced += 1
        return f"{match[1]}{REDACTED}{match[3]}"

    def written(match: re.Match[str]) -> str:
        return assigned(match) if _MIXED.match(match[2]) else match[0]

    text = _ASSIGNED.sub(assigned, text)
    text = _IN_URL.sub(assigned, text)
    text = _WRITTEN.sub(written, text)
    text = _LINE.sub(written, text)
    return text, count + replaced


def lines_without_secrets(lines: Sequence[str]) -> list[str]:
    """As many lines, each without its end, without the secrets, which may go over several of them."""
    clean, count = without_secrets("\n".join(lines))
    if not count:
        return list(lines)
    kept = frozenset(clean.split("\n"))
    return [line if line in kept else _without(line) for line in lines]


def _without(line: str) -> str:
    """A line that holds a secret, or a part of one."""
    alone, count = without_secrets(line)
    return alone if count else REDACTED
