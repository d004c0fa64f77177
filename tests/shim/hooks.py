"""The process that runs the hooks of gunicorn's master."""

import json
import os
import signal
import socket
import subprocess
import sys

from forking import parent_of, pidfd_getfd
from serving import running
from supervisor import Shop, until

CONF = """
import os
workers = 3
def note(*words):
    with open("notes", "a") as file:
        print(*words, file=file)
def on_starting(server): note("on_starting", server.num_workers, server.cfg.proc_name, len(server.LISTENERS))
def when_ready(server): note("when_ready", sorted(server.WORKERS), server.address)
def on_reload(server): note("on_reload", os.environ["FROM_CONF"])
def pre_fork(server, worker): note("pre_fork", worker.age, worker.pid, sorted(server.WORKERS))
def child_exit(server, worker): note("child_exit", worker.age, worker.pid, sorted(server.WORKERS))
def nworkers_changed(server, new, old): note("nworkers_changed", new, old, server.num_workers)
def on_exit(server): note("on_exit")
raw_env = ["FROM_CONF=yes"]
"""


def written(at, text):
    with open(os.path.join(at.directory, "gunicorn.conf.py"), "w", encoding="utf-8") as file:
        file.write(text)


def notes(at):
    try:
        with open(os.path.join(at.directory, "notes"), encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def name(host, hook, workers=3, **fields):
    host.control.sendall(json.dumps(dict(fields, hook=hook, workers=workers)).encode() + b"\n")
    answer = host.hear("ran")
    assert answer["hook"] == hook, answer
    return answer.get("error")


def hooks_run_as_they_are_named_with_gunicorns_arguments(at):
    written(at, CONF)
    with Shop(at.venv, at.directory) as app:
        addresses = [{"family": "inet", "address": ["127.0.0.1", 8123]}, {"family": "unix", "address": "/run/x.sock"}]
        host = app.spawn(mode="hooks", listeners=[], addresses=addresses)
        worker, other = {"id": 7, "pid": 4711}, {"id": 2, "pid": 4002}
        assert name(host, "on_starting") is None
        assert name(host, "pre_fork", worker=worker) is None
        assert name(host, "when_ready") is None
        assert name(host, "child_exit", worker=worker) is None
        assert name(host, "on_reload") is None
        assert name(host, "child_exit", worker=other) is None, "a worker that it never heard of"
        assert name(host, "nworkers_changed", workers=5, **{"from": 3}) is None
        assert name(host, "on_exit", workers=5) is None
        host.control.close()
        assert host.ended() == 0, (host.status, app.printed())
        expected = [
            "on_starting 3 wsgi:application 0",
            "pre_fork 7 4711 [4711]",
            "when_ready [4711] [('127.0.0.1', 8123), '/run/x.sock']",
            "child_exit 7 4711 []",
            "on_reload yes",
            "child_exit 2 4002 []",
            "nworkers_changed 5 3 5",
            "on_exit",
        ]
        told = notes(at)
        assert len(told) == len(expected), told
        assert all(line.startswith(start) for line, start in zip(told, expected)), told


def a_hook_that_fails_is_told_and_the_next_one_runs(at):
    written(at, CONF + "def on_starting(server): raise KeyError('no')\ndef when_ready(server): raise SystemExit(3)\n")
    with Shop(at.venv, at.directory) as app:
        host = app.spawn(mode="hooks", listeners=[])
        assert name(host, "on_starting") == "KeyError: 'no'"
        assert name(host, "when_ready") == "SystemExit: 3"
        assert name(host, "on_exit") is None
        assert notes(at) == ["on_exit"]
        assert "gunicorn.conf.py" in app.printed() and "KeyError: 'no'" in app.printed()


def the_end_of_file_runs_nothing(at):
    written(at, CONF)
    with Shop(at.venv, at.directory) as app:
        host = app.spawn(mode="hooks", listeners=[])
        host.control.close()
        assert host.ended() == 0, (host.status, app.printed())
        assert notes(at) == []


def settings_that_do_not_load_are_told(at):
    written(at, "workers = missing\n")
    with Shop(at.venv, at.directory) as app:
        host = app.spawn(mode="hooks", listeners=[])
        message = host.hear("failed")
        assert message["stage"] == "settings" and "NameError" in message["message"], message
        assert host.ended() == 1


def the_first_hook_runs_before_the_first_fork_and_not_again_in_the_host(at):
    written(
        at,
        CONF + "def on_starting(server): server.drawn = 7; note('on_starting', server.address); raise KeyError('no')\n"
        "def post_fork(server, worker): note('post_fork', server.drawn)\n"
        "def when_ready(server): note('when_ready', server.drawn, server.num_workers)\n",
    )
    with Shop(at.venv, at.directory, preload=True) as app:
        addresses = [{"family": "inet", "address": ["127.0.0.1", 8123]}]
        app.hatch(mode="settings", addresses=addresses, begin={"hook": "on_starting", "workers": 5}).hear("ready")
        assert notes(at) == ["on_starting [('127.0.0.1', 8123)]"], notes(at)
        app.ready()
        host = app.spawn(mode="hooks", addresses=addresses)
        assert name(host, "on_starting", workers=5) == "KeyError: 'no'"
        assert name(host, "when_ready", workers=5) is None
        assert notes(at)[1:] == ["post_fork 7", "when_ready 7 5"], notes(at)
        assert name(host, "on_starting", workers=5) == "KeyError: 'no'", "asked for again, it is run"
        host.control.shutdown(socket.SHUT_WR)
        assert host.ended() == 0, (host.status, app.printed())
        assert app.printed().count("Exception in the hook on_starting") == 2, app.printed()


def a_forked_host_goes_on_under_the_next_ostlerd(at):
    written(at, CONF + "def on_exit(server): note('on_exit')\n")
    with Shop(at.venv, at.directory, preload=True) as app:
        host = app.spawn(mode="hooks")
        assert name(host, "when_ready") is None
        host.kill(signal.SIGRTMIN + 5)
        until(lambda: "most recent call first" in app.printed(), "the stacks are told")
        host.control.close()
        host.control = socket.socket(fileno=pidfd_getfd(host.pidfd, 7))
        assert name(host, "on_exit") is None
        host.control.shutdown(socket.SHUT_WR)
        assert host.ended() == 0, (host.status, app.printed())
        assert notes(at)[-1] == "on_exit", notes(at)


def a_host_that_nobody_knows_ends_with_its_ostlerd(at):
    written(at, CONF)
    parent = [sys.executable, os.path.join(os.path.dirname(__file__), "parent_of_host.py"), at.venv, at.directory]
    with subprocess.Popen(parent, stdout=subprocess.PIPE, text=True) as ostlerd:
        host, zygote = map(int, ostlerd.stdout.readline().split())
        assert parent_of(host) == ostlerd.pid
        ostlerd.kill()
    try:
        until(lambda: not running(host), "it has ended")
    finally:
        for pid in filter(running, (host, zygote)):
            os.kill(pid, signal.SIGKILL)


LAWS = [
    a_forked_host_goes_on_under_the_next_ostlerd,
    a_host_that_nobody_knows_ends_with_its_ostlerd,
    hooks_run_as_they_are_named_with_gunicorns_arguments,
    a_hook_that_fails_is_told_and_the_next_one_runs,
    the_end_of_file_runs_nothing,
    settings_that_do_not_load_are_told,
    the_first_hook_runs_before_the_first_fork_and_not_again_in_the_host,
]
