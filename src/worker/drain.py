"""The first phase of a drain: how long to go on answering before the class's own shutdown begins."""

from time import monotonic_ns

# What an idle connection gets once nobody is expected to send any more; what a client has sent by then is on its way.
STOP_LINGER = 2_000_000_000

# Of the loop, until a connection that was accepted is counted: its task, its protocol, its reader; and one to spare.
TURNS = 4


class Drain:
    """Begins where the worker has stopped accepting; its caller asks now and then whether it is over."""

    def __init__(self, worker):
        self.slot = worker.context.slot
        self.linger = int(worker.cfg.keepalive * 1e9)
        self.graceful = int(worker.cfg.graceful_timeout * 1e9)
        # A connection whose TLS handshake goes on may be counted by nobody.
        self.quiet = int(1e9) if worker.cfg.is_ssl else 0
        self.began = self.mark = monotonic_ns()
        self.latest = self.began + self.graceful + self.linger
        self.hurried = False
        self.empty = self.since = 0
        self.slot.draining()

    def over(self, connections, under_way=False):
        """Whether no connection has been left for two looks, or none of them can expect more time.

        A request that began before the drain may have promised keep-alive, so the wait for idle connections
        counts from the end of the last of those. `under_way` says that something is that the class's own shutdown
        would not wait for.
        """
        now = monotonic_ns()
        if not self.hurried and self.slot.hurried():
            # The app stops: an edge that was asked to drain sends nothing more on the connections that it keeps.
            self.hurried = True
            self.linger = min(self.linger, STOP_LINGER)
            self.latest = min(self.latest, now + self.graceful + self.linger)
        if not connections:
            # A connection may have been accepted and not be counted yet.
            self.empty += 1
            self.since = self.since if self.empty > 1 else now
            return self.empty > 1 and now - self.since >= self.quiet
        self.empty = 0
        if under_way or self.slot.busy(before=self.began):
            self.mark = now
        if now >= self.latest:
            return True
        return now - self.mark >= self.linger

    def end_with_grace(self):
        """For a class that has something to do behind the drain: what is under way is cut off in time for that."""
        self.latest = self.began + self.graceful

    def left(self):
        """How many seconds what is under way still has."""
        return max(0.0, (self.latest - monotonic_ns()) / 1e9)


def pause_accepting(loop, servers):
    """asyncio gives a connection that it has accepted its transport a turn later, and drops it where its server has
    been closed by then: first it must accept no more, and be closed TURNS later. uvloop does both at once."""
    for server in servers:
        for listener in getattr(server, "sockets", None) or ():
            try:
                loop.remove_reader(listener.fileno())
            except (OSError, ValueError, RuntimeError, NotImplementedError):
                pass


def say_close():
    """From now on every WSGI answer whose head is not sent yet says that its connection closes.

    gunicorn decides that before it calls the app. An answer whose head is out keeps its promise.
    """
    from gunicorn.http.wsgi import Response

    default_headers = Response.default_headers

    def closing_headers(self):
        self.force_close()
        return default_headers(self)

    Response.default_headers = closing_headers
