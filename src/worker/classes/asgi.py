"""gunicorn's own ASGI class."""

import signal
import weakref

from _ostler import admission, http2
from _ostler.drain import TURNS, Drain, pause_accepting
from _ostler.mixin import Mixin, counted_asgi

GUNICORN = "ASGIWorker"
LOOK = 0.05


class Asgi(Mixin):
    drain = None

    def load_wsgi(self):
        self.gate = admission.Gate(self)
        super().load_wsgi()

    def count_requests(self):
        self.plain = self.asgi
        self.asgi = counted_asgi(self.asgi, self.context)
        self.protocols = weakref.WeakSet()
        know_connections(self.protocols)
        keep_promises()
        http2.teach_asgi(lambda: self.drain is not None)

    def init_signals(self):
        super().init_signals()
        # A loop that does not run yet forgets its signals (uvloop) or keeps them for later.
        self.go_at_once(signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)

    def take_signals(self):
        self.loop.add_signal_handler(signal.SIGTERM, self.handle_exit_signal)
        for number in (signal.SIGQUIT, signal.SIGINT):
            self.loop.add_signal_handler(number, self.handle_quit_signal)

    def run(self):
        self.context.stage = "boot"
        self.loop.call_soon(self.take_signals)
        admission.guard_listening(self.loop, self.gate, self.sockets, self.cfg.backlog, self.pass_gate)
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

    async def _shutdown(self):
        await super()._shutdown()
        if self._quick_shutdown:
            await self.stop_lifespan()  # gunicorn leaves it out then

    def handle_usr1_signal(self):
        self.reopen_output()
        super().handle_usr1_signal()

    def handle_quit_signal(self):
        self.gate.shut()
        super().handle_quit_signal()

    def handle_exit_signal(self):
        self.gate.shut()
        self.context.slot.draining()
        if not self.context.heartbeat.ready:
            super().handle_exit_signal()
        elif self.drain is None:
            self.drain = Drain(self)
            self.drain.end_with_grace()  # The lifespan's shutdown comes then.
            pause_accepting(self.loop, self.servers)
            self.leave(TURNS)

    def leave(self, turns):
        if turns:
            self.loop.call_soon(self.leave, turns - 1)
            return
        for server in self.servers:
            server.close()
        self.look()

    def look(self):
        """gunicorn's own shutdown waits for every connection, also for those that are idle."""
        if self.drain.over(self.nr_conns):
            writing = any(map(is_writing, list(self.protocols)))
            if not writing and not self.context.slot.busy() and not self.context.websockets:
                self.nr_conns = 0
            self.cfg.settings["graceful_timeout"].value = self.drain.left()
            super().handle_exit_signal()
        elif self.alive:
            self.loop.call_later(LOOK, self.look)


def is_writing(protocol):
    """Whether something of an answer has not left yet, also where the app has finished it."""
    return bool(protocol.transport is not None and protocol.transport.get_write_buffer_size())


def know_connections(protocols):
    from gunicorn.asgi.protocol import ASGIProtocol

    made = ASGIProtocol.connection_made

    def connection_made(self, transport):
        protocols.add(self)
        made(self, transport)

    ASGIProtocol.connection_made = connection_made


def keep_promises():
    """A worker that drains says in every answer that the connection closes; one whose head said otherwise keeps it."""
    from gunicorn.asgi.protocol import ASGIProtocol

    will_close = getattr(ASGIProtocol, "_will_close", None)

    def closes(self, request, required):
        if will_close(self, request, required):
            return True
        if self.worker.drain is not None and getattr(self, "ostler_promised", None) is not request:
            return True
        self.ostler_promised = request
        return False

    if will_close is not None:
        ASGIProtocol._will_close = closes
