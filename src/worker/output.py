"""What is printed: line by line, and into the journal again where journald was stopped and the stream is cut off."""

import _socket  # Never gevent's: a line is printed in any greenlet, and waits for nobody.
import collections
import io
import os
import sys

JOURNAL = "/run/systemd/journal/stdout"


def identity(fd):
    status = os.fstat(fd)
    return "%d:%d" % (status.st_dev, status.st_ino)


class Stream(io.FileIO):
    """A standard output that is the journal. A line that nobody takes is lost: no client gets an error for that."""

    streams = set()  # those that the outputs have been, also before they were connected anew

    def __init__(self, fd, app):
        super().__init__(fd, "w", closefd=False)
        self.app = app
        self.streams.add(identity(fd))

    def write(self, data):
        try:
            return super().write(data)
        except ConnectionError:
            pass
        try:
            self.connect_anew()
            return super().write(data)
        except OSError:
            return len(data)

    def connect_anew(self):
        """Puts a new stream at every output that was the old one: not at one that gunicorn has made its log file."""
        header = ("%s\n\n6\n1\n0\n0\n0\n" % self.app).encode()
        stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            # A journald that stands still is an error at once.
            stream.setblocking(False)
            stream.connect(JOURNAL)
            stream.shutdown(_socket.SHUT_RD)
            stream.send(header)
            stream.setblocking(True)
            broken = [fd for fd in (1, 2) if identity(fd) in self.streams]
            self.streams.add(identity(stream.fileno()))
            for fd in broken:
                os.dup2(stream.fileno(), fd)
            os.environ["JOURNAL_STREAM"] = identity(stream.fileno())
        finally:
            stream.close()


def by_line(app):
    """What is printed is in the log at once, and what a killed worker has printed is not lost with it."""
    journal = os.environ.get("JOURNAL_STREAM")
    for name in ("stdout", "stderr"):
        printed = getattr(sys, name)
        fd = printed.fileno()
        if identity(fd) != journal:
            printed.reconfigure(line_buffering=True)
            continue
        raw = Stream(fd, app)
        raw.name = "<%s>" % name
        text = io.TextIOWrapper(io.BufferedWriter(raw), printed.encoding, printed.errors, line_buffering=True)
        text.mode = "w"
        setattr(sys, name, text)
        setattr(sys, "__%s__" % name, text)


class Heard:
    """While it lasts, what is printed is remembered too: an exit without words has said there what for.

    The streams stay what they are, for the app may keep them."""

    def __init__(self):
        self.pieces = collections.deque(maxlen=400)
        self.taught = []

    def __enter__(self):
        for stream in (sys.stdout, sys.stderr):
            try:
                hearing = self.hearing(stream.write)
                stream.write = hearing
            except Exception:
                continue  # the app has put something else there
            self.taught.append((stream, hearing))
        return self

    def hearing(self, write):
        def heard(text):
            if isinstance(text, str):
                self.pieces.append(text[-2000:])
            return write(text)

        return heard

    def __exit__(self, kind, error, trace):
        for stream, hearing in self.taught:
            if getattr(stream, "__dict__", {}).get("write") is hearing:
                del stream.write
        if isinstance(error, SystemExit) and not isinstance(error.code, str):
            error.printed = [line for line in "".join(self.pieces).splitlines() if line.strip()][-20:]
