"""Who is at the other end of a Unix socket."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Protocol

_LOCAL_PEERCRED = 0x001
"""macOS and the BSDs, `<sys/un.h>`; Python's socket module does not name it."""


class Connection(Protocol):
    """The part of a socket that is needed; asyncio's and uvloop's transports offer one as extra info "socket"."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """`size` bytes of the option's value."""
        ...


def peer_uid(connection: Connection) -> int:
    """The uid under which the peer's process connected; raises OSError if the system does not say."""
    if sys.platform == "linux":
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        _pid, uid, _gid = struct.unpack("iII", credentials)  # struct ucred, <sys/socket.h>
    else:
        credentials = connection.getsockopt(0, _LOCAL_PEERCRED, 76)
        _version, uid = struct.unpack_from("II", credentials)  # struct xucred, <sys/ucred.h>
    return int(uid)
