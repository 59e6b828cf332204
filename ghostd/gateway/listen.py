"""Listening sockets: TCP on loopback with a clear word about a taken port, and a Unix socket for this user only."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from ghostd.errors import ConfigError, InstanceError, PortTaken

_BACKLOG = 128
_ANOTHER = "Choose another with --port N or http.port in the configuration; 0 takes any free one."


async def bind_tcp(host: str, port: int) -> list[socket.socket]:
    """Bound sockets, all on one port; `host` "localhost" means IPv4 and, where there is any, IPv6.

    Raises PortTaken, or ConfigError when the address cannot be bound for another reason.
    """
    if host != "localhost":
        return [await _bind(host, port)]
    first = await _bind("127.0.0.1", port)
    with suppress(PortTaken, ConfigError):  # no IPv6, or another program has the port there
        return [first, await _bind("::1", first.getsockname()[1])]
    return [first]


async def bind_spare(port: int, setting: str) -> tuple[list[socket.socket], str]:
    """Bound loopback sockets of both families on a port that ghostd can do without; none, and the reason, where
    another program has it. A machine without IPv6 gets IPv4 alone."""
    bound: list[socket.socket] = []
    try:
        for host in ("127.0.0.1", "::1"):
            with suppress(ConfigError):  # no such address here
                bound.append(await _bind(host, port))
    except PortTaken as error:
        for listener in bound:
            listener.close()
        return [], f"{str(error).removesuffix(_ANOTHER).strip()} {setting} is not served."
    return bound, "" if bound else f"This machine has no loopback address to listen on; {setting} is not served."


async def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else TIME_WAIT blocks a restart
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind((host, port))
        # Listening now, not in create_server, because two sockets may be bound to one port but not listen on it.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            holder = await asyncio.to_thread(_holder, port)
            by = f" by {holder}" if holder else ""
            raise PortTaken(f"Port {port} on {host} is in use{by}. {_ANOTHER}") from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise PortTaken(f"Port {port} on {host} needs privileges. {_ANOTHER}") from None
        raise ConfigError(f"`http.host`: cannot listen on {host}: {error.strerror}") from None
    return listener


def _holder(port: int) -> str:
    """ "name (pid N)" of the program that listens on the port; "" where the system does not tell this user."""
    import psutil

    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and getattr(connection.laddr, "port", 0) == port
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""


@asynccontextmanager
async def unix_listener(path: Path) -> AsyncIterator[socket.socket]:
    """A listening Unix socket of mode 0600; its file is removed at the end.

    A file left by a killed daemon is replaced. Raises InstanceError when a living process listens there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    try:
        if await _answers(path):
            raise InstanceError(f"another process listens on {path}; stop it first (`ghostd stop`)")
        made = await asyncio.to_thread(_bind_unix, listener, path)
        try:
            yield listener
        finally:
            await asyncio.to_thread(_remove_own, path, made)
    finally:
        listener.close()


async def _answers(path: Path) -> bool:
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(probe, str(path))
    except OSError:
        return False
    else:
        return True
    finally:
        probe.close()


def _bind_unix(listener: socket.socket, path: Path) -> tuple[int, int]:
    """Bind and listen; the device and inode of the file made."""
    try:
        if path.is_socket():
            path.unlink()
        elif os.path.lexists(path):
            raise ConfigError(f"cannot listen on {path}: something that is no socket lies there; remove it")
        listener.bind(str(path))
        path.chmod(0o600)  # before listen(): until then nobody can connect
        listener.listen(_BACKLOG)
        made = path.stat()
    except OSError as error:
        raise ConfigError(f"cannot listen on {path}: {error.strerror or error}") from None
    return made.st_dev, made.st_ino


def _remove_own(path: Path, made: tuple[int, int]) -> None:
    with suppress(OSError):
        found = path.stat()
        if (found.st_dev, found.st_ino) == made:
            path.unlink()
