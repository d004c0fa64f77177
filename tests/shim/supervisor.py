"""A supervisor as small as the contract in `src/worker/mod.rs` allows: it starts workers, listens to them, ends them."""

import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = os.path.join(ROOT, "src", "worker")
APPS = os.path.join(ROOT, "tests", "shim", "apps")
SLOT = 4096
ROOM = 65536
BOOTING, LOADED, READY, DRAINING = 1, 2, 3, 4
HANG = 300  # seconds: nothing that happens at all takes so long, however busy the machine is


def source(name):
    with open(os.path.join(SOURCES, name), encoding="utf-8") as file:
        return file.read()


def bundle():
    """The modules in the order that `mod.rs` gives them, with those of the classes, in that of `class.rs`, in their midst."""
    names = [name for name in re.findall(r'include_str!\("(\w+)\.py"\)', source("mod.rs")) if name != "bootstrap"]
    classes = ["classes." + name for name in re.findall(r'^    \w+ = "(\w+)"', source("class.rs"), re.MULTILINE)]
    middle = names.index("zygote")
    names[middle:middle] = classes
    modules = {name: source(name.replace(".", "/") + ".py") for name in names}
    modules["settings"] = modules["settings"].replace(
        ", %d\n" % newest_supported(), ", %d\n" % max(newest_supported(), tried), 1
    )
    return [list(each) for each in modules.items()]


tried = 0  # a gunicorn that is refused as too new until its laws were seen to hold


def newest_supported():
    """The newest gunicorn that is not refused."""
    return int(re.search(r"^OLDEST, NEWEST = .*, (\d+)$", source("settings.py"), re.MULTILINE)[1])


def memfd(content, room=0):
    fd = os.memfd_create("shim")
    os.write(fd, json.dumps(content).encode() + b" " * room)
    return high(fd)


def high(fd):
    """The same file at a number that is not one of the contract's."""
    copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100)
    os.close(fd)
    return copy


class Worker:
    """One worker process and ostlerd's end of its control socket."""

    def __init__(self, shop, number, **orders):
        self.shop, self.number = shop, number
        theirs = self.connect()
        fds = shop.listener_fds()
        self.orders = self.told(**orders)
        self.boot_report = memfd(self.orders, 2 * ROOM)
        given = [memfd(bundle()), high(os.dup(self.boot_report)), theirs, shop.scoreboard] + self.beyond(fds)
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, shop.output, 1),
            (os.POSIX_SPAWN_DUP2, shop.output, 2),
        ]
        actions += [(os.POSIX_SPAWN_DUP2, fd, 3 + index) for index, fd in enumerate(given)]
        argv = ["env", "-C", shop.directory, shop.python, "-c", source("bootstrap.py"), self.title]
        self.pid = os.posix_spawn(
            "/usr/bin/env",
            argv,
            shop.environment,
            file_actions=actions,
            setsigmask=[],
            setsigdef=range(1, 32),
            setsid=True,
        )
        self.pidfd = high(os.pidfd_open(self.pid))
        for fd in given[:3] + [self.our_end] * (self.our_end is not None):
            os.close(fd)

    our_end = None
    title, mode, status, proof = "shop", "worker", None, None

    def connect(self):
        self.control, theirs = socket.socketpair()
        self.pending, self.messages = b"", []
        return high(theirs.detach())

    def told(self, **orders):
        number, shop = self.number, self.shop
        told = {
            "contract": 1,
            "mode": self.mode,
            "app": "shop",
            "worker": number,
            "generation": 1,
            "entry": shop.entry,
            "args": shop.args,
            "slot": {"offset": number * SLOT, "size": SLOT},
            "listeners": [dict(described, fd=7 + index) for index, described in enumerate(shop.described)],
            "hold": False,
            "probe": None,
            "log_file": None,
            "room": 2 * ROOM,
        }
        told.update(orders)
        return told

    def beyond(self, listeners):
        """The descriptors after the scoreboard."""
        return listeners

    def hear(self, event, within=HANG):
        """The next message, which has to be `event`; what the worker has proved before it is kept in `proof`."""
        limit = time.monotonic() + within
        while not self.messages:
            if not select.select([self.control], [], [], max(0, limit - time.monotonic()))[0]:
                raise AssertionError("no message in %s s, expected %s\n%s" % (within, event, self.shop.printed()))
            data = self.control.recv(65536)
            if not data:
                raise AssertionError("end of file, expected %s\n%s" % (event, self.shop.printed()))
            *lines, self.pending = (self.pending + data).split(b"\n")
            for line in lines:
                assert len(line) < 65536, len(line)
                message = json.loads(line)
                if message["event"] == "proved":
                    assert self.proof is None, message
                    self.proof = message
                elif message != {"event": "here"}:
                    self.messages.append(message)
        message = self.messages.pop(0)
        assert message["event"] == event, (event, message)
        return message

    def rest(self):
        """All that it says until it closes its end."""
        return [json.loads(line) for line in b"".join(iter(lambda: self.control.recv(65536), b"")).splitlines()]

    def left_behind(self):
        """What it has written down of its failure, None where it has not."""
        line = os.pread(self.boot_report, ROOM, os.fstat(self.boot_report).st_size - 2 * ROOM)
        return json.loads(line.partition(b"\n")[0]) if b"\n" in line else None

    def stacks(self, number):
        """What it has written down of where it stands, at this signal."""
        start = os.fstat(self.boot_report).st_size - ROOM
        os.pwrite(self.boot_report, b" " * ROOM, start)
        os.lseek(self.boot_report, start, os.SEEK_SET)
        self.kill(number)

        def read():
            return os.pread(self.boot_report, ROOM, start).decode().rstrip(" ")

        until(lambda: read().endswith("\n"), "it writes its stacks")
        return read()

    def silent(self):
        """Whether ostlerd has nothing to read."""
        return not self.messages and not select.select([self.control], [], [], 0)[0]

    def admit(self):
        self.control.sendall(b"g")

    def kill(self, number):
        if self.status is None:
            signal.pidfd_send_signal(self.pidfd, number)

    def running(self):
        return self.status is None and not select.select([self.pidfd], [], [], 0)[0]

    def ended(self, within=HANG):
        """The exit status, negative for a signal."""
        if self.status is None:
            if not select.select([self.pidfd], [], [], within)[0]:
                raise AssertionError("still running after %s s\n%s" % (within, self.shop.printed()))
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def field(self, offset):
        return struct.unpack("=Q", os.pread(self.shop.scoreboard, 8, self.number * SLOT + offset))[0]

    state = property(lambda self: self.field(8))
    finished = property(lambda self: self.field(24))

    def in_flight(self):
        page = os.pread(self.shop.scoreboard, SLOT, self.number * SLOT)
        return [time for time in struct.unpack("=504Q", page[64:]) if time]

    def close(self):
        try:
            self.kill(signal.SIGKILL)
            self.ended()
        finally:
            self.control.close()
            os.close(self.pidfd)
            os.close(self.boot_report)


