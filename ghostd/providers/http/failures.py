"""Errors of the network and of TLS as ghostd's own; the parser's are translated in reply.py, where they arise."""

from __future__ import annotations

import errno
import socket
import ssl

from ghostd.errors import UpstreamError, UpstreamRejected, UpstreamTimeout, UpstreamUnreachable

_BY_ERRNO = {
    errno.ECONNREFUSED: "connection refused by",
    errno.ECONNRESET: "connection reset by",
    errno.ECONNABORTED: "connection reset by",
    errno.EPIPE: "connection closed by",
    errno.EHOSTUNREACH: "no route to",
    errno.ENETUNREACH: "no route to",
}
_NO_SUCH_HOST = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


def headed(error: UpstreamError, upstream: str) -> UpstreamError:
    """The same error, its message headed by the upstream's name if it was not yet.

    UpstreamRejected's is left as the upstream wrote it, since it goes to the caller.
    """
    if upstream and not error.upstream:
        if not isinstance(error, UpstreamRejected):
            error.args = (f"{upstream}: {error}",)
        error.upstream = upstream
    return error


def not_connected(error: BaseException, where: str, upstream: str) -> UpstreamError:
    """Why a connection to `where` (host:port) could not be made, or broke before its reply began."""
    if isinstance(error, UpstreamError):
        return error
    if isinstance(error, OSError) and error.errno == errno.ETIMEDOUT:
        return UpstreamTimeout(f"{where} does not answer", "connect", upstream)
    return UpstreamUnreachable(network_problem(error, where), upstream)


def network_problem(error: BaseException, where: str) -> str:
    """What happened, in words that name the server."""
    match error:
        case ssl.SSLCertVerificationError():
            problem = (
                f"certificate verify failed: {error.verify_message} ({where}); upstream.ca_file can name further "
                "authorities to trust"
            )
        case ssl.SSLError():
            problem = f"TLS with {where} failed: {error.reason or error.strerror or error}"
        case socket.gaierror(errno=number) if number in _NO_SUCH_HOST:
            problem = f"no such host: {where.rpartition(':')[0]}"
        case socket.gaierror():
            problem = f"cannot look up {where.rpartition(':')[0]}: {error.strerror}"
        case OSError(errno=number) if number in _BY_ERRNO:
            problem = f"{_BY_ERRNO[number]} {where}"
        case ConnectionError():
            problem = f"connection closed by {where}"
        case OSError():
            problem = f"cannot connect to {where}: {error.strerror or error}"
        case _:
            problem = f"cannot connect to {where}: {type(error).__name__}"
    return problem
