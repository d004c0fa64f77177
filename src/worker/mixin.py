"""What every worker class has in common: the mixin over gunicorn's class, and what it works with."""

import os
import signal

from _ostler import admission, django_app, entry, output, probe
from _ostler.wire import Failure


def lead_own_session():
    """The process leads a session already: what asks for that, or for a group of its own, as under gunicorn, has it."""

    def asked_twice(call, is_own):
        def called(*args):
            try:
                return call(*args)
            except PermissionError:
                if os.getsid(0) != os.getpid() or not is_own(*args):
                    raise

        return called

    os.setsid = asked_twice(os.setsid, lambda: True)
    os.setpgrp = asked_twice(os.setpgrp, lambda: True)
    os.setpgid = asked_twice(os.setpgid, lambda *numbers: {0, os.getpid()}.issuperset(numbers))


class Context:
    """One worker's time at work: its orders, its slot, its line to ostlerd, how far it has come."""

    def __init__(self, orders, control, slot, heartbeat):
        self.orders = orders
        self.control = control
        self.slot = slot
        self.heartbeat = heartbeat
        self.stage = "boot"
        self.words = ""
        self.background = None
        self.websockets = 0
        self.urls = None  # how many, if the app is Django's

    def prove(self, answer):
        """Tells what the worker has shown of itself; `answer` is None if there was no probe."""
        self.control.send("proved", urls=self.urls, probe=answer.report() if answer else None)

    def announce(self):
        self.slot.loaded()
        self.control.send("loaded")


class Parent(int):
    """The number of a process that is equal to every other: gunicorn compares it with what it asks for a moment later,
    and ostlerd may die in between."""

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __hash__ = int.__hash__


class Mixin:
    """Goes before gunicorn's class in a subclass that has `context` as an attribute."""

    context = None
    multithread = False
    asynchronous = True

    @staticmethod
    def before_import():
        """What has to come before the app's import, where that does not happen in a worker."""

    # gunicorn's workers leave when their parent changes; these outlive it.
    ppid = property(lambda self: Parent(os.getppid()), lambda self, value: None)

    def init_signals(self):
        super().init_signals()
        # Python handlers, not SIG_IGN, which the app's own children would inherit.
        for number in (signal.SIGHUP, signal.SIGUSR2):
            signal.signal(number, lambda number, frame: None)
            signal.siginterrupt(number, False)

    def go_at_once(self, *numbers):
        """Until a loop takes the signals over, they end the worker, which has nothing to finish."""

        def go(number, frame):
            self.alive = False
            raise SystemExit(0)

        for number in numbers:
            signal.signal(number, go)

    def handle_usr1(self, sig, frame):
        self.reopen_output()
        super().handle_usr1(sig, frame)

    def reopen_output(self):
        reopen_output(self.context.orders, self.cfg, self.log)

    def load_wsgi(self):
        self.context.stage = "import"
        with output.Heard():
            super().load_wsgi()
        entry.check(self, getattr(self, "asgi", None) or self.wsgi, self.asynchronous)
        try:
            self.context.urls = django_app.load()
        except Failure:
            if self.alive:
                raise
            raise SystemExit(0) from None  # it was told to go meanwhile, and has nothing to tell
        self.count_requests()
        self.context.stage = "hook"  # post_worker_init comes next


def reopen_output(orders, cfg, log):
    path = orders.get("log_file")
    if not path or (cfg.capture_output and cfg.errorlog != "-"):
        return
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        log.warning("The log file is not reopened: %s", error)
        return
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)


class Wsgi(Mixin):
    """Probe and hold come before `run`; requests are counted where gunicorn's request hooks are called."""

    asynchronous = False

    def run(self):
        self.context.stage = "boot"
        admission.admit(self)
        super().run()

    def handle_exit(self, sig, frame):
        self.context.slot.draining()
        super().handle_exit(sig, frame)

    def probe_target(self):
        return self.wsgi

    def bounded(self, seconds, call):
        probe.bounded_by_alarm(seconds, call)

    def count_requests(self):
        settings, slot = self.cfg.settings, self.context.slot
        before, after = settings["pre_request"], settings["post_request"]
        before.value, after.value = counting(before.value, after.value, slot.start, slot.finish)


def counting(before, after, start, finish):
    def pre_request(worker, request):
        request.ostler_entry = start()
        before(worker, request)

    def post_request(worker, request, environ, response):
        try:
            after(worker, request, environ, response)
        finally:
            finish(request.ostler_entry)

    return pre_request, post_request


def counted_asgi(app, context):
    """Counts HTTP requests, and keeps the reason of a failed start-up."""
    start, finish = context.slot.start, context.slot.finish

    async def counted(scope, receive, send):
        if scope["type"] == "http":
            entry = start()
            try:
                return await app(scope, receive, send)
            finally:
                finish(entry)
        if scope["type"] == "websocket":
            context.websockets += 1
            try:
                return await app(scope, receive, send)
            finally:
                context.websockets -= 1
        if scope["type"] == "lifespan":
            send = listening(send, context)
        return await app(scope, receive, send)

    return counted


def listening(send, context):
    async def heard(message):
        if message.get("type") == "lifespan.startup.failed":
            context.words = str(message.get("message") or "")
        await send(message)

    return heard
