"""How a process that was parsing a file ended, in words."""

from __future__ import annotations

import signal


def signal_name(code: int) -> str:
    """The signal behind a negative return code; else the status."""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"status {code}"


def parser_death(code: int, timeout_ms: int, memory_mb: int) -> str:
    """Why a file is left out whose parsing ended its process with this return code."""
    if -code == signal.SIGPROF:
        return f"parsing took longer than index.parse_timeout_ms ({timeout_ms} ms of CPU time)"
    # A failed allocation ends in SIGABRT (tree-sitter's own) or SIGSEGV (some grammars' scanners).
    limit = f"index.parse_memory_mb ({memory_mb})"
    return f"the parser crashed ({signal_name(code)}); perhaps it needed more memory than {limit}"
