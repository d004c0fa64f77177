"""gunicorn's own ASGI class."""

import signal

from _ostler import hold
from _ostler.drain import Drain
from _ostler.shift import Shifted, counted_asgi

LOOK = 0.05


class Asgi(Shifted):
    drain = None

    def load_wsgi(self):
        self.gate = hold.Gate(self)
        super().load_wsgi()

    def count_requests(self):
        self.plain = self.asgi
        self.asgi = counted_asgi(self.asgi, self.shift)

    def init_signals(self):
        super().init_signals()
        # A loop that does not run yet forgets its signals (uvloop) or keeps them for later.
        self.go_at_once(signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)

    def take_signals(self):
        self.loop.add_signal_handler(signal.SIGTERM, self.handle_exit_signal)
        for number in (signal.SIGQUIT, signal.SIGINT):
            self.loop.add_signal_handler(number, self.handle_quit_signal)

    def run(self):
        self.shift.stage = "boot"
        self.loop.call_soon(self.take_signals)
        hold.guard_listening(self.loop, self.gate, self.sockets, self.cfg.backlog, self.pass_gate)
        super().run()

    async def pass_gate(self):
        server = self.sockets[0].getsockname() if self.sockets else None
        server = tuple(server[:2]) if isinstance(server, tuple) else (server, None)
        root_path = getattr(self.cfg, "root_path", "") or ""
        await self.gate.pass_through(self.plain, self.state, server, root_path, self.stop_lifespan)

    async def stop_lifespan(self):
        if self.lifespan is not None:
            try:
                await self.lifespan.shutdown()
            except Exception as error:
                self.log.error("ASGI lifespan shutdown error: %s", error)

    def handle_usr1_signal(self):
        self.reopen_output()
        super().handle_usr1_signal()

    def handle_quit_signal(self):
        self.gate.shut()
        super().handle_quit_signal()

    def handle_exit_signal(self):
        self.gate.shut()
        self.shift.slot.draining()
        if not self.shift.heartbeat.ready:
            super().handle_exit_signal()
        elif self.drain is None:
            for server in self.servers:
                server.close()
            self.drain = Drain(self)
            announce_close()
            self.look()

    def look(self):
        """gunicorn's own shutdown waits for every connection, also for those that are idle."""
        if self.drain.over(self.nr_conns):
            if not self.shift.slot.busy() and not self.shift.websockets:
                self.nr_conns = 0
            super().handle_exit_signal()
        elif self.alive:
            self.loop.call_later(LOOK, self.look)


def announce_close():
    """Every answer from now on says that the connection closes, also those under way."""
    from gunicorn.asgi.protocol import ASGIProtocol

    if hasattr(ASGIProtocol, "_will_close"):
        ASGIProtocol._will_close = lambda self, request, required: True
