"""What of a model's text an editor should show: pure functions, from the whole text and what stands around it.

Each step leaves alone what a person may well have written: the right text passes all of them unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ghostd.completion.chatter import without_chatter
from ghostd.completion.lexing import C_LIKE, GO, PLAIN, RUST, ZIG, Syntax, chunk_after, chunk_before, lex, whole_chunk
from ghostd.completion.shape import opens_block
from ghostd.fim_markers import MARKER_TEXTS

_END_TEXTS = ("<|endoftext|>", "<|im_end|>", "<|im_start|>", "<|end_of_text|>", "<|eot_id|>", "<｜end▁of▁sentence｜>",
              "<end_of_turn>", "<eos>", "</s>", "<|end|>")  # fmt: skip
_MARKERS = sorted({text.lstrip("▁") for text in MARKER_TEXTS} | set(_END_TEXTS), key=len, reverse=True)
_CONTROL = "[\x00-\x08\x0b\x0e-\x1f\x7f\u2028-\u202e\u2066-\u2069\ufeff]"
"""Nobody types them; editors show them as boxes, cut a line at them, ask what they are for, or turn the code's order
around (U+202A and on: CVE-2021-42574)."""
_MARKER = re.compile("|".join((*map(re.escape, _MARKERS), _CONTROL)))
_LOOP_CHARS = 48
_LONG_LOOP_CHARS = 320
"""From here on rows of signs are no separators and no tables either."""
_LOOP = re.compile(r"(.{1,40}?)\1{7,}$", re.DOTALL)
_BETWEEN = " \t,;:.|&+-*/%<>="
"""What stands between the turns of a loop, and nothing where it ends."""
_MAX_PERIOD_LINES = 8
_MIN_SHARED_CHARS = 8
"""Of a line: shorter ones are equal by chance."""
_MIN_BEGUN_CHARS = 16
"""Of a last line that is the beginning of the one below: what the limit of tokens has left of it."""
_STRING_LETTERS = re.compile(r"\b(?:[rbfut]|[bft]r|r[bft]|u8|c|cr|L|U)#*$", re.IGNORECASE)
"""Before a string's quote: they are a part of it."""
_CHARACTERS = (C_LIKE, GO, RUST, ZIG)
"""Where an apostrophe begins no string: a character, or a lifetime."""
_MIXED = 20
"""Where more than one in so many indented lines begins with a tab, both kinds are meant, as in GNU's C."""
_MAX_CUTS = 12
_ECHO_LINES = 12
"""Lines before the cursor that a text may repeat, at most."""


def tidy(text: str, prefix: str, suffix: str, syntax: Syntax = PLAIN) -> str:
    """The part of `text` to insert between `prefix` and `suffix`; "" for none."""
    ending = line_ending(prefix, suffix)
    if "\r" in prefix or "\r" in suffix or "\r" in text:
        text, prefix, suffix = (one.replace("\r\n", "\n").replace("\r", "\n") for one in (text, prefix, suffix))
        return tidy(text, prefix, suffix, syntax).replace("\n", ending)
    text = without_chatter(text.lstrip("\ufeff"), prefix, suffix, syntax)
    text = without_markers(text, prefix, suffix)
    text = without_echo(text, prefix)
    text = same_indentation(text, prefix, suffix, syntax)
    text = without_loop(text)
    text = without_suffix(text, prefix, suffix, syntax)
    text = balanced(text, prefix, suffix, syntax)
    return without_trailing_space(text, suffix)


def line_ending(prefix: str, suffix: str) -> str:
    """The line ending that most lines of a document have."""
    windows = prefix.count("\r\n") + suffix.count("\r\n")
    lines = prefix.count("\n") + suffix.count("\n")
    if windows * 2 > lines:
        return "\r\n"
    return "\r" if not lines and "\r" in prefix + suffix else "\n"


def without_markers(text: str, prefix: str, suffix: str) -> str:
    """The text up to the first marker that a model wrote as text, or control character, unless the file has it, too."""
    for match in _MARKER.finditer(text):
        if match[0] not in prefix and match[0] not in suffix:
            return text[: match.start()]
    return text


