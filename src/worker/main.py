"""One worker from its first line to its exit status: what gunicorn's `Arbiter.spawn_worker` does, without it."""

import os
import signal
import sys
import traceback

from _ostler import django_app, host, listen, mixin, output, settings, slot, warm, zygote
from _ostler.boot_report import boot_report
from _ostler.text import said, status_of, trace_of
from _ostler.wire import Control, Failure, leave, say

CONTRACT = 1


def run(orders, fd):
    slot.private()
    mixin.lead_own_session()
    boot_report.open(fd, orders)
    for name in list(os.environ):
        if name.startswith(settings.NOT_FOR_THE_APP):
            del os.environ[name]
    control = Control()
    control.send("here")
    try:
        if orders.get("contract") != CONTRACT:
            message = "the orders are of contract %s, this worker knows 1" % orders.get("contract")
            raise Failure("settings", message, "", 1)
        if orders["mode"] == "inspect":
            control.send("settings", **settings.describe(settings.load(orders)))
        elif orders["mode"] == "warm":
            warm.run(orders, control)
        elif orders["mode"] == "hooks":
            output.by_line(orders["app"])
            host.run(orders, control, Made(orders))
        elif orders["mode"] in zygote.MODES:
            output.by_line(orders["app"])
            zygote.run(orders, control, Made, work)
        else:
            output.by_line(orders["app"])
            work(orders, control)
    except Failure as failure:
        control.failed(failure)
        leave(failure)
    except BaseException as error:
        if Control.settled:
            raise
        failure = does_not_start(error)
        control.failed(failure)
        say(failure.trace)
        raise SystemExit(failure.status) from None


class Made:
    """What a worker is made of: the same for all workers of a zygote."""

    def __init__(self, orders):
        self.app = settings.load(orders)
        cfg = self.app.cfg
        settings.take_over(cfg)
        self.log = settings.logger(cfg)
        self.cls = settings.worker_class(cfg)
        self.mixin = settings.mixin_for(self.cls, cfg)
        self.server = host.Server(self.app, self.log, self.cls)
        self.begun = {}
        try:
            settings.set_environment(cfg)
            if hasattr(self.cls, "check_config"):
                self.cls.check_config(cfg, self.log)
        except BaseException as error:
            raise does_not_start(error) from None


def does_not_start(error):
    what = status_of(error) if isinstance(error, SystemExit) else said(error)
    return Failure("boot", "the worker does not start: " + what, trace_of(error))


def work(orders, control, made=None):
    board = slot.Slot(orders["slot"]["offset"], orders["slot"]["size"])
    heartbeat = slot.Heartbeat(board, control)
    if orders.get("tables"):
        heartbeat.then = django_app.tell_tables
    made = made or Made(orders)
    app, log, cls, cfg = made.app, made.log, made.cls, made.app.cfg
    try:
        listeners = [listen.listener(order, cfg, log) for order in orders["listeners"]]
    except Exception as error:
        raise does_not_start(error) from None

    from gunicorn.workers import base

    base.WorkerTmp = lambda cfg: heartbeat
    time = mixin.Context(orders, control, board, heartbeat)
    worker_type = type(cls.__name__, (made.mixin, cls), {"context": time, "__module__": cls.__module__})
    # Half of gunicorn's timeout, as its arbiter has it, but a beat a second at least.
    timeout = min(cfg.timeout / 2.0, 1.0) or 1.0
    worker = worker_type(orders["worker"], os.getppid(), listeners, app, timeout, cfg, log)
    worker.pid = os.getpid()
    serve(worker, made.server.has(worker, worker_type, listeners))


def serve(worker, server):
    """`Arbiter.spawn_worker`, with a report to ostlerd for whatever happens before the worker is ready."""
    from gunicorn import util
    from gunicorn.errors import AppImportError

    log, stuck = worker.log, False
    Control.settled = True
    try:
        util._setproctitle("worker [%s]" % worker.cfg.proc_name)
        log.info("Booting worker with pid: %s", worker.pid)
        worker.context.stage = "hook"
        worker.cfg.post_fork(server, worker)
        worker.context.stage = "boot"
        worker.init_process()
        sys.exit(0)
    except Failure as failure:
        stuck = failure.stuck
        end(worker, failure, lambda it=failure: (log.error("%s", it.message), say(it.trace)))
    except SystemExit as stop:
        stopped(worker, stop)
        raise
    except AppImportError as error:
        end(
            worker,
            Failure("attribute", str(error), trace_of(error), 4),
            lambda: log.debug("Exception while loading the application", exc_info=True),
        )
    except BaseException as error:
        if not worker.context.heartbeat.ready:
            end(
                worker,
                Failure(worker.context.stage, reason(worker, said(error)), trace_of(error)),
                lambda: log.exception("Exception in worker process"),
            )
        if not isinstance(error, Exception):
            raise
        log.exception("Exception in worker process")
        print(error, file=sys.stderr)
        sys.exit(-1)
    finally:
        # A second SIGTERM must not cut this short, nor, once Python gives up its handlers, spoil the status.
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        log.info("Worker exiting (pid: %s)", worker.pid)
        try:
            worker.cfg.worker_exit(server, worker)
        except Exception:
            log.warning("Exception during worker exit:\n%s", traceback.format_exc())
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if stuck:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(3)


def stopped(worker, stop):
    """An exit before the worker was ready that nobody asked for is a failure to boot."""
    if worker.context.heartbeat.ready or not worker.alive:
        return
    said_of = worker.context.words.strip().splitlines()
    what = said_of[-1] if said_of else status_of(stop)
    failure = Failure(worker.context.stage, reason(worker, what), worker.context.words or trace_of(stop))
    end(worker, failure)


def reason(worker, what):
    stage, orders = worker.context.stage, worker.context.orders
    if stage == "import":
        return "the import of %s failed: %s" % (worker.app.app_uri, what)
    if stage == "hook":
        return "a hook of gunicorn's configuration failed: %s" % what
    return "%s does not start: %s" % (orders["app"], what)


def end(worker, failure, log=None):
    """Tells ostlerd first: neither a thread that hangs nor a log that fails must keep it waiting."""
    worker.context.control.failed(failure)
    try:
        if log is not None:
            log()
    except Exception:
        pass
    leave(failure)
