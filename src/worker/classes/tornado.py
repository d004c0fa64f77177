"""The tornado class: WSGI on a loop, or a tornado application of its own."""

from _ostler.drain import Drain
from _ostler.mixin import Wsgi

GUNICORN = "TornadoWorker"
LOOK = 0.05


class Tornado(Wsgi):
    asked = False
    drain = None
    plain = None  # the app as WSGI, uncounted; None where it is tornado's own kind

    def run(self):
        from tornado.ioloop import IOLoop

        # Its own first heartbeat comes a second after it serves.
        IOLoop.current().add_callback(self.notify)
        note_requests()
        super().run()

    def handle_exit(self, sig, frame):
        self.asked = True  # the watchdog looks at it: gunicorn's `run` forgets a signal that came before it
        if not self.context.heartbeat.ready:
            return super().handle_exit(sig, frame)
        self.context.slot.draining()
        self.ioloop.asyncio_loop.call_soon_threadsafe(self.leave)

    def watchdog(self):
        if self.asked:
            self.leave()
        super().watchdog()

    def leave(self):
        if self.drain is None:
            self.server.stop()
            self.server.conn_params.no_keep_alive = True
            self.drain = Drain(self)
            self.look()

    def look(self):
        connections, busy = self.server._connections, self.context.slot.busy()
        # A WebSocket is no connection of the server's any more. The loop's end would cut off whatever is under way.
        under_way = busy or any(map(under_way_on, connections))
        if not self.drain.over(len(connections) or busy, under_way):
            self.ioloop.call_later(LOOK, self.look)
            return
        self.alive = False
        self.server_alive = False
        self.heartbeat()  # ends the loop

    def probe_target(self):
        return self.plain

    def count_requests(self):
        from tornado.web import Application
        from tornado.wsgi import WSGIContainer

        start, finish = self.context.slot.start, self.context.slot.finish
        if isinstance(self.wsgi, WSGIContainer):
            self.plain = self.wsgi.wsgi_application
            self.wsgi.wsgi_application = counted_wsgi(self.plain, start, finish)
        elif isinstance(self.wsgi, Application):
            count_handlers(start, finish)
        else:
            self.plain = self.wsgi
            self.wsgi = counted_wsgi(self.plain, start, finish)


def note_requests():
    """Has a connection know the request that it is at: for tornado the handler's end is not yet the answer's end."""
    from tornado.httpserver import HTTPServer

    start_request = HTTPServer.start_request

    def noting(self, server_conn, request_conn):
        server_conn.ostler_request = request_conn
        return start_request(self, server_conn, request_conn)

    HTTPServer.start_request = noting


def under_way_on(connection):
    """Whether a request's head has come whose answer has not left to its last byte."""
    request = getattr(connection, "ostler_request", None)
    return request is not None and request._request_start_line is not None and not request._finish_future.done()


def counted_wsgi(app, start, finish):
    def counted(environ, start_response):
        entry = start()
        try:
            return Counted(app(environ, start_response), entry, finish)
        except BaseException:
            finish(entry)
            raise

    return counted


class Counted:
    """The app's answer; the request is over when the server closes it."""

    def __init__(self, answer, entry, finish):
        self.answer = answer
        self.entry = entry
        self.finish = finish

    def __iter__(self):
        return iter(self.answer)

    def close(self):
        entry, self.entry = self.entry, None
        if entry is not None:
            self.finish(entry)
        if hasattr(self.answer, "close"):
            self.answer.close()


def count_handlers(start, finish):
    from tornado.web import RequestHandler

    execute = RequestHandler._execute

    async def counted(self, *args, **kwargs):
        entry = start()
        try:
            return await execute(self, *args, **kwargs)
        finally:
            finish(entry)

    RequestHandler._execute = counted
