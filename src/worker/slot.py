"""The worker's slot of the scoreboard: its state, its heartbeat, its requests."""

import mmap
import os
from itertools import count, repeat
from time import monotonic_ns

from _ostler.boot_report import boot_report

SCOREBOARD = 6
CONTRACT = 1
STATE, HEARTBEAT, FINISHED, CROWDED, HURRY, TABLE = 1, 2, 3, 4, 7, 8
BOOTING, LOADED, READY, DRAINING = 1, 2, 3, 4


class Slot:
    """One page, seen as 8-byte fields.

    `start()` answers the entry that `finish(entry)` takes. Both are closures, and nothing in them needs a
    lock: a list's `pop` and `append` are atomic, an entry belongs to one request at a time, and `finished`
    below adds one to the shared counter inside a single call into C, which no other thread can interrupt.
    """

    def __init__(self, offset, size):
        # A page may be larger than a slot: map from the page's start.
        lead = offset % mmap.ALLOCATIONGRANULARITY
        self.map = mmap.mmap(SCOREBOARD, lead + size, offset=offset - lead)
        fields = memoryview(self.map)[lead : lead + size].cast("Q")
        for index in range(len(fields)):
            fields[index] = 0
        fields[0] = CONTRACT
        fields[STATE] = BOOTING
        self.fields = fields
        self.start, self.finish = table(fields)

    def forget(self):
        """In a child that gets a slot of its own."""
        self.fields.release()
        try:
            self.map.close()
        except BufferError:
            pass  # the app's garbage: it is unmapped with the process

    def loaded(self):
        self.fields[STATE] = LOADED

    def draining(self):
        self.fields[STATE] = DRAINING

    def hurried(self):
        """Whether ostlerd, whose field this one is, has written that the app stops."""
        return self.fields[HURRY] != 0

    def busy(self, before=None):
        """Whether a request is in flight that started `before` that time (any, where it is None)."""
        fields = self.fields
        started = [time for time in fields[TABLE:].tolist() if time]
        if before is None:
            return bool(started) or fields[CROWDED] > 0
        return any(time < before for time in started)


def table(fields):
    free = list(range(len(fields) - 1, TABLE - 1, -1))
    crowd = []
    take, give, now = free.pop, free.append, monotonic_ns
    finished = map(fields.__setitem__, repeat(FINISHED), count(1)).__next__

    def start():
        try:
            entry = take()
        except IndexError:
            crowd.append(None)
            fields[CROWDED] = len(crowd)
            return 0
        fields[entry] = now()
        return entry

    def finish(entry):
        if entry:
            fields[entry] = 0
            give(entry)
        else:
            crowd.pop()
            fields[CROWDED] = len(crowd)
        finished()

    return start, finish


class Heartbeat:
    """Takes the place of gunicorn's `WorkerTmp`; the first beat says that the worker is ready."""

    def __init__(self, slot, control):
        self.fields = slot.fields
        self.control = control
        self.ready = False
        self.then = None  # what is to be told once it is ready

    def notify(self):
        self.fields[HEARTBEAT] = monotonic_ns()
        if not self.ready:
            self.ready = True
            if self.fields[STATE] != DRAINING:
                self.fields[STATE] = READY
            # First: who hears that it is ready finds its stacks in the log.
            boot_report.close()
            self.control.send("ready")
            if self.then is not None:
                self.then(self.control)

    def last_update(self):
        return self.fields[HEARTBEAT] / 1e9

    def fileno(self):
        return SCOREBOARD

    def close(self):
        """The mapping ends with the process: a thread may still be counting."""


def private():
    """No child of the app gets the control socket or the scoreboard; listeners are seen to by gunicorn."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        names = range(256)
    for fd in map(int, names):
        if fd > 2:
            try:
                os.set_inheritable(fd, False)
            except OSError:
                pass  # not open: perhaps the descriptor of the listing itself
