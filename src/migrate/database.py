"""What a kind of database has to be able to do for the watchdog.

The module of a vendor (`postgresql`, `mysql`, `sqlite`: the names of Django's `connection.vendor`) has

- `Side(source, orders)`: the database as the watching program has it, a subclass of `Side` below,
- `guard(cursor, orders)`: makes a fresh connection of the run be recognised and bounded (mode `run` calls it for each
  new one; `Side.open` reads back what came of it on a probe of its own); never raises for a guard that the server has not,
- `lock_timeout(cursor, seconds)`: bounds the waits for locks from now on; 0 is without bound, None as the server suggests,
- `again(cursor, orders, seconds)`: the same; and what else of `guard` a migration, or the app, may have taken away
  meanwhile is in force again,
- `failure(error)`: the kind of failure (`lock`, `cancelled`, `connection`, `full`) of one database error, or None,
- `blockers(name, error)`, where no look tells: who had the lock for which the run has just failed, as a list of `backend`s, and
  more words about it.

All calls are made by one thread and come back within some 2 s: a statement is bounded by the server or the driver, what
takes longer is asked for again and again. A connection that is gone raises `Lost`; the loop (`watch`) then calls `renew`
until it succeeds or 5 s have passed. What cannot be mended raises `wire.Trouble`.
"""

import fcntl
import os

from _ostler.tag import Tag
from _ostler.text import short

LOCK_TIMEOUT = 1.0  # seconds; where nobody has set one and the server does not say when it looks for deadlocks


class Lost(Exception):
    """A watching connection is gone."""


class Side:
    """A database that nobody can watch: the command is watched alone. The base of those that can be."""

    vendor = "other"

    def __init__(self, source, orders):
        self.source, self.orders = source, orders
        self.tag = Tag(orders["tag"])
        self.lock_file = None
        self.quiet = None  # seconds since who has the lock was last seen alive; None where nobody can tell
        self.ran = False  # whether the run that is verified is one that this program has watched

    def open(self):
        """Connects, twice. `{"version", "unwatched", "lock_timeout", "guards": [[name, value]], "warnings": [words]}`."""
        why = "ostler does not know databases of the kind %s" % self.source.vendor
        return {"version": "", "unwatched": why, "guards": [], "warnings": []}

    def wrapper(self):
        """A connected Django `DatabaseWrapper` to plan with, or None where there is no Django."""
        return self.source.wrapper() if self.source.django else None

    def lock(self):
        """One try, which never waits: None where the lock is ours now, else who has it, in words."""
        path = self.orders.get("lock_file")
        if not path:
            return None
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return "another run on this machine"
        self.lock_file = file
        return None

    def keep(self):
        """Called once a second while the lock is ours; raises `Lost` where it no longer is."""

    def renew(self):
        """Makes lost connections anew, and takes the lock again where it was ours.

        Raises `Lost` while that does not work, `Trouble` where it never will: somebody else has the lock.
        """

    def sweep(self, resumes):
        """Ends what an earlier, dead run of this app left: the backends that were there. `resumes` says that our own run is
        at work already: who watched it before us is gone.

        The first call cancels and ends; it is called again until it answers an empty list. With the lock ours no
        other run of this app can be alive.
        """
        return []

    def snapshot(self):
        """Remembers, with the lock ours and before the run, what `verify` compares with."""

    def look(self):
        """The fields of ostlerd's `Look`."""
        return {"backends": 0, "working": False}

    def said_of(self, error):
        """An error of a watching connection in words, with whoever has caused it."""
        return str(error)

    def cancel(self):
        """Cancels what the run's backends do; how many were at work."""
        return 0

    def end_backends(self):
        """Ends the run's backends, whose client is dead; how many are left. Called again until none is."""
        return 0

    def backends(self):
        """How many backends of the run there are."""
        return 0

    def verify(self, case):
        """What is neither as before nor as it should be: `(leftovers, unverified words or None)`.

        `case` is a `verdict.Case`: what was pending, what is recorded now, where the run was and whether it failed. What
        holds for every vendor (not recorded, half applied) is `verdict`'s own; this adds what only the vendor sees.
        """
        return [], self.open_words()

    def open_words(self):
        return "nobody has looked into the database: it is none that ostler can watch"

    def close(self):
        """Ends the connections; the lock goes with them."""
        if self.lock_file is not None:
            os.close(self.lock_file)
            self.lock_file = None


def lock_timeout_of(orders, name, atomic):
    """Seconds for the migration `shop.0007_price`; 0 is without bound, None as the server suggests."""
    guards = orders.get("guards") or {}
    overrides = guards.get("overrides") or {}
    own = overrides.get(name) or overrides.get(name.partition(".")[2]) or {}
    if own.get("lock_timeout_seconds") is not None:
        return float(own["lock_timeout_seconds"])
    # A concurrent index waits for old transactions by design: cut short it leaves an invalid index.
    return usual(orders) if atomic else 0.0


def usual(orders):
    """What an operator has set; None where nobody has."""
    seconds = (orders.get("guards") or {}).get("lock_timeout_seconds")
    return None if seconds is None else float(seconds)


def backend(pid, application="", state="", query="", seconds=0):
    """One of ostlerd's `Backend`s."""
    return {
        "pid": int(pid),
        "application": short(application, 100),
        "state": short(state, 60),
        "query": short(query),
        "seconds": max(0, int(seconds or 0)),
    }


def leftover(what, remedy, migration=None, removed=False):
    """One of ostlerd's `Leftover`s."""
    return {"migration": migration, "what": what, "remedy": remedy, "removed": removed}
