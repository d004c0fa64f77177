"""MySQL and MariaDB: what the watchdog knows of a migration there, and can do to it.

There is no `application_name`. The run's connections are recognised by user-level locks that they take themselves and hold
for as long as they live (`marks`): `IS_USED_LOCK` gives their ids to anybody, without a privilege, also when the client is
dead and its statement goes on, and to the next ostlerd, which remembers nothing. The locks are the server's, not a
database's, so their names hold the database's. Two runs of one database exclude each other, so the names need no app.

Only what runs as our own user is seen without the privilege PROCESS, which is enough to cancel and to end the run.
"""

import random
import re
import time

from _ostler import database, halfway
from _ostler.database import Lost, backend
from _ostler.mysql_link import Link, code_of, kind_of
from _ostler.mysql_view import View
from _ostler.tag import shortened
from _ostler.text import said, short
from _ostler.wire import Trouble

MARKS = 16  # connections of one process that are recognised
FOREVER = 31536000  # seconds; both servers' longest wait
# An owner that is asked for nothing for so long is gone with its machine: the server lets its lock go.
KEEPER_SECONDS = 60


def lock_name(name):
    return shortened("ostler:migrate:%s" % name)


def marks(name):
    return [shortened("ostler:run%d:%s" % (number, name)) for number in range(MARKS)]


def guard(cursor, orders):
    """Marks a fresh connection as one of the run and bounds its waits."""
    cursor.execute("SELECT DATABASE()")
    for mark in marks(cursor.fetchone()[0]):
        try:
            cursor.execute("SELECT GET_LOCK(%s, 0)", [mark])
        except Exception as error:
            if kind_of(error):
                raise
            break  # a cluster that has no such locks; `Side.open` has warned of it
        if cursor.fetchone()[0] == 1:
            break
    bound(cursor, orders)
    wrappers = getattr(getattr(cursor, "db", None), "execute_wrappers", None)
    if wrappers is not None and not any(isinstance(one, Again) for one in wrappers):
        wrappers.append(Again())


class Again:
    """Tries a change of the schema again that did not get its lock, where something of its migration is done already.

    Nothing takes that back here: a failure would leave a migration half applied, while one that fails at its first
    statement is clean, and ostlerd runs it again. A change that did not get its lock has done nothing.
    """

    CHANGE = re.compile(r"\s*(ALTER|CREATE|DROP|RENAME|TRUNCATE)\b", re.I)
    PAUSES = (1, 2, 4, 8, 8, 8, 8)  # seconds in which whoever waited behind us gets through

    def __init__(self):
        self.changed = False

    def __call__(self, execute, sql, params, many, context):
        if not isinstance(sql, str) or not self.CHANGE.match(sql):
            if isinstance(sql, str) and sql.startswith("INSERT") and "django_migrations" in sql:
                self.changed = False  # one is recorded, the next begins
            return execute(sql, params, many, context)
        for pause in self.PAUSES if self.changed else ():
            try:
                return execute(sql, params, many, context)
            except Exception as error:
                if code_of(error) != 1205:
                    raise
                print("no lock for `%s`: again in %d s" % (short(sql, 80), pause), flush=True)
            time.sleep(pause * random.uniform(0.8, 1.2))
        answer = execute(sql, params, many, context)
        self.changed = True
        return answer


def fence(cursor, name):
    """Whether no other run is at work in this database; held as long as its connection lasts."""
    try:
        cursor.execute("SELECT GET_LOCK(%s, 0)", [lock_name(name + " runs")])
    except Exception as error:
        if kind_of(error):
            raise
        return True  # a cluster that has no such locks; `Side.open` has warned of it
    return cursor.fetchone()[0] == 1


def bound(cursor, orders):
    lock_timeout(cursor, database.usual(orders))


def again(cursor, orders, seconds):
    """Nothing but the waits for locks can have been changed meanwhile."""
    lock_timeout(cursor, seconds)


