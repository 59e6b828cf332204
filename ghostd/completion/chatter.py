"""The code in a chat model's reply: without the fences, the words around them, and the lines it was shown."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[^\n]*\n?", re.MULTILINE)
_TAGGED = re.compile(r"\A\s*<(COMPLETION|completion|fill|answer)>\n?(.*?)(?:\n?</\1>|\Z)", re.DOTALL)
"""Around all of the code. `<code>` is none of them: a page may begin with it."""
_LEAD = re.compile(
    r"\A\s*(?:Sure|Certainly|Of course|Here(?:'s| is| are)|The (?:missing|completed|following)|This is|To complete"
    r"|Okay|OK)\b[^\n]*(?::|[.!])[ \t]*\n+"
)
_TRAIL = re.compile(
    r"\n[ \t]*\n(?=(?:This (?:code|function|completes|will|is)|Explanation|Note(?: that)?\b|In this"
    r"|The (?:code|function|above)|Let me know|I(?:'ve| have)|You can|Here(?:'s| is)))"
)


def code_of(reply: str, hole: str) -> str:
    """The code alone, without the mark for the cursor that the model was shown. A reply without fences and prose is
    taken as it is."""
    reply = reply.rstrip().replace(hole, "")
    tagged = _TAGGED.match(_LEAD.sub("", reply, count=1))
    if tagged is not None:
        reply = tagged[2]
    opening = _FENCE.search(reply)
    if opening is not None:
        lead = reply[: opening.start()]
        closing = re.compile(rf"^[ \t]*{re.escape(opening[1])}[ \t]*$", re.MULTILINE).search(reply, opening.end())
        if closing is not None or not lead.strip() or _LEAD.match(lead + "\n"):
            inner = reply[opening.end() : closing.start() if closing is not None else len(reply)]
            return inner.removesuffix("\n")
        return lead.rstrip()
    reply = _LEAD.sub("", reply, count=1)
    trail = _TRAIL.search(reply)
    return reply[: trail.start()] if trail is not None else reply
