"""The hooks of gunicorn's master, in a process of their own: whatever they do disturbs no worker. The one that gunicorn's
master runs before it forks, `on_starting` or `on_reload`, is run by the zygote: its workers see what it has computed."""

import json
import os
import signal
import sys
import traceback

from _ostler import mixin
from _ostler.boot_report import boot_report
from _ostler.text import said, tail
from _ostler.wire import CONTROL, MESSAGE_LIMIT


class Server:
    """What hooks get for gunicorn's arbiter."""

    def __init__(self, app, log, worker_class):
        cfg = app.cfg
        self.app, self.cfg, self.log = app, cfg, log
        self.pid = self.master_pid = os.getppid()
        self.master_name, self.proc_name = "ostlerd", cfg.proc_name
        self.LISTENERS, self.WORKERS = [], {}
        # As gunicorn's arbiter has it: a list of pairs and paths.
        self.address = cfg.address
        self.timeout = cfg.timeout
        self.num_workers, self.worker_age = cfg.workers, 0
        self.worker_class = worker_class
        self.pidfile, self.reexec_pid, self.systemd = None, 0, False
        self.START_CTX = {"args": [sys.executable] + sys.argv, "cwd": os.getcwd(), 0: sys.executable}

    def listens(self, orders):
        """Where the app listens, in a process that has no sockets of it."""
        told = [order["address"] for order in orders.get("addresses", ())]
        self.address = [
            tuple(address) if isinstance(address, list) else address for address in told
        ] or self.cfg.address

    def has(self, worker, worker_class, listeners):
        """In the process of the one worker that there is."""
        self.pid = self.master_pid = os.getppid()
        self.LISTENERS, self.WORKERS = list(listeners), {worker.pid: worker}
        self.address = [listener.cfg_addr for listener in listeners]
        self.worker_age, self.worker_class = worker.age, worker_class
        return self


class Worker:
    """What the master's hooks get for a worker, which is another process."""

    aborted = False
    booted = alive = True

    def __init__(self, server, told):
        self.age, self.pid, self.ppid = told["id"], told["pid"], server.pid
        self.app, self.cfg, self.log = server.app, server.cfg, server.log
        self.sockets, self.timeout = server.LISTENERS, server.timeout

    def __str__(self):
        return "<Worker %s>" % self.pid


class Host:
    def __init__(self, orders, made):
        from gunicorn import util

        self.server = made.server
        self.server.pid = self.server.master_pid = os.getppid()
        self.server.listens(orders)
        # What the zygote that it was forked from has run already, and what that raised.
        self.begun = made.begun
        util._setproctitle("hooks [%s]" % self.server.proc_name)

    def reopen_logs(self, orders):
        mixin.reopen_output(orders, self.server.cfg, self.server.log)
        self.server.log.reopen_files()

    def run(self, order):
        """Runs the hook that is named, with gunicorn's arguments for it; what it raised, in words, else None."""
        name, server = order["hook"], self.server
        if name in self.begun:
            return self.begun.pop(name)
        server.num_workers = order["workers"]
        arguments = [server]
        if name == "pre_fork":
            worker = Worker(server, order["worker"])
            server.WORKERS[worker.pid] = worker
            server.worker_age = worker.age
            arguments.append(worker)
        elif name == "child_exit":
            worker = server.WORKERS.pop(order["worker"]["pid"], None) or Worker(server, order["worker"])
            worker.alive = False
            arguments.append(worker)
        elif name == "nworkers_changed":
            arguments += [order["workers"], order["from"]]
        return call(server, name, arguments)


def call(server, name, arguments):
    """What the hook raised, in words, else None."""
    try:
        getattr(server.cfg, name)(*arguments)
        return None
    except BaseException as error:
        server.log.warning("Exception in the hook %s:\n%s", name, traceback.format_exc())
        return tail(said(error), MESSAGE_LIMIT)


def begin(orders, server):
    """What gunicorn's master runs before it forks: by its name what it raised, if the app sets such a hook."""
    order = orders.get("begin")
    if order is None:
        return {}
    server.num_workers = order["workers"]
    server.listens(orders)
    return {order["hook"]: call(server, order["hook"], [server])}


def run(orders, control, made):
    """One hook a line until the end of file; a hook that fails is told, and the next one runs all the same."""
    # It ends with the end of file, so that `on_exit` runs where everything is told to end at once. Python handlers,
    # not SIG_IGN, which the children of hooks would inherit.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, frame: None)
    host = Host(orders, made)
    boot_report.close()  # the stacks of a hook that hangs are for the log
    signal.signal(signal.SIGUSR1, lambda number, frame: host.reopen_logs(orders))
    with open(CONTROL, "rb", closefd=False) as lines:
        for line in lines:
            order = json.loads(line)
            error = host.run(order)
            sys.stdout.flush()
            control.send("ran", hook=order["hook"], **({} if error is None else {"error": error}))
