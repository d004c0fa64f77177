"""Laws of a worker that serves and drains, for every worker class on every gunicorn."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

from kinds import CONCURRENT, PROBE, shop
from load import Client, Load
from supervisor import DRAINING, descriptors, leads_to, until


def a_worker_leaves_the_listener_as_it_was(at):
    with shop(at, more=["--backlog", "7"]) as app:
        worker = app.ready()
        Client(app, keep=False).get()
        # struct tcp_info: the sixth 32-bit field of a listener is its backlog.
        info = app.listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        assert int.from_bytes(info[28:32], sys.byteorder) == 512, info
        worker.kill(signal.SIGTERM)
        assert worker.ended() == 0
    with shop(at, families=("unix",)) as app:
        os.chmod(app.address, 0o621)
        worker = app.ready()
        worker.kill(signal.SIGTERM)
        assert worker.ended() == 0
        assert os.stat(app.address).st_mode & 0o777 == 0o621


def a_worker_serves_all_its_listeners(at):
    families = ["inet", "unix"] + ["inet6"] * os.path.exists("/proc/net/if_inet6")
    with shop(at, families=families) as app:
        worker = app.ready(probe=PROBE)
        for listener in app.listeners:
            with app.connect(listener=listener) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                answer = b"".join(iter(lambda: client.recv(65536), b""))
                assert answer.startswith(b"HTTP/1.1 200") and b"%d http a" % worker.pid in answer, answer


def a_replaced_worker_loses_no_request(at, family="inet"):
    with shop(at, families=(family,)) as app:
        old = [app.ready(), app.ready()]
        many = at.kind in CONCURRENT
        loads = [
            Load(app, keep=False),
            Load(app, keep=True),
            # Idle for most of its keep-alive time, so a request arrives late in a drain.
            Load(app, keep=True, clients=2 if many else 1, pause=0.7),
            Load(app, keep=True, clients=2 if many else 1, pause=0.01, path="/slow" if many else "/"),
        ]
        for load in loads:
            load.__enter__()
        try:
            replace(app, loads, old)
        finally:
            for load in loads:
                load.__exit__()
        lost = [dict(load.lost) for load in loads]
        at.note("answered %d, lost %d" % (sum(load.answered for load in loads), sum(sum(one.values()) for one in lost)))
        assert not any(lost), lost
        assert all(load.answered for load in loads)


def replace(app, loads, old):
    """Five times: a new worker, and when it has served, the drain of the oldest beside its sibling."""
    for turn in range(5):
        new = app.ready()
        until(lambda: new.finished >= 2, "the new worker serves")
        leaving = old.pop(0)
        leaving.kill(signal.SIGTERM)
        until(lambda: leaving.state == DRAINING or leaving.ended() == 0, "the old worker drains")
        old.append(new)
        if turn == 4:
            leaving.kill(signal.SIGTERM)  # a second one must not break it
    for worker in app.workers[:5]:
        assert worker.ended() == 0, (worker.status, app.printed())


def a_replaced_worker_on_a_unix_socket_loses_no_request(at):
    a_replaced_worker_loses_no_request(at, "unix")


def a_request_in_flight_shows_when_it_began(at):
    with shop(at) as app:
        worker = app.ready()
        before = time.monotonic_ns()
        thread = threading.Thread(target=Client(app, keep=False).get, args=("/slow",))
        thread.start()
        until(worker.in_flight, "the request is seen")
        began = worker.in_flight()
        thread.join()
        assert len(began) == 1 and before <= began[0] <= time.monotonic_ns(), began
        until(lambda: not worker.in_flight() and worker.finished == 1, "its entry is free again")


def every_request_of_a_burst_is_counted(at):
    with shop(at) as app:
        worker = app.ready()
        asked = []

        def ask(number):
            client = Client(app, keep=number % 2 == 0)
            for _ in range(40):
                client.get()
                asked.append(number)
            client.close()

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(asked) == 320
        until(lambda: worker.finished >= 320, "all are counted: %d" % worker.finished)
        assert (worker.finished, worker.in_flight(), worker.field(32)) == (320, [], 0)


def a_worker_has_its_own_descriptors_and_its_children_none(at):
    with shop(at) as app:
        worker = app.ready()
        children = Client(app, keep=False).get("/children")[2]
        assert children.split() == [b"0", b"1", b"2", b"3"], children  # 3 is the listing itself
        links = descriptors(worker.pid)
        files = sorted(link for link in links if link.startswith("/") and link != "/dev/null")  # uvloop has one
        # Python's mmap keeps a descriptor of its own.
        assert files == sorted([app.log, app.log] + ["/memfd:scoreboard (deleted)"] * 2), links
        ours = {os.readlink("/proc/self/fd/%d" % fd) for fd in (app.listener.fileno(), worker.control.fileno())}
        assert len([link for link in links if link in ours]) == 1, links  # the listener, not our end of control


def signals_are_taken_as_the_contract_says(at):
    with shop(at) as app:
        moved = os.path.join(at.directory, "moved")
        worker = app.ready(log_file=app.log)
        os.rename(app.log, moved)
        worker.kill(signal.SIGHUP)
        worker.kill(signal.SIGUSR2)
        worker.kill(signal.SIGUSR1)
        # Stacks are written at once, whatever Python is at: also between the opening and the moving of descriptors.
        until(lambda: leads_to("/proc/%d/fd/2" % worker.pid) == app.log, "the log file is opened anew")
        worker.kill(signal.SIGRTMIN + 5)
        until(lambda: "most recent call first" in app.printed(), "the stacks are told")
        assert Client(app, keep=False).get()[0] == 200
        if at.kind == "gthread":
            # gunicorn's own SIGQUIT waits for its threads, and now and then for ever: ostlerd's SIGKILL ends that.
            worker.kill(signal.SIGTERM)
        else:
            client = app.connect()
            client.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
            until(worker.in_flight, "the request is seen")
            worker.kill(signal.SIGQUIT)
            client.close()
        assert worker.ended() == 0, (worker.status, app.printed())


def a_worker_outlives_its_parent(at):
    command = [sys.executable, os.path.join(os.path.dirname(__file__), "parent.py"), at.venv, at.directory, at.kind]
    listener = None
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    pids = []
    try:
        line = parent.stdout.readline().split()
        port, pids = int(line[0]), [int(word) for word in line[1:]]
        parent.kill()
        parent.wait()
        pidfds = [os.pidfd_open(pid) for pid in pids]
        listener = Remote(("127.0.0.1", port))
        started = [heartbeat(pid) for pid in pids]
        served = set()
        # Each looks at its parent at every heartbeat, once a second: after the second one it surely has.
        until(
            lambda: (
                served.add(Client(listener, keep=False).get()[2].split()[0])
                or all(heartbeat(pid) > then + 1_200_000_000 for pid, then in zip(pids, started))
            ),
            "they beat on",
        )
        assert served <= {b"%d" % pid for pid in pids}
        for pidfd in pidfds:
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        until(lambda: not any(running(pid) for pid in pids), "they drain without a parent, too")
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        for pid in pids:
            if running(pid):
                os.kill(pid, signal.SIGKILL)


def a_parent_that_changes_while_it_is_looked_at_twice_is_no_reason_to_leave(at):
    # gunicorn compares what it asked for with what it asks for: between the two ostlerd may have died.
    with open(os.path.join(at.directory, "gunicorn.conf.py"), "w", encoding="utf-8") as file:
        file.write("import itertools, os\nos.getppid = itertools.count(1000).__next__\n")
    with shop(at) as app:
        worker = app.ready()
        started = worker.field(16)
        until(lambda: worker.field(16) > started + 1_200_000_000, "it beats on")
        assert Client(app, keep=False).get()[0] == 200
        assert "Parent changed" not in app.printed(), app.printed()
        worker.kill(signal.SIGTERM)
        assert worker.ended() == 0, (worker.status, app.printed())


class Remote:
    """The address of another process' listener, for a client."""

    def __init__(self, address):
        self.address = address

    def connect(self):
        return socket.create_connection(self.address, 20)


