"""Greenlets. Its own drain answers what it has and waits for idle connections, also where the app stops; and the
listener's name gets lost."""

from _ostler import http2, probe
from _ostler.drain import Drain
from _ostler.mixin import Wsgi

GUNICORN = "GeventWorker"
NEVER = "GeventPyWSGIWorker"  # its keep-alive connections never end by themselves, so it cannot be drained


class Gevent(Wsgi):
    multithread = True
    bell = drain = None

    @staticmethod
    def before_import():
        from gevent import monkey

        monkey.patch_all()  # as the worker does before its own import

    def run(self):
        self.bell = http2.Bell()
        http2.teach(self.bell)
        keep_handlers()
        self.named = {id(listener): Named(listener.getsockname()) for listener in self.sockets}
        super().run()

    def notify(self):
        super().notify()
        if self.alive:
            return
        if self.drain is None:
            self.drain = Drain(self)
        # How many connections there are only its servers know; without any it ends by itself.
        if self.drain.over(True, self.context.slot.busy()) and self.drain.hurried:
            raise SystemExit(0)

    def handle_exit(self, sig, frame):
        super().handle_exit(sig, frame)
        if self.bell is not None:
            self.bell.ring()

    def handle(self, listener, client, addr):
        super().handle(self.named.get(id(listener), listener), client, addr)

    def bounded(self, seconds, call):
        import gevent

        with gevent.Timeout(max(seconds, 0.001), probe.TimedOut):
            call()


def keep_handlers():
    """gevent's server forgets its handler when it is closed, also for those whose TLS handshake goes on."""
    from gunicorn.workers import ggevent

    class Server(ggevent.StreamServer):
        def set_handle(self, handle):
            super().set_handle(handle)
            self.ostler_handle = self.handle

        def __getattr__(self, name):
            if name == "handle" and "ostler_handle" in self.__dict__:
                return self.ostler_handle
            raise AttributeError(name)

    ggevent.StreamServer = Server


class Named:
    """A listener's name, to be asked for after the listener was closed."""

    def __init__(self, name):
        self.name = name

    def getsockname(self):
        return self.name
