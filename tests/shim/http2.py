"""Laws of HTTP/2 in gunicorn 27, which takes the package h2."""

import json
import os
import signal
import subprocess

from kinds import shop
from supervisor import DRAINING, until

KINDS = ("gthread", "gevent", "asgi")
CLEARTEXT = ["--http-protocols", "h2,h1", "--http2-cleartext", "prior-knowledge"]


class Http2Client:
    def __init__(self, app, streams, path, scheme):
        host, port = app.address
        script = os.path.join(os.path.dirname(__file__), "h2_client.py")
        command = [app.python, script, scheme, host, str(port), str(streams), path]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def told(self):
        return json.loads(self.process.communicate(timeout=60)[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def encrypted(at):
    """TLS, where the protocol is agreed on in the handshake."""
    key, certificate = (os.path.join(at.directory, name) for name in ("key.pem", "certificate.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a", "-keyout", key]
    subprocess.run(command + ["-out", certificate], check=True, capture_output=True)
    return ["--http-protocols", "h2,h1", "--keyfile", key, "--certfile", certificate]


def a_replaced_worker_loses_no_request_of_http2_over_tls(at):
    a_replaced_worker_loses_no_request_of_http2(at, encrypted(at), "https")


def a_replaced_worker_loses_no_request_of_http2(at, protocol=CLEARTEXT, scheme="http"):
    # A client holds a thread as long as its connection lasts.
    more = protocol + (["--threads", "16"] if at.kind == "gthread" else [])
    with shop(at, more=more) as app:
        old = [app.ready(), app.ready()]

        def client(streams, path):
            return Http2Client(app, streams, path, scheme)

        with client(1, "/") as one, client(8, "/") as many, client(3, "/slow") as slow:
            for _ in range(5):
                new = app.ready()
                before = new.finished
                leaving = old.pop(0)
                old.append(new)
                leaving.kill(signal.SIGTERM)
                until(lambda: leaving.state == DRAINING, "the old worker drains")
                assert leaving.ended(60) == 0, (leaving.status, app.printed())
                until(lambda: sum(worker.finished for worker in old) > before, "the others serve")
            told = [client.told() for client in (one, many, slow)]
        at.note(
            "answered %d on %d connections"
            % (sum(one["answered"] for one in told), sum(one["connections"] for one in told))
        )
        assert not any(one["lost"] for one in told), (told, app.printed()[-3000:])
        assert all(one["answered"] for one in told)


LAWS = [a_replaced_worker_loses_no_request_of_http2, a_replaced_worker_loses_no_request_of_http2_over_tls]
