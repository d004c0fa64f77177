"""SQLite: a file and no server. Its locks are looked at from outside; the kernel says who holds them (`holders`).

The run of one machine is alone by `flock` on the database itself: SQLite's own locks are `fcntl` ones on single bytes, which
do not meet it. The descriptor is never closed: that would take the `fcntl` locks of SQLite in this very program away with it.

There is nothing to cancel and nobody to end: whoever is dead has let go, and what was not committed is rolled back by the
next one who opens the file, which is `verify`.
"""

import fcntl
import os
import sqlite3
import time
import urllib.parse

from _ostler import database, halfway, holders
from _ostler.database import leftover
from _ostler.text import said, short
from _ostler.wire import Trouble

UNBOUNDED = 2**31 - 1  # milliseconds
CHECK_SECONDS = 1.5


def guard(cursor, orders):
    lock_timeout(cursor, database.usual(orders))


def fence(cursor, name):
    """One machine alone has the file, and its lock goes with the process."""
    return True


def again(cursor, orders, seconds):
    """Nothing but the waits for locks can have been changed meanwhile."""
    lock_timeout(cursor, seconds)


def lock_timeout(cursor, seconds):
    """In place of the option `timeout`, which is 5 s where nothing is said."""
    seconds = database.LOCK_TIMEOUT if seconds is None else seconds
    cursor.execute("PRAGMA busy_timeout = %d" % (max(1, round(seconds * 1000)) if seconds else UNBOUNDED))
    cursor.fetchall()


def failure(error):
    if not isinstance(error, sqlite3.Error):
        return None
    text = str(error)
    # A "table" is locked by this program itself: that is nobody else's doing, and trying again does not help.
    for words, kind in (("database is locked", "lock"), ("is full", "full"), ("interrupted", "cancelled")):
        if words in text:
            return kind
    return None


def path_of(name):
    """The file, or None where the database is in memory."""
    name = os.fspath(name or "")
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    if name.startswith("file:"):
        parts = urllib.parse.urlsplit(name)
        if "mode=memory" in parts.query:
            return None
        name = urllib.parse.unquote(parts.path)
    return None if name in ("", ":memory:") else os.path.abspath(name)


