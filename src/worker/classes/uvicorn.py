"""uvicorn's class: the worker is a thin wrapper, so it is uvicorn's `Server` that is taught to drain."""

import signal

from _ostler import admission
from _ostler.drain import TURNS, Drain, pause_accepting
from _ostler.mixin import Mixin, counted_asgi

GUNICORN = "UvicornWorker"
SHOWN = "uvicorn_worker.UvicornWorker"
LOOK = 0.05
CLOSE = (b"connection", b"close")


class Uvicorn(Mixin):
    asynchronous = property(lambda self: self.config.interface != "wsgi")
    server = None  # uvicorn's, once it serves

    def init_signals(self):
        super().init_signals()
        # uvicorn raises its signal again when it is done, which would kill the process before `worker_exit`.
        self.go_at_once(signal.SIGTERM, signal.SIGINT)

    def _install_sigquit_handler(self):
        import asyncio

        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, self.quit)

    def quit(self):
        self.alive = False
        self.cfg.worker_int(self)
        if self.server is None or not self.server.started:
            raise SystemExit(0)
        # Its shutdown then waits for nobody.
        self.server.config.timeout_graceful_shutdown = 0.1
        self.server.should_exit = self.server.force_exit = True

    def count_requests(self):
        """uvicorn looks at what kind of app it has, so the app is wrapped later, in `startup`."""

    def run(self):
        self.context.stage = "boot"
        teach(self, admission.Gate(self))
        super().run()


def teach(worker, gate):
    import asyncio

    from uvicorn.server import Server

    startup, shutdown, handle_exit = Server.startup, Server.shutdown, Server.handle_exit

    async def startup_held(self, sockets=None):
        if self.config is worker.config:
            plain = self.config.loaded_app
            self.config.loaded_app = counted_asgi(plain, worker.context)
            admission.guard_listening(
                asyncio.get_running_loop(),
                gate,
                worker.sockets,
                worker.cfg.backlog,
                lambda: pass_gate(worker, gate, self, plain),
            )
            worker.server = self
        await startup(self, sockets=sockets)

    async def shutdown_drained(self, sockets=None):
        if self.config is worker.config:
            await drain(worker, self)
        await shutdown(self, sockets=sockets)
        if self.config is worker.config and self.force_exit:
            await self.lifespan.shutdown()  # uvicorn leaves it out then

    def handle_exit_seen(self, sig, frame):
        handle_exit(self, sig, frame)
        if self.config is worker.config:
            worker.context.slot.draining()
            gate.shut()

    Server.startup, Server.shutdown, Server.handle_exit = startup_held, shutdown_drained, handle_exit_seen


async def pass_gate(worker, gate, server, app):
    address = worker.sockets[0].getsockname() if worker.sockets else None
    address = tuple(address[:2]) if isinstance(address, tuple) else (address, None)
    state = getattr(server.lifespan, "state", None)
    await gate.pass_through(app, state, address, server.config.root_path, server.lifespan.shutdown)


async def drain(worker, server):
    import asyncio

    phase = Drain(worker)
    phase.end_with_grace()  # The lifespan's shutdown comes then.
    pause_accepting(asyncio.get_running_loop(), server.servers)
    for _ in range(TURNS):
        await asyncio.sleep(0)
    for listener in server.servers:
        listener.close()
    state = server.server_state
    # Only the main loop renews these headers, and it has ended.
    state.default_headers = list(state.default_headers) + [CLOSE]
    for connection in list(state.connections):
        cycle = getattr(connection, "cycle", None)
        if cycle is not None and not getattr(cycle, "response_started", True):
            cycle.default_headers = list(cycle.default_headers) + [CLOSE]
    while not server.force_exit and not phase.over(len(state.connections)):
        worker.notify()
        await asyncio.sleep(LOOK)
    own = getattr(server.config, "timeout_graceful_shutdown", None)
    server.config.timeout_graceful_shutdown = max(0.1, phase.left() if own is None else min(own, phase.left()))
