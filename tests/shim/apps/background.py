"""Apps that do something besides answering: a byte goes to the file `beats` now and then."""

import asyncio
import threading
import time

import wsgi as plain
from asgi import application as answering


def beat():
    with open("beats", "a") as file:
        file.write(".")


def beat_on():
    while True:
        beat()
        time.sleep(0.01)


async def beat_on_loop():
    while True:
        beat()
        await asyncio.sleep(0.01)


tasks = []


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        tasks.append(asyncio.ensure_future(beat_on_loop()))
    await answering(scope, receive, send)


class Threaded:
    """The WSGI app; making it starts the thread."""

    def __init__(self):
        threading.Thread(target=beat_on, daemon=True).start()

    def __call__(self, environ, start_response):
        return plain.application(environ, start_response)


def wsgi_app():
    return Threaded()
