"""Processes that cannot serve, or hang before they do: that it is known why, and where."""

import os
import signal

from booting import written
from supervisor import Shop, leads_to, until

STACKS, TASKS = signal.SIGRTMIN + 5, signal.SIGRTMIN + 6
DISGUISES = {
    "nothing": "",
    "no standard error": "import os; os.close(2)",
    "another standard error": "import sys; sys.stderr = sys.stdout = object()",
    "a closed standard error": "import sys; sys.stderr.close(); sys.stdout.close()",
    "no standard error at all": "import sys; sys.stderr = sys.stdout = None",
    "an excepthook": "import os, sys; sys.excepthook = lambda *_: os._exit(9)",
    "another folder": "import os; os.chdir('/proc/self')",
    "no descriptors": "import os; os.closerange(0, 1024)",
    "other files at all descriptors": "import os; os.closerange(3, 1024); "
    "own = [os.open('own%d' % n, os.O_CREAT | os.O_RDWR) for n in range(12)]",
    "a broken traceback": "import traceback; traceback.format_exception = traceback.print_exception = None",
}
ENDS = {
    "raise RuntimeError('no luck')": "RuntimeError: no luck",
    "import pyo3": "pyo3_runtime.PanicException: called `Option::unwrap()` on a `None` value",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "import sys; sys.exit('no DATABASE_URL')": "no DATABASE_URL",
    "raise SystemExit(7)": "exit status 7",
}
PYO3 = """
class PanicException(BaseException):
    __module__ = "pyo3_runtime"
raise PanicException("called `Option::unwrap()` on a `None` value")
"""


def disguised(at):
    written(at, "pyo3.py", PYO3)
    ends = [("nothing", end) for end in ENDS] + [(disguise, "raise RuntimeError('no luck')") for disguise in DISGUISES]
    for disguise, end in ends:
        yield disguise, end, "%s\n%s\n" % (DISGUISES[disguise], end), ENDS[end]


def told_or_left(worker):
    """What ostlerd knows of it, by whichever way."""
    worker.ended()
    try:
        return worker.hear("failed")
    except AssertionError:
        return worker.left_behind()


def whatever_the_app_has_done_the_reason_is_told(at):
    env = {"PYTHONPATH": at.directory}
    for disguise, end, source, words in disguised(at):
        written(at, "disguised.py", source)
        for mode in ("worker", "zygote"):
            with Shop(at.venv, at.directory, entry="disguised:application", env=env) as app:
                message = told_or_left(app.spawn() if mode == "worker" else app.hatch())
                assert message, (mode, disguise, end, app.printed())
                assert message["stage"] == "import" and message["message"].endswith(": " + words), (disguise, message)
                assert "disguised.py" in message["traceback"], message
            for name in os.listdir(at.directory):
                if name.startswith("own"):
                    assert os.path.getsize(os.path.join(at.directory, name)) == 0, "it was written into the app's file"


def an_exit_without_words_is_told_with_what_was_printed_before_it(at):
    lines = ["a warning of long ago", "there is no file /etc/shop/settings.py."]
    for stream in ("stdout", "stderr"):
        printing = "".join("print(%r, file=sys.%s)\n" % (line, stream) for line in lines)
        written(at, "printing.py", "import sys\nsys.%s.flush()\n%ssys.exit(1)\n" % (stream, printing))
        for mode in ("worker", "zygote"):
            with Shop(at.venv, at.directory, entry="printing:application", env={"PYTHONPATH": at.directory}) as app:
                message = told_or_left(app.spawn() if mode == "worker" else app.hatch())
                assert message["message"].endswith(" failed: exit status 1: there is no file /etc/shop/settings.py"), (
                    mode,
                    stream,
                    message,
                )
                assert message["traceback"].startswith("\n".join(lines) + "\n"), message
                assert "printing.py" in message["traceback"], message


def what_an_app_has_printed_long_before_is_not_taken_for_the_reason(at):
    source = "import sys\nprint('a line', file=sys.stderr)\n%s\n"
    for end, words in (
        ("sys.exit('no licence')", "no licence"),
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("sys.stderr = None; sys.exit()", "exit status 0: a line"),
    ):
        written(at, "printing.py", source % end)
        with Shop(at.venv, at.directory, entry="printing:application", env={"PYTHONPATH": at.directory}) as app:
            message = told_or_left(app.spawn())
            assert message["message"].endswith(" failed: " + words), (end, message)


