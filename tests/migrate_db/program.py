"""A program of the watchdog, started as ostlerd does: the modules on 3, the orders on 4, control on 5."""

import fcntl
import json
import os
import re
import select
import signal
import socket
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = os.path.join(ROOT, "src", "migrate")
HANG = 300  # seconds: nothing that happens at all takes so long, however busy the machine is


def source(*path):
    with open(os.path.join(ROOT, "src", *path), encoding="utf-8") as file:
        return file.read()


def bundle():
    """The modules in the order that ostlerd gives them."""
    names = re.findall(r'include_str!\("(?:\.\./(worker)/)?(\w+)\.py"\)', source("migrate", "bundle.rs"))
    shared = [[name, source("worker", name + ".py")] for name in ("text", "tables")]
    return shared + [[name, source(folder or "migrate", name + ".py")] for folder, name in names]


def high(fd):
    """The same file at a number that is not one of the contract's."""
    copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100)
    os.close(fd)
    return copy


def memfd(content):
    fd = os.memfd_create("migrate")
    os.write(fd, json.dumps(content).encode())
    return high(fd)


class Program:
    """One of the two programs, and ostlerd's end of its control socket. `with` ends it, whatever happens."""

    def __init__(
        self,
        python,
        directory,
        mode,
        tag="ostler:shop:web1:r1",
        database=None,
        command="django",
        guards=None,
        environment=None,
        host="web1",
        marker=True,
        **more,
    ):
        self.events, self.rest, self.status = [], b"", None
        self.output = tempfile.TemporaryFile()
        orders = {
            "contract": 1,
            "mode": mode,
            "app": "shop",
            "tag": tag,
            "database": database or {"alias": "default"},
            "command": command,
            "lock_file": os.path.join(directory, "migrate.lock"),
            "guards": guards or {"lock_timeout_seconds": 1.0, "overrides": {}},
            "marker": {"release": directory, "host": host} if marker else None,
        }
        orders.update(more)
        ours, theirs = socket.socketpair()
        self.control, theirs = ours, high(theirs.detach())
        given = [memfd(bundle()), memfd(orders), theirs]
        output = high(os.dup(self.output.fileno()))
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, output, 2),
        ]
        actions += [(os.POSIX_SPAWN_DUP2, fd, 3 + index) for index, fd in enumerate(given)]
        environment = dict({"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": directory}, **(environment or {}))
        if mode == "run":
            environment["OSTLER_MIGRATION"] = "/run/ostler:" + tag
        argv = ["env", "-C", directory, python, "-c", source("worker", "bootstrap.py"), "shop"]
        self.began = time.monotonic()
        self.pid = os.posix_spawn(
            "/usr/bin/env", argv, environment, file_actions=actions, setpgroup=0, setsigmask=[], setsigdef=range(1, 32)
        )
        self.pidfd = high(os.pidfd_open(self.pid))
        for fd in given + [output]:
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.running():
            self.kill(signal.SIGKILL)
        self.ended()
        self.control.close()
        os.close(self.pidfd)
        self.output.close()

    def say(self, do, **fields):
        self.control.sendall(json.dumps(dict(fields, do=do)).encode() + b"\n")

    def read(self, within):
        """Takes in what there is; False at the end of the stream."""
        if not select.select([self.control], [], [], max(0.0, within))[0]:
            return True
        data = self.control.recv(65536)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            assert len(line) < 65536, len(line)
            self.events.append(json.loads(line))
        return bool(data)

    def hear(self, event, within=HANG, where=None):
        """The next message of this kind for which `where` holds; others before it are dropped, but not a failure."""
        limit = time.monotonic() + within
        while True:
            while self.events:
                message = self.events.pop(0)
                if message["event"] == event and (where is None or where(message)):
                    return message
                if message["event"] == "failed":
                    raise AssertionError("expected %s: %s\n%s" % (event, message, self.printed()))
            if time.monotonic() > limit:
                raise AssertionError("no %s within %s s\n%s" % (event, within, self.printed()))
            if not self.read(limit - time.monotonic()) and not self.events:
                raise AssertionError("end of file, expected %s\n%s" % (event, self.printed()))

    def all(self, within=HANG):
        """Every message up to its end, but for its signs of life: the clock alone decides how many there are."""
        limit = time.monotonic() + within
        while self.read(limit - time.monotonic()):
            assert time.monotonic() < limit, self.printed()
        heard, self.events = self.events, []
        return [it for it in heard if it["event"] != "alive"]

    def ask(self, do, event, within=HANG, **fields):
        self.say(do, **fields)
        return self.hear(event, within)

    def kill(self, number):
        signal.pidfd_send_signal(self.pidfd, number)

    def running(self):
        return self.status is None and not select.select([self.pidfd], [], [], 0)[0]

    def ended(self, within=HANG):
        """The exit status, negative for a signal."""
        if self.status is None:
            assert select.select([self.pidfd], [], [], within)[0], "still running after %s s\n%s" % (
                within,
                self.printed(),
            )
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def printed(self):
        return os.pread(self.output.fileno(), 1 << 20, 0).decode("utf-8", "replace")
