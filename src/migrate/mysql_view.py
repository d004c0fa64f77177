"""What MySQL and MariaDB show of who works, who waits for whom, and how far a statement is.

What can be asked depends on privileges and plugins. The list of processes is always there, for our own user at least; it
tells who waits for a metadata lock, and not for whom. That is told by `performance_schema.metadata_locks` or MariaDB's
plugin `metadata_lock_info` where they are on; else the oldest open transaction (with PROCESS) or the connections that sleep
are named, as a guess.
"""

import re
import time

from _ostler.database import Lost, backend

MARIA = "ID, USER, HOST, DB, COMMAND, TIME, STATE, LEFT(INFO, 1000), TIME_MS, QUERY_ID, STAGE, MAX_STAGE, PROGRESS"
MYSQL = "ID, USER, HOST, DB, COMMAND, TIME, STATE, LEFT(INFO, 1000), TIME * 1000, 0, 0, 0, 0"
FIELDS = "id user host db command time state info ms query stage stages progress".split()
# InnoDB answers from a copy that it renews only where nobody has read it for 0.1 s: a look more often than that sees an
# old one, and two reads of one look see the same.
TRANSACTIONS = (
    "SELECT trx_mysql_thread_id, trx_state, TIMESTAMPDIFF(SECOND, trx_started, NOW()) "
    "FROM information_schema.INNODB_TRX"
)
ROW_WAITS = (
    "SELECT w.trx_mysql_thread_id, b.trx_mysql_thread_id FROM information_schema.INNODB_LOCK_WAITS l "
    "JOIN information_schema.INNODB_TRX w ON w.trx_id = l.requesting_trx_id "
    "JOIN information_schema.INNODB_TRX b ON b.trx_id = l.blocking_trx_id"
)
# Each answers (thread, schema, table) of every metadata lock that is held.
HOLDERS = [
    "SELECT t.PROCESSLIST_ID, m.OBJECT_SCHEMA, m.OBJECT_NAME FROM performance_schema.metadata_locks m "
    "JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID "
    "WHERE m.OBJECT_TYPE = 'TABLE' AND m.LOCK_STATUS = 'GRANTED'",
    "SELECT THREAD_ID, TABLE_SCHEMA, TABLE_NAME FROM information_schema.METADATA_LOCK_INFO "
    "WHERE LOCK_TYPE = 'Table metadata lock'",
]
INSTRUMENTED = "SELECT ENABLED FROM performance_schema.setup_instruments WHERE NAME = 'wait/lock/metadata/sql/mdl'"
# What looks after tables, or dumps them: nobody that is kept waiting.
MAINTENANCE = re.compile(
    r"\s*((OPTIMIZE|ANALYZE|CHECK|REPAIR)\b|LOCK TABLES|FLUSH\b|SELECT /\*!40001 SQL_NO_CACHE)", re.I
)
MOST = 8  # blockers that are named
WORD = re.compile(r"`((?:[^`]|``)+)`|([\w$]+)")


def words_of(statement):
    """The names that a statement may speak of."""
    return {(quoted.replace("``", "`") or plain).lower() for quoted, plain in WORD.findall(statement or "")}


def waits_for_metadata(row):
    return row["state"].startswith("Waiting for ") and "lock" in row["state"]


