"""PostgreSQL, through psycopg 3 or psycopg2, whichever the app has."""

import json
import time

from _ostler import backends, catalog, database, pooler
from _ostler.database import Lost
from _ostler.postgresql_link import Link, kind_of, said_of
from _ostler.tag import Tag, host_of
from _ostler.text import short, trace_of
from _ostler.wire import Trouble

# One lock for each database (advisory locks are per database): two apps that share one migrate one after the other.
LOCK = (0x6F73746C, 0x6D696772)  # "ostl", "migr"
RUNS = (0x6F73746C, 0x72756E73)  # "ostl", "runs": the same of the run itself
SINCE = 0x6F737473  # "osts": held beside it with the time at which the lock was taken, for those that wait
STATEMENT = "3s"
GIVEN = ("lock_timeout", "client_connection_check_interval")  # to a command that is not Django's
IDLE_IN_TRANSACTION = "15min"  # nobody watches any more, and the client neither works nor ends
WAITERS = 200  # asking who blocks whom costs some µs each, with all lock tables held

# A little after the moment at which the server cancels an autovacuum for whoever waits for one.
SUGGESTED = "((extract(epoch FROM current_setting('deadlock_timeout')::interval) * 1000)::int + 500) || 'ms'"

STARTING = 30  # seconds
STARTS = (
    "the database system is starting up",
    "the database system is not yet accepting connections",
    "the database system is in recovery mode",
)


