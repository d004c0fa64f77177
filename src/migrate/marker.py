"""What the database itself keeps of runs that nothing can undo: the table `ostler_migrations`, beside `django_migrations`.

    no row ─► "under way": written before the first change of a migration, with each operation that begins, and with the end
              │            of one in a transaction of its own, as a part of that
                 ├─ the run was seen to be clean ─► no row
                 ├─ something is half done ─► "dirty", with what is left, until a person says that it is put right
                 └─ the run died ─► whoever has the lock next, on whichever server, looks what is left: clean, or dirty

Only who has the lock judges rows: a row of a run that is under way elsewhere is nobody's business. A row that is "done" is of
no run (see `codes`).
"""

import json
import time

from _ostler.database import Lost
from _ostler.text import one_line, said, short

TABLE = "ostler_migrations"
UNDER_WAY, DIRTY, DONE = "under way", "dirty", "done"
COLUMNS = ("run", "app", "release", "host", "migration", "since", "state", "step")
TYPES = (
    "varchar(100) NOT NULL PRIMARY KEY",
    "varchar(100) NOT NULL",
    "varchar(1000) NOT NULL",
    "varchar(255) NOT NULL",
    "varchar(255) NOT NULL",
    "varchar(40) NOT NULL",
    "varchar(40) NOT NULL",
    "text NOT NULL",
)
# Of MySQL and MariaDB: no right to the database, the table, a column, and to write where all is read only.
DENIED = {1044, 1142, 1143, 1227, 1290}
STEP_MOST = 16000  # characters of what a row tells; MySQL's `text` holds 65535 bytes
EXISTS = {
    "postgresql": "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relname = %s AND n.nspname = %s",
    "mysql": "SELECT count(*) FROM information_schema.TABLES WHERE TABLE_NAME = %s AND TABLE_SCHEMA = DATABASE()",
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = %s",
}


class Refused(Exception):
    """The table cannot be made, read or written by this role."""


class Row:
    def __init__(self, values):
        self.run, self.app, self.release, self.host, self.migration, self.since, self.state, step = values
        try:
            self.step = json.loads(step or "{}")
        except ValueError:
            self.step = {}

    @property
    def who(self):
        return "the run on %s (release %s), in %s since %s," % (self.host, self.release, self.migration, self.since)