class Zygote(Worker):
    """The process that workers are forked from."""

    title = "ostler: shop [zygote g1]"
    mode = property(lambda self: "settings" if self.shop.preload == "settings" else "zygote")

    def beyond(self, listeners):
        self.our_end = high(os.dup(self.control.fileno()))
        return [self.our_end]


class Forked(Worker):
    """A worker that a zygote has made."""

    def __init__(self, shop, number, **orders):
        self.shop, self.number = shop, number
        theirs = self.connect()
        self.control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.orders = self.told(**orders)
        self.boot_report = memfd(self.orders, 2 * ROOM)
        others = [self.control.fileno()] if self.orders["mode"] == "hooks" else shop.listener_fds()
        fds = [self.boot_report, theirs, shop.scoreboard] + others
        socket.send_fds(shop.zygote.control, [b"f"], fds)
        os.close(theirs)
        line, ancillary, _, _ = self.control.recvmsg(100, socket.CMSG_SPACE(12))
        credentials = [data for _, kind, data in ancillary if kind == socket.SCM_CREDENTIALS]
        self.pid = struct.unpack("3i", credentials[0])[0]
        message = json.loads(line)
        assert message == {"event": "forked"}, message
        self.pidfd = high(os.pidfd_open(self.pid))
        self.begin()

    def begin(self):
        self.control.sendall(b"g")


class Shop:
    """An app: its listeners, its scoreboard, its workers."""

    def __init__(self, venv, directory, entry="wsgi:application", args=(), families=("inet",), env=None, preload=False):
        self.python = os.path.join(venv, "bin", "python")
        self.directory, self.entry, self.args = directory, entry, list(args)
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": APPS,
            "HOME": directory,
            "PYTHONDONTWRITEBYTECODE": "1",
            "LISTEN_FDS": "1",
            "NOTIFY_SOCKET": "/x",
        }
        self.environment.update(env or {})
        self.log = os.path.join(directory, "log")
        self.output = high(os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644))
        self.scoreboard = high(os.memfd_create("scoreboard"))
        os.truncate(self.scoreboard, 64 * SLOT)
        self.preload, self.zygote = preload, None
        self.workers, self.numbers = [], iter(range(1, 64))
        self.listeners = [listening(family, directory) for family in families]
        self.described = [
            {"family": family, "address": plain(listener.getsockname())}
            for family, listener in zip(families, self.listeners)
        ]
        self.listener = self.listeners[0]
        self.address = self.listener.getsockname()
        self.high_listeners = [high(os.dup(listener.fileno())) for listener in self.listeners]

    def listener_fds(self):
        return self.high_listeners

    def spawn(self, **orders):
        if self.preload and self.zygote is None:
            self.hatch().hear("ready")
        worker = (Forked if self.preload else Worker)(self, next(self.numbers), **orders)
        self.workers.append(worker)
        return worker

    def hatch(self, **orders):
        self.zygote = Zygote(self, next(self.numbers), listeners=[], **orders)
        return self.zygote

    def ready(self, **orders):
        worker = self.spawn(**orders)
        worker.hear("ready")
        return worker

    def connect(self, timeout=20, listener=None):
        listener = listener or self.listener
        client = socket.socket(listener.family)
        client.settimeout(timeout)
        client.connect(listener.getsockname())
        return client

    def printed(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self.workers + [self.zygote] * bool(self.zygote):
            worker.close()
        for listener in self.listeners:
            listener.close()
        for fd in self.high_listeners + [self.output, self.scoreboard]:
            os.close(fd)


def listening(family, directory):
    if family == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.join(directory, "socket"))
    else:
        kind, host = {"inet": (socket.AF_INET, "127.0.0.1"), "inet6": (socket.AF_INET6, "::1")}[family]
        listener = socket.socket(kind)
        listener.bind((host, 0))
    listener.listen(512)
    return listener


def plain(address):
    """The address as the contract has it: a path, or host and port."""
    return address if isinstance(address, str) else list(address[:2])


def descriptors(pid):
    """Where each descriptor of a process leads."""
    folder = "/proc/%d/fd" % pid
    return list(filter(None, (leads_to(os.path.join(folder, fd)) for fd in os.listdir(folder))))


def leads_to(path):
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return ""  # a connection that has ended meanwhile


def until(condition, what, within=HANG):
    """Waits for a state, never for a time."""
    limit = time.monotonic() + within
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError("not within %s s: %s" % (within, what))
        time.sleep(0.005)
