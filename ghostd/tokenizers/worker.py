"""The process that holds tokenizers. Started by `ghostd.tokenizers.process` as `python -P -m ghostd.tokenizers.worker`.

A loaded vocabulary takes 30 to 80 MB, which the daemon is to be without. It dies with the daemon.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress

import msgspec

from ghostd.tokenizers.messages import Question, Reply

_PR_SET_PDEATHSIG = 1
_MEMORY_BYTES = 4 * 1024**3


def _answer(question: Question) -> Reply:
    import quicktok

    tokenizer = quicktok.get_encoding(question.vocabulary)
    if question.texts is not None:
        return Reply(count=sum(len(tokenizer.encode_ordinary(text)) for text in question.texts))
    if question.text is not None:
        return Reply(tokens=[int(token) for token in tokenizer.encode_ordinary(question.text)])
    pieces = []
    for token in question.tokens or ():
        try:
            pieces.append(bytes(tokenizer.decode_single_token_bytes(token)))
        except (KeyError, IndexError, ValueError, OverflowError, TypeError):
            return Reply(unknown=token)
    return Reply(pieces=pieces)


def main(parent: int) -> None:
    """Answer each line of standard input by one on standard output, until it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    if os.getppid() != parent:
        return
    for number in (signal.SIGINT, signal.SIGHUP):  # the daemon decides
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    decode = msgspec.json.Decoder(Question).decode
    with suppress(BrokenPipeError):
        for line in sys.stdin.buffer:
            output.write(msgspec.json.encode(_answer(decode(line))) + b"\n")
            output.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
