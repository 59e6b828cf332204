"""Whose server listens on a port of this machine."""

from __future__ import annotations

import os
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTEN = "0A"
_FIRST_REGULAR_UID = 1000
"""Below are root and the system's own users, such as the one that Ollama's service runs under."""


def is_trusted(port: int) -> bool:
    """Whether what listens there belongs to this user or to the system. Blocks on the disk.

    Where prompts go by themselves must not be up to another user, who may listen on a well-known port first. True
    where the system does not say (macOS).
    """
    owners = listeners(port)
    return all(uid == os.getuid() or uid < _FIRST_REGULAR_UID for uid in owners)


def listeners(port: int) -> set[int]:
    """The uids of the sockets that listen on a TCP port (Linux; empty elsewhere)."""
    found = set()
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            # Documentation/networking/proc_net_tcp.rst: sl, local address, remote address, state, …, uid at 7
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(int(fields[7]))
    return found