def without_echo(text: str, prefix: str) -> str:
    """The text without a beginning that repeats the lines before it, or the beginning of its own line."""
    line = prefix[prefix.rfind("\n") + 1 :]
    before = prefix[-2000:].split("\n")[-_ECHO_LINES - 1 :]
    for count in range(len(before) - 1, 0, -1):
        tail = "\n".join(before[-count - 1 :])
        if (
            len(tail.strip()) >= _MIN_SHARED_CHARS
            and tail.strip("\n")
            and text.lstrip("\n").startswith(tail.lstrip("\n"))
        ):
            return text.lstrip("\n")[len(tail.lstrip("\n")) :]
    bare = line.strip()
    if len(bare) >= 5 and re.search(r"\w\W|\W\w", bare):  # more than one word: names alone do recur
        started = text.lstrip(" \t")
        if started.startswith(line.lstrip(" \t")) and started != line.lstrip(" \t"):
            return started[len(line.lstrip(" \t")) :]
    return text


def same_indentation(text: str, prefix: str, suffix: str, syntax: Syntax) -> str:
    """The text with the document's kind of indentation, and without the cursor's own indentation a second time."""
    line = prefix[prefix.rfind("\n") + 1 :]
    if line and not line.strip() and text.startswith(line) and text[len(line) : len(line) + 1] not in (" ", "\t", ""):
        above = next((one for one in reversed(prefix[-2000:].split("\n")[:-1]) if one.strip()), "")
        indent = above[: len(above) - len(above.lstrip())]
        # At the cursor stands the indentation that this line wants already: deeper than a block's head, else the same.
        deeper = (1 if "\t" in line else _unit(prefix, suffix)) if opens_block(above, syntax) else 0
        if len(line) == len(indent) + deeper:
            text = text[len(line) :]
    if "\n" not in text:
        return text
    tabs = _indented_by(prefix, "\t") + _indented_by(suffix, "\t")
    spaces = _indented_by(prefix, "  ") + _indented_by(suffix, "  ")
    first, *lines = text.split("\n")
    if tabs > 2 * spaces:
        width = min((_spaces(one) for one in lines if _spaces(one) > 1), default=4)
        width = width if width in (2, 4, 8) else 4
        lines = ["\t" * (_spaces(one) // width) + one[_spaces(one) // width * width :] for one in lines]
    elif spaces > _MIXED * tabs:
        unit = " " * _unit(prefix, suffix)
        lines = [unit * (len(one) - len(one.lstrip("\t"))) + one.lstrip("\t") for one in lines]
    return "\n".join((first, *lines))


def _indented_by(text: str, indent: str) -> int:
    return text[-8000:].count("\n" + indent)


def _spaces(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _unit(prefix: str, suffix: str) -> int:
    widths = {_spaces(one) for one in (*prefix[-8000:].split("\n"), *suffix[:4000].split("\n")) if one.strip()}
    return min((width for width in widths if width >= 2), default=4)


def without_loop(text: str) -> str:
    """The text without the repeats of a model that goes round in circles up to its end."""
    lines = text.rstrip().split("\n")
    for period in range(1, _MAX_PERIOD_LINES + 1):
        unit = lines[-period:]
        if sum(character.isalpha() for one in unit for character in one) < _MIN_SHARED_CHARS:
            continue
        times = 1
        while lines[-(times + 1) * period : -times * period] == unit:
            times += 1
        if times >= (4 if period == 1 else 3):
            kept = lines[: len(lines) - (times - 1) * period]
            return "\n".join(kept)
    # A last turn that the token limit cut off.
    if len(lines) > 4 and len({one.strip() for one in lines[-5:-1]}) == 1 and lines[-2].startswith(lines[-1]):
        return without_loop("\n".join(lines[:-1])) if lines[-1].strip() else text
    end = _first_turn(text)
    once = text[:end]
    return once.rstrip(_BETWEEN) if end < len(text) and any(map(str.isalnum, text[end:])) else once


def _first_turn(text: str) -> int:
    """The end of the first turn of a loop that goes on to the end of the last line; where there is none, the text's."""
    line = text[text.rfind("\n") + 1 :]
    found = _LOOP.search(line[-400:])
    if found is not None:
        turn = len(found[1])
        if len(found[0]) < (_LOOP_CHARS if any(map(str.isalpha, found[1])) else _LONG_LOOP_CHARS):
            return len(text)
    else:
        end = len(line) - _LOOP_CHARS
        turn = end - line.rfind(line[-_LOOP_CHARS:], 0, len(line) - 1) if end > 0 else 0
        if not _LOOP_CHARS < turn <= end or not any(map(str.isalpha, line[-turn:])):
            return len(text)
    at = len(text)
    floor = at - len(line) + turn
    while at > floor and text[at - 1] == text[at - 1 - turn]:
        at -= 1
    return at if len(text) - at >= 2 * turn else len(text)


def without_suffix(text: str, prefix: str, suffix: str, syntax: Syntax) -> str:
    """The text without an end that already stands behind the cursor."""
    text = _without_lines(text, suffix)
    rest, _, _ = suffix.partition("\n")
    last = text[text.rfind("\n") + 1 :]
    for count in range(min(len(rest), len(last)), 2, -1):
        shared = rest[:count]
        if not last.endswith(shared) or sum(map(str.isalnum, shared)) < 2:
            continue
        whole = len(shared.strip()) == len(rest.strip())
        starts = count == len(last) or not (last[-count - 1].isalnum() and shared[0].isalnum())
        if starts and (whole or count >= _MIN_SHARED_CHARS):
            kept = text[: len(text) - count]
            if _sound(kept, prefix, suffix, syntax) or not _sound(text, prefix, suffix, syntax):
                return kept
    return text


def _without_lines(text: str, suffix: str) -> str:
    """Cut where the lines below the cursor begin again: two of them, or one that is long and the last, or was to be."""
    if "\n" not in text:
        return text
    below = [one.rstrip() for one in suffix.split("\n", 12)[1:12]]
    while below and not below[0]:
        below.pop(0)
    if not below:
        return text
    lines = text.rstrip().split("\n")
    least = _MIN_BEGUN_CHARS if any(map(str.strip, lines[:-1])) else _MIN_SHARED_CHARS
    if below[0].startswith(lines[-1]) and sum(map(str.isalnum, lines[-1])) >= least:
        return "\n".join(lines[:-1]).rstrip("\n ")
    for at in range(1, len(lines)):
        if lines[at].rstrip() != below[0] or not below[0]:
            continue
        rest = [one.rstrip() for one in lines[at:]]
        count = sum(1 for _ in _common(rest, below))
        letters = sum(map(str.isalnum, "".join(rest[:count])))
        if letters >= _MIN_SHARED_CHARS and (count >= 2 or at == len(lines) - 1):
            return "\n".join(lines[:at]).rstrip("\n ")
    return text


def _common(one: list[str], other: list[str]) -> Iterator[str]:
    for left, right in zip(one, other, strict=False):
        if left != right:
            return
        yield left


def balanced(text: str, prefix: str, suffix: str, syntax: Syntax) -> str:
    """The text, or the longest part of it that leaves the file's brackets and strings sound where it would not.

    A file that stays unsound whatever is cut is somebody's work in progress: then only closers that nothing has
    opened are cut.
    """
    if not any(one in "()[]{}\"'`" for one in text) or _sound(text, prefix, suffix, syntax):
        return text
    before, after = chunk_before(prefix), chunk_after(suffix)
    quotes = '"`' if syntax in _CHARACTERS else "\"'`"
    for cut in (*_cuts(text, ")]}\n"), *_cuts(text, quotes), *_cuts(text, "([{")):
        kept = text[:cut].rstrip()
        if text[cut] in "\"'" and (letters := _STRING_LETTERS.search(kept)) is not None and len(kept) == cut:
            kept = kept[: letters.start()].rstrip()
        if kept.strip() and lex(before + kept + after, syntax).sound:
            return kept
    if lex(before + after, syntax).sound:
        return ""
    lexed = lex(before + text, syntax)
    at = next((bracket.offset - len(before) for bracket in lexed.closed if bracket.offset >= len(before)), None)
    here = lex(before, syntax)
    return text if at is None or here.closed or here.inside != "code" else text[:at].rstrip()


def _cuts(text: str, at_any: str) -> list[int]:
    """Places to cut at, the last first: before each of these characters, but not between a long string's quotes."""
    cuts = [
        place
        for place, one in enumerate(text)
        if one in at_any and not (one in "\"'`" and place and text[place - 1] == one)
    ]
    return cuts[: -_MAX_CUTS - 1 : -1]


def _sound(text: str, prefix: str, suffix: str, syntax: Syntax) -> bool:
    before, after = chunk_before(prefix), chunk_after(suffix)
    unknown = syntax is PLAIN or not whole_chunk(prefix, suffix, before, after)
    return unknown or lex(before + text + after, syntax).sound


def without_trailing_space(text: str, suffix: str) -> str:
    """The text without white space at its end, where a line or the file ends there."""
    if suffix and not suffix.startswith(("\n", "\r")):
        return text
    return text.rstrip()
