"""A connection to PostgreSQL, through Django or through a driver, and the errors of both."""

from _ostler.database import Lost
from _ostler.text import one_line, said, trace_of
from _ostler.wire import Trouble

CONNECT = 2  # seconds; the least that libpq knows
REFUSALS = {
    "55P03": "lock",
    "40P01": "lock",
    "40001": "lock",
    "57014": "cancelled",
    "25P03": "cancelled",
    "57P01": "connection",
    "57P02": "connection",
    "57P03": "connection",
    "53100": "full",
    "53400": "full",
}
GONE = (
    "server closed the connection",
    "connection already closed",
    "the connection is closed",
    "connection is lost",
    "consuming input failed",
    "could not receive data from server",
    "terminating connection",
    "EOF detected",
)


def kind_of(error):
    """The kind of failure of an error of the driver, or None where it is the statement's own."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if state:
        return REFUSALS.get(state) or ("connection" if state.startswith("08") else None)
    if type(error).__name__ in ("OperationalError", "InterfaceError"):
        text = str(error)
        if any(words in text for words in GONE):
            return "connection"
        if "could not connect" in text or "connection failed" in text or "connection to server" in text:
            return "connection"
    return None


def said_of(error):
    return one_line(error) or type(error).__name__


class Link:
    """One connection to the server, in autocommit."""

    def __init__(self, source, name, options=None):
        self.source, self.wrapper = source, None
        self.broken = False
        extra = {"connect_timeout": CONNECT, "application_name": name}
        try:
            if source.django:
                self.wrapper = source.wrapper(extra)
                self.wrapper.settings_dict["AUTOCOMMIT"] = True
                self.wrapper.connect()
                self.raw, self.error = self.wrapper.connection, self.wrapper.Database.Error
            else:
                self.raw, self.error = by_url(source, dict(extra, **({"options": options} if options else {})))
        except Trouble:
            raise
        except Exception as error:
            if type(error).__name__ == "ImproperlyConfigured":
                raise Trouble(
                    "app", "the database of the app cannot be used: %s" % said(error), trace_of(error)
                ) from None
            raise Lost(said_of(error)) from error

    def ask(self, sql, parameters=None):
        try:
            with self.raw.cursor() as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchall() if cursor.description else []
        except self.error as error:
            self.broken = self.broken or bool(self.raw.closed) or kind_of(error) == "connection"
            raise Lost(said_of(error)) from error

    def gone(self):
        return self.broken or bool(self.raw.closed)

    def close(self):
        try:
            self.raw.close()
        except Exception:
            pass  # it is gone already


def by_url(source, extra):
    named = source.parts.scheme.partition("+")[2]
    known = ["psycopg", "psycopg2"]
    driver = source.load(sorted(known, key=lambda it: it != named))
    url = "postgresql" + source.url[source.url.index("://") :]
    if driver.__name__ == "psycopg":
        extra["cursor_factory"] = driver.ClientCursor
    raw = driver.connect(url, **extra)
    raw.autocommit = True
    return raw, driver.Error
