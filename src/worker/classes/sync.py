"""One request at a time. Its own drain loses nothing: it answers the one that it has and never keeps a connection."""

from _ostler.mixin import Wsgi

GUNICORN = "SyncWorker"


class Sync(Wsgi):
    pass
