"""A Django project as `startproject` makes it, what is put into it, and probes of it."""

import os
import subprocess

from supervisor import Shop

UNASKED = {
    "path": "/",
    "host": None,
    "scheme": "http",
    "timeout_seconds": 10.0,
    "asked": False,
    "tolerate": {"errors": False, "late": False},
}
BORNE = dict(UNASKED, tolerate={"errors": True, "late": True})
WSGI = ("sync", "gthread", "gevent", "tornado")


def kinds(at):
    """Worker class and entry of every class that this gunicorn has."""
    yield from ((kind, "wsgi") for kind in WSGI)
    yield "uvicorn_worker.UvicornWorker", "asgi"
    if at.major >= 27:
        yield "asgi", "asgi"


def project(at, urls=None, settings="", **files):
    """A project as Django makes it, in a folder of its own; `urls` replaces its urls.py, `settings` are added to its own."""
    folder = os.path.join(at.directory, "project")
    if not os.path.exists(folder):
        os.mkdir(folder)
        subprocess.run([os.path.join(at.venv, "bin", "django-admin"), "startproject", "site1", folder], check=True)
        with open(os.path.join(folder, "site1", "settings.py"), encoding="utf-8") as file:
            at.settings = file.read()
    written = {"site1/settings.py": at.settings + "\n" + settings}
    if urls is not None:
        written["site1/urls.py"] = urls
    written.update({name.replace("__", "/") + ".py": text for name, text in files.items()})
    for name, text in written.items():
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    return folder


def site(at, kind="sync", module="wsgi", **more):
    folder = os.path.join(at.directory, "project")
    return Shop(
        at.venv,
        at.directory,
        entry="site1.%s:application" % module,
        args=["-k", kind],
        env=dict({"PYTHONPATH": folder}, **more.pop("env", {})),
        **more,
    )


VIEWS = """
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import include, path
from django.shortcuts import render
def page(request):
    return HttpResponse("ok")
def broken(request):
    raise KeyError("a view that is broken")
urlpatterns = %s
"""
SENDS = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "site1.settings"
from django.core.wsgi import get_wsgi_application
inner = get_wsgi_application()
def application(environ, start_response):
    if environ["PATH_INFO"] != "/":
        return inner(environ, start_response)
    start_response("302 Found", [("Location", "%s")])
    return []
"""
SENDS_ASGI = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "site1.settings"
from django.core.asgi import get_asgi_application
inner = get_asgi_application()
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    if scope["path"] != "/":
        return await inner(scope, receive, send)
    await send({"type": "http.response.start", "status": 302, "headers": [(b"location", b"%s")]})
    await send({"type": "http.response.body", "body": b""})
"""
PRODUCTION = "DEBUG = False\nALLOWED_HOSTS = ['.shop.example.com', 'x']\n"
