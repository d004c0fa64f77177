"""Where the database is and how it is reached: through the app's own Django settings, or by a URL."""

import copy
import importlib
import urllib.parse

from _ostler import project
from _ostler.text import said, trace_of
from _ostler.wire import Trouble

# The kinds of URL, as SQLAlchemy, dj-database-url and libpq write them.
SCHEMES = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "psql": "postgresql",
    "pgsql": "postgresql",
    "postgis": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "mysql2": "mysql",
    "sqlite": "sqlite",
    "sqlite3": "sqlite",
}


def source_of(orders):
    database = orders["database"]
    return Url(database["url"]) if "url" in database else Django(database["alias"], orders.get("django"))


class Django:
    """A database of Django's settings: with its TLS, its service file, its peer authentication, its own backend."""

    django = True

    def __init__(self, alias, app):
        project.settle(app)
        from django.db import connections

        self.alias = alias
        if app is not None and not app.get("certain") and alias == "default" and not has_default(connections):
            raise project.NoDjango("DATABASES of the app's Django has no `default`")
        try:
            first = connections[alias]
        except Exception as error:
            known = ", ".join(sorted(connections.databases)) if hasattr(connections, "databases") else ""
            message = "the database %r of [migrate] cannot be used: %s: Django's DATABASES has %s" % (
                alias,
                said(error),
                known or "none",
            )
            raise Trouble("app", message, trace_of(error)) from None
        self.vendor = first.vendor
        self.settings = first.settings_dict
        self.driver = getattr(first, "Database", None)

    def wrapper(self, options=None):
        return beside(self.alias, options)

    def words(self):
        """`shop on db1:5432 as shop`, without the password."""
        return words(self.vendor, self.settings)


def has_default(connections):
    """Whether anything stands there; Django itself puts in what is none where nothing does."""
    try:
        return bool(connections["default"].settings_dict["ENGINE"] != "django.db.backends.dummy")
    except Exception:
        return "default" in getattr(connections, "databases", {})


def beside(alias, options=None):
    """A new `DatabaseWrapper` beside Django's own, not connected, which commits by itself; `options` are added to its OPTIONS."""
    from django.db import connections

    made = connections.create_connection(alias)
    made.settings_dict = copy.deepcopy(made.settings_dict)
    own = made.settings_dict.setdefault("OPTIONS", {})
    own.pop("pool", None)  # a pool would give us a connection that is another's
    own.update(options or {})
    made.settings_dict.update(AUTOCOMMIT=True, CONN_MAX_AGE=None)
    return made


class Url:
    """A database that a command other than Django's migrates."""

    django = False
    alias = None

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        kind = parts.scheme.partition("+")[0]
        self.vendor = SCHEMES.get(kind)
        if self.vendor is None:
            known = ", ".join(sorted(set(SCHEMES.values())))
            raise Trouble("app", "database_url begins with %s://: %s are known" % (parts.scheme, known))
        self.url, self.parts = url, parts
        self.query = dict(urllib.parse.parse_qsl(parts.query))
        unquote = urllib.parse.unquote
        try:
            port = parts.port
        except ValueError:
            raise Trouble(
                "app", "the port of database_url is no number: write postgresql://USER@HOST:PORT/NAME"
            ) from None
        host = unquote(parts.hostname or "")
        if host == "" and "host" in self.query:
            host = self.query["host"]
        self.settings = {
            "HOST": host,
            "PORT": port or "",
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "NAME": unquote(parts.path[1:]),
        }
        self.driver = None

    def load(self, names):
        """The first of these drivers that the app has."""
        for name in names:
            try:
                self.driver = importlib.import_module(name)
                return self.driver
            except ImportError:
                continue
        raise Trouble(
            "app",
            "%s cannot import any of %s: the database of database_url cannot be watched; install one of "
            "them in the app's environment, or leave database_url out"
            % (__import__("sys").executable, ", ".join(names)),
        )

    def words(self):
        return words(self.vendor, self.settings)


def words(vendor, settings):
    if vendor == "sqlite":
        return str(settings.get("NAME"))
    options = settings.get("OPTIONS") or {}
    host = (
        settings.get("HOST")
        or options.get("host")
        or ("service " + options["service"] if options.get("service") else "")
    )
    port = settings.get("PORT") or options.get("port")
    name, user = settings.get("NAME") or options.get("dbname"), settings.get("USER") or options.get("user")
    place = str(host) if host else "the local socket"
    if port:
        place += ":%s" % port
    said_of = "%s on %s" % (name or "the default database", place)
    return said_of + (" as %s" % user if user else "")
