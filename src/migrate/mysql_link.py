"""A connection to MySQL or MariaDB, through Django or through a driver, and the errors of both."""

import contextlib

from _ostler.database import Lost
from _ostler.text import said
from _ostler.wire import Trouble

DRIVERS = ["MySQLdb", "pymysql"]
BOUNDS = {"connect_timeout": 3, "read_timeout": 4, "write_timeout": 4}

# 1205, 1213, 3572: a lock was not to be had in time, a deadlock, NOWAIT. 1317: KILL QUERY. 1927: KILL. 1969, 3024: longer
# than the server's own limit. 1053, 2006, 2013, 4031 and their like: the server or the connection is gone. 1021, 1114: no room.
KINDS = {
    "lock": [1205, 1213, 3572],
    "cancelled": [1317, 1969, 3024, 1927],
    "connection": [
        1053,
        1077,
        1079,
        1080,
        1152,
        1158,
        1159,
        1160,
        1161,
        1184,
        2000,
        2001,
        2002,
        2003,
        2005,
        2006,
        2012,
        2013,
        2014,
        2027,
        2055,
        4031,
    ],
    "full": [1021, 1114],
}
FAILURES = {code: kind for kind, codes in KINDS.items() for code in codes}
GONE = set(KINDS["connection"]) | {0, 1927, 1969, 3024}


def code_of(error):
    """The number of an error of the driver, also where Django has wrapped it."""
    for one in (error, getattr(error, "__cause__", None)):
        args = getattr(one, "args", ())
        if args and isinstance(args[0], int) and not isinstance(args[0], bool):
            return args[0]
    return None


def kind_of(error):
    """The kind of failure of an error of the driver, or None where it is the statement's own."""
    if type(error).__module__.partition(".")[0] not in ("MySQLdb", "pymysql", "django"):
        return None
    if "Errcode: 28" in str(error) or "No space left" in str(error):
        return "full"
    return FAILURES.get(code_of(error))


class Link:
    """One connection that commits by itself. Raises `Lost` when it is gone, `Trouble` when it is refused."""

    def __init__(self, source):
        self.source, self.wrapper, self.raw = source, None, None
        with self.lost():
            if source.django:
                self.wrapper = source.wrapper(BOUNDS)
                self.wrapper.settings_dict["AUTOCOMMIT"] = True
                self.wrapper.ensure_connection()
            else:
                self.raw = self.by_driver()
        self.id = self.value("SELECT CONNECTION_ID()")

    def by_driver(self):
        driver, settings = self.source.load(DRIVERS), self.source.settings
        wanted = {
            "host": settings["HOST"],
            "port": settings["PORT"],
            "user": settings["USER"],
            "password": settings["PASSWORD"],
            "database": settings["NAME"],
            "unix_socket": self.source.query.get("unix_socket"),
        }
        raw = driver.connect(charset="utf8mb4", **BOUNDS, **{key: value for key, value in wanted.items() if value})
        raw.autocommit(True)
        return raw

    @contextlib.contextmanager
    def lost(self):
        """Tells a connection that is gone, or refused, from a statement that is wrong."""
        try:
            yield
        except Exception as error:
            code = code_of(error)
            if code in GONE or type(error).__name__ == "InterfaceError":
                raise Lost(said(error)) from None
            if code in (1044, 1045, 1049, 1129, 1130, 1698, 2059, 2061):
                raise Trouble(
                    "unreachable",
                    "%s refuses: %s: correct NAME, HOST, USER and PASSWORD, or grant the user "
                    "what it needs" % (self.source.words(), said(error)),
                ) from None
            if code in (1040, 1203, 1226):
                raise Lost(said(error)) from None  # too many connections: there may be room soon
            raise

    @contextlib.contextmanager
    def cursor(self):
        with self.lost():
            cursor = (self.wrapper or self.raw).cursor()
            try:
                yield cursor
            finally:
                with contextlib.suppress(Exception):
                    cursor.close()

    def rows(self, statement, values=None):
        with self.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def value(self, statement, values=None):
        return self.rows(statement, values)[0][0]

    def run(self, statement):
        with self.cursor() as cursor:
            cursor.execute(statement)

    def alive(self):
        try:
            return self.value("SELECT CONNECTION_ID()") == self.id
        except Lost:
            return False

    def close(self):
        with contextlib.suppress(Exception):
            (self.wrapper or self.raw).close()
