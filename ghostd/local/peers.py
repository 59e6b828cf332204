"""Who is at the other end of a Unix socket."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Protocol

_LOCAL_PEERCRED = 1
"""macOS and the BSDs: `getsockopt` name at level SOL_LOCAL (0), which Python does not export."""


class ConnectedSocket(Protocol):
    """A socket, or what an asyncio transport offers in its place."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """As `socket.socket.getsockopt`."""
        ...


def peer_uid(sock: ConnectedSocket) -> int:
    """The user id of the process that connected; raises OSError if the kernel cannot say."""
    if sys.platform == "linux":
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _pid, uid, _gid = struct.unpack("3i", credentials)
    else:
        # struct xucred: version, uid, number of groups, groups.
        credentials = sock.getsockopt(0, _LOCAL_PEERCRED, struct.calcsize("2I") + 68)
        _version, uid = struct.unpack_from("2I", credentials)
    return int(uid)
