"""What the worker says to ostlerd, and the one byte that it waits for."""

import os
import sys

from _ostler.boot_report import boot_report
from _ostler.text import encode, one_line, tail

CONTROL = 5
LINE_LIMIT = 60000
TRACEBACK_LIMIT = 40000
MESSAGE_LIMIT = 2000


class Failure(BaseException):
    """The worker cannot serve. Not an `Exception`: servers catch those and go on."""

    stuck = False  # a thread of the app hangs and would keep the interpreter from ending

    def __init__(self, stage, message, trace="", status=3):
        super().__init__(message)
        self.stage = stage
        self.message = one_line(message)
        self.trace = trace
        self.status = status


class Control:
    """The stream socket to ostlerd. A dead ostlerd is no error: the worker outlives it."""

    fd = CONTROL
    settled = False  # what ends the process from now on has its words already

    def __init__(self, fd=CONTROL):
        self.fd, self.identity = fd, identity(fd)

    def send(self, event, **fields):
        line = encode(dict(fields, event=event))
        if event == "failed":
            boot_report.reason(line)
        # An app may have closed it, and may have something else there by now.
        while line and identity(self.fd) == self.identity:
            try:
                line = line[os.write(self.fd, line) :]
            except OSError:
                return

    def failed(self, failure):
        message = tail(failure.message, MESSAGE_LIMIT)
        limit = TRACEBACK_LIMIT
        while True:
            fields = {"stage": failure.stage, "message": message, "traceback": tail(failure.trace, limit)}
            # Control characters take six bytes each in JSON, so the sizes above do not bound the line.
            if limit < 64 or len(encode(dict(fields, event="failed"))) <= LINE_LIMIT:
                return self.send("failed", **fields)
            limit //= 2

    def admitted(self):
        """Reads what ostlerd answered to `loaded`: True to serve, False to leave, None for neither."""
        try:
            byte = os.read(self.fd, 1)
        except OSError:
            return False
        return True if byte == b"g" else None if byte else False


def leave(failure):
    """Ends the process with the failure's status, its message on stderr."""
    say(failure.message)
    raise SystemExit(failure.status)


def say(*lines):
    """On standard error, whatever the app has made of it."""
    try:
        print(*lines, sep="\n", file=sys.stderr)
        sys.stderr.flush()
    except Exception:
        pass  # it has closed it: ostlerd was told


def identity(fd):
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino
