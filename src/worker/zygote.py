"""The zygote: loads the app once, or gunicorn's settings alone, and forks workers from it at ostlerd's word. gunicorn's
`preload_app`, and its one run of `gunicorn.conf.py`, without its master."""

import _socket  # Never gevent's: nothing else is to run in here while it waits.
import gc
import json
import os
import posix  # Never gevent's: a fork is a fork, and a wait waits.
import signal
import stat
import sys
import warnings

from _ostler import django_app, host, mixin, output, slot
from _ostler.boot_report import boot_report
from _ostler.text import said, status_of, trace_of
from _ostler.wire import CONTROL, Control, Failure

MODES = ("zygote", "settings")  # what is loaded before the fork: all of the app, or its settings
ORDERS = 4
OSTLERDS_END = 7  # of the control socket, held so that the next ostlerd can take it from here
MOST = 253  # descriptors in one message
BEAT = 1.0
PATIENCE = 60  # beats: as long as ostlerd waits for the first hook
ENDING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)
DEAF = (signal.SIGHUP, signal.SIGUSR2)


def run(orders, control, prepare, work):
    """Never comes back in the zygote; in a worker it does what a worker does."""
    board = slot.Slot(orders["slot"]["offset"], orders["slot"]["size"])
    heartbeat = slot.Heartbeat(board, control)
    before = descriptors()
    made = prepare(orders)
    take_title(made.app)
    if orders["mode"] == "settings":
        made.log.info("Loaded gunicorn's settings to fork workers from, pid: %s", os.getpid())
        warn(made.log, before, "gunicorn's settings: ", made.app.conf)
    else:
        before = descriptors()
        load(made.app, made.log, made.mixin.before_import)
        warn(made.log, before, "preload: ", "the import")
    made.begun = host.begin(orders, made.server)
    handlers = take_signals(orders, made)
    # What there is by now is never garbage: looking for garbage in it would unshare every page.
    gc.collect()
    gc.freeze()
    heartbeat.notify()
    fds, middle = wait_for_commands(heartbeat.notify, fork_twice)
    orders = orders_of(fds, ((1, CONTROL), (2, slot.SCOREBOARD)))
    os.close(OSTLERDS_END)
    if orders["mode"] == "hooks":
        # Its own, behind no listeners: the next ostlerd speaks to it too.
        posix.dup2(fds[3], OSTLERDS_END, False)
        os.close(fds[3])
    board.forget()
    give_signals_back(handlers)
    begin(orders, middle)
    if orders["mode"] == "hooks":
        host.run(orders, Control(), made)
    else:
        work(orders, Control(), made)


def take_title(app):
    from gunicorn import util

    util._setproctitle("zygote [%s]" % app.cfg.proc_name)


def load(app, log, before_import):
    """The import, which fails in the words in which a worker's would."""
    from gunicorn.errors import AppImportError

    before_import()
    log.info("Loading the app to fork workers from, pid: %s", os.getpid())
    words = "the import of %s failed: " % app.app_uri
    try:
        with output.Heard():
            app.wsgi()
    except AppImportError as error:
        raise Failure("attribute", str(error), trace_of(error), 4) from None
    except SystemExit as stop:
        raise Failure("import", words + status_of(stop), trace_of(stop)) from None
    except BaseException as error:
        raise Failure("import", words + said(error), trace_of(error)) from None
    django_app.load()


def warn(log, before, subject, culprit):
    """What a fork does not carry over, or carries over to everybody."""
    threading = sys.modules.get("threading")
    others = (
        [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()] if threading else []
    )
    if others:
        log.warning(
            "%sthese threads, which %s has started, run in no worker: %s. Start them in the hook post_fork, "
            "or with the first request.",
            subject,
            culprit,
            listed(others),
        )
    sockets = [fd for fd, is_socket in descriptors().items() if is_socket and fd not in before]
    peers = [peer for peer in map(peer_of, sorted(sockets)) if peer]
    if peers:
        log.warning(
            "%sthese connections, which %s has opened, are shared by all workers, who will read each other's "
            "answers: %s. Open them in the hook post_fork, or with the first request.",
            subject,
            culprit,
            listed(peers),
        )


def listed(names):
    shown = ", ".join(str(name)[:80] for name in names[:20])
    return shown if len(names) <= 20 else "%s and %d more" % (shown, len(names) - 20)


def descriptors():
    """Those that are open, and which of them are sockets."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return {}
    found = {}
    for fd in map(int, names):
        try:
            found[fd] = stat.S_ISSOCK(os.fstat(fd).st_mode)
        except OSError:
            pass  # that of the listing itself
    return found


def peer_of(fd):
    """Whom a socket is a connection to; None where it is none."""
    try:
        connection = _socket.socket(fileno=os.dup(fd))
    except OSError:
        return None
    try:
        if connection.type & 0xF != _socket.SOCK_STREAM:
            return None
        peer = connection.getpeername()
        return "%s:%s" % peer[:2] if isinstance(peer, tuple) else str(peer) or "a socket pair"
    except OSError:
        return None  # it listens, or is not connected yet
    finally:
        connection.close()


def take_signals(orders, made):
    """Python handlers, not SIG_IGN, which programs that hooks start would inherit. Answers what was there before."""

    def end(number, frame):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # what the app wants done at exit is for processes that have served

    def reopen(number, frame):
        mixin.reopen_output(orders, made.app.cfg, made.log)
        made.log.reopen_files()

    before = {}
    wanted = dict.fromkeys(ENDING, end)
    wanted.update(dict.fromkeys(DEAF, lambda number, frame: None))
    wanted[signal.SIGUSR1] = reopen
    for number, handler in wanted.items():
        before[number] = signal.signal(number, handler)
    return before


def give_signals_back(handlers):
    for number, handler in handlers.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def wait_for_commands(beat, fork):
    """Comes back in what was forked alone, once for each command: with its descriptors, and the process between it and the
    zygote."""
    commands = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fileno=CONTROL)
    commands.settimeout(BEAT)
    space = _socket.CMSG_SPACE(4 * MOST)
    while True:
        beat()
        try:
            byte, ancillary, _, _ = commands.recvmsg(1, space, _socket.MSG_CMSG_CLOEXEC)
        except _socket.timeout:
            continue
        if not byte:
            os._exit(0)  # only where somebody has closed the end that is kept here
        fds = [
            int.from_bytes(data[at : at + 4], sys.byteorder)
            for _, _, data in ancillary
            for at in range(0, len(data) - 3, 4)
        ]
        # Whatever else comes is no command.
        middle = fork(fds) if len(fds) >= 3 else None
        if middle is not None:
            commands.detach()
            return fds, middle
        for fd in fds:
            os.close(fd)


def fork_twice(fds):
    """None in the zygote; in the worker, whose parent is to be ostlerd, the number of the process in between."""
    sys.stdout.flush()
    sys.stderr.flush()
    # A signal to one of them must not find the zygote's handlers in another.
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    try:
        child = fork()
    except OSError as error:
        tell(fds, error)
        child = 0
    else:
        if child == 0:
            middle = posix.getpid()
            try:
                if fork():
                    posix._exit(0)
                return middle
            except OSError as error:
                tell(fds, error)
                posix._exit(0)
    if child:
        try:
            posix.waitpid(child, 0)
        except ChildProcessError:
            pass  # the app ignores SIGCHLD, or waits for every child itself
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return None


def fork():
    with warnings.catch_warnings():
        # Of threads that live it was warned before, by their names.
        warnings.simplefilter("ignore", DeprecationWarning)
        return posix.fork()


def tell(fds, error):
    """On the control socket of the worker that will not be."""
    control = Control(fds[1])
    control.failed(Failure("boot", "the zygote cannot fork: %s" % said(error)))


def orders_of(fds, places):
    """Puts the descriptors where those of a fresh process are, and reads the orders."""
    orders, listeners = fds[0], fds[3:]
    text = os.pread(orders, os.fstat(orders).st_size, 0).rstrip()
    for index, place in places:
        posix.dup2(fds[index], place, place <= 2)
    for fd in fds[1:3]:
        os.close(fd)
    read = json.loads(text)
    boot_report.open(in_its_place(orders), read)
    for order, fd in zip(read["listeners"], listeners):
        order["fd"] = fd
    return read


def in_its_place(orders):
    """At the number where ostlerd looks for it, unless the app has something there."""
    try:
        os.fstat(ORDERS)
        return orders
    except OSError:
        posix.dup2(orders, ORDERS, False)
        os.close(orders)
        return ORDERS


def begin(orders, middle):
    """A worker of its own: its session, its parent, its name, its random numbers; then ostlerd's word that it is known."""
    posix.setsid()
    while posix.getppid() == middle:
        posix.sched_yield()
    ostlerd = posix.getppid()
    control = Control()
    control.send("forked")
    if not is_known(orders, ostlerd):
        os._exit(0)
    name_process(orders)
    for module in ("random", "numpy.random"):
        if module in sys.modules:
            sys.modules[module].seed()


def is_known(orders, ostlerd):
    """Waits for ostlerd's word. One that holds ostlerd's end as well reads no end of file when ostlerd ends, or becomes
    another one."""
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fileno=CONTROL)
    socket.settimeout(BEAT if orders["mode"] == "hooks" else None)
    known, beats = None, 0
    while known is None:
        try:
            known = socket.recv(1)
        except _socket.timeout:
            beats += 1
            known = b"" if posix.getppid() != ostlerd or beats > PATIENCE else None
        except OSError:
            known = b""
    socket.settimeout(None)
    socket.detach()
    return bool(known)


def name_process(orders):
    """Puts its title where the zygote's is on the command line, as far as there is room."""
    what = {"hooks": "hooks g%d", "inspect": "settings"}.get(orders["mode"], "w%d g%%d" % orders["worker"])
    title = ("ostler: %s [%s]" % (orders["app"], what.replace("%d", str(orders["generation"])))).encode()
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        with open("/proc/self/cmdline", "rb") as file:
            old = file.read().rstrip(b"\0").rpartition(b"\0")[2]
        start, end = int(fields[45]), int(fields[46])
        if old.startswith(b"ostler: ") and len(title) <= len(old) and end - start > len(old):
            with open("/proc/self/mem", "r+b", 0) as memory:
                memory.seek(end - 1 - len(old))
                memory.write(title.ljust(len(old), b"\0"))
    except (OSError, ValueError, IndexError):
        pass  # its title is the zygote's, then
