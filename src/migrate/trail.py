"""What a run itself writes into `ostler_migrations` while it is in a migration that nothing can undo."""

import json

from _ostler import marker, plan
from _ostler.database import Lost
from _ostler.source import beside
from _ostler.wire import Trouble

# After these something else is in the database than before: whoever finds the row judges by them.
TOLD = ("operation", "committing", "recording")


class Trail:
    def __init__(self, orders, vendors):
        self.orders, self.vendors = orders, vendors
        self.off = not orders.get("marker")
        self.table = None
        self.migration = None  # the one that is to be told of
        self.written = False
        self.last = {}  # the step that the row tells

    def enter(self, migration, connection):
        """A migration begins; nothing of it is done yet."""
        undone = plan.atomic(migration, connection) and connection.features.can_rollback_ddl
        self.migration = None if self.off or undone else (plan.name_of(migration), connection.alias, connection.vendor)

    def leave(self):
        """It is applied and recorded. The row stays, for who reads it sees the same; the next one takes it over."""
        self.migration = None

    def step(self, step):
        if self.migration is None or step["at"] not in TOLD:
            return None
        for again in (False, True):
            try:
                return self.write(step)
            except Lost as lost:
                # A connection of its own may have been ended for being idle; what was written stands.
                if again:
                    raise lost.__cause__ from None
                self.table.wrapper.close()
                self.table = None
            except marker.Refused:
                self.off, self.migration = True, None  # which the watching program has said before the run
                return None

    def done(self, connection):
        """The operation under way is done. Where it is in a transaction of its own, the row says so as a part of that: by then
        nobody is there who could say whether it was committed, or the app's own code that follows the commit fails."""
        if self.migration is None or not self.written or connection is None or not connection.in_atomic_block:
            return
        from django.db import Error, transaction

        try:
            with transaction.atomic(using=connection.alias):
                self.table.seen_by(connection).change(
                    self.orders["tag"], marker.UNDER_WAY, step=json.dumps(dict(self.last, done=True))
                )
        except (Error, Lost, marker.Refused):
            pass  # by a role that the operation itself has taken on, for one: then the row tells less

    def write(self, step):
        name, alias, vendor = self.migration
        self.last = step
        if self.table is None:
            self.table = marker.Table(beside(alias), self.orders, self.vendors[vendor].failure)
        if not self.written:
            self.table.write(name, marker.UNDER_WAY, step)
            self.written = True
        elif not self.table.change(self.orders["tag"], marker.UNDER_WAY, migration=name, step=json.dumps(step)):
            raise Trouble(
                "broken",
                "the row of this run in %s is gone or judged: another server has taken over; %s is "
                "stopped" % (marker.TABLE, name),
            )
