#!/usr/bin/env python3
"""Runs the laws of the watchdog's database side against real servers: tests/migrate_db/run.py [--venvs DIR] [-k WORD] [-j N]

DIR is made by tests/venvs.sh. A module of laws has `SERVER`, a context manager that is entered once and shared, and
`LAWS`; each law is tried with the drivers of every virtual environment, in a database and a folder of its own. The last
line is `N passed, N failed`; the exit status is 1 where one failed.
"""

import argparse
import concurrent.futures
import contextlib
import importlib
import itertools
import os
import signal
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "servers")]

from place import Place  # noqa: E402
from program import ROOT  # noqa: E402

VENVS = ("migrate-a", "migrate-b", "migrate-c", "newest")
# Which laws are tried where: all of them with the newest of everything and with the oldest, which have both drivers of each
# database between them. What the usual Django and the one between could do otherwise is what hangs on Django's own methods,
# once, and what each server answers; what is kept in a database is that whichever Django it is that asks for it.
OF_DJANGO = (
    "laws_breakage",
    "laws_hooks",
    "laws_mariadb",
    "laws_no_manage",
    "laws_owed",
    "laws_postgres_run",
    "laws_sqlite",
)
ONLY = {"migrate-a": OF_DJANGO + ("laws_marker", "laws_project"), "migrate-c": OF_DJANGO}
NUMBERS = itertools.count(1)


def modules():
    """Those that are there: one for each kind of database and subject, `laws_…`."""
    names = sorted(name[:-3] for name in os.listdir(HERE) if name.startswith("laws_") and name.endswith(".py"))
    return [importlib.import_module(name) for name in names]


class Servers:
    """Each kind of server is started when the first law needs it."""

    def __init__(self, stack):
        self.stack, self.made, self.lock = stack, {}, threading.Lock()

    def of(self, kind):
        with self.lock:
            if kind not in self.made:
                self.made[kind] = self.stack.enter_context(kind()) if kind else None
            return self.made[kind]


def name_of(module, law, venv):
    return "%s.%s [%s]" % (module.__name__, law.__name__, venv)


def attempt(servers, venvs, module, law, venv):
    began, notes = time.monotonic(), []
    try:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ostler-migrate-"))
            os.chmod(folder, 0o755)
            number = next(NUMBERS)
            law(Place(os.path.join(venvs, venv), folder, servers.of(module.SERVER), number, stack, notes))
        trouble = None
    except Exception:
        trouble = traceback.format_exc()
    return trouble, time.monotonic() - began, notes


def tell(running):
    """Prints each outcome as it comes; answers how many failed."""
    failed = 0
    for done in concurrent.futures.as_completed(running):
        trouble, took, notes = done.result()
        failed += bool(trouble)
        print(
            "%s %s %.1f s%s"
            % ("FAILED" if trouble else "ok", running[done], took, "".join(": " + note for note in notes)),
            flush=True,
        )
        if trouble:
            print(trouble, flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venvs", default=os.environ.get("OSTLER_VENVS") or os.path.join(ROOT, "target", "venvs"))
    parser.add_argument("-k", metavar="WORD", default="", help="only laws whose name has this in it")
    parser.add_argument(
        "-j", metavar="N", type=int, default=6, help="at the same time (default 6): they wait more than they work"
    )
    options = parser.parse_args()
    os.closerange(3, 1024)  # whatever we were started with must not reach the programs
    venvs = os.path.abspath(options.venvs)
    missing = [venv for venv in VENVS if not os.path.exists(os.path.join(venvs, venv, ".stamp"))]
    present = [venv for venv in VENVS if venv not in missing]
    if "newest" in present:
        with open(os.path.join(venvs, "newest", ".versions"), encoding="utf-8") as file:
            print("newest: " + ", ".join(file.read().split()), flush=True)
    chosen = [
        (module, law, venv)
        for module in modules()
        for law in module.LAWS
        for venv in present
        if module.__name__ in ONLY.get(venv, (module.__name__,)) and options.k in name_of(module, law, venv)
    ]
    # An end from outside lets what runs clean up after itself.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit("stopped"))
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        servers = Servers(stack)
        running = {pool.submit(attempt, servers, venvs, *case): name_of(*case) for case in chosen}
        try:
            failed = tell(running)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    if missing:
        print("no %s in %s: run tests/venvs.sh %s" % (", ".join(missing), venvs, venvs))
    print("%d passed, %d failed" % (len(chosen) - failed, failed))
    return 1 if failed or missing or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
