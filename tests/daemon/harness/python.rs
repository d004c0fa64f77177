//! The apps that the tests serve, as texts.

/// A WSGI app with a few levers. `/` answers `PID RELEASE`.
pub const WSGI: &str = r#"
import json, os, sys, time

RELEASE = "1"
HEAP = []

def handle(path, query):
    if path == "/sleep":
        time.sleep(float(query))
    elif path == "/spin":
        until = time.monotonic() + float(query)
        while time.monotonic() < until:
            pass
    elif path == "/grow":
        HEAP.append(b"x" * (int(query) << 20))
    elif path == "/exit":
        os._exit(int(query))
    elif path == "/env":
        return json.dumps(dict(os.environ))
    elif path == "/sys":
        return json.dumps({"path": sys.path, "argv": sys.argv, "cwd": os.getcwd(), "uid": os.getuid()})
    return "%d %s" % (os.getpid(), RELEASE)

def application(environ, start_response):
    body = handle(environ["PATH_INFO"], environ.get("QUERY_STRING", "")).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"#;

/// The same as an ASGI app, with a lifespan.
pub const ASGI: &str = r#"
import asyncio, os

RELEASE = "1"

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/sleep":
        await asyncio.sleep(float(scope["query_string"]))
    body = b"%d %s" % (os.getpid(), RELEASE.encode())
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"#;

/// A Django site in one file; `/` answers `PID RELEASE`, only for the host `shop.example.com`.
pub const DJANGO: &str = r#"
import os
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

RELEASE = "1"

settings.configure(
    ALLOWED_HOSTS=["shop.example.com"], ROOT_URLCONF=__name__, SECRET_KEY="test", DEBUG=False,
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"), SECURE_SSL_REDIRECT=True,
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
)

def index(request):
    return HttpResponse("%d %s" % (os.getpid(), RELEASE), content_type="text/plain")

urlpatterns = [path("", index), path("healthz", index)]
application = get_wsgi_application()
"#;

/// Every worker class, with an app of its kind.
pub const CLASSES: [(&str, &str); 6] = [
    ("sync", WSGI),
    ("gthread", WSGI),
    ("gevent", WSGI),
    ("tornado", WSGI),
    ("asgi", ASGI),
    ("uvicorn_worker.UvicornWorker", ASGI),
];
