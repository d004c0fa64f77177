"""What the worker says to ostlerd, and the one byte that it waits for."""

import os
import sys

from _ostler.text import encode, one_line, tail

CONTROL = 5
LINE_LIMIT = 60000
TRACEBACK_LIMIT = 16384
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

    def send(self, event, **fields):
        line = encode(dict(fields, event=event))
        while line:
            try:
                line = line[os.write(self.fd, line):]
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
    print(failure.message, file=sys.stderr)
    sys.stderr.flush()
    sys.exit(failure.status)
