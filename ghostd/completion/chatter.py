"""The code in a chat model's reply: without the fences, the words around them, and the lines it was shown."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[^\n]*\n?", re.MULTILINE)
_TAGGED = re.compile(r"<(COMPLETION|completion|code|fill|answer)>\n?(.*?)(?:\n?</\1>|\Z)", re.DOTALL)
_LEAD = re.compile(
    r"\A\s*(?:Sure|Certainly|Of course|Here(?:'s| is| are)|The (?:missing|completed|following)|This is|To complete"
    r"|Okay|OK)\b[^\n]*(?::|[.!])[ \t]*\n+"
)
_TRAIL = re.compile(
    r"\n[ \t]*\n(?=(?:This (?:code|function|completes|will|is)|Explanation|Note(?: that)?\b|In this"
    r"|The (?:code|function|above)|Let me know|I(?:'ve| have)|You can|Here(?:'s| is)))"
)
_HOLES = ("<CURSOR>", "{{FILL_HERE}}", "[BLANK]", "<FILL>")


def code_of(reply: str) -> str:
    """The code alone. A reply without fences and prose is taken as it is."""
    reply = reply.rstrip()
    tagged = _TAGGED.search(reply)
    if tagged is not None:
        reply = tagged[2]
    opening = _FENCE.search(reply)
    if opening is not None:
        lead = reply[: opening.start()]
        closing = re.compile(rf"^[ \t]*{re.escape(opening[1])}[ \t]*$", re.MULTILINE).search(reply, opening.end())
        if closing is not None or not lead.strip() or _LEAD.match(lead + "\n"):
            inner = reply[opening.end() : closing.start() if closing is not None else len(reply)]
            return _plain(inner.removesuffix("\n"))
        return _plain(lead.rstrip())
    reply = _LEAD.sub("", reply, count=1)
    trail = _TRAIL.search(reply)
    return _plain(reply[: trail.start()] if trail is not None else reply)


def _plain(code: str) -> str:
    for hole in _HOLES:
        code = code.replace(hole, "")
    return code
