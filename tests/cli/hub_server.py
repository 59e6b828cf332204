"""The part of the Hugging Face Hub's HTTP API that a download needs, with faults on demand."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

REVISION = "c" * 40


class HubServer:
    """Serves `files` of one repository; `gets` notes the Range of each download, "" where there was none."""

    def __init__(self, repository: str, files: dict[str, bytes]) -> None:
        self.repository = repository
        self.files = files
        self.gets: list[tuple[str, str]] = []
        self.tokens: set[str] = set()
        self.url = ""
        self.cut_at: int | None = None
        """The next download breaks off after so many bytes."""
        self.hang_at: int | None = None
        """The next download stops there, with the connection open."""
        self.wrong: set[str] = set()
        """Files that arrive with another content than promised."""
        self.small: set[str] = set()
        """Files that are not in large file storage."""
        self.error: tuple[int, str] | None = None
        """Status and error code of every reply."""
        self.over = asyncio.Event()

    async def info(self, request: web.Request) -> web.Response:
        if self.error is not None:
            return web.json_response({"error": "no"}, status=self.error[0], headers={"X-Error-Code": self.error[1]})
        if request.match_info["repository"] != self.repository:
            return web.json_response({"error": "no"}, status=401, headers={"X-Error-Code": "RepoNotFound"})
        siblings = []
        for name, data in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            sibling: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": blob}
            if name not in self.small:
                sibling["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
            siblings.append(sibling)
        return web.json_response({"id": self.repository, "sha": REVISION, "siblings": siblings})

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        self.tokens.add(request.headers.get("Authorization", ""))
        data = self.files[name]
        etag = hashlib.sha256(data).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": request.match_info["revision"], "Accept-Ranges": "bytes"}
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(data))})
        wanted = request.headers.get("Range", "")
        self.gets.append((name, wanted))
        start = int(match[1]) if (match := re.fullmatch(r"bytes=(\d+)-", wanted)) else 0
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = data[start:] if name not in self.wrong else bytes(len(data) - start)
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        (cut, self.cut_at), (hang, self.hang_at) = (self.cut_at, None), (self.hang_at, None)
        await response.write(body[: cut or hang or len(body)])
        if cut is not None:
            assert request.transport is not None
            request.transport.close()
        elif hang is not None:
            await self.over.wait()
        return response


@asynccontextmanager
async def hub_server(repository: str, files: dict[str, bytes]) -> AsyncIterator[HubServer]:
    """The server on a free port while the block runs."""
    hub = HubServer(repository, files)
    app = web.Application()
    app.router.add_get("/api/models/{repository:.+}", hub.info)
    app.router.add_route("*", "/{repository:[^/]+/[^/]+}/resolve/{revision}/{file:.+}", hub.resolve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield hub
    finally:
        hub.over.set()
        await runner.cleanup()
