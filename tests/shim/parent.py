"""A parent to be killed: starts two workers, prints its port and their pids, and waits."""

import signal
import sys
import types

from kinds import shop

venv, directory, kind = sys.argv[1:]
app = shop(types.SimpleNamespace(venv=venv, directory=directory, kind=kind))
workers = [app.ready(), app.ready()]
print(app.address[1], *(worker.pid for worker in workers), flush=True)
signal.pause()
