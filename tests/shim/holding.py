"""Laws of the time before the first client, for every worker class on every gunicorn."""

import os
import signal

from kinds import CLASSES, PROBE, shop
from supervisor import LOADED, READY, until


def a_held_worker_takes_no_client_until_it_is_admitted(at):
    with shop(at) as app:
        worker = app.spawn(hold=True)
        worker.hear("loaded")
        assert worker.state == LOADED, worker.state
        client = app.connect()
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        # Another worker takes the client that the held one must not touch.
        other = app.ready()
        answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.partition(b"\r\n\r\n")[2].split()[0] == b"%d" % other.pid, answer
        client.close()
        assert worker.silent() and worker.state == LOADED
        worker.admit()
        worker.hear("ready")
        assert worker.state == READY and worker.field(16) > 0 and worker.field(0) == 1


def a_held_worker_leaves_quietly_when_ostlerd_goes_or_says_so(at):
    with shop(at) as app:
        orphan, told = app.spawn(hold=True), app.spawn(hold=True)
        orphan.hear("loaded")
        told.hear("loaded")
        orphan.control.shutdown(2)
        told.kill(signal.SIGTERM)
        assert (orphan.ended(), told.ended()) == (0, 0), app.printed()
        assert "Traceback" not in app.printed(), app.printed()


def a_worker_told_to_go_while_it_loads_leaves_quietly(at):
    loading, go_on = os.path.join(at.directory, "loading"), os.path.join(at.directory, "go_on")
    module = "asgi" if CLASSES[at.kind][0].startswith("asgi") else "wsgi"
    with shop(at, entry="gradual:%s" % module) as app:
        worker = app.spawn(hold=True)
        until(lambda: os.path.exists(loading), "it loads")
        worker.kill(signal.SIGTERM)
        open(go_on, "w").close()
        assert worker.ended() == 0, (worker.status, app.printed())
        assert [line["event"] for line in worker.rest()] == ["here"], app.printed()
        assert "Traceback" not in app.printed(), app.printed()


def what_the_app_does_in_the_background_goes_on_while_it_is_held(at):
    beats = os.path.join(at.directory, "beats")
    attribute = "asgi" if CLASSES[at.kind][0].startswith("asgi") else "wsgi_app()"
    with shop(at, entry="background:%s" % attribute) as app:
        worker = app.spawn(hold=True)
        worker.hear("loaded")
        size = os.path.getsize(beats) if os.path.exists(beats) else 0
        until(lambda: os.path.exists(beats) and os.path.getsize(beats) >= size + 5, "the app works on")


def a_good_probe_lets_a_worker_through(at):
    with shop(at) as app:
        moved = dict(PROBE, path="/moved")
        workers = [app.spawn(hold=True, probe=PROBE), app.spawn(probe=moved)]
        workers[0].hear("loaded")
        workers[0].admit()
        for worker in workers:
            worker.hear("ready")
        assert [worker.finished for worker in workers] == [0, 0]


def a_bad_probe_fails_the_worker_in_words(at):
    with shop(at) as app:
        probes = [dict(PROBE, path="/bad"), dict(PROBE, path="/raise"), dict(PROBE, path="/hang", timeout_seconds=1.0)]
        workers = [app.spawn(hold=True, probe=probe) for probe in probes]
        failures = [worker.hear("failed") for worker in workers]
        assert [failure["stage"] for failure in failures] == ["probe"] * 3
        assert failures[0]["message"] == "the probe of /bad answered 500 Internal Server Error", failures[0]
        assert str(workers[0].pid) in failures[0]["traceback"]
        assert failures[1]["message"] == "the probe of /raise raised ZeroDivisionError: asked for", failures[1]
        assert 'raise ZeroDivisionError("asked for")' in failures[1]["traceback"]
        assert failures[2]["message"] == "the probe of /hang did not answer in 1 s", failures[2]
        assert "sleep(60)" in failures[2]["traceback"], failures[2]
        assert [worker.ended() for worker in workers] == [3] * 3, app.printed()


LAWS = [
    a_held_worker_takes_no_client_until_it_is_admitted,
    a_held_worker_leaves_quietly_when_ostlerd_goes_or_says_so,
    a_worker_told_to_go_while_it_loads_leaves_quietly,
    what_the_app_does_in_the_background_goes_on_while_it_is_held,
    a_good_probe_lets_a_worker_through,
    a_bad_probe_fails_the_worker_in_words,
]
