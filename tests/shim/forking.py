"""Laws of the zygote, and which laws of workers are tried on forked ones too."""

import array
import json
import os
import signal
import socket

import holding
import serving
from booting import written
from load import Client
from supervisor import Shop, memfd, until

# What a worker does from its start on; how the app is loaded is the zygote's.
OF_WORKERS = [
    holding.a_held_worker_takes_no_client_until_it_is_admitted,
    holding.a_held_worker_leaves_quietly_when_ostlerd_goes_or_says_so,
    holding.a_good_probe_lets_a_worker_through,
    holding.a_bad_probe_fails_the_worker_in_words,
    serving.a_worker_serves_all_its_listeners,
    serving.a_replaced_worker_loses_no_request,
    serving.a_request_in_flight_shows_when_it_began,
    serving.every_request_of_a_burst_is_counted,
    serving.a_worker_has_its_own_descriptors_and_its_children_none,
    serving.signals_are_taken_as_the_contract_says,
]


def preloaded(at, **settings):
    return Shop(at.venv, at.directory, preload=True, **settings)


def an_import_that_fails_in_a_zygote_is_told_as_a_workers(at):
    for kind in ("sync", "gthread", "gevent", "tornado", "uvicorn_worker.UvicornWorker"):
        for entry, stage, status in (
            ("broken:application", "import", 3),
            ("leaves:application", "import", 3),
            ("wsgi:nothing", "attribute", 4),
            ("wsgi:not_callable", "attribute", 4),
        ):
            with preloaded(at, entry=entry, args=["-k", kind]) as app:
                zygote = app.hatch()
                message = zygote.hear("failed")
                assert message["stage"] == stage, message
                assert zygote.ended() == status, (zygote.status, app.printed())
            if entry.startswith("broken"):
                assert message["message"] == (
                    "the import of broken:application failed: ModuleNotFoundError: "
                    "No module named 'a_module_that_is_not_there'"
                ), message
                assert "apps/broken.py" in message["traceback"], message


def a_zygote_beats_and_takes_its_signals(at):
    with preloaded(at) as app:
        zygote = app.hatch(log_file=app.log)
        zygote.hear("ready")
        moved = os.path.join(at.directory, "moved")
        os.rename(app.log, moved)
        for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGUSR1):
            zygote.kill(number)
        until(lambda: os.path.exists(app.log), "the log file is opened anew")
        zygote.kill(signal.SIGRTMIN + 5)
        until(lambda: "most recent call first" in app.printed(), "the stacks are told")
        beat = zygote.field(16)
        until(lambda: zygote.field(16) > beat + 1_000_000_000, "it beats on")
        worker = app.ready()
        zygote.kill(signal.SIGTERM)
        assert zygote.ended() == 0, zygote.status
        assert Client(app, keep=False).get()[0] == 200 and worker.running()


def a_worker_that_nobody_knows_leaves_without_a_word(at):
    with preloaded(at) as app:
        app.hatch().hear("ready")
        printed = app.printed()
        ours, theirs = socket.socketpair()
        orders = memfd(dict(app.zygote.told(), mode="worker"))
        socket.send_fds(app.zygote.control, [b"f"], [orders, theirs.fileno(), app.scoreboard] + app.listener_fds())
        theirs.close()
        os.close(orders)
        assert json.loads(ours.recv(100)) == {"event": "forked"}
        ours.shutdown(socket.SHUT_WR)
        assert ours.recv(100) == b"", "it is gone"
        ours.close()
        os.wait()
        assert app.printed() == printed, app.printed()
        app.ready()


def a_zygote_keeps_nothing_of_the_workers_that_it_forks(at):
    with preloaded(at) as app:
        first = app.ready()
        first.kill(signal.SIGTERM)
        assert first.ended() == 0
        before = sorted(serving.descriptors(app.zygote.pid))
        for _ in range(20):
            worker = app.ready()
            assert parent_of(worker.pid) == os.getpid()
            worker.kill(signal.SIGTERM)
            assert worker.ended() == 0
        until(lambda: sorted(serving.descriptors(app.zygote.pid)) == before, "nothing of them is left")
        assert not children_of(app.zygote.pid), "no process in between is left"


def parent_of(pid):
    with open("/proc/%d/stat" % pid, encoding="latin-1") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def children_of(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        return file.read().split()


def a_zygote_can_be_commanded_by_the_next_ostlerd(at):
    with preloaded(at) as app:
        zygote = app.hatch()
        zygote.hear("ready")
        app.ready()
        # What an ostlerd that ends takes with it is its own copy.
        zygote.control.close()
        beat = zygote.field(16)
        until(lambda: zygote.field(16) > beat + 1_000_000_000, "it lives on")
        zygote.control = socket.socket(fileno=pidfd_getfd(zygote.pidfd, 7))
        worker = app.ready()
        assert worker.running()


def pidfd_getfd(pidfd, number):
    import ctypes

    fd = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, number, 0)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    return fd


