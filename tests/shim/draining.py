"""Laws of what a draining worker still has under way, for every worker class on every gunicorn."""

import os
import signal
import socket
import threading
import time

from kinds import shop
from load import Lost
from supervisor import DRAINING, descriptors, until

LARGE = 40 * 1024 * 1024
# The keep-alive time is what a drain waits for where nothing is under way.
SHORT = ["--keep-alive", "1", "--graceful-timeout", "60"]
LONG_AFTER = 3.0


def whole(client):
    """The answer that is still to come, as the lengths of its head and its body; lost where it is cut off."""
    data = bytearray()
    while b"\r\n\r\n" not in data:
        read_on(client, data)
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    head = head.lower()
    if b"transfer-encoding: chunked" in head:
        return head, chunks(client, bytearray(body))
    length = int(head.partition(b"content-length:")[2].split()[0])
    body = bytearray(body)
    while len(body) < length:
        read_on(client, body)
    return head, len(body)


def chunks(client, data):
    total = 0
    while True:
        while b"\r\n" not in data:
            read_on(client, data)
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        while len(data) < size + 2:
            read_on(client, data)
        if not size:
            return total
        total, data = total + size, data[size + 2 :]


def read_on(client, data):
    try:
        more = client.recv(1 << 20)
    except OSError as error:
        raise Lost("after %d bytes: %s" % (len(data), error)) from None
    if not more:
        raise Lost("closed after %d bytes" % len(data))
    data += more


def slow(app, path, keep, head="", body=b""):
    """A client that has sent a request, and reads nothing yet."""
    client = socket.socket(app.listener.family)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.settimeout(60)
    client.connect(app.listener.getsockname())
    method = "POST" if body else "GET"
    request = "%s %s HTTP/1.1\r\nHost: a\r\nConnection: %s\r\n%s\r\n" % (
        method,
        path,
        "keep-alive" if keep else "close",
        head,
    )
    client.sendall(request.encode() + body)
    return client


def sockets(workers):
    return sum(link.startswith("socket:") for worker in workers for link in descriptors(worker.pid))


def start_draining(app, workers, blocking=False):
    for worker in workers:
        worker.kill(signal.SIGTERM)
    # A worker that reads from its client hears of a signal when it has read.
    until(lambda: blocking or all(worker.state == DRAINING for worker in workers), "they drain")
    time.sleep(LONG_AFTER)  # the law is that this changes nothing


def a_draining_worker_sends_its_answers_to_the_last_byte(at):
    with shop(at, more=SHORT) as app:
        # A sync worker has one at a time.
        workers = [app.ready() for _ in range(4 if at.kind == "sync" else 1)]
        clients = [slow(app, path, keep) for path in ("/large", "/stream") for keep in (False, True)]
        until(lambda: all(client.recv(1, socket.MSG_PEEK) for client in clients), "each has its first byte")
        start_draining(app, workers)
        found, threads = {}, []
        for number, client in enumerate(clients):
            threads.append(threading.Thread(target=read_whole, args=(client, found, number)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        assert all(found[number] == LARGE for number in range(4)), found
        for client in clients:
            client.close()
        for worker in workers:
            assert worker.ended() == 0, (worker.status, app.printed())


def read_whole(client, found, number):
    try:
        found[number] = whole(client)[1]
    except Lost as lost:
        found[number] = str(lost)


def a_draining_worker_takes_an_upload_to_its_last_byte(at):
    with shop(at, more=SHORT) as app:
        workers = [app.ready() for _ in range(2 if at.kind == "sync" else 1)]
        before = sockets(workers)
        clients = [slow(app, "/upload", keep, "Content-Length: 100000\r\n", b"x" * 50000) for keep in (False, True)]
        # For tornado a request begins when its body is there.
        until(
            lambda: (
                sockets(workers) == before + 2
                if at.kind == "tornado"
                else sum(len(worker.in_flight()) for worker in workers) == 2
            ),
            "both are under way",
        )
        start_draining(app, workers, blocking=at.kind == "sync")
        for client in clients:
            client.sendall(b"x" * 50000)
            head, length = whole(client)
            assert b" 200 " in head and length == len("100000"), head
            client.close()
        for worker in workers:
            assert worker.ended() == 0, (worker.status, app.printed())


def the_lifespans_shutdown_runs_also_where_a_stream_outlives_the_drain(at):
    for second in (None, signal.SIGQUIT):
        graceful = "60" if second else "1"
        with shop(at, more=["--keep-alive", "1", "--graceful-timeout", graceful]) as app:
            worker = app.ready()
            client = app.connect()
            client.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            reader = threading.Thread(target=read_on_and_on, args=(client,))
            reader.start()
            until(worker.in_flight, "the stream is under way")
            worker.kill(signal.SIGTERM)
            until(lambda: worker.state == DRAINING, "it drains")
            if second:
                worker.kill(second)
            assert worker.ended() == 0, (worker.status, app.printed())
            reader.join()
            client.close()
            os.remove(os.path.join(at.directory, "shut_down"))


def read_on_and_on(client):
    try:
        while client.recv(1 << 20):
            pass
    except OSError:
        pass  # it was cut off


def who_is_accepted_in_the_very_moment_of_a_drain_is_answered(at):
    loops = [["--asgi-loop", loop] for loop in ("auto", "asyncio")] if at.kind == "asgi" else [[]]
    for loop in loops:
        with shop(at, more=loop) as app:
            worker = app.ready()
            first = app.connect()
            first.sendall(b"GET /block HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            until(worker.in_flight, "its loop stands still")
            worker.kill(signal.SIGTERM)
            until(lambda: not pending(worker, signal.SIGTERM), "the signal is there")
            others = [app.connect() for _ in range(5)]
            for client in others:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            sibling = app.ready()  # who the worker does not take is taken by another
            open(os.path.join(at.directory, "go_on"), "w").close()
            for client in [first] + others:
                assert b" 200 " in whole(client)[0]
                client.close()
            assert worker.ended() == 0, (worker.status, app.printed())
            sibling.kill(signal.SIGTERM)
            assert sibling.ended() == 0
            os.remove(os.path.join(at.directory, "go_on"))


def pending(worker, number):
    with open("/proc/%d/status" % worker.pid, encoding="latin-1") as file:
        fields = dict(line.split(":", 1) for line in file)
    return (int(fields["SigPnd"], 16) | int(fields["ShdPnd"], 16)) & 1 << number - 1


OF_LOOPS = [
    the_lifespans_shutdown_runs_also_where_a_stream_outlives_the_drain,
    who_is_accepted_in_the_very_moment_of_a_drain_is_answered,
]
LAWS = [a_draining_worker_sends_its_answers_to_the_last_byte, a_draining_worker_takes_an_upload_to_its_last_byte]
