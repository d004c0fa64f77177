#!/usr/bin/env python3
"""Runs the worker's laws against real gunicorn: tests/shim/run.py [--venvs DIR] [-k WORD] [-j N]

DIR is made by tests/venvs.sh. The last line is `N passed, N failed`; the exit status is 1 where one failed.
"""

import argparse
import concurrent.futures
import ctypes
import glob
import os
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import booting
import draining
import failing
import forking
import holding
import hooks
import http2
import inspecting
import loading
import proving
import serving
import supervisor
from kinds import CLASSES
from supervisor import ROOT

# `newest` is the newest of everything that there is today, see tests/venvs.sh.
ENVIRONMENTS = ["gunicorn-20.1", "gunicorn-23", "gunicorn-27", "newest"]
# With the package that gunicorn's HTTP/2 takes.
WITH_H2 = "gunicorn-27-http2"
PR_SET_CHILD_SUBREAPER = 36
# Those that name their worker classes themselves; the second ones with the newest gunicorn alone.
OF_ANY = booting.LAWS + inspecting.LAWS + failing.LAWS + hooks.LAWS + forking.LAWS + loading.LAWS + proving.LAWS
ONCE = booting.ONCE + inspecting.ONCE + failing.ONCE + loading.ONCE + proving.ONCE


class Place:
    """Where one law is tried: a gunicorn, a worker class, a folder."""

    def __init__(self, venvs, environment, kind, preload=False):
        self.environment, self.kind, self.preload = environment, kind, preload
        self.venv = os.path.join(venvs, environment)
        self.gunicorn = versions(self.venv)["gunicorn"]
        self.major = int(self.gunicorn.split(".")[0])
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def versions(venv):
    """What is installed in it, by name."""
    names = glob.glob(os.path.join(venv, "lib", "python3*", "site-packages", "*.dist-info"))
    return dict(os.path.basename(it)[: -len(".dist-info")].lower().split("-", 1) for it in names)


def tell_newest(venv):
    """What `newest` is today, and where it is newer than what ostler says that it supports."""
    found = versions(venv)
    print(
        "newest: %s, %s"
        % (
            os.path.basename(glob.glob(os.path.join(venv, "lib", "python3*"))[0]),
            ", ".join("%s %s" % it for it in sorted(found.items())),
        ),
        flush=True,
    )
    major = int(found["gunicorn"].split(".")[0])
    if major > supervisor.newest_supported():
        print(
            "\n*** gunicorn %s is out, and ostler refuses what is newer than %d. Its laws are tried all the same: where they "
            "hold, raise NEWEST in\n*** src/worker/settings.py and say so in README.md and ostler.toml(5); where not, "
            "mend what does not.\n" % (found["gunicorn"], supervisor.newest_supported()),
            flush=True,
        )
        supervisor.tried = major


def tried(venvs, environments):
    """Those whose laws are tried: the pinned newest is not, as long as nothing newer is out, for `newest` is the same then."""
    newest = versions(os.path.join(venvs, environments[-1])).get("gunicorn") if environments else None
    same = [it for it in environments[:-1] if versions(os.path.join(venvs, it)).get("gunicorn") == newest]
    for environment in same:
        print("%s is what newest has: its laws are tried there" % environment, flush=True)
    return [it for it in environments if it not in same]


def cases(venvs, environments, with_h2):
    """What is a worker's own is tried for each class on each gunicorn, and what all classes share on each gunicorn. What hangs
    on no version is tried once, with the newest of everything; what few versions could do otherwise, at both ends."""
    for environment in environments:
        at_an_end = environment in (environments[0], environments[-1])
        for kind in CLASSES:
            if kind == "asgi" and Place(venvs, environment, kind).major < 27:
                continue  # there is none, or one that drains badly
            laws = (
                holding.LAWS + serving.LAWS + draining.LAWS
                if kind != "uvicorn.workers"
                else [serving.a_replaced_worker_loses_no_request]
            )
            for law in laws:
                yield law, Place(venvs, environment, kind)
            for law in serving.AT_THE_ENDS if at_an_end and kind != "uvicorn.workers" else []:
                yield law, Place(venvs, environment, kind)
            for law in draining.OF_LOOPS if kind in ("asgi", "uvicorn") else []:
                yield law, Place(venvs, environment, kind)
            for law in forking.OF_WORKERS if kind != "uvicorn.workers" else []:
                yield law, Place(venvs, environment, kind, preload=True)
                # How a fork is taken over is one thing for both; what is loaded before it is tried at the ends.
                if at_an_end:
                    yield law, Place(venvs, environment, kind, preload="settings")
        for law in OF_ANY:
            yield law, Place(venvs, environment, "any")
    for kind in http2.KINDS if with_h2 else []:
        for law in http2.LAWS:
            yield law, Place(venvs, WITH_H2, kind)
    for law in ONCE if environments else []:
        yield law, Place(venvs, environments[-1], "any")


def name_of(law, place):
    preloaded = {False: "", True: " preloaded", "settings": " settings preloaded"}[place.preload]
    return "%s [%s %s%s]" % (law.__name__, place.kind, place.environment.replace("gunicorn-", ""), preloaded)


def attempt(law, place):
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="ostler-shim-") as place.directory:
            law(place)
        trouble = None
    except Exception:
        trouble = traceback.format_exc()
    return trouble, time.monotonic() - began


def tell(running):
    """Prints each outcome as it comes; answers how many failed."""
    failed = 0
    for done in concurrent.futures.as_completed(running):
        trouble, took = done.result()
        law, place = running[done]
        failed += bool(trouble)
        notes = "".join(": " + note for note in place.notes)
        print("%s %s %.1f s%s" % ("FAILED" if trouble else "ok", name_of(law, place), took, notes), flush=True)
        if trouble:
            print(trouble, flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venvs", default=os.environ.get("OSTLER_VENVS") or os.path.join(ROOT, "target", "venvs"))
    parser.add_argument("-k", metavar="WORD", default="", help="only laws whose name has this in it")
    parser.add_argument("-j", metavar="N", type=int, default=2, help="at the same time (default 2)")
    options = parser.parse_args()
    # What zygotes fork twice is ours, as it is ostlerd's.
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    os.closerange(3, 1024)  # whatever we were started with must not reach the workers
    venvs = os.path.abspath(options.venvs)
    missing = [it for it in ENVIRONMENTS + [WITH_H2] if not os.path.exists(os.path.join(venvs, it, ".stamp"))]
    present = [it for it in ENVIRONMENTS if it not in missing]
    if "newest" in present:
        tell_newest(os.path.join(venvs, "newest"))
    chosen = [
        case for case in cases(venvs, tried(venvs, present), WITH_H2 not in missing) if options.k in name_of(*case)
    ]
    # An end from outside lets what runs clean up after itself.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit("stopped"))
    with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        running = {pool.submit(attempt, *case): case for case in chosen}
        try:
            failed = tell(running)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if missing:
        print("no %s in %s: run tests/venvs.sh %s" % (", ".join(missing), venvs, venvs))
    print("%d passed, %d failed" % (len(chosen) - failed, failed))
    return 1 if failed or missing or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
