"""The floor: a reverse proxy of aiohttp's server and client on uvloop, as one would write it by hand.

It pools connections, forwards status, content type and body, relays streams read by read, and does nothing else.
Run: python bare_proxy.py PORT UPSTREAM_URL
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web


async def main(port: int, upstream: str) -> None:
    """Serve for ever."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def chat(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-bench"}
            async with session.post(f"{upstream}/chat/completions", data=body, headers=headers) as reply:
                kind = reply.headers.get("Content-Type", "application/octet-stream")
                if not kind.startswith("text/event-stream"):
                    return web.Response(status=reply.status, body=await reply.read(), headers={"Content-Type": kind})
                response = web.StreamResponse(status=reply.status, headers={"Content-Type": kind})
                await response.prepare(request)
                async for block in reply.content.iter_any():
                    await response.write(block)
                await response.write_eof()
                return response

        app = web.Application(client_max_size=32 << 20)
        app.router.add_post("/v1/chat/completions", chat)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
