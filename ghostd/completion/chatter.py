"""The code in a model's reply: without thoughts, fences, and the words around them."""

from __future__ import annotations

import re

from ghostd.completion.lexing import PLAIN, SHELL, Syntax, lex

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

_THOUGHTS = re.compile(r"\A\s*<(think|thinking|thought|reasoning)>.*?(?:</\1>\s*|\Z)", re.DOTALL)
_FENCED = re.compile(rf"{_LEAD.pattern}\s*(?:```|~~~)|\A\s*(?:```|~~~)")
_FENCE_LINE = re.compile(r"\n[ \t]*(?:```|~~~)[^\n`]*(?:\n|\Z)")
_SENTENCE = re.compile(r"\A\s*[A-Z][\w'’-]*(?:,? [\w'’`\"()-]+){4,}[.!?](?:\s|\Z)")
_MARKUP = re.compile(r"</|/>")
"""Text may stand between tags."""


def code_of(reply: str, hole: str) -> str:
    """The code alone, without the mark for the cursor that the model was shown. A reply without fences and prose is
    taken as it is."""
    return _unwrapped(without_thoughts(reply).rstrip().replace(hole, ""))


def without_thoughts(reply: str) -> str:
    """The reply without thoughts that a server left in it; "" where they never end."""
    return _THOUGHTS.sub("", reply, count=1)


def without_chatter(text: str, prefix: str, suffix: str, syntax: Syntax) -> str:
    """The text of a hole in code without what only conversations have: thoughts, fences, an answer in sentences.

    Where a person may well write them, in comments, strings and prose, they stay.
    """
    thoughts = _THOUGHTS.match(text)
    if thoughts is not None and f"<{thoughts[1]}>" not in prefix and f"<{thoughts[1]}>" not in suffix:
        text = text[thoughts.end() :]
    if syntax is PLAIN:
        return text
    if _FENCED.match(text) is not None and _in_code(prefix, syntax):
        return _unwrapped(text)
    if _SENTENCE.match(text) is not None and syntax is not SHELL and _in_code(prefix, syntax):
        return text if _MARKUP.search(prefix[-2000:] + suffix[:2000]) is not None else ""
    fence = _FENCE_LINE.search(text)
    if fence is not None and _in_code(prefix + text[: fence.start()], syntax):
        return text[: fence.start()]
    return text


def _in_code(prefix: str, syntax: Syntax) -> bool:
    return lex(prefix, syntax).inside == "code"


def _unwrapped(reply: str) -> str:
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
