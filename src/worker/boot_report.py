"""Memory that ostlerd reads, whatever has become of this process and its descriptors: why it cannot serve, and where it
stands while it boots."""

import faulthandler
import mmap
import os
import signal
import sys
import traceback

from _ostler.text import trace_of

STACKS = signal.SIGRTMIN + 5  # from outside of Python: also where it waits inside of a C library
TASKS = signal.SIGRTMIN + 6  # what waits in an event loop, which no stack shows
ROOM = 65536  # for the reason, and behind it, up to the file's end, as much for the stacks


class BootReport:
    """One for each process that boots; closed once it serves."""

    fd = memory = None

    def open(self, fd, orders):
        """`fd` is that of the orders: the room, if there is any, is behind them."""
        self.forget()
        if orders.get("room") != 2 * ROOM:
            os.close(fd)
            return self.to_the_log()
        self.fd, self.memory = fd, mmap.mmap(fd, os.fstat(fd).st_size)
        os.set_inheritable(fd, False)
        faulthandler.register(STACKS, file=fd, all_threads=True)
        signal.signal(TASKS, self.tell_tasks)
        signal.siginterrupt(TASKS, False)

    def reason(self, line):
        """Leaves the message `failed` for an ostlerd that cannot be told."""
        if self.memory is not None and len(line) <= ROOM:
            start = len(self.memory) - 2 * ROOM
            self.memory[start : start + len(line)] = line

    def to_the_log(self):
        faulthandler.register(STACKS, file=2, all_threads=True)

    def close(self):
        """From here on stacks are for the log."""
        if self.memory is not None:
            self.to_the_log()
            self.forget()

    def forget(self):
        if self.memory is not None:
            self.memory.close()
            os.close(self.fd)
        self.fd = self.memory = None

    def tell_tasks(self, number, frame):
        if self.fd is None:
            return
        try:
            text = "".join(waiting()) or "Nothing waits in an event loop\n"
            os.write(self.fd, text.encode("utf-8", "backslashreplace"))
        except Exception as error:
            os.write(self.fd, trace_of(error).encode("utf-8", "backslashreplace"))


def waiting():
    """The stacks of greenlets and tasks, in the form in which `faulthandler` writes those of threads."""
    if "gevent.hub" in sys.modules and "gevent" in sys.modules:
        hub = sys.modules["gevent.hub"].get_hub()
        frame = hub.parent.gr_frame if hub.parent is not None else None
        if frame is not None:
            yield block("Greenlet", traceback.extract_stack(frame))
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            tasks = asyncio.all_tasks()
        except RuntimeError:
            tasks = ()  # no loop runs
        for task in sorted(tasks, key=lambda task: task.get_name())[:50]:
            yield block("Task %s" % task.get_name(), of_coroutine(task.get_coro()))


def of_coroutine(coroutine):
    """From the outermost to what it waits for."""
    frames = []
    while coroutine is not None and len(frames) < 100:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            break
        frames += traceback.extract_stack(frame, 1)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return frames


def block(title, frames):
    lines = ['  File "%s", line %s in %s\n' % (it.filename, it.lineno, it.name) for it in reversed(frames)]
    return "%s (most recent call first):\n%s\n" % (title, "".join(lines))


boot_report = BootReport()
