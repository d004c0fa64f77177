"""What the database side and the migration say to ostlerd: one JSON object a line."""

import errno
import json
import os
import select
import threading
import time

from _ostler.text import encode, one_line, tail

CONTROL = 5
LINE_LIMIT = 60000
TRACEBACK_LIMIT = 16384
MESSAGE_LIMIT = 2000
PATIENCE = 5.0  # seconds that a full pipe may take to be read


class Trouble(BaseException):
    """The database side cannot go on. Not an `Exception`: code of the app or a driver must not catch it.

    `kind` is `app`, `unreachable`, `graph`, `pooler` or `broken`.
    """

    def __init__(self, kind, message, trace=""):
        super().__init__(message)
        self.kind = kind
        self.message = one_line(message)
        self.trace = trace


class Failure(BaseException):
    """gunicorn's settings do not load: what the worker's module `settings` raises."""

    def __init__(self, stage, message, trace="", status=1):
        super().__init__(message)
        self.message, self.trace = one_line(message), trace


class Control:
    """The stream socket to ostlerd. A dead ostlerd is no error for what is said to it."""

    def __init__(self, fd=CONTROL):
        self.fd = fd
        self.rest = b""
        self.turn = threading.Lock()  # two may want to say something
        os.set_inheritable(fd, False)

    def send(self, event, **fields):
        line = encode(dict(fields, event=event))
        with self.turn:
            self.write(line)

    def write(self, line):
        limit = time.monotonic() + PATIENCE
        while line:
            try:
                line = line[os.write(self.fd, line) :]
            except OSError as error:
                if error.errno != errno.EAGAIN or time.monotonic() > limit:
                    return
                select.select([], [self.fd], [], 0.1)

    def failed(self, kind, message, trace="", **more):
        message = tail(one_line(message), MESSAGE_LIMIT)
        limit = TRACEBACK_LIMIT
        while True:
            fields = dict(more, kind=kind, message=message, traceback=tail(trace, limit))
            # Control characters take six bytes each in JSON, so the sizes above do not bound the line.
            if limit < 64 or len(encode(dict(fields, event="failed"))) <= LINE_LIMIT:
                return self.send("failed", **fields)
            limit //= 2

    def orders(self, timeout):
        """The orders that have come within `timeout` seconds, as a list; None at the end of the stream."""
        if not select.select([self.fd], [], [], max(0.0, timeout))[0]:
            return []
        try:
            data = os.read(self.fd, 65536)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                return []
            return None
        if not data:
            return None
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        return [json.loads(line.decode("utf-8")) for line in lines if line.strip()]