class View:
    def __init__(self, link, maria):
        self.link, self.maria = link, maria
        self.fields = MARIA if maria else MYSQL
        self.privileged = self.can(TRANSACTIONS)
        self.row_waits = maria and self.privileged
        self.holders = next((one for one in HOLDERS if self.can(one)), None)
        if self.holders is HOLDERS[0] and not self.instrumented():
            self.holders = HOLDERS[1] if self.can(HOLDERS[1]) else None
        self.db = text(self.link.rows("SELECT DATABASE()")[0][0])
        self.last = {}  # what each of the run's did at the last look
        self.since = {}  # when each waiting statement was first seen to wait, by thread and statement
        self.looked = 0.0  # when the last look was

    def can(self, statement):
        try:
            self.link.rows(statement + " LIMIT 1")
            return True
        except Lost:
            raise
        except Exception:
            return False

    def instrumented(self):
        rows = self.link.rows(INSTRUMENTED) if self.can(INSTRUMENTED) else ()
        return bool(rows) and rows[0][0] == "YES"

    def threads(self):
        rows = self.link.rows("SELECT %s FROM information_schema.PROCESSLIST" % self.fields)
        found = []
        for row in rows:
            one = dict(zip(FIELDS, row))
            for name in ("user", "host", "db", "command", "state", "info"):
                one[name] = text(one[name])
            one["seconds"] = float(one["ms"] or 0) / 1000
            found.append(one)
        return found

    def look(self, ours, watching=()):
        """`ours` are the connections of the run, `watching` those of this program."""
        threads = self.threads()
        open_ones = {row[0]: row for row in self.link.rows(TRANSACTIONS)} if self.privileged else {}
        row_waits = (
            self.link.rows(ROW_WAITS)
            if self.row_waits and any(row[1] == "LOCK WAIT" for row in open_ones.values())
            else ()
        )
        mine = [row for row in threads if row["id"] in ours]
        others = [row for row in threads if row["id"] not in ours and row["id"] not in watching]
        busy = [row for row in mine if row["command"] not in ("Sleep", "Daemon")]
        found = {
            "backends": len(ours),
            "working": bool(busy) or self.moved(mine),
            "clients": self.clients(others, ours),
            "idle_in_transaction": any(row["command"] == "Sleep" and row["id"] in open_ones for row in mine),
        }
        waits = self.first_seen(threads, row_waits)
        self.blocking(found, mine, others, open_ones, row_waits, waits)
        self.blocked(found, busy, others, row_waits, ours, waits)
        if busy:
            found.update(progress(max(busy, key=lambda row: row["seconds"])))
        return found

    def moved(self, mine):
        """Whether one of the run's has done anything since the last look."""
        before, self.last = self.last, {row["id"]: (row["query"], row["seconds"]) for row in mine}
        pairs = [(before[number], now) for number, now in self.last.items() if number in before]
        return any(now[0] != then[0] or now[1] < then[1] for then, now in pairs)

    def clients(self, others, ours):
        """How many others are connected to the database; None where nobody is seen and not everybody can be."""
        count = sum(1 for row in others if row["db"] == self.db and row["command"] != "Daemon")
        return count if count or self.privileged else None

    def first_seen(self, threads, row_waits):
        """For how long each thread has been waiting: the server tells only since when its statement runs."""
        now, waiting = time.monotonic(), {}
        for row in threads:
            if waits_for_metadata(row) or any(row["id"] == waiter for waiter, _ in row_waits):
                key = (row["id"], row["query"] or row["info"])
                # It began to wait after the last look, or before the first one and with its statement.
                waiting[key] = self.since.get(key, max(self.looked, now - row["seconds"]))
        self.since, self.looked = waiting, now
        return {key[0]: now - first for key, first in waiting.items()}

    def blocking(self, found, mine, others, open_ones, row_waits, waits):
        """Who holds what the run waits for."""
        stuck = [row for row in mine if row["id"] in waits]
        if not stuck:
            return
        row = max(stuck, key=lambda row: waits[row["id"]])
        found["waiting"] = round(waits[row["id"]], 3)
        holders = {holder for waiter, holder in row_waits if waiter == row["id"]}
        guess = ""
        if not holders and self.holders:
            names = words_of(row["info"])
            holders = {
                thread
                for thread, schema, table in self.link.rows(self.holders)
                if text(schema) == row["db"] and text(table).lower() in names
            }
        if not holders:
            guess = "probably: "
            holders = self.guess(row, others, open_ones, waits)
        blockers = [one for one in others if one["id"] in holders]
        blockers.sort(key=lambda one: -age(one, open_ones))
        found["blockers"] = [as_backend(one, open_ones, guess) for one in blockers[:MOST]]

    def guess(self, row, others, open_ones, waits):
        """The statements of the same table that began before ours and do not wait; else open transactions; else who sleeps."""
        near = [one for one in others if one["db"] == row["db"] and one["id"] not in waits]
        names = set(words_of(row["info"]))
        table = table_of(row["info"])
        at_work = {
            one["id"]
            for one in near
            if one["command"] in ("Query", "Execute")
            and one["seconds"] >= waits[row["id"]]
            and (table or "") in words_of(one["info"])
            and names
        }
        idle = {one["id"] for one in near if one["command"] == "Sleep"}
        if self.privileged:
            idle &= set(open_ones)
        return at_work or idle

    def blocked(self, found, busy, others, row_waits, ours, waits):
        """Who waits behind the run: for a table that its statement changes or wants to, or for its rows."""
        tables = [(row, table_of(row["info"])) for row in busy]
        behind, maintenance = {}, []
        for one in others:
            if waits_for_metadata(one):
                names = words_of(one["info"])
                if any(one["db"] == row["db"] and table in names and later(one, row) for row, table in tables if table):
                    behind[one["id"]] = waits[one["id"]]
        for waiter, holder in row_waits:
            if holder in ours and waiter not in ours and waiter in waits:
                behind[waiter] = waits[waiter]
        for one in others:
            if one["id"] in behind and MAINTENANCE.match(one["info"]):
                del behind[one["id"]]
                maintenance.append(as_backend(one, {}, ""))
        found["maintenance"] = maintenance[:MOST]
        if behind:
            found["blocked"] = len(behind)
            found["harm"] = round(max(behind.values()), 3)


def later(one, row):
    """Whether the statement of `one` began after that of `row`."""
    if one["query"] and row["query"]:
        return one["query"] > row["query"]
    return one["seconds"] <= row["seconds"]


TABLE = re.compile(
    r"\b(?:TABLE|ON|UPDATE|INTO|FROM)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?:`(?:[^`]|``)+`\.|[\w$]+\.)?(?:`((?:[^`]|``)+)`|([\w$]+))",
    re.I,
)


def table_of(statement):
    """The table that a statement is about, as far as its first words tell."""
    match = TABLE.search(statement or "")
    return (match.group(1) or match.group(2)).replace("``", "`").lower() if match else None


def age(row, open_ones):
    transaction = open_ones.get(row["id"])
    return transaction[2] if transaction else row["time"] or 0


def as_backend(row, open_ones, guess):
    state = "idle" if row["command"] == "Sleep" else "active"
    if row["command"] == "Sleep" and row["id"] in open_ones:
        state = "idle in transaction"
    elif row["command"] == "Sleep" and guess:
        state = "idle, perhaps in a transaction"
    return backend(row["id"], "%s@%s" % (row["user"], row["host"]), guess + state, row["info"], age(row, open_ones))


def progress(row):
    """What a statement does, and how much of it is done, where the server says so."""
    found = {}
    if row["state"]:
        found["doing"] = row["state"]
    stages = int(row["stages"] or 0)
    if stages:
        found["doing"] = "%s (stage %d of %d)" % (row["state"], row["stage"], stages)
        found["percent"] = round(
            min(100.0, (max(int(row["stage"]), 1) - 1 + float(row["progress"]) / 100) / stages * 100), 1
        )
    return found


def text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
