"""The probe: a worker answers one request of its own before it takes its first client."""

import io
import signal
import traceback
from contextlib import contextmanager
from time import monotonic

from _ostler import django_app
from _ostler.answer import Answer, phrase
from _ostler.text import said, trace_of
from _ostler.wire import Failure

SENT_ON = 3  # redirects that are followed: to https, to a language, to the login


class TimedOut(BaseException):
    """Raised inside the app; not an `Exception`, which the app may catch."""

    stack = None  # of the thread that was left behind, where it could not be interrupted


def run_wsgi(worker, order):
    """Calls the WSGI app in the thread that serves: a pool thread for gthread, else this one. Its judged answer."""
    answer = ask_wsgi(worker, order)
    for _ in range(SENT_ON):
        order = answer.sent_on()
        if order is None:
            break
        answer = ask_wsgi(worker, order)
    return answer.judged()


def ask_wsgi(worker, order):
    app, environ = worker.probe_target(), wsgi_environ(worker, order)
    answer = Answer(order)
    with answer.timed(), django_app.listening() as answer.traces:
        try:
            worker.bounded(order["timeout_seconds"], lambda: answer.of_wsgi(app, environ))
        except TimedOut as error:
            answer.late(error.stack or trace_of(error))
            answer.stuck = error.stack is not None
        except BaseException as error:
            # A signal's handler may raise here, too: the worker is told to go.
            if isinstance(error, Failure) or not worker.alive:
                raise
            answer.raised(error)
    return answer


def bounded_by_alarm(seconds, call):
    """Runs `call` in the main thread and interrupts it."""

    def late(signum, frame):
        raise TimedOut()

    with alarm(late, max(seconds, 0.001)):
        call()


@contextmanager
def alarm(handler, seconds):
    """Sets the process's alarm, and puts back the one that the app may have set for itself."""
    began = monotonic()
    before = signal.signal(signal.SIGALRM, handler)
    left, again = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (monotonic() - began), 0.000001), again)


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
        raise Failure(
            "probe", "the probe of %s is no request for gunicorn: %s" % (probe["path"], said(error)), trace_of(error)
        ) from None
    finally:
        if proxy:
            proxy.value = was
        near.close()
        far.close()
    environ["wsgi.input"] = io.BytesIO()
    environ["wsgi.url_scheme"] = probe["scheme"]
    environ["wsgi.multithread"] = worker.multithread
    return environ


def host_of(probe):
    return probe.get("host") or django_app.host() or "localhost"


def request_text(probe):
    lines = [
        "GET %s HTTP/1.1" % probe["path"],
        "Host: %s" % host_of(probe),
        "X-Forwarded-Proto: %s" % probe["scheme"],
        "User-Agent: ostler-probe",
        "Accept: */*",
        "Connection: close",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1", "replace")


async def run_asgi(app, state, order, server, root_path=""):
    """Calls the ASGI app on the loop that serves, after its lifespan has started. Its judged answer, and the task in
    which the app may go on after it."""
    answer, task = await ask_asgi(app, state, order, server, root_path)
    for _ in range(SENT_ON):
        order = answer.sent_on()
        if order is None:
            break
        await finished(task, order["timeout_seconds"])
        answer, task = await ask_asgi(app, state, order, server, root_path)
    return answer.judged(), task


async def ask_asgi(app, state, order, server, root_path):
    import asyncio

    answer, complete = Answer(order), asyncio.Event()
    inbox = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if inbox:
            return inbox.pop()
        await complete.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status = phrase(message["status"])
            answer.keep(message.get("headers") or ())
        elif message["type"] == "http.response.body":
            answer.add(message.get("body", b""))
            if not message.get("more_body", False) or answer.is_long():
                complete.set()

    with answer.timed(), django_app.listening() as answer.traces:
        task = asyncio.ensure_future(app(asgi_scope(order, state, server, root_path), receive, send))
        done = asyncio.ensure_future(complete.wait())
        # What the app does after its response (background tasks) goes on; only the response is waited for.
        await asyncio.wait([task, done], timeout=order["timeout_seconds"], return_when=asyncio.FIRST_COMPLETED)
        if not complete.is_set():
            done.cancel()
            complete.set()  # whoever still waits for the client sees it gone
            if not task.done():
                answer.late(awaiting(task.get_coro()))
                task.cancel()
                await asyncio.wait([task], timeout=1)
            elif task.cancelled() or task.exception() is not None:
                answer.raised(asyncio.CancelledError() if task.cancelled() else task.exception())
    return answer, task


async def finished(task, seconds):
    """Lets the app end with one request before it gets the next."""
    import asyncio

    await asyncio.wait([task], timeout=seconds)


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
    headers = [
        (b"host", host_of(probe).encode("latin-1", "replace")),
        (b"x-forwarded-proto", probe["scheme"].encode("latin-1", "replace")),
        (b"user-agent", b"ostler-probe"),
        (b"accept", b"*/*"),
    ]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": probe["scheme"],
        "path": root_path + unquote(path),
        "raw_path": (root_path + path).encode("latin-1", "replace"),
        "query_string": query.encode("latin-1", "replace"),
        "root_path": root_path,
        "headers": headers,
        "client": ("127.0.0.1", 0),
        "server": server,
        "state": dict(state or {}),
    }