class Side(database.Side):
    vendor = "postgresql"

    def __init__(self, source, orders):
        super().__init__(source, orders)
        self.locker = self.looker = None
        self.held, self.since = False, None  # whether the lock is ours, and since when
        self.owner = None  # whose it is: the pid and the name of a connection
        self.version = 0
        self.lock_timeout = None  # of an atomic migration, in seconds
        self.known = {}  # the run's connections as last seen: their start, by pid
        self.moved = {}  # what each of them did last
        self.built = set()  # indexes that the run was seen to build
        self.said = set()  # its statements about indexes, as far as they were seen
        self.invalid = set()  # indexes that were invalid before the run
        self.mark = None  # the schema before the run
        self.clocks = {}  # when a wait was first seen, where the server does not say

    # Connections.

    def connect_once_started(self):
        """A server that was just started, or has crashed, refuses for a while, and says so."""
        until = time.monotonic() + STARTING
        while True:
            try:
                return self.connect(self.tag.watch)
            except Lost as lost:
                if not any(words in str(lost) for words in STARTS) or time.monotonic() > until:
                    raise
                time.sleep(0.5)

    def connect(self, name):
        link = Link(self.source, name)
        link.ask("SELECT set_config('statement_timeout', %s, false)", [STATEMENT])
        link.ask("SELECT set_config('default_transaction_read_only', 'off', false)")
        return link

    def open(self):
        try:
            self.locker = self.connect_once_started()
            self.version = int(self.locker.ask("SHOW server_version_num")[0][0])
            words = self.locker.ask("SHOW server_version")[0][0]
            self.looker = self.connect(self.tag.watch)
            pooler.refuse(self.locker, self.looker, self.source)
            self.lock_timeout = database.usual(self.orders)
            if self.lock_timeout is None:
                self.lock_timeout = float(
                    self.locker.ask("SELECT extract(epoch FROM (%s)::interval)" % SUGGESTED)[0][0]
                )
            guards, warnings = self.guards()
        except Lost as lost:
            raise self.unreachable(lost) from None
        return {
            "version": words.split(" ")[0],
            "unwatched": None,
            "guards": guards,
            "warnings": warnings,
            "lock_timeout": round(self.lock_timeout, 3),
        }

    def guards(self):
        """What is in force on a connection made as those of the run are, but for its name: under that another server
        that has the lock would take it for what a dead run left, and sweep it."""
        orders = dict(self.orders, tag=self.tag.watch)
        orders["guards"] = dict(orders.get("guards") or {}, lock_timeout_seconds=self.lock_timeout)
        env = None if self.source.django else options_of(orders, self.version)
        probe = Link(self.source, self.tag.watch, env)
        try:
            if self.source.django:
                with probe.raw.cursor() as cursor:
                    guard(cursor, orders)
            wanted = settings(orders, self.version)
            if not self.source.django:
                wanted = [pair for pair in wanted if pair[0] in GIVEN]
            wanted = [(name, probe.ask("SELECT " + value)[0][0]) for name, value in wanted]
            rows = probe.ask(
                "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)",
                [[name for name, _ in wanted] + ["statement_timeout"]],
            )
            found = dict(rows)
            same = {
                name: probe.ask("SELECT %s::interval = %s::interval", [found[name], value])[0][0]
                if name != "application_name"
                else found[name] == value
                for name, value in wanted
                if name in found
            }
        finally:
            probe.close()
        guards = [[name, found[name]] for name, _ in wanted if name in found]
        warnings = [
            "%s is %s, not %s: something between here and the server changes it" % (name, found[name], value)
            for name, value in wanted
            if name in found and not same[name]
        ]
        if self.version < 140000:
            warnings.append(
                "PostgreSQL %d has no client_connection_check_interval: a statement goes on after its client "
                "has died, until ostler ends it" % (self.version // 10000)
            )
        elif found.get("client_connection_check_interval", "0") == "0":
            warnings.append(
                "client_connection_check_interval is not in force: a statement goes on after its client has "
                "died, until ostler ends it"
            )
        if found.get("statement_timeout", "0") != "0":
            guards.append(["statement_timeout", found["statement_timeout"]])
            warnings.append(
                "statement_timeout is %s for this role, database or OPTIONS: the server cancels whatever in a "
                "migration takes longer" % found["statement_timeout"]
            )
        return guards, warnings

    def wrapper(self):
        return self.looker.wrapper

    def unreachable(self, error):
        return Trouble(
            "unreachable", "the database %s cannot be used: %s" % (self.source.words(), said_of(error)), trace_of(error)
        )

    def renew(self):
        if self.looker.gone():
            self.looker.close()
            self.looker = self.connect(self.tag.watch)
        if self.locker.gone():
            self.locker.close()
            self.locker = self.connect(self.tag.watch)
        if self.held:
            # Also where only the other connection is known to be lost: what took that mostly took the lock too, and
            # nothing is told before it is ours again.
            self.hold()

    def hold(self):
        """Takes the lock that was ours; where it still is, that changes nothing."""
        lost = self.owner
        holder = self.lock()
        if holder and self.owner == lost:  # the server has not noticed yet that our own connection is gone
            self.locker.ask("SELECT pg_terminate_backend(%s)", [lost[0]])
            raise Lost("the migration lock is still held by our own lost connection")
        if holder:
            raise Trouble(
                "unreachable", "the lock on the database %s was lost, and %s has it now" % (self.source.words(), holder)
            )

    def keep(self):
        self.locker.ask("SELECT 1")

    # The lock.

    def lock(self):
        if self.locker.ask("SELECT pg_try_advisory_lock(%s, %s)", LOCK)[0][0]:
            self.since = self.since or self.locker.ask("SELECT extract(epoch FROM now())::int")[0][0]
            pid = self.locker.ask("SELECT pg_backend_pid(), pg_advisory_lock_shared(%s, %s)", [SINCE, self.since])[0][0]
            self.held, self.owner = True, (pid, self.tag.watch)
            return None
        rows = self.locker.ask(
            """
            SELECT l.pid, a.application_name, a.usename, host(a.client_addr),
                   (SELECT extract(epoch FROM now())::bigint - max(s.objid::bigint) FROM pg_locks s
                     WHERE s.pid = l.pid AND s.locktype = 'advisory' AND s.classid = %s),
                   extract(epoch FROM clock_timestamp() - a.state_change)::float
              FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = %s AND l.objid = %s
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
            [SINCE, *LOCK],
        )
        self.quiet = rows[0][5] if rows else 0.0  # it says something every second (see `keep`)
        if not rows:
            return "somebody who is just letting go"
        pid, name, user, address, seconds, _ = rows[0]
        self.owner = (pid, name)
        who = host_of(name or "") or short(name, 60) or "%s from %s" % (user or "somebody", address or "this machine")
        since = ", since %d s" % max(0, int(seconds)) if seconds is not None else ""
        return "%s (pid %d%s)" % (who, pid, since)

    # Backends.

    def mine(self, act=None, which=""):
        """The run's backends; `act` is done to each."""
        done = "%s(pid)" % act if act else "NULL"
        if act:  # what works for a backend in parallel has its name and ends with it
            which += " AND " + backends.CLIENT
        return self.looker.ask(
            "SELECT pid, %s FROM pg_stat_activity WHERE %s %s" % (done, backends.MINE, which),
            backends.mine(self.tag, self.known),
        )

    def sweep(self, resumes):
        condition, parameters = backends.others_of(self.tag)
        rows = self.looker.ask(backends.ALL + " WHERE " + condition, parameters)
        for row in rows:
            self.looker.ask("SELECT pg_cancel_backend(%s), pg_terminate_backend(%s)", [row[0], row[0]])
        return [backends.described(self.looker, row) for row in rows]

    def backends(self):
        return len(self.mine())

    def cancel(self):
        return sum(
            1 for _, done in self.mine("pg_cancel_backend", "AND state IN ('active', 'fastpath function call')") if done
        )

    def end_backends(self):
        self.mine("pg_terminate_backend")
        return self.backends()

    # Before and after.

    def snapshot(self):
        self.invalid = {index.number for index in catalog.invalid_indexes(self.looker, self.version)}
        self.mark = catalog.mark(self.looker)

    def verify(self, case):
        return catalog.verify(self, case)

    def look(self):
        query, fields = catalog.LOOK if self.version >= 140000 else catalog.LOOK_OLD, {}
        parameters = dict(
            backends.mine(self.tag, self.known), most=WAITERS, programs=catalog.PROGRAMS, statements=catalog.STATEMENTS
        )
        seen = json.loads(self.looker.ask(query, parameters)[0][0])
        mine = {row["pid"]: row for row in seen["mine"] or []}
        waits = catalog.waits(seen["waiting"] or [], self.clocks)
        active = [row for row in mine.values() if row["state"] in ("active", "fastpath function call")]
        fields["backends"], fields["clients"] = len(mine), seen["clients"]
        fields["working"] = self.remember(mine, seen.get("building") or []) or bool(active)
        fields["idle_in_transaction"] = any((row["state"] or "").startswith("idle in tr") for row in mine.values())
        own = {pid: waits[pid] for pid in mine if pid in waits}
        fields["waiting"] = max((wait.seconds for wait in own.values()), default=None)
        fields["concurrent"] = bool(own) and all("CONCURRENTLY" in (mine[pid]["query"] or "").upper() for pid in own)
        by = sorted({pid for wait in own.values() for pid in wait.by} - set(mine))
        fields["blockers"] = backends.who(self.looker, by[:5]) if by else []
        harmed, maintenance = catalog.behind(mine, waits)
        fields["blocked"], fields["harm"] = len(harmed), max(harmed.values(), default=None)
        fields["maintenance"] = backends.who(self.looker, maintenance[:5]) if maintenance else []
        fields["doing"], fields["percent"] = catalog.progress(seen.get("building"), active)
        return fields

    def remember(self, mine, building):
        """Keeps what was seen of the run; whether it has done anything since the last look."""
        self.known = {pid: row["start"] for pid, row in mine.items() if row["start"]}
        self.built.update(row["index"] for row in building if row["index"])
        self.said.update(
            row["query"] for row in mine.values() if "INDEX" in (row["query"] or "").upper() and len(self.said) < 1000
        )
        before, self.moved = self.moved, {pid: row["moved"] for pid, row in mine.items()}
        return any(before.get(pid, moved) != moved for pid, moved in self.moved.items())

    def close(self):
        for link in (self.looker, self.locker):
            if link:
                link.close()


def settings(orders, version):
    """The guards with their values in SQL, as both the run and the probe set them."""
    lock = database.usual(orders)
    wanted = [
        ("application_name", "'%s'" % orders["tag"].replace("'", "''")),
        ("lock_timeout", suggested(lock)),
        ("idle_in_transaction_session_timeout", "'%s'" % IDLE_IN_TRANSACTION),
    ]
    if version >= 140000:
        wanted.append(("client_connection_check_interval", "'1s'"))
    return wanted


def suggested(seconds):
    return SUGGESTED if seconds is None else "'%dms'" % round(seconds * 1000)


def options_of(orders, version):
    """What ostlerd gives a command that is not Django's in PGOPTIONS."""
    pairs = [pair for pair in settings(orders, version) if pair[0] in GIVEN]
    return " ".join("-c %s=%s" % (name, value.strip("'")) for name, value in pairs)


def guard(cursor, orders):
    # By statements, not with the start of the connection: poolers refuse that, and Django's OPTIONS replace it. What this
    # server, or its system, does not know is passed over; the probe tells what came of it.
    again(cursor, orders, database.usual(orders))
    for mark in backends.marks(Tag(orders["tag"])):
        cursor.execute("SELECT pg_try_advisory_lock_shared(%d, %d)" % mark)


def fence(cursor, name):
    """Whether no other run is at work in this database; held as long as its connection lasts."""
    cursor.execute("SELECT pg_try_advisory_lock(%d, %d)" % RUNS)
    return cursor.fetchone()[0]


def again(cursor, orders, seconds):
    orders = dict(orders, guards=dict(orders.get("guards") or {}, lock_timeout_seconds=seconds))
    one = "BEGIN PERFORM set_config('%s', %s, false); EXCEPTION WHEN OTHERS THEN NULL; END;"
    parts = [one % pair for pair in settings(orders, 140000)]
    cursor.execute("DO $ostler$ BEGIN %s END $ostler$" % " ".join(parts).replace("%", "%%"))


def lock_timeout(cursor, seconds):
    cursor.execute("SELECT set_config('lock_timeout', %s, false)" % suggested(seconds))


def failure(error):
    return kind_of(error)
