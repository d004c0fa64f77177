"""The first phase of a drain: how long to go on answering before the class's own shutdown begins."""

from time import monotonic_ns

# What an idle connection gets once nobody is expected to send any more; what a client has sent by then is on its way.
STOP_LINGER = 2_000_000_000


class Drain:
    """Begins where the worker has stopped accepting; its caller asks now and then whether it is over."""

    def __init__(self, worker):
        self.slot = worker.shift.slot
        self.linger = int(worker.cfg.keepalive * 1e9)
        self.graceful = int(worker.cfg.graceful_timeout * 1e9)
        self.began = self.mark = monotonic_ns()
        self.latest = self.began + self.graceful + self.linger
        self.hurried = False
        self.empty = 0
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
            return self.empty > 1
        self.empty = 0
        if under_way or self.slot.busy(before=self.began):
            self.mark = now
        if now >= self.latest:
            return True
        return now - self.mark >= self.linger


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
