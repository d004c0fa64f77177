"""One program of the watchdog from its first line to its exit status."""

import faulthandler
import os
import signal
import sys
import traceback

from _ostler import project, watch
from _ostler import run as migration
from _ostler.text import said, trace_of
from _ostler.wire import Control, Trouble

CONTRACT = 1


def run(orders, fd):
    os.close(fd)
    control = Control()
    try:
        if orders.get("contract") != CONTRACT:
            raise Trouble("broken", "the orders are of contract %s, this program knows 1" % orders.get("contract"))
        if orders["mode"] == "run":
            # Whoever started us may have left it ignored, and Python would have left it so.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            return migration.run(orders, control)
        # Where it stands, if it does not open.
        faulthandler.register(signal.SIGRTMIN + 5, sys.stderr)
        watch.Watch(orders, control).run()
    except project.NoDjango as none:
        watch.nothing(control, str(none), orders)
    except Trouble as trouble:
        control.failed(trouble.kind, trouble.message, trouble.trace)
        sys.exit(1)
    except Exception as error:
        if orders.get("mode") == "run":
            raise
        traceback.print_exc()
        control.failed("broken", "the database side has failed: %s" % said(error), trace_of(error))
        sys.exit(1)
