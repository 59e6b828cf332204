"""The first look at every request: may this client speak to ghostd at all, and is the body of a kind we read?

A web page that the user visits can make the browser send requests to a loopback port, and DNS rebinding can make
them look same-origin. Both betray themselves by their Host or Origin header, which a page cannot set.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from multidict import istr

from ghostd.errors import BodyTooLarge
from ghostd.gateway.errors import HttpError, printable
from ghostd.gateway.request import Request

MAX_FIELD_BYTES = 1024 * 1024
"""Of a part of a form that is no file."""
_SHOWN = 100
_HOST = istr("Host")
_ORIGIN = istr("Origin")
_FETCH_SITE = istr("Sec-Fetch-Site")
_CONTENT_ENCODING = istr("Content-Encoding")
_CONTENT_TYPE = istr("Content-Type")
_CONTENT_LENGTH = istr("Content-Length")
_TRANSFER_ENCODING = istr("Transfer-Encoding")
_NO_LIMITS: Mapping[str, int] = {}
_FORM = "application/x-www-form-urlencoded"
_FROM_PAGES = frozenset(("origin", "referer"))


class Guard:
    """The rules of one listening address.

    `hosts` are the accepted Host values; None does not check Host (Unix sockets, whose peer is known). `multipart`
    are the paths that take multipart/form-data beside JSON; `limits` are those whose bodies have limits of their own.
    """

    def __init__(
        self,
        hosts: Iterable[str] | None,
        origins: Iterable[str],
        max_body_bytes: int,
        multipart: Collection[str] = (),
        limits: Mapping[str, int] = _NO_LIMITS,
    ) -> None:
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower() for origin in origins)
        self._max_body_bytes = max_body_bytes
        self._multipart = multipart
        self._limits = limits

    def admit(self, request: Request, target: str) -> str:
        """The path of the request target, its dot segments removed; raises HttpError or BodyTooLarge.

        `target` is the request line's, as sent.
        """
        headers = request.headers
        self._check_host(headers.get(_HOST))
        if _ORIGIN in headers:
            for origin in headers.getall(_ORIGIN):
                if origin.lower() not in self._origins:
                    raise HttpError(403, "origin_not_allowed", f"Requests from {_shown(origin)} are not allowed.")
        if _CONTENT_ENCODING in headers:
            for encoding in headers.getall(_CONTENT_ENCODING):
                if encoding.strip().lower() not in ("", "identity"):
                    raise HttpError(
                        415, "unsupported_content_encoding", f"Compressed bodies ({_shown(encoding)}) are not accepted."
                    )
        if not target.startswith("/"):
            target = self._origin_form(target)
        path, _, _query = target.partition("?")
        if "/." in path:
            path = collapse(path)
        if request.method == "POST":
            self._check_body_headers(request, path)
        return path

    def _check_host(self, host: str | None) -> None:
        if self._hosts is None:
            return
        if host is None or (host not in self._hosts and host.lower() not in self._hosts):
            sent = "none" if host is None else _shown(host)
            raise HttpError(
                421,
                "host_not_allowed",
                f"The Host header ({sent}) does not name this server. Call it by "
                f"{', '.join(sorted(self._hosts))}; http.allowed_hosts adds further names.",
            )

    def _origin_form(self, target: str) -> str:
        """The path of an absolute request target, whose authority replaces Host (RFC 9112, 3.2.2)."""
        scheme, separator, rest = target.partition("://")
        if not separator or scheme.lower() != "http":
            raise HttpError(400, "invalid_target", "The request target must be a path.")
        authority, slash, path = rest.partition("/")
        self._check_host(authority)
        return slash + path if slash else "/"

    def _check_body_headers(self, request: Request, path: str) -> None:
        headers = request.headers
        sent_type = headers.get(_CONTENT_TYPE)
        if sent_type is None and _TRANSFER_ENCODING not in headers and not headers.get(_CONTENT_LENGTH, "").strip("0"):
            return  # no body: some SDKs cancel things so; what browsers send from elsewhere has an Origin
        if sent_type is not None and self._takes_form(path, sent_type) and _is_foreign(request):
            raise HttpError(403, "origin_not_allowed", "Forms that a page of another site sends are not allowed.")
        if not (
            (sent_type is not None and (_is_json(sent_type) or self._takes_form(path, sent_type)))
            or _is_untyped(request, path, sent_type)
        ):
            sent = "none" if sent_type is None else _shown(sent_type)
            raise HttpError(
                415, "unsupported_media_type", f"The Content-Type must be application/json in UTF-8, not {sent}."
            )
        length = headers.get(_CONTENT_LENGTH)
        if length is not None:
            length = length.lstrip("0") or "0"  # int() refuses thousands of them, HTTP does not
            own = covering(self._limits, path)
            limit = self._max_body_bytes if own is None else self._limits[own]
            if int(length) > limit:
                # Files have their limit, and the parts of one, which come below a path, theirs.
                file = "files.max_part_bytes" if own is not None and own.endswith("/") else "files.max_bytes"
                raise too_large(length, limit, "http.max_body_bytes" if own is None else file)

    def _takes_form(self, path: str, sent_type: str) -> bool:
        if sent_type == "application/json":
            return False
        is_form = sent_type.partition(";")[0].strip().lower() == "multipart/form-data"
        return is_form and covering(self._multipart, path) is not None


def covering(paths: Collection[str], path: str) -> str | None:
    """Which of `paths` stands for `path`: the same one, or one that ends with "/" and that it lies below."""
    if path in paths:
        return path
    for own in paths:
        if path.startswith(own) and own.endswith("/"):
            return own
    return None


def too_large(size: str, limit: int, setting: str = "http.max_body_bytes") -> BodyTooLarge:
    """The error for a body of `size` bytes (in words)."""
    return BodyTooLarge(f"The request body has {size} bytes; the limit is {limit} bytes ({setting}).")


def own_hosts(addresses: Iterable[str], port: int, allowed: Iterable[str]) -> list[str]:
    """The Host values of a server on these addresses: each with the port, which may be left out if it is 80."""
    names = [f"[{address}]" if ":" in address else address for address in addresses]
    hosts = [f"{name}:{port}" for name in names]
    return hosts + (names if port == 80 else []) + list(allowed)


def own_origins(hosts: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """The Origin values of pages that such a server serves itself."""
    return [f"http://{host}" for host in hosts] + [f"https://{host}" for host in allowed]


def collapse(path: str) -> str:
    """`path` without "." and ".." segments (RFC 3986, 5.2.4); never climbs above the root."""
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


def _is_untyped(request: Request, path: str, sent_type: str | None) -> bool:
    """Whether a body on Ollama's paths may be JSON although nothing says so: no type at all, as some libraries send, or
    that of a form, which is what `curl -d` says of the examples in Ollama's documentation.

    A POST that a web page sends to another site carries an Origin, in any browser of the last years a Sec-Fetch-Site
    too, and mostly a Referer: with one of them it is refused as ever.
    """
    if not path.startswith("/api/") or (sent_type or _FORM).partition(";")[0].strip().lower() != _FORM:
        return False
    return not any(name.lower() in _FROM_PAGES or name.lower().startswith("sec-fetch-") for name in request.headers)


def _is_foreign(request: Request) -> bool:
    """Whether a browser says that a page of another site has sent this, and does not say which."""
    headers = request.headers
    return _ORIGIN not in headers and headers.get(_FETCH_SITE, "none").lower() not in ("none", "same-origin")


def _is_json(content_type: str) -> bool:
    if content_type == "application/json":
        return True
    media, _, parameters = content_type.lower().partition(";")
    if media.strip() != "application/json":
        return False
    for parameter in filter(str.strip, parameters.split(";")):
        name, _, value = parameter.partition("=")
        if name.strip() != "charset" or value.strip().strip('"') not in ("utf-8", "utf8", "us-ascii"):
            return False
    return True


def _shown(value: str) -> str:
    return repr(printable(value, _SHOWN))