class Side(database.Side):
    vendor = "sqlite"

    def __init__(self, source, orders):
        super().__init__(source, orders)
        # A URL's path is absolute with four slashes and relative with three, as SQLAlchemy has it.
        self.path = path_of(source.settings["NAME"])
        self.file = self.django = None

    def open(self):
        unwatched = "SQLite has no server: who waits for the file is not seen"
        if self.path is None:
            unwatched = "the database is in memory: no other process sees it"
        guards, warnings = [], []
        if self.source.django:
            try:
                self.django = self.source.wrapper()
                self.django.ensure_connection()
                with self.django.cursor() as cursor:
                    guard(cursor, self.orders)
                    cursor.execute("PRAGMA busy_timeout")
                    guards = [["busy_timeout", "%gs" % (cursor.fetchone()[0] / 1000)]]
                    # What this program itself reads does not wait longer than it may take.
                    cursor.execute("PRAGMA busy_timeout = 1500")
                    cursor.fetchall()
            except Exception as error:
                raise self.unreachable(error) from None
        if self.path is not None:
            self.open_file()
        usual = database.usual(self.orders)
        return {
            "version": sqlite3.sqlite_version,
            "unwatched": unwatched,
            "guards": guards,
            "warnings": warnings,
            "lock_timeout": database.LOCK_TIMEOUT if usual is None else usual,
        }

    def unreachable(self, error):
        return Trouble(
            "unreachable",
            "the database %s cannot be used: %s: are the file and its folder there, and may this "
            "user read and write both?" % (self.path, said(error)),
        )

    def open_file(self):
        """The file that bears the name now: another may have been put in its place."""
        try:
            if self.file is not None and os.path.samestat(os.stat(self.path), os.fstat(self.file)):
                return
            self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self.waiting = holders.Waiting(holders.File(self.path, self.file), self.tag.text)
        except OSError as error:
            raise self.unreachable(error) from None

    def wrapper(self):
        return self.django

    def lock(self):
        if self.path is None:
            return None
        self.open_file()
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "another run on this machine"
        except OSError as error:
            raise Trouble(
                "unreachable",
                "%s cannot be locked: %s: is it on a file system of this machine?" % (self.path, said(error)),
            ) from None
        return None

    def look(self):
        if self.file is None:
            return {"backends": 0, "working": False, "clients": 0}
        writers = self.waiting.file.writers()
        # Of whoever only reads, or waits, nothing is known; nobody who is there all the time is seen either.
        found = {"backends": 0, "working": bool(writers), "clients": 0, "blockers": self.waiting.blockers(writers)}
        if writers:
            found["doing"] = "the file is being written by %s" % listed(holders.described(writers, ""))
        return found

    def said_of(self, error):
        """Of an error of the database, in words; who has it locked is the better half of them."""
        if self.file is None or failure(innermost(error)) != "lock":
            return str(error)
        return "%s%s" % (error, held_by(holders.in_the_way(self.waiting.file)))

    def verify(self, case):
        if self.path is None:
            return [], None if self.source.django else self.open_words()
        if not self.source.django:
            return [], "what a command other than Django's has left in a file of SQLite cannot be told"
        # Reading it has rolled back what a dead run had not committed.
        try:
            found, unclear = halfway.leftovers(self.django, case, self.ran)
            return self.remade() + found + (self.damage() if case.failed else []), unclear
        except Exception as error:
            if failure(innermost(error)) == "lock":
                return [], self.said_of(error)
            raise

    def remade(self):
        """Tables that were being made anew when a migration that is not atomic was stopped."""
        with self.django.cursor() as cursor:
            tables = set(self.django.introspection.table_names(cursor))
        found = []
        for table in sorted(tables):
            if not table.startswith("new__"):
                continue
            old = table[len("new__") :]
            if old in tables:
                found.append(leftover("%s is what a table was being remade into" % table, 'DROP TABLE "%s";' % table))
            else:
                found.append(
                    leftover(
                        "%s is gone, its rows are in %s" % (old, table),
                        'ALTER TABLE "%s" RENAME TO "%s";' % (table, old),
                    )
                )
        return found

    def damage(self):
        """What SQLite itself finds wrong, as far as it comes in a moment."""
        limit = time.monotonic() + CHECK_SECONDS
        raw = self.django.connection
        raw.set_progress_handler(lambda: time.monotonic() > limit, 10000)
        try:
            rows = [row[0] for row in raw.execute("PRAGMA quick_check(5)")]
        except sqlite3.DatabaseError as error:
            if failure(error) == "cancelled":
                return []  # too big to be checked now
            rows = [str(error)]
        finally:
            raw.set_progress_handler(None, 0)
        if rows in (["ok"], []):
            return []
        return [
            leftover(
                "the file is damaged: %s" % short("; ".join(rows), 400),
                'restore a backup, or `sqlite3 %s ".recover"` into a new file' % self.path,
            )
        ]

    def close(self):
        if self.django is not None:
            self.django.close()
        # The lock's descriptor is left to the end of the program (see above).


def blockers(name, error):
    """Who is in the way of this program, whose statement has just failed with a lock: `([BACKEND…], words)`."""
    if getattr(innermost(error), "sqlite_errorname", "") == "SQLITE_BUSY_SNAPSHOT":
        return (
            [],
            "; another connection has written after this transaction had begun to read: have it write first, or take "
            'the lock at its beginning (`"transaction_mode": "IMMEDIATE"` in OPTIONS, Django 5.1 and later)',
        )
    path = path_of(name)
    if path is None:
        return [], ""
    found = holders.in_the_way(holders.File(path, os.open(path, os.O_RDWR | os.O_CLOEXEC)))
    return found, "" if found else held_by([])


def innermost(error):
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def held_by(found):
    if not found:
        return "; nobody is seen to hold a lock of it now"
    return "; it is held by " + listed(found)


def listed(found):
    """`/usr/bin/python3 report.py of the user www-data (pid 4711, writing)`."""
    named = [
        (it["application"], ["pid %d" % it["pid"]] * bool(it["pid"]) + [it["state"]] * bool(it["state"]))
        for it in found
    ]
    return ", ".join("%s (%s)" % (who, ", ".join(more)) if more else who for who, more in named)