def lock_timeout(cursor, seconds):
    """For metadata locks, whose default is a day, and for rows. Whole seconds are all that there is."""
    seconds = database.LOCK_TIMEOUT if seconds is None else seconds
    whole = max(1, round(seconds)) if seconds else FOREVER
    cursor.execute("SET SESSION lock_wait_timeout = %d, SESSION innodb_lock_wait_timeout = %d" % (whole, whole))


def failure(error):
    return kind_of(error)


class Side(database.Side):
    vendor = "mysql"

    def __init__(self, source, orders):
        super().__init__(source, orders)
        self.eye = self.keeper = None
        self.locks = False  # whether the server has user-level locks
        self.locked = False
        self.owner = None  # the id of the connection that holds our lock

    def open(self):
        self.eye = self.connect()
        self.maria = "mariadb" in str(self.eye.value("SELECT VERSION()")).lower()
        self.bound_eye()
        self.name = self.eye.value("SELECT DATABASE()")
        if not self.name:
            raise Trouble("app", "no database is chosen: name one in NAME of Django's DATABASES or in database_url")
        guards, warnings = self.probe()
        self.view = View(self.eye, self.maria)
        if not self.view.privileged:
            warnings.append(
                "%s has not the privilege PROCESS: of others only connections of the same user are seen, and "
                "who blocks is a guess" % self.eye.value("SELECT CURRENT_USER()")
            )
        unwatched = None
        if not self.locks:
            unwatched = "this server has no GET_LOCK: the connections of the run cannot be told from others"
        elif self.orders.get("command") != "django":
            unwatched = (
                "the connections of a command other than Django's cannot be told from others on MySQL and MariaDB"
            )
        version = str(self.eye.value("SELECT VERSION()"))
        usual = database.usual(self.orders)
        return {
            "version": version,
            "unwatched": unwatched,
            "guards": guards,
            "warnings": warnings,
            "lock_timeout": database.LOCK_TIMEOUT if usual is None else usual,
        }

    def connect(self):
        try:
            return Link(self.source)
        except Lost as error:
            raise self.unreachable(error) from None

    def unreachable(self, error):
        message = "%s cannot be reached: %s: is it up, and are NAME, HOST, USER and PASSWORD right?" % (
            self.source.words(),
            error,
        )
        return Trouble("unreachable", message)

    def bound_eye(self):
        """No statement of ours takes long, and none waits."""
        cap = "max_statement_time = 2" if self.maria else "max_execution_time = 2000"
        self.eye.run("SET SESSION wait_timeout = 86400, SESSION lock_wait_timeout = 1, SESSION " + cap)

    def probe(self):
        """The guards as a connection of the run has them: `(pairs, warnings)`."""
        limit = "max_statement_time" if self.maria else "max_execution_time"
        link = self.connect()
        try:
            own = "ostler:probe:%s" % link.id
            try:
                self.locks = link.value("SELECT GET_LOCK(%s, 0)", [own]) == 1
            except Lost:
                raise
            except Exception:
                self.locks = False
            with link.cursor() as cursor:
                bound(cursor, self.orders)
            waits, rows, statement = link.rows("SELECT @@lock_wait_timeout, @@innodb_lock_wait_timeout, @@%s" % limit)[
                0
            ]
        except Lost as error:
            raise self.unreachable(error) from None
        finally:
            link.close()
        guards = [["lock_wait_timeout", "%ds" % waits], ["innodb_lock_wait_timeout", "%ds" % rows]]
        warnings = []
        if statement:
            shown = "%gs" % (float(statement) if self.maria else statement / 1000)
            guards.append([limit, shown])
            if self.maria:
                warnings.append(
                    "max_statement_time is %s: a statement of a migration that takes longer is cut by the "
                    "server, and what came before it stays" % shown
                )
        return guards, warnings

    def wrapper(self):
        return self.eye.wrapper

    def lock(self):
        if not self.locks:
            return super().lock()
        if self.keeper is None:
            self.keeper = self.connect()
            self.keeper.run("SET SESSION wait_timeout = %d" % KEEPER_SECONDS)
        if self.keeper.value("SELECT GET_LOCK(%s, 0)", [lock_name(self.name)]) != 1:
            return self.holder()
        self.locked, self.owner = True, self.keeper.id
        return None

    def holder(self):
        number = self.eye.value("SELECT IS_USED_LOCK(%s)", [lock_name(self.name)])
        row = next((row for row in self.view.threads() if row["id"] == number), None)
        self.quiet = None if row is None else row["seconds"]
        if row is None:
            return "connection %s" % number
        place = row["host"].rpartition(":")[0] or row["host"]
        return "%s (connection %s)" % ("this machine" if place == "localhost" else place, number)

    def keep(self):
        if self.locked and self.keeper.value("SELECT IS_USED_LOCK(%s)", [lock_name(self.name)]) != self.keeper.id:
            self.keeper.close()
            raise Lost("the migration lock is no longer ours")

    def renew(self):
        if not self.eye.alive():
            self.eye.close()
            self.eye = self.view.link = Link(self.source)
            self.bound_eye()
        if self.keeper is None or self.keeper.alive():
            return
        self.keeper.close()
        self.keeper = None
        if not self.locked:
            return
        lost = self.owner
        if self.lock() is None:
            return
        number = self.eye.value("SELECT IS_USED_LOCK(%s)", [lock_name(self.name)])
        if number == lost:  # the server has not noticed yet that our own connection is gone
            self.kill("CONNECTION", number)
            raise Lost("the migration lock is still held by our own lost connection")
        if number is not None:
            raise Trouble(
                "unreachable", "the migration lock was lost with its connection, and %s has it now" % self.holder()
            )
        raise Lost("the migration lock was let go just now")

    def ours(self):
        """The ids of the connections of the run."""
        if not self.locks:
            return set()
        names = marks(self.name)
        row = self.eye.rows("SELECT " + ", ".join(["IS_USED_LOCK(%s)"] * len(names)), names)[0]
        return {int(number) for number in row if number is not None}

    def threads(self):
        """The run's connections, as the list of processes has them."""
        ours = self.ours()
        seen = {row["id"]: row for row in self.view.threads()} if ours else {}
        unseen = {"user": "", "host": "", "command": "", "state": "", "info": "", "time": 0}
        return [seen.get(number) or dict(unseen, id=number) for number in ours]

    def sweep(self, resumes):
        # The marks do not tell one run from another, and what is at work is ours: no other begins beside it (see `fence`).
        left = [] if resumes else self.threads()
        self.end(left)
        return [
            backend(
                row["id"],
                "%s@%s" % (row["user"], row["host"]),
                row["state"] or row["command"],
                row["info"],
                row["time"],
            )
            for row in left
        ]

    def look(self):
        return self.view.look(self.ours(), {self.eye.id, self.owner})

    def cancel(self):
        return sum(self.kill("QUERY", row["id"]) for row in self.threads() if row["command"] not in ("Sleep", "Killed"))

    def end_backends(self):
        left = self.threads()
        self.end(left)
        return len(left)

    def end(self, threads):
        for row in threads:
            if row["command"] != "Killed":  # which rolls back, and has to be let
                self.kill("CONNECTION", row["id"])

    def kill(self, what, number):
        """Whether there was somebody to kill."""
        try:
            self.eye.run("KILL %s %d" % (what, number))
            return True
        except Lost:
            raise
        except Exception as error:
            if code_of(error) == 1094:  # gone meanwhile
                return False
            if code_of(error) == 1095:
                raise Trouble(
                    "broken",
                    "connection %d of the run cannot be ended: %s: grant CONNECTION ADMIN, or end it "
                    "by hand with KILL %d" % (number, said(error), number),
                ) from None
            raise

    def backends(self):
        return len(self.ours())

    def verify(self, case):
        if not self.source.django:
            return (
                [],
                "what a command other than Django's has left cannot be told: its schema changes are not undone by "
                "this database when it is aborted",
            )
        return halfway.leftovers(self.eye.wrapper, case, self.ran)

    def close(self):
        for link in (self.eye, self.keeper):
            if link is not None:
                link.close()
        super().close()
