"""The same as `wsgi.py` for ASGI."""

import asyncio
import os
import subprocess
import time

LARGE, PIECE = 40 * 1024 * 1024, 65536


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                open("shut_down", "w").close()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return None
    path = scope["path"]
    if path == "/slow":
        await asyncio.sleep(0.3)
    if path == "/hang":
        await asyncio.sleep(60)
    if path == "/raise":
        raise ZeroDivisionError("asked for")
    status = {"/bad": 500, "/moved": 302}.get(path, 200)
    headers = dict(scope["headers"])
    if path == "/secure" and (scope["scheme"], headers[b"host"], headers[b"x-forwarded-proto"]) != (
        "https",
        b"shop.example.com",
        b"https",
    ):
        status = 400
    body = b"%d %s %s" % (os.getpid(), scope["scheme"].encode(), headers.get(b"host", b""))
    if path == "/children":
        body = subprocess.run(["ls", "/proc/self/fd"], close_fds=False, stdout=subprocess.PIPE).stdout
    if path == "/block":
        while not os.path.exists("go_on"):
            time.sleep(0.01)
    if path == "/upload":
        body = b"%d" % await uploaded(receive)
    if path == "/large":
        body = b"x" * LARGE
    if path in ("/stream", "/endless"):
        return await stream(send, endless=path == "/endless")
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def uploaded(receive):
    total, more = 0, True
    while more:
        message = await receive()
        total, more = total + len(message.get("body", b"")), message.get("more_body", False)
    return total


async def stream(send, endless):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for _ in range(LARGE // PIECE):
        await send({"type": "http.response.body", "body": b"x" * PIECE, "more_body": True})
    while endless:
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.sleep(0.05)
    await send({"type": "http.response.body", "body": b""})


async def no_lifespan(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError("only http")
    await application(scope, receive, send)


async def failing_lifespan(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database today"})
