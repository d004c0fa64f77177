"""Between loaded and serving: the probe, then the wait for ostlerd's word."""

import os
import select
import sys

from _ostler import listen, probe


def leave(worker):
    """Ends the worker quietly: it was told to go before it served."""
    worker.alive = False
    raise SystemExit(0)


def admit(worker):
    """For the classes that have no loop of their own yet; other threads of the app go on meanwhile."""
    prove(worker)
    listen.begin(worker)


def prove(worker):
    context, order, answer = worker.context, worker.context.orders.get("probe"), None
    if order and worker.alive:
        if worker.probe_target() is not None:
            answer = probe.run_wsgi(worker, order)
            answer.admit(worker.log)
        elif order.get("asked", True):
            worker.log.warning("This app is no WSGI callable: it is not probed.")
    if not worker.alive:
        leave(worker)
    context.prove(answer)
    if not context.orders.get("hold"):
        return
    context.announce()
    while True:
        # gunicorn's own pipe gets a byte from every signal.
        ready = select.select([context.control.fd, worker.PIPE[0]], [], [])[0]
        if worker.PIPE[0] in ready:
            os.read(worker.PIPE[0], 512)
        if not worker.alive:
            leave(worker)
        if context.control.fd in ready:
            answer = context.control.admitted()
            if answer:
                return
            if answer is False:
                leave(worker)


class Gate:
    """The same for a worker with a loop: its loop goes on while it is held."""

    def __init__(self, worker):
        self.worker = worker
        self.passed = False
        self.leaving = False
        self.wake = None

    def shut(self):
        """Called from signal handlers: lets the wait below see that the worker is to leave."""
        self.leaving = True
        if self.wake is not None:
            self.wake()

    async def pass_through(self, app, state, server, root_path, stop):
        """Probe and hold; `stop` is awaited where the worker has to go instead."""
        context, self.passed = self.worker.context, True
        try:
            answer = None
            if context.orders.get("probe"):
                answer, context.background = await probe.run_asgi(
                    app, state, context.orders["probe"], server, root_path
                )
                answer.admit(self.worker.log)
            if not self.leaving:
                context.prove(answer)
            if context.orders.get("hold") and not self.leaving:
                context.announce()
                await self.word()
            if self.leaving:
                leave(self.worker)
            listen.begin(self.worker)
        except BaseException:
            await stop()
            raise

    async def word(self):
        import asyncio

        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        self.wake = lambda: loop.call_soon_threadsafe(changed.set)
        fd = self.worker.context.control.fd
        loop.add_reader(fd, changed.set)
        try:
            while not self.leaving:
                await changed.wait()
                changed.clear()
                if self.leaving:
                    return
                readable = select.select([fd], [], [], 0)[0]
                answer = self.worker.context.control.admitted() if readable else None
                if answer:
                    return
                if answer is False:
                    self.leaving = True
        finally:
            loop.remove_reader(fd)
            self.wake = None


def guard_listening(loop, gate, listeners, backlog, call):
    """Puts the gate before the loop's first server on one of ostlerd's listeners: after the lifespan, before
    the first client. The app's own servers pass."""
    create = loop.create_server
    owned = {listener.fileno() for listener in listeners}

    async def create_server(*args, **kwargs):
        sock = kwargs.get("sock")
        if sock is None or sock.fileno() not in owned:
            return await create(*args, **kwargs)
        if not gate.passed:
            await call()
        # uvloop listens anew by itself, which sets the backlog for every worker.
        kwargs["backlog"] = backlog_of(sock) or backlog
        return await create(*args, **kwargs)

    loop.create_server = create_server


def backlog_of(listener):
    """What a TCP listener was set up with, from `struct tcp_info`; None where the kernel does not say."""
    import socket

    try:
        info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    except OSError:
        return None
    return int.from_bytes(info[28:32], sys.byteorder) or None