def what_the_import_leaves_open_is_named_and_in_nobodys_way(at):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        written(
            at,
            "leaky.py",
            """
import os, socket, threading
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
FILES = [open(os.devnull) for _ in range(12)]  # where a worker's descriptors would be
CONNECTION = socket.create_connection(("127.0.0.1", %d))
threading.Thread(target=threading.Event().wait, name="stock-watch", daemon=True).start()
from wsgi import application
"""
            % port,
        )
        for kind in ("sync", "gthread", "gevent"):
            with preloaded(
                at,
                entry="leaky:application",
                args=["-k", kind],
                env={"PYTHONPATH": "%s:%s" % (at.directory, os.path.join(os.path.dirname(__file__), "apps"))},
            ) as app:
                worker = app.ready()
                assert Client(app, keep=False).get()[2].split()[0] == b"%d" % worker.pid
                words = app.printed()
                assert "run in no worker: stock-watch." in words, words
                assert "shared by all workers, who will read each other's answers: 127.0.0.1:%d." % port in words, words
                assert "DeprecationWarning" not in words, words


def a_zygote_that_gets_nonsense_goes_on(at):
    with preloaded(at) as app:
        zygote = app.hatch()
        zygote.hear("ready")
        fds = array.array("i", [app.scoreboard])
        zygote.control.sendall(b"nonsense")
        zygote.control.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        before = len(serving.descriptors(zygote.pid))
        app.ready()
        until(lambda: len(serving.descriptors(zygote.pid)) <= before, "nothing of it is left")


def hooks_of_a_worker_run_in_the_forked_one(at):
    written(
        at,
        "gunicorn.conf.py",
        """
import os
AT_THE_TOP = os.getpid()
def post_fork(server, worker):
    server.log.info("post_fork %s %s %s", worker.pid == os.getpid(), AT_THE_TOP == os.getpid(), os.getppid() == server.pid)
def post_worker_init(worker):
    worker.log.info("post_worker_init %s", worker.pid)
def worker_exit(server, worker):
    server.log.info("worker_exit %s", worker.pid)
""",
    )
    with preloaded(at) as app:
        worker = app.ready()
        worker.kill(signal.SIGTERM)
        assert worker.ended() == 0
        for words in ("post_fork True False True", "post_worker_init %d" % worker.pid, "worker_exit %d" % worker.pid):
            assert words in app.printed(), app.printed()
        app.zygote.kill(signal.SIGTERM)
        assert app.zygote.ended() == 0
        assert "worker_exit %d" % app.zygote.pid not in app.printed()


def with_settings_alone_each_worker_imports_the_app_itself(at):
    written(
        at,
        "gunicorn.conf.py",
        """
import os, secrets
TOP = (os.getpid(), secrets.token_hex(8))
raw_env = ["TOP=%d %s" % TOP]
def post_fork(server, worker):
    server.log.info("the top ran in %d, this is %d, its parent %d", TOP[0], os.getpid(), os.getppid())
""",
    )
    written(
        at,
        "imported.py",
        """
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", str(len(WORDS)))])
    return [WORDS]
WORDS = ("%d %s" % (os.getpid(), os.environ["TOP"])).encode()
""",
    )
    for kind in ("sync", "gthread", "gevent", "tornado"):
        with Shop(
            at.venv,
            at.directory,
            preload="settings",
            entry="imported:application",
            args=["-k", kind],
            env={"PYTHONPATH": at.directory},
        ) as app:
            answers = []
            for _ in range(2):
                worker = app.ready()
                answers.append(Client(app, keep=False).get()[2].decode().split())
                assert answers[-1][0] == str(worker.pid), answers
                words = "the top ran in %d, this is %d, its parent %d" % (app.zygote.pid, worker.pid, os.getpid())
                assert words in app.printed(), app.printed()
                worker.kill(signal.SIGTERM)
                assert worker.ended() == 0
            assert answers[0][1:] == answers[1][1:], "what the file has drawn is the same for all"


def an_import_that_fails_fails_the_worker_and_not_what_has_loaded_the_settings(at):
    with Shop(at.venv, at.directory, preload="settings", entry="broken:application") as app:
        for _ in range(2):
            worker = app.spawn()
            assert worker.hear("failed")["stage"] == "import"
            assert worker.ended() == 3, (worker.status, app.printed())
        assert app.zygote.running()


def settings_that_fail_are_told_as_a_workers(at):
    written(at, "gunicorn.conf.py", "import os\nworkers = 1 / 0\n")
    with Shop(at.venv, at.directory, preload="settings") as app:
        zygote = app.hatch()
        message = zygote.hear("failed")
        assert message["stage"] == "settings" and "ZeroDivisionError" in message["message"], message
        assert "gunicorn.conf.py" in message["traceback"], message
        assert zygote.ended() == 1, (zygote.status, app.printed())


LAWS = [
    an_import_that_fails_in_a_zygote_is_told_as_a_workers,
    a_zygote_beats_and_takes_its_signals,
    a_worker_that_nobody_knows_leaves_without_a_word,
    a_zygote_keeps_nothing_of_the_workers_that_it_forks,
    a_zygote_can_be_commanded_by_the_next_ostlerd,
    what_the_import_leaves_open_is_named_and_in_nobodys_way,
    a_zygote_that_gets_nonsense_goes_on,
    hooks_of_a_worker_run_in_the_forked_one,
    with_settings_alone_each_worker_imports_the_app_itself,
    an_import_that_fails_fails_the_worker_and_not_what_has_loaded_the_settings,
    settings_that_fail_are_told_as_a_workers,
]
