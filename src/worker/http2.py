"""HTTP/2 in gunicorn 27: a drain tells each client to open no more streams, answers those that come all the same, and
ends a connection when the client has heard of it and nothing is under way. gunicorn's own end loses a request."""

import os

MARK = b"ostlerd."  # of the ping whose answer says that the client has read what was sent before it
LAST = 2**31 - 1  # a GOAWAY with it leaves no stream out
LINGER = 1.0


class Bell:
    """Wakes every thread, or greenlet, that waits for its client's next request."""

    rung = False

    def __init__(self):
        self.waits, self.rings = os.pipe()

    def ring(self):
        if not self.rung:
            self.rung = True
            os.close(self.rings)


def teach(bell):
    """For the classes that serve a connection in a thread or greenlet of its own, one stream after the other."""
    try:
        from gunicorn.http2.connection import HTTP2ServerConnection as Connection
    except ImportError:
        return
    if not knows(Connection, "receive_data", "_read_and_process", "_handle_event", "close"):
        return
    receive, read, close = Connection.receive_data, Connection._read_and_process, Connection.close

    def receive_data(self, data=None):
        # A worker that stops asks so for what is left, and closes then.
        return until_closed(self) if data == b"" else receive(self, data)

    def until_closed(self):
        while not self.is_closed:
            yield from receive(self)

    def read_and_process(self, data, waiting_stream_id=None):
        idle = data is None and waiting_stream_id is None and not self._deferred_events
        if idle and not told(self):
            if not bell.rung and not wait(self, bell):
                if not self.streams:
                    self.close()
                return []
            if bell.rung:
                tell(self)
                return []
        requests = read(self, data, waiting_stream_id)
        left = requests or self.streams or self.pending_requests or self._deferred_events
        if told(self) and self.draining and not left:
            self.close()
        return requests

    def close_told(self, error_code=0, last_stream_id=None):
        was_closed = self.is_closed
        close(self, error_code, last_of(self, last_stream_id))
        if told(self) and not was_closed:
            linger(self.sock)

    Connection.receive_data, Connection._read_and_process, Connection.close = receive_data, read_and_process, close_told
    hear_answers(Connection)


def wait(connection, bell):
    """Whether there is something to read, or the bell has rung, before the connection has been idle for too long."""
    import select  # gevent's, where it has patched it

    if getattr(connection.sock, "pending", int)():
        return True
    waiting = select.poll()
    try:
        waiting.register(connection.sock, select.POLLIN)
        waiting.register(bell.waits, select.POLLIN)
        return bool(waiting.poll(connection.idle_timeout and connection.idle_timeout * 1000))
    except (OSError, ValueError):
        return True  # it is closed, which reading says better


def tell(connection):
    from gunicorn.http2.errors import HTTP2ConnectionError

    connection._send_pending_data()
    try:
        connection.sock.sendall(goaway())
    except OSError as error:
        connection._closed = True
        raise HTTP2ConnectionError("Socket write error: %s" % error) from None
    ask_back(connection)
    connection._send_pending_data()


def linger(sock):
    """Until the client closes too: what it still sends must not reset the connection before it has read all."""
    from time import monotonic

    end = monotonic() + LINGER
    try:
        while monotonic() < end:
            sock.settimeout(max(0.01, end - monotonic()))
            if not sock.recv(65536):
                return
    except OSError:
        pass


def teach_asgi(is_draining):
    """The same for class asgi, whose receive loop comes around once a second at least."""
    try:
        from gunicorn.http2.async_connection import AsyncHTTP2Connection as Connection
    except ImportError:
        return
    if not knows(Connection, "receive_data", "_write_pending", "_handle_event", "close"):
        return
    receive, close = Connection.receive_data, Connection.close

    async def receive_data(self, timeout=None):
        if is_draining() and not told(self):
            await self._write_pending()
            self.writer.write(goaway())
            ask_back(self)
            await self._write_pending()
        return await receive(self, timeout=timeout)

    async def close_told(self, error_code=0, last_stream_id=None):
        await close(self, error_code, last_of(self, last_stream_id))

    Connection.receive_data, Connection.close = receive_data, close_told
    hear_answers(Connection)


def knows(cls, *names):
    return all(hasattr(cls, name) for name in names)


def told(connection):
    return getattr(connection, "ostler_told", False)


def last_of(connection, last_stream_id):
    if last_stream_id is None and told(connection):
        return connection.h2_conn.highest_inbound_stream_id
    return last_stream_id


def goaway():
    # Not by h2, which would take the connection for closed.
    from hyperframe.frame import GoAwayFrame

    return GoAwayFrame(0, last_stream_id=LAST, error_code=0).serialize()


def ask_back(connection):
    connection.ostler_told = True
    connection.h2_conn.ping(MARK)


def hear_answers(cls):
    handle = cls._handle_event

    def handle_event(self, event):
        if type(event).__name__ == "PingAckReceived" and event.ping_data == MARK:
            # For gunicorn: there will be no more streams, and the connection ends with the last one.
            self.draining, self.peer_last_stream_id = True, LAST
        return handle(self, event)

    cls._handle_event = handle_event
