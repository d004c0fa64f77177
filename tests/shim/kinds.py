"""The worker classes that the laws are tried on, and the app and the probe for each."""

from supervisor import Shop

CLASSES = {
    "sync": ("wsgi:application", ["-k", "sync"]),
    "gthread": ("wsgi:application", ["-k", "gthread", "--threads", "4"]),
    "gevent": ("wsgi:application", ["-k", "gevent"]),
    "tornado": ("wsgi:application", ["-k", "tornado"]),
    "asgi": ("asgi:application", ["-k", "asgi"]),
    "uvicorn": ("asgi:application", ["-k", "uvicorn_worker.UvicornWorker"]),
    "uvicorn.workers": ("asgi:application", ["-k", "uvicorn.workers.UvicornWorker"]),
}
PROBE = {"path": "/secure", "host": "shop.example.com", "scheme": "https", "timeout_seconds": 10.0}
CONCURRENT = {"gthread", "gevent", "asgi", "uvicorn", "uvicorn.workers"}


def shop(at, **settings):
    entry, args = CLASSES[at.kind]
    settings.setdefault("entry", entry)
    settings.setdefault("preload", getattr(at, "preload", False))
    return Shop(at.venv, at.directory, args=args + settings.pop("more", []), **settings)