class Table:
    """The table, as one connection of Django's sees it, which commits by itself. `failure` is the vendor's."""

    def __init__(self, wrapper, orders, failure):
        self.wrapper, self.orders, self.failure = wrapper, orders, failure
        self.run = orders["tag"]
        self.place = self.name = None

    def seen_by(self, wrapper):
        """The same by another connection, whatever schemas that looks in by now."""
        table = Table(wrapper, self.orders, self.failure)
        table.place, table.name = self.place, self.find()
        return table

    def ask(self, sql, values=None):
        """The rows, or how many were changed."""
        from django.db import Error

        try:
            with self.wrapper.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall() if cursor.description else cursor.rowcount
        except Error as error:
            if self.failure(error.__cause__ or error) or self.failure(error):
                raise Lost(said(error)) from error
            raise Refused(one_line(error)) from error

    def find(self):
        """In the schema that `django_migrations` is in, or will be."""
        if self.name is None:
            quote = self.wrapper.ops.quote_name
            if self.wrapper.vendor == "postgresql":
                rows = self.ask(
                    "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                    "WHERE c.oid = to_regclass('django_migrations')"
                )
                self.place = rows[0][0] if rows else self.ask("SELECT current_schema()")[0][0]
            self.name = (quote(self.place) + "." if self.place else "") + quote(TABLE)
        return self.name

    def exists(self):
        self.find()
        values = [TABLE] + ([self.place] if self.wrapper.vendor == "postgresql" else [])
        return bool(self.ask(EXISTS[self.wrapper.vendor], values)[0][0])

    def columns(self, separator=", ", after=""):
        return separator.join(self.wrapper.ops.quote_name(name) + after for name in COLUMNS)

    def statement(self):
        """How the table is made."""
        quote = self.wrapper.ops.quote_name
        pairs = ", ".join("%s %s" % (quote(name), kind) for name, kind in zip(COLUMNS, TYPES))
        end = " CHARACTER SET utf8mb4" if self.wrapper.vendor == "mysql" else ""
        return "CREATE TABLE %s (%s)%s" % (self.find(), pairs, end)

    def make(self):
        """Has it there, and sees that it can be written."""
        if not self.exists():
            self.ask(self.statement())
        self.write("", UNDER_WAY, {})
        self.clear(self.run)

    def rows(self):
        return [Row(values) for values in self.ask("SELECT %s FROM %s" % (self.columns(), self.find()))]

    def may(self):
        """Whether it can be made, read and written, as far as the server tells that beforehand."""
        if self.wrapper.vendor == "mysql":
            return not self.ask("SELECT @@global.read_only")[0][0] and all(map(self.allowed, self.needed()))
        if self.wrapper.vendor != "postgresql":
            return True
        if self.ask("SELECT pg_is_in_recovery()")[0][0]:
            return False
        if not self.exists():
            return bool(self.place and self.ask("SELECT has_schema_privilege(%s, 'CREATE')", [self.place])[0][0])
        return bool(
            self.ask(
                "SELECT "
                + " AND ".join(
                    "has_table_privilege('%s', '%s')" % (self.name.replace("'", "''"), it)
                    for it in ("SELECT", "INSERT", "UPDATE", "DELETE")
                )
            )[0][0]
        )

    def needed(self):
        """What is done with it, in statements that are not run."""
        if not self.exists():
            return [self.statement()]
        return [
            it % self.find()
            for it in (
                "SELECT run FROM %s",
                "INSERT INTO %s (run) VALUES (0)",
                "UPDATE %s SET run = 0",
                "DELETE FROM %s",
            )
        ]

    def allowed(self, statement):
        """MySQL and MariaDB look for the right where a statement is prepared; what else is wrong with it then tells nothing."""
        try:
            self.ask("PREPARE ostler_may FROM '%s'" % statement.replace("'", "''"))
            self.ask("DEALLOCATE PREPARE ostler_may")
        except Refused as refused:
            args = getattr(refused.__cause__, "args", ())
            return not (args and args[0] in DENIED)
        return True

    def write(self, migration, state, step, run=None):
        """This run's row, or the one that `run` names, in place of what it said before."""
        own = self.orders["marker"]
        text = json.dumps(step)
        if len(text) > STEP_MOST:
            text = json.dumps({"words": short(step.get("words"), 2000)})
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        run = run or self.run
        values = [
            run,
            short(self.orders["app"], 100),
            short(own["release"], 1000),
            short(own["host"], 255),
            short(migration, 255),
            since,
            state,
            text,
        ]
        self.clear(run)
        self.ask(
            "INSERT INTO %s (%s) VALUES (%s)" % (self.find(), self.columns(), ", ".join(["%s"] * len(values))), values
        )

    def change(self, run, was=None, **values):
        """How many rows have changed; none that is in another state than `was`, where that is given."""
        quote = self.wrapper.ops.quote_name
        pairs = ", ".join("%s = %%s" % quote(name) for name in values)
        known = {name: value for name, value in (("run", run), ("state", was)) if value is not None}
        return self.ask(
            "UPDATE %s SET %s WHERE %s" % (self.find(), pairs, " AND ".join(quote(it) + " = %s" for it in known)),
            list(values.values()) + list(known.values()),
        )

    def clear(self, run):
        self.ask("DELETE FROM %s WHERE %s = %%s" % (self.find(), self.wrapper.ops.quote_name("run")), [run])


