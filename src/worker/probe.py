"""The probe: a worker answers one request of its own before it takes its first visitor."""

import io
import signal
import sys
import traceback
from http import HTTPStatus

from _ostler.text import said, trace_of
from _ostler.wire import Failure

BODY_LIMIT = 2048


class TimedOut(BaseException):
    """Raised inside the app; not an `Exception`, which the app may catch."""

    stack = None  # of the thread that was left behind, where it could not be interrupted


def run_wsgi(worker, probe):
    """Calls the WSGI app in the thread that serves: a pool thread for gthread, else this one."""
    app, environ = worker.probe_target(), wsgi_environ(worker, probe)
    answer = Answer(probe)
    try:
        worker.bounded(probe["timeout_seconds"], lambda: answer.of_wsgi(app, environ))
    except TimedOut as error:
        failure = answer.late(error.stack or trace_of(error))
        failure.stuck = error.stack is not None
        raise failure from None
    except Exception as error:
        raise answer.raised(error) from None
    answer.judge()


def bounded_by_alarm(seconds, call):
    """Runs `call` in the main thread and interrupts it."""
    def late(signum, frame):
        raise TimedOut()

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


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
        error = TimedOut()
        frame = sys._current_frames().get(thread[0]) if thread else None
        error.stack = "".join(traceback.format_stack(frame)) if frame else "the probe never got a thread\n"
        raise error from None


def bounded_by_gevent(seconds, call):
    import gevent

    with gevent.Timeout(max(seconds, 0.001), TimedOut):
        call()


class Answer:
    """What the app said to the probe."""

    def __init__(self, probe):
        self.path = probe["path"]
        self.seconds = probe["timeout_seconds"]
        self.status = None
        self.body = b""

    def of_wsgi(self, app, environ):
        result = app(environ, self.start_response)
        try:
            for chunk in result:
                self.add(chunk)
        finally:
            if hasattr(result, "close"):
                result.close()

    def start_response(self, status, headers, exc_info=None):
        self.status = status
        return self.add

    def add(self, chunk):
        if len(self.body) < BODY_LIMIT:
            self.body += bytes(chunk[:BODY_LIMIT - len(self.body)])

    def judge(self):
        """2xx and 3xx are good: many apps redirect every plain request to a login or to https."""
        if self.status is None:
            raise Failure("probe", "the probe of %s got no answer: the app sent no status" % self.path)
        number = str(self.status).split(" ", 1)[0]
        if not (number.isdigit() and 200 <= int(number) < 400):
            body = self.body.decode("utf-8", "replace")
            raise Failure("probe", "the probe of %s answered %s" % (self.path, self.status), body)

    def raised(self, error):
        return Failure("probe", "the probe of %s raised %s" % (self.path, said(error)), trace_of(error))

    def late(self, trace):
        return Failure("probe", "the probe of %s did not answer in %g s" % (self.path, self.seconds), trace)


def phrase(code):
    try:
        return "%d %s" % (code, HTTPStatus(code).phrase)
    except ValueError:
        return str(code)


def wsgi_environ(worker, probe):
    """The environ of a request from this machine, by gunicorn's own parser and its own rules."""
    import socket

    from gunicorn.http import wsgi
    from gunicorn.http.parser import RequestParser

    cfg = worker.cfg
    proxy = cfg.settings.get("proxy_protocol")
    was = proxy.value if proxy else None
    near, far = socket.socketpair()
    try:
        if proxy:
            proxy.value = proxy.default
        far.sendall(request_text(probe))
        far.shutdown(socket.SHUT_WR)
        client = ("127.0.0.1", 0)
        request = next(RequestParser(cfg, near, client))
        server = worker.sockets[0].getsockname() if worker.sockets else ("127.0.0.1", 80)
        _, environ = wsgi.create(request, near, client, server, cfg)
    except (StopIteration, Exception) as error:
        raise Failure("probe", "the probe of %s is no request for gunicorn: %s" % (probe["path"], said(error)),
                      trace_of(error)) from None
    finally:
        if proxy:
            proxy.value = was
        near.close()
        far.close()
    environ["wsgi.input"] = io.BytesIO()
    environ["wsgi.url_scheme"] = probe["scheme"]
    environ["wsgi.multithread"] = worker.multithread
    return environ


def request_text(probe):
    lines = ["GET %s HTTP/1.1" % probe["path"], "Host: %s" % (probe.get("host") or "localhost"),
             "X-Forwarded-Proto: %s" % probe["scheme"], "User-Agent: ostler-probe", "Accept: */*",
             "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


async def run_asgi(app, state, probe, server, root_path=""):
    """Calls the ASGI app on the loop that serves, after its lifespan has started."""
    import asyncio

    answer, complete = Answer(probe), asyncio.Event()
    inbox = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if inbox:
            return inbox.pop()
        await complete.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status = phrase(message["status"])
        elif message["type"] == "http.response.body":
            answer.add(message.get("body", b""))
            if not message.get("more_body", False):
                complete.set()

    task = asyncio.ensure_future(app(asgi_scope(probe, state, server, root_path), receive, send))
    done = asyncio.ensure_future(complete.wait())
    # What the app does after its response (background tasks) goes on; only the response is waited for.
    await asyncio.wait([task, done], timeout=probe["timeout_seconds"], return_when=asyncio.FIRST_COMPLETED)
    if not complete.is_set():
        done.cancel()
        if not task.done():
            trace = awaiting(task.get_coro())
            task.cancel()
            raise answer.late(trace)
        if task.exception() is not None:
            raise answer.raised(task.exception())
    answer.judge()
    return task


def awaiting(coroutine):
    """The stack of a suspended coroutine, from the outermost to what it waits for."""
    lines = []
    while coroutine is not None and len(lines) < 200:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            break
        lines += traceback.format_stack(frame, 1)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return "".join(lines)


def asgi_scope(probe, state, server, root_path):
    from urllib.parse import unquote

    path, _, query = probe["path"].partition("?")
    headers = [(b"host", (probe.get("host") or "localhost").encode("latin-1", "replace")),
               (b"x-forwarded-proto", probe["scheme"].encode("latin-1", "replace")),
               (b"user-agent", b"ostler-probe"), (b"accept", b"*/*")]
    return {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": "GET", "scheme": probe["scheme"], "path": root_path + unquote(path),
            "raw_path": (root_path + path).encode("latin-1", "replace"),
            "query_string": query.encode("latin-1", "replace"), "root_path": root_path, "headers": headers,
            "client": ("127.0.0.1", 0), "server": server, "state": dict(state or {})}