def running(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="latin-1") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def heartbeat(pid):
    """The last heartbeat of a worker of whose scoreboard only its own descriptor is left."""
    for fd in os.listdir("/proc/%d/fd" % pid):
        path = "/proc/%d/fd/%s" % (pid, fd)
        if leads_to(path).startswith("/memfd:scoreboard"):
            with open(path, "rb") as file:
                page = file.read()
            slots = [page[start : start + 24] for start in range(0, len(page), 4096)]
            return max(int.from_bytes(slot[16:24], sys.byteorder) for slot in slots)
    raise AssertionError("no scoreboard")


LAWS = [
    a_worker_leaves_the_listener_as_it_was,
    a_worker_serves_all_its_listeners,
    a_replaced_worker_loses_no_request,
    a_request_in_flight_shows_when_it_began,
    every_request_of_a_burst_is_counted,
    a_worker_has_its_own_descriptors_and_its_children_none,
    signals_are_taken_as_the_contract_says,
    a_worker_outlives_its_parent,
    a_parent_that_changes_while_it_is_looked_at_twice_is_no_reason_to_leave,
]
# How a worker comes and goes is tried with every gunicorn on TCP; that another kind of socket is the same to it, with the
# oldest and the newest.
AT_THE_ENDS = [a_replaced_worker_on_a_unix_socket_loses_no_request]