class Ledger:
    """The table as the watching program uses it, with the lock ours."""

    def __init__(self, table, pending):
        self.table = table
        self.names = {it["name"] for it in (pending or {}).get("migrations") or []}
        self.lasting = [
            it["name"]
            for it in (pending or {}).get("migrations") or []
            if not it["atomic"] or not table.wrapper.features.can_rollback_ddl
        ]

    def concerns(self, row):
        """Another app's run counts where it was in a migration that is pending here: the project is the same."""
        return row.state != DONE and (row.app == short(self.table.orders["app"], 100) or row.migration in self.names)

    def rows(self):
        return [row for row in self.table.rows() if self.concerns(row)] if self.table.exists() else []

    def judge(self, look):
        """What is half done of earlier runs, as ostlerd's `Marked`, or None. `look(row)` answers what a dead one has left:
        `(leftovers, words where that cannot be told)`."""
        for row in self.rows():
            if not row.migration:  # whether rows can be written was tried, and no more
                self.table.clear(row.run)
                continue
            if row.state == UNDER_WAY:
                leftovers, unclear = look(row)
                if not leftovers and not unclear:
                    print("ostler: %s did not end, and left nothing half done" % row.who, flush=True)
                    self.table.clear(row.run)
                    continue
                row.step = told(leftovers, unclear)
                self.table.change(row.run, state=DIRTY, step=json.dumps(row.step))
            return {
                "host": row.host,
                "release": row.release,
                "migration": row.migration,
                "since": row.since,
                "what": row.step.get("words") or "what it has left is not known",
                "leftovers": row.step.get("leftovers") or [],
            }
        return None

    def confirmed(self, at):
        """How far our own run has come, by what it has told (`at`) and by its row: that knows what has been committed."""
        steps = [
            row.step
            for row in self.rows()
            if row.run == self.table.run and row.state == UNDER_WAY and row.step.get("done")
        ]
        same = [
            step for step in steps if at and (step.get("at"), step.get("number")) == (at.get("at"), at.get("number"))
        ]
        return same[0] if same else at

    def prepare(self):
        """Has the table there before the run, if there is one; what is lost where that cannot be, in words, or None."""
        try:
            if self.lasting or not self.names:
                self.table.make()
            elif not self.table.may():
                return self.lost("this role has not the right to, or the database is read only")
        except Refused as why:
            return self.lost(why)
        except Lost as lost:
            if self.lasting or self.table.wrapper.vendor != "sqlite":
                raise
            return self.lost(lost)  # its workers write, and need not wait for this
        return None

    def lost(self, why):
        if self.lasting:
            lost = "Should this run die in %s, which nothing can undo, other servers will not know." % self.lasting[0]
        else:
            lost = (
                "So `migrate` runs where something is pending, and else not: what hangs on it (post_migrate) is not run for "
                "this code alone, and not again where it has failed."
            )
        return (
            "no marker: the table %s cannot be made or written (%s). %s Let an owner of the schema run `%s` and grant this "
            "role its use, or say [migrate] marker = false" % (self.table.find(), why, lost, self.table.statement())
        )

    def settle(self, migration, leftovers, clean):
        """After the run: whether what is half done stands in the database."""
        try:
            if leftovers:
                if not self.table.exists():
                    self.table.make()
                step = told(leftovers, None)
                if not self.table.change(self.table.run, state=DIRTY, step=json.dumps(step)):
                    self.table.write(migration or leftovers[0].get("migration") or "", DIRTY, step)
                return True
            if clean and self.table.exists() and any(row.run == self.table.run for row in self.table.rows()):
                self.table.clear(self.table.run)
        except Refused as why:
            print("ostler: the table %s cannot be used: %s" % (self.table.name, why), flush=True)
        return False

    def resolve(self):
        """A person says that all is put right: what stood there, in words."""
        rows = self.rows()
        for row in rows:
            self.table.clear(row.run)
        return ["%s %s" % (row.who, row.state) for row in rows]


def told(leftovers, unclear):
    """What a row keeps of it: no more than it can hold."""
    words = "; ".join([it["what"] for it in leftovers] + ([unclear] if unclear else []))
    kept = {"words": short(words, 2000), "leftovers": leftovers}
    return kept if len(json.dumps(kept)) <= STEP_MOST else {"words": kept["words"], "leftovers": []}
