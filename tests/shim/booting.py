"""What a worker makes of gunicorn's hooks and logs, and what it says where it cannot serve."""

import os
import signal
import socket

from load import Client
from supervisor import Shop, until


def written(at, name, text):
    path = os.path.join(at.directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def failure(at, stage, status, **settings):
    """The message of a worker that has to fail in this stage and exit with this status."""
    with Shop(at.venv, at.directory, **settings) as app:
        worker = app.spawn(hold=True)
        message = worker.hear("failed")
        assert message["stage"] == stage, message
        assert worker.ended() == status, (worker.status, app.printed())
        message["printed"] = app.printed()
        return message


def an_import_that_fails_is_told_with_its_traceback(at):
    for kind in ("sync", "gthread", "gevent", "tornado", "uvicorn_worker.UvicornWorker"):
        message = failure(at, "import", 3, entry="broken:application", args=["-k", kind])
        assert message["message"] == (
            "the import of broken:application failed: ModuleNotFoundError: No module named 'a_module_that_is_not_there'"
        ), message
        assert "apps/broken.py" in message["traceback"]
        assert "Exception in worker process" in message["printed"]


def a_missing_attribute_is_told_apart(at):
    for entry, words in (("wsgi:nothing", "nothing"), ("wsgi:not_callable", "callable")):
        message = failure(at, "attribute", 4, entry=entry)
        assert words in message["message"], message


def an_app_that_exits_while_it_loads_has_failed(at):
    message = failure(at, "import", 3, entry="leaves:application")
    assert message["message"] == "the import of leaves:application failed: exit status 0", message


def a_failed_lifespan_is_told_in_the_words_of_the_app(at):
    kinds = ["uvicorn_worker.UvicornWorker"] + (["asgi"] if at.major >= 27 else [])
    for kind in kinds:
        message = failure(at, "boot", 3, entry="asgi:failing_lifespan", args=["-k", kind])
        assert message["message"] == "shop does not start: no database today", message


def an_app_without_lifespan_serves(at):
    for kind in ["uvicorn_worker.UvicornWorker"] + (["asgi"] if at.major >= 27 else []):
        with Shop(at.venv, at.directory, entry="asgi:no_lifespan", args=["-k", kind]) as app:
            worker = app.spawn(hold=True, probe={"path": "/", "host": None, "scheme": "http", "timeout_seconds": 5})
            worker.hear("loaded")
            worker.admit()
            worker.hear("ready")


def a_second_sigterm_changes_nothing_however_late(at):
    written(
        at,
        "gunicorn.conf.py",
        """
import os, time
def worker_exit(server, worker):
    open("leaving", "w").close()
    while not os.path.exists("go_on"):
        time.sleep(0.01)
    server.log.info("worker_exit has ended")
""",
    )
    for kind in ("sync", "gthread", "gevent", "tornado", "asgi", "uvicorn_worker.UvicornWorker"):
        asgi = "uvicorn" in kind or kind == "asgi"
        with Shop(at.venv, at.directory, entry=("asgi" if asgi else "wsgi") + ":application", args=["-k", kind]) as app:
            worker = app.ready()
            worker.kill(signal.SIGTERM)
            until(lambda: os.path.exists(os.path.join(at.directory, "leaving")), "it leaves")
            worker.kill(signal.SIGTERM)
            written(at, "go_on", "")
            while worker.running():
                worker.kill(signal.SIGTERM)
            assert worker.ended() == 0, (kind, worker.status, app.printed())
            assert "worker_exit has ended" in app.printed(), (kind, app.printed())
        for name in ("leaving", "go_on", "log"):
            os.remove(os.path.join(at.directory, name))


def an_app_may_come_from_a_factory(at):
    with Shop(at.venv, at.directory, entry="wsgi:factory()") as app:
        app.ready()


def hooks_run_in_the_worker(at):
    written(
        at,
        "gunicorn.conf.py",
        """
def post_fork(server, worker):
    server.log.info("post_fork %s %s %s", worker.age, server.num_workers, len(server.LISTENERS))
def post_worker_init(worker):
    worker.log.info("post_worker_init %s", worker.pid)
def pre_request(worker, req):
    worker.log.info("pre_request %s", req.path)
def post_request(worker, req, environ, resp):
    worker.log.info("post_request %s", resp.status)
def worker_exit(server, worker):
    server.log.info("worker_exit %s", worker.pid)
workers = 3
raw_env = ["FROM_CONF=yes"]
max_requests = 1
""",
    )
    kinds = ["sync", "gthread", "gevent", "tornado", "uvicorn_worker.UvicornWorker"]
    for kind in kinds:
        asgi = "uvicorn" in kind
        with Shop(at.venv, at.directory, entry=("asgi" if asgi else "wsgi") + ":application", args=["-k", kind]) as app:
            worker = app.ready()
            client = app.connect()
            client.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            while client.recv(4096):
                pass
            client.close()
            worker.kill(signal.SIGTERM)
            assert worker.ended() == 0, (kind, worker.status)
            printed = app.printed()
            expected = ["post_fork 1 3 1", "post_worker_init %d" % worker.pid, "worker_exit %d" % worker.pid]
            if kind in ("sync", "gthread", "gevent"):
                expected += ["pre_request /a", "post_request 200 OK"]
            assert all(words in printed for words in expected), (kind, printed)
            assert "Autorestarting" not in printed


def logs_and_statistics_go_where_gunicorn_sends_them(at):
    written(
        at,
        "gunicorn.conf.py",
        """
accesslog = "-"
logconfig_dict = {
    "version": 1, "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "MINE %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"},
                 "error_console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["console"], "propagate": False},
                "gunicorn.access": {"level": "INFO", "handlers": ["console"], "propagate": False}}}
""",
    )
    for kind in ("sync", "gthread", "gevent", "uvicorn_worker.UvicornWorker"):
        asgi = "uvicorn" in kind
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statistics:
            statistics.bind(("127.0.0.1", 0))
            statistics.settimeout(20)
            args = ["-k", kind, "--statsd-host", "127.0.0.1:%d" % statistics.getsockname()[1]]
            with Shop(at.venv, at.directory, entry=("asgi" if asgi else "wsgi") + ":application", args=args) as app:
                worker = app.ready()
                Client(app, keep=False).get("/seen")
                until(lambda: "GET /seen" in app.printed(), "the access log has it\n" + app.printed())
                assert "MINE Booting worker with pid: %d" % worker.pid in app.printed(), app.printed()
                if not asgi:  # uvicorn logs its requests past gunicorn's logger
                    while b"gunicorn.requests:1|c" not in statistics.recv(4096):
                        pass


def a_hook_that_fails_is_told(at):
    for hook in ("post_fork(server, worker)", "post_worker_init(worker)"):
        written(at, "gunicorn.conf.py", "def %s:\n    raise KeyError('no')\n" % hook)
        message = failure(at, "hook", 3)
        assert message["message"] == "a hook of gunicorn's configuration failed: KeyError: 'no'", message
        assert "gunicorn.conf.py" in message["traceback"]


def an_interpreter_without_gunicorn_is_told_how_to_get_it(at):
    at.venv = "/usr"
    with Shop(at.venv, at.directory) as app:
        app.python = "/usr/bin/python3"
        for orders in ({"mode": "inspect"}, {}):
            worker = app.spawn(**orders)
            message = worker.hear("failed")
            assert message["stage"] == "settings", message
            assert message["message"] == (
                "gunicorn is not installed for /usr/bin/python3: "
                "make a virtual environment (python3 -m venv), install gunicorn there, "
                "and name its bin/python as `python`"
            ), message
            assert worker.ended() == 1


def orders_of_another_contract_are_refused(at):
    with Shop(at.venv, at.directory) as app:
        worker = app.spawn(contract=2)
        assert worker.hear("failed")["message"] == "the orders are of contract 2, this worker knows 1"
        assert worker.ended() == 1


def a_failure_of_any_size_fits_a_line(at):
    written(at, "huge.py", "raise ValueError('\\x00\\x01\\ud800é' * 30000)\n")
    failure(at, "import", 3, entry="huge:application", env={"PYTHONPATH": at.directory})


def a_session_or_a_group_of_its_own_is_what_a_hook_has_already(at):
    conf = written(
        at,
        "conf.py",
        "import os\ndef post_fork(server, worker):\n"
        "    os.setpgrp(), os.setpgid(0, 0), os.setsid(), os.setpgid(worker.pid, 0)\n"
        "    assert os.getpgid(0) == os.getsid(0) == os.getpid()\n"
        "    if not os.fork():\n        os.setsid()\n"
        "        os._exit(os.getsid(0) != os.getpid())\n"
        "    assert os.wait()[1] == 0\n",
    )
    with Shop(at.venv, at.directory, args=["-c", conf]) as app:
        app.ready()
        assert Client(app, keep=False).get()[0] == 200


LAWS = [
    a_session_or_a_group_of_its_own_is_what_a_hook_has_already,
    an_import_that_fails_is_told_with_its_traceback,
    a_missing_attribute_is_told_apart,
    an_app_that_exits_while_it_loads_has_failed,
    a_failed_lifespan_is_told_in_the_words_of_the_app,
    an_app_without_lifespan_serves,
    hooks_run_in_the_worker,
    logs_and_statistics_go_where_gunicorn_sends_them,
    a_hook_that_fails_is_told,
]
ONCE = [
    a_second_sigterm_changes_nothing_however_late,
    an_app_may_come_from_a_factory,
    an_interpreter_without_gunicorn_is_told_how_to_get_it,
    orders_of_another_contract_are_refused,
    a_failure_of_any_size_fits_a_line,
]
