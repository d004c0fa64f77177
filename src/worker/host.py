"""The hooks of gunicorn's master, in a process of their own: whatever they do disturbs no worker."""

import json
import os
import signal
import sys
import traceback

from _ostler import settings, shift
from _ostler.text import said, tail
from _ostler.wire import CONTROL, MESSAGE_LIMIT


class Server:
    """What hooks get for gunicorn's arbiter."""

    def __init__(self, app, log, worker_class, listeners=(), workers=(), addresses=()):
        cfg = app.cfg
        self.app, self.cfg, self.log = app, cfg, log
        self.pid = self.master_pid = os.getppid()
        self.master_name, self.proc_name = "ostlerd", cfg.proc_name
        self.LISTENERS, self.WORKERS = list(listeners), {worker.pid: worker for worker in workers}
        # As gunicorn's arbiter has it: a list of pairs and paths.
        self.address = [listener.cfg_addr for listener in listeners] or list(addresses) or cfg.address
        self.timeout = cfg.timeout
        self.num_workers, self.worker_age = cfg.workers, max([worker.age for worker in workers], default=0)
        self.worker_class = worker_class
        self.pidfile, self.reexec_pid, self.systemd = None, 0, False
        self.START_CTX = {"args": [sys.executable] + sys.argv, "cwd": os.getcwd(), 0: sys.executable}


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
    def __init__(self, orders):
        from gunicorn import util

        app = settings.load(orders)
        cfg = app.cfg
        settings.take_over(cfg)
        told = [order["address"] for order in orders.get("addresses", ())]
        addresses = [tuple(address) if isinstance(address, list) else address for address in told]
        self.server = Server(app, settings.logger(cfg), settings.worker_class(cfg), addresses=addresses)
        settings.set_environment(cfg)
        util._setproctitle("hooks [%s]" % cfg.proc_name)

    def reopen_logs(self, orders):
        shift.reopen_output(orders, self.server.cfg, self.server.log)
        self.server.log.reopen_files()

    def call(self, order):
        """Runs the hook that is named, with gunicorn's arguments for it."""
        name, server = order["hook"], self.server
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
        getattr(server.cfg, name)(*arguments)


def run(orders, control):
    """One hook a line until the end of file; a hook that fails is told, and the next one runs all the same."""
    # It ends with the end of file, so that `on_exit` runs where everything is told to end at once. Python handlers,
    # not SIG_IGN, which the children of hooks would inherit.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, frame: None)
    host = Host(orders)
    signal.signal(signal.SIGUSR1, lambda number, frame: host.reopen_logs(orders))
    with open(CONTROL, "rb", closefd=False) as lines:
        for line in lines:
            order = json.loads(line)
            failed = {}
            try:
                host.call(order)
            except BaseException as error:
                host.server.log.warning("Exception in the hook %s:\n%s", order["hook"], traceback.format_exc())
                failed = {"error": tail(said(error), MESSAGE_LIMIT)}
            sys.stdout.flush()
            control.send("ran", hook=order["hook"], **failed)
