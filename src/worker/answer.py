"""What the app has answered to the probe, and whether that is good."""

from contextlib import contextmanager
from http import HTTPStatus
from time import monotonic

from _ostler import django_app
from _ostler.text import said, short, trace_of
from _ostler.wire import Failure

SHOWN = 2048  # bytes of a bad answer's body
ENOUGH = 1 << 20  # bytes of a body, beyond which it is a stream


class Answer:
    """The answer to one order: asked for by the configuration, or the one that nobody asked for."""

    def __init__(self, order):
        self.order = order
        self.path = order["path"]
        self.first = order.get("first", self.path)  # what was asked for; the app has sent on from there
        self.host = order.get("host") or django_app.host() or "localhost"
        self.status = None
        self.location = ""
        self.body = b""
        self.size = 0
        self.seconds = 0.0
        self.is_late = False
        self.stuck = False  # a thread of the app hangs in it
        self.traces = []  # of the exceptions that Django has made a 500 of
        self.failure = None

    @contextmanager
    def timed(self):
        began = monotonic()
        try:
            yield
        finally:
            self.seconds = monotonic() - began

    def of_wsgi(self, app, environ):
        result = app(environ, self.start_response)
        try:
            for chunk in result:
                self.add(chunk)
                if self.is_long():
                    break
        finally:
            if hasattr(result, "close"):
                result.close()

    def start_response(self, status, headers, exc_info=None):
        self.status = status
        self.keep(headers)
        return self.add

    def keep(self, headers):
        for name, value in headers:
            name, value = (it.decode("latin-1") if isinstance(it, bytes) else str(it) for it in (name, value))
            if name.lower() == "location":
                self.location = value

    def add(self, chunk):
        self.size += len(chunk)
        if len(self.body) < SHOWN:
            self.body += bytes(chunk[: SHOWN - len(self.body)])

    def is_long(self):
        """Nobody reads a stream to its end."""
        return self.size > ENOUGH

    def raised(self, error):
        self.fail("raised %s" % said(error), trace_of(error))

    def late(self, trace):
        self.is_late = True
        self.fail("did not answer in %g s" % self.order["timeout_seconds"], trace)

    def fail(self, words, trace=""):
        of = self.path if self.path == self.first else "%s, sent on to %s," % (self.first, self.path)
        self.failure = Failure("probe", "the probe of %s %s" % (of, words), trace)

    def number(self):
        """The status as a number; None if there is none."""
        word = str(self.status or "").split(" ", 1)[0]
        return int(word) if word.isdigit() else None

    def sent_on(self):
        """The order for where the app has sent to on the same host: the same over https, or, if nobody has asked for this
        very page, another one: a first page that leads to the login shows nothing of the app, and the login does."""
        from urllib.parse import urljoin, urlsplit

        scheme = self.order["scheme"]
        if self.failure or not self.location or self.number() not in (301, 302, 303, 307, 308):
            return None
        try:
            here = urlsplit("%s://%s%s" % (scheme, self.host, self.path))
            to = urlsplit(urljoin(here.geturl(), self.location))
            secured = (scheme, to.scheme) == ("http", "https") and to.hostname == here.hostname
        except ValueError:
            return None
        if not secured and (self.order.get("asked", True) or to[:2] != here[:2]):
            return None
        path = (to.path or "/") + ("?" + to.query if to.query else "")
        if not all("!" <= letter <= "~" for letter in path):
            return None  # no path that a client could ask for
        return dict(self.order, scheme=to.scheme, path=path, host=self.host, first=self.first)

    def judged(self):
        """Good below 400 if the configuration has asked for it, for many apps redirect to a login; else below 500."""
        number = self.number()
        if self.failure is None:
            wrong_host = django_app.refuses(self.host) if number == 400 else None
            if self.status is None:
                self.fail("got no answer: the app sent no status")
            elif wrong_host:
                self.fail("answered %s: %s" % (self.status, wrong_host), self.shown())
            elif number is None or not 200 <= number < (400 if self.order.get("asked", True) else 500):
                self.fail("answered %s" % self.status, self.shown())
        return self

    def shown(self):
        """What an operator needs: the traceback, or else the beginning of the page."""
        return self.traces[-1] if self.traces else self.body.decode("utf-8", "replace")

    def admit(self, log):
        """Fails unless it is good, or no worse than what is borne with; then it is a warning."""
        failure = self.failure
        if failure is None:
            return
        failure.stuck = self.stuck
        if not self.order.get("tolerate", {}).get("late" if self.is_late else "errors"):
            raise failure
        log.warning("%s\n%s", failure.message, failure.trace)

    def report(self):
        failure = self.failure
        return {
            "path": self.first,
            "status": self.number(),
            "seconds": round(self.seconds, 6),
            "late": self.is_late,
            "good": failure is None,
            "message": short(failure.message, 500) if failure else "",
        }


def phrase(code):
    try:
        return "%d %s" % (code, HTTPStatus(code).phrase)
    except ValueError:
        return str(code)
