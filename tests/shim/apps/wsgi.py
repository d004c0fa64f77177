"""The WSGI app of the tests: `/` answers at once, `/slow` takes its time, `/bad` fails, `/where` says who it was."""

import os
import subprocess
import time

LARGE, PIECE = 40 * 1024 * 1024, 65536


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(0.3)
    if path == "/hang":
        time.sleep(60)
    if path == "/raise":
        raise ZeroDivisionError("asked for")
    status = {"/bad": "500 Internal Server Error", "/moved": "302 Found"}.get(path, "200 OK")
    body = b"%d %s %s" % (os.getpid(), environ["wsgi.url_scheme"].encode(), environ.get("HTTP_HOST", "").encode())
    if path == "/secure" and (environ["wsgi.url_scheme"], environ["HTTP_HOST"], environ["HTTP_X_FORWARDED_PROTO"]) != (
        "https",
        "shop.example.com",
        "https",
    ):
        status = "400 Bad Request"
    if path == "/children":
        body = subprocess.run(["ls", "/proc/self/fd"], close_fds=False, stdout=subprocess.PIPE).stdout
    if path == "/upload":
        body = b"%d" % len(environ["wsgi.input"].read())
    if path == "/large":
        body = b"x" * LARGE
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"x" * PIECE for _ in range(LARGE // PIECE))
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


not_callable = 7


def factory():
    return application
