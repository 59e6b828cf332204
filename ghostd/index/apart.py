"""Work that may kill its process, done in a forked child of the worker: nothing but its own result is lost with it.

The child has the worker's limit on memory, and limits of its own on time. It costs a millisecond or two, so that it is
for what a person waits for and not for each file of a pass.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
_READ_BYTES = 256 * 1024
_WALL_FACTOR = 30
"""Of the limit on CPU time: for a child that gets hardly any, or waits."""


def run_apart(work: Callable[[], bytes], timeout_s: float) -> bytes | int:
    """What `work` returns; or the return code, negative for a signal, of the child that did not get so far.

    Raises OSError when no child can be had.
    """
    reading, writing = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if child == 0:
        _work(work, writing, timeout_s)
    os.close(writing)
    pieces: list[bytes] = []
    while piece := os.read(reading, _READ_BYTES):
        pieces.append(piece)
    os.close(reading)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code else b"".join(pieces)


def _work(work: Callable[[], bytes], output: int, timeout_s: float) -> None:
    """The child's life."""
    code = 1
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        gc.disable()  # it would touch, and so copy, all of the worker's memory
        signal.setitimer(signal.ITIMER_PROF, timeout_s)
        signal.setitimer(signal.ITIMER_REAL, timeout_s * _WALL_FACTOR)
        data = memoryview(work())
        while data:
            data = data[os.write(output, data) :]
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        # Not sys.exit: the worker's open stores are none of the child's business.
        os._exit(code)