def the_settings_fail_in_words_too(at):
    for disguise, end, source, words in disguised(at):
        written(at, "gunicorn.conf.py", source)
        with Shop(at.venv, at.directory, env={"PYTHONPATH": at.directory}) as app:
            message = told_or_left(app.spawn(mode="inspect", listeners=[]))
            assert message and message["stage"] == "settings" and words in message["message"], (disguise, end, message)


def a_thread_that_never_ends_keeps_no_reason_back(at):
    written(
        at,
        "threaded.py",
        """
import threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
import a_module_that_is_not_there
""",
    )
    for mode in ("worker", "zygote"):
        with Shop(at.venv, at.directory, entry="threaded:application", env={"PYTHONPATH": at.directory}) as app:
            worker = app.spawn() if mode == "worker" else app.hatch()
            assert "a_module_that_is_not_there" in worker.hear("failed")["message"]


def where_a_process_stands_while_it_boots_is_told(at):
    stands = {
        "import time\ntime.sleep(600)\n": ["sync", "gthread", "gevent"],
        "import socket\na, b = socket.socketpair()\na.recv(1)\n": ["sync", "tornado"],
    }
    for source, kinds in stands.items():
        written(at, "standing.py", source)
        last = len(source.splitlines())
        for mode, kind in [("worker", kind) for kind in kinds] + [("zygote", "gthread")]:
            env = {"PYTHONPATH": at.directory}
            with Shop(at.venv, at.directory, entry="standing:application", env=env, args=["-k", kind]) as app:
                worker = app.spawn() if mode == "worker" else app.hatch()
                frame = 'standing.py", line %d in <module>' % last
                # Only a loop has to be asked what waits in it.
                numbers = [STACKS] + [TASKS] * (kind == "gevent")

                def stacks():
                    return "".join(worker.stacks(number) for number in numbers if caught(worker, TASKS))

                until(lambda: frame in stacks(), "%s %s stands there" % (mode, kind))


def where_a_lifespan_waits_is_told(at):
    written(
        at,
        "standing.py",
        """
import asyncio
async def connect():
    await asyncio.sleep(600)
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await connect()
""",
    )
    for kind in ["uvicorn_worker.UvicornWorker"] + (["asgi"] if at.major >= 27 else []):
        env = {"PYTHONPATH": at.directory}
        with Shop(at.venv, at.directory, entry="standing:application", env=env, args=["-k", kind]) as app:
            worker = app.spawn()
            frame = 'standing.py", line 4 in connect'
            until(lambda: caught(worker, TASKS) and frame in worker.stacks(TASKS), "%s stands there" % kind)


def a_worker_that_serves_writes_its_stacks_into_the_log(at):
    with Shop(at.venv, at.directory) as app:
        worker = app.ready()
        until(lambda: "memfd" not in leads_to("/proc/%d/fd/4" % worker.pid), "it closes its boot report")
        worker.kill(STACKS)
        until(lambda: "most recent call first" in app.printed(), "the stacks are in the log")
        worker.kill(TASKS)
        worker.kill(signal.SIGTERM)
        assert worker.ended() == 0


def caught(worker, number):
    """Whether a signal does not kill it."""
    with open("/proc/%d/status" % worker.pid) as status:
        mask = next(line for line in status if line.startswith("SigCgt:")).split()[1]
    return bool(int(mask, 16) >> (number - 1) & 1)


LAWS = [
    a_thread_that_never_ends_keeps_no_reason_back,
    where_a_lifespan_waits_is_told,
    a_worker_that_serves_writes_its_stacks_into_the_log,
]
ONCE = [
    whatever_the_app_has_done_the_reason_is_told,
    the_settings_fail_in_words_too,
    an_exit_without_words_is_told_with_what_was_printed_before_it,
    what_an_app_has_printed_long_before_is_not_taken_for_the_reason,
    where_a_process_stands_while_it_boots_is_told,
]
