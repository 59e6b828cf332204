"""Secrets in the text of a repository, taken out before it leaves the machine.

Forms that their issuers document, and what is assigned to a name that says it is a secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

REDACTED = "[redacted]"

_TOKENS = "|".join(
    (
        r"(?:AKIA|ASIA)[0-9A-Z]{16}\b",  # AWS
        r"gh[pousr]_[A-Za-z0-9]{36,255}\b|github_pat_\w{22,255}\b",
        r"gl(?:pat|rt|dt)-[\w-]{20,}",  # GitLab
        r"xox[abeoprs]-[\w-]{10,}|xapp-\d-[\w-]{20,}|hooks\.slack\.com/services/[\w/]{20,}",
        r"sk-(?:ant-|proj-|or-)?[\w-]{20,}",  # Anthropic, OpenAI, OpenRouter
        r"AIza[\w-]{35}|GOCSPX-[\w-]{20,}",  # Google
        r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{24,}",  # Stripe
        r"npm_[A-Za-z0-9]{36}\b|pypi-[\w-]{32,}|hf_[A-Za-z0-9]{30,}\b",
        r"xai-[A-Za-z0-9]{64,}\b|gsk_[A-Za-z0-9]{40,}\b",  # xAI, Groq
        r"SG\.[\w-]{16,64}\.[\w-]{16,64}\b|do[opr]_v1_[0-9a-f]{64}\b",  # SendGrid, DigitalOcean
        r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b|dckr_pat_[\w-]{20,}",  # Shopify, Docker
        r"hvs\.[\w-]{24,}|glsa_\w{32,}|AGE-SECRET-KEY-1[0-9A-Z]{58}\b",  # Vault, Grafana, age
        r"\d{8,10}:AA[\w-]{33}(?![\w-])",  # Telegram
        r"[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,38}(?![\w-])",  # Discord
        r"eyJ[\w-]{8,2000}\.eyJ[\w-]{8,}\.[\w-]+",  # JWT (RFC 7519)
    )
)
_FORMS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
    r"|\A(?:(?!-----BEGIN )[\s\S])*?-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----"  # of one whose beginning is cut off
    r"|(?:^[ \t\"'+]*[A-Za-z0-9+/]{48,76}={0,2}(?:\\n)?[\"'+,; \t]*\r?(?:\n|\Z)){3,}"  # from the middle of one
    rf"|\b(?:{_TOKENS})",
    re.MULTILINE,
)
_NAMES = (
    r"secret|passwd|password|passphrase|(?:api|access|private|signing|encryption)[_-]?key|(?:auth|access)[_-]?token"
)
_OF_LITERAL = (
    r"\w{0,40}[\"']?\]?\s{0,40}(?::\s?[&'\w<>\[\]?. ]{1,40}=|:=|[:=])\s*[rbfu]{0,2}"  # with a type between, or not
    r"(?:[\"']{3}|[\"'`]))"
    r"([^\"'`\s]{8,})([\"'`])"
)
_ASSIGNED = re.compile(rf"(?i)((?:{_NAMES}){_OF_LITERAL}")
_MAYBE_ASSIGNED = re.compile(rf"(?i)((?:token|(?<![a-z])pass|pwd|credentials?){_OF_LITERAL}")
"""To names that stand for other things as well."""
_WRITTEN = re.compile(
    r"(?im)"
    r"((?:\b(?:authorization[\"']?\s{0,4}[:=,]\s{0,4}[\"']?(?:bearer|basic|token)|(?:x-)?api-key:)\s"  # a header
    r"|(?:^accountkey|^sharedaccesskey|[;\"'?&](?:accountkey|sharedaccesskey|password|pwd))="  # a connection string
    r"|:_(?:authtoken|password|auth)=\"?"  # .npmrc
    rf"|(?:{_NAMES})[\"'](?:,\s?|\]\s?=\s?)[\"']"  # a name and its value, or what it is otherwise
    r"|(?<!\?P)<(?:\w{0,40}(?:password|secret|token|apikey))>"
    r"|\s-u[ =]?[\w.@-]{1,60}:"  # curl's user
    r"|\s--?(?:password|token|api-key|secret)[= ]))"  # an argument
    r"([^\s\"';<&()]{8,})()"
)
_LINE = re.compile(
    rf"(?im)(^[ \t]*(?:export |set |env |- )?[\w.-]{{0,60}}(?:token|{_NAMES})"
    r"(?:=|:[ \t]+|[ \t]+=[ \t]*(?=\S{16})(?![a-z_]\w*[ \t]*$)))"
    r"([^\s\"'#,;()\[\]{}]{8,})([ \t]*(?:#.*)?\r?$)"
)
"""A whole line of a shell's, .env, .ini, .properties or YAML file."""
_MIXED = re.compile(r"(?=.*\d)(?=.*[A-Za-z])(?!(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*$)")
"""What stands without quotes may be code: only what has digits among letters and is no attribute."""
_LEAST_CHARS = 12
"""Of what is assigned to a name that may stand for something else."""
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

    def perhaps(match: re.Match[str]) -> str:
        return assigned(match) if len(match[2]) >= _LEAST_CHARS and _MIXED.match(match[2]) else match[0]

    text = _ASSIGNED.sub(assigned, text)
    text = _MAYBE_ASSIGNED.sub(perhaps, text)
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
