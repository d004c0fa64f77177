"""The threaded class: its main loop is gunicorn's, so the drain happens at the loop's heartbeat."""

import os
import selectors
import signal
import sys
import traceback

from _ostler import http2, probe
from _ostler.drain import Drain, say_close
from _ostler.mixin import Wsgi

GUNICORN = "ThreadWorker"


class Gthread(Wsgi):
    multithread = True
    asked = False
    drain = None

    def run(self):
        self.bell = http2.Bell()
        http2.teach(self.bell)
        # A signal's byte wakes the loop, which would otherwise sleep out its second.
        self.poller.register(self.PIPE[0], selectors.EVENT_READ, self.woken)
        super().run()

    def woken(self, pipe):
        try:
            os.read(pipe, 512)
        except OSError:
            pass

    def handle_exit(self, sig, frame):
        if self.context.heartbeat.ready:
            self.asked = True
            self.context.slot.draining()
        else:
            super().handle_exit(sig, frame)

    def notify(self):
        super().notify()
        if not self.asked or not self.alive:
            return
        if self.drain is None:
            self.stop_accepting()
            self.max_keepalived = 0  # every request from now on is answered with a close
            say_close()
            self.bell.ring()
            self.drain = Drain(self)
        if self.drain.over(self.nr_conns):
            super().handle_exit(signal.SIGTERM, None)
        if not self.alive or not self.nr_conns:
            self.wake()

    def stop_accepting(self):
        if hasattr(self, "set_accept_enabled"):
            self.set_accept_enabled(False)
            self.set_accept_enabled = lambda enabled: None
        else:
            for listener in self.sockets:
                self.poller.unregister(listener)

    def finish_request(self, *args):
        super().finish_request(*args)
        if self.asked:
            self.wake()

    def wake(self):
        try:
            os.write(self.PIPE[1], b".")
        except OSError:
            pass  # full: it will wake

    def bounded(self, seconds, call):
        bounded_by_pool(self.tpool, seconds, call)


def bounded_by_pool(pool, seconds, call):
    """Runs `call` in a thread of the pool; a late one is left behind, with its stack told."""
    from concurrent.futures import TimeoutError
    from threading import get_ident

    thread = []
    future = pool.submit(lambda: (thread.append(get_ident()), call()))
    try:
        future.result(seconds)
    except TimeoutError:
        if future.done():
            raise
        error = probe.TimedOut()
        frame = sys._current_frames().get(thread[0]) if thread else None
        error.stack = "".join(traceback.format_stack(frame)) if frame else "the probe never got a thread\n"
        raise error from None
