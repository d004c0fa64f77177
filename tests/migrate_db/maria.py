"""What the laws of MariaDB share: a project on it, and runs driven as ostlerd drives them."""

import threading
import time

from program import HANG

# Debian's and PyPI's pymysql is a stand-in for MySQLdb where the app says so.
STAND_IN = """
try:
    import MySQLdb
except ImportError:
    import pymysql
    pymysql.version_info = (2, 2, 1, "final", 0)
    pymysql.install_as_MySQLdb()
"""


def project(place, settings=None):
    made = place.project(settings)
    made.write("site_of_shop/__init__.py", STAND_IN)
    return made


def filled(place, rows):
    """A project whose first migration is applied, with rows."""
    made = project(place)
    place.migrate()
    place.server.fill(place.name, "shop_order", rows)
    return made


def until(holds, within=HANG, what="it"):
    limit = time.monotonic() + within
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < limit, "not within %s s: %s" % (within, what)
        time.sleep(0.02)


def step_to(run, at, **fields):
    return run.hear(
        "step", where=lambda it: it["at"] == at and all(it.get(key) == value for key, value in fields.items())
    )


def failure_of(run):
    """What it says before it fails."""
    return next(it for it in run.all() if it["event"] == "failed")


def verify(watch, pending, migration, step, failed=True):
    """The report; `step` as ostlerd keeps it."""
    at = {key: value for key, value in step.items() if key != "event"} if step else None
    return watch.ask("verify", "verified", pending=pending, migration=migration, at=at, failed=failed)


def driven(place):
    """One deployment as ostlerd drives it: lock, plan, run, verify. What was pending once the lock was ours."""
    watch, _ = place.watch()
    pending = watch.ask("lock", "locked", within=60)["pending"]
    if pending["migrations"]:
        run = place.run()
        assert run.ended(60) == 0, run.printed()
        report = verify(watch, pending, None, None, failed=False)
        assert report["leftovers"] == [] and len(report["recorded"]) == len(pending["migrations"]), report
    watch.say("quit")
    assert watch.ended() == 0, watch.printed()
    return pending


def at_once(*calls):
    """All of them in threads; their answers."""
    answers, threads = [None] * len(calls), []
    for index, call in enumerate(calls):

        def go(index=index, call=call):
            try:
                answers[index] = call()
            except BaseException as error:  # an assertion of the law, to be raised where it is seen
                answers[index] = error

        threads.append(threading.Thread(target=go))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers
