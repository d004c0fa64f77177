"""The watching program's loop: orders in, answers out, the database looked at in between. One thread.

No call to the database may take longer than the statement timeout of its connection. Where the machine or the network
stands still even that does not hold: then `Deadline`, the only other thread, tells it and ends the program.
"""

import collections
import importlib
import os
import threading
import time

from _ostler import codes, elsewhere, marker, outlook, plan, project, source, verdict
from _ostler.database import Lost, Side
from _ostler.text import short
from _ostler.wire import Trouble

PATIENCE = 5.0  # seconds for a lost connection to come back
BEAT = 1.0  # seconds from one sign of life to the next, from when it is open
STUCK, OPENING = 6.0, 12.0  # seconds for one round, and for the first, with all its connections
LOCK_EVERY, TELL_EVERY, KEEP_EVERY, END_EVERY, RENEW_EVERY = 0.5, 1.0, 1.0, 0.1, 0.25
KNOWN = ("postgresql", "mysql", "sqlite")


class Deadline:
    """Ends the program when a call does not come back, and says meanwhile that the program is there."""

    def __init__(self, control, words):
        self.control, self.words, self.limit, self.patience = control, words, None, OPENING
        self.beat = 0.0  # when the next sign of life is due
        self.changed = threading.Condition()
        threading.Thread(target=self.wait, daemon=True).start()

    def __enter__(self):
        with self.changed:
            self.limit = time.monotonic() + self.patience
            self.changed.notify()

    def __exit__(self, *_):
        with self.changed:
            self.limit, self.patience = None, STUCK  # the thread finds out at its next waking

    def wait(self):
        with self.changed:
            while True:
                now = time.monotonic()
                if self.limit is not None and now >= self.limit:
                    self.control.failed(
                        "unreachable", "the database %s does not answer: nothing for %d s" % (self.words, self.patience)
                    )
                    os._exit(1)
                if self.patience == STUCK and now >= self.beat:
                    self.beat = now + BEAT
                    self.control.send("alive")
                self.changed.wait(BEAT if self.limit is None else min(BEAT, self.limit - now))


class Watch:
    def __init__(self, orders, control):
        self.orders, self.control = orders, control
        self.source = source.source_of(orders)
        # What tells this code from another; only now is it the same whatever there is in the database.
        self.code = codes.code() if orders.get("command") == "django" and orders.get("marker") else None
        vendor = self.source.vendor
        kind = importlib.import_module("_ostler." + vendor).Side if vendor in KNOWN else Side
        self.side = kind(self.source, orders)
        self.deadline = Deadline(control, self.source.words())
        self.due = {}  # what has to be done again, and when
        self.asked = collections.deque()  # orders that wait for an answer
        self.lost = None  # since when a connection is gone
        self.owed = None  # what is pending, to be told with the lock
        self.look_every = 0.0
        self.resumes = False  # whether the run was begun under another program, which is gone
        self.place = 0  # where ostlerd says that the run is
        self.told = 0.0
        self.swept = []
        self.migrations = {}

    def run(self):
        try:
            with self.deadline:
                opened = self.side.open()
                pending = self.pending()
                owed, lost = self.owes(pending)
                if pending is not None and not pending["migrations"]:
                    opened["warnings"] = list(opened.get("warnings") or []) + lost + self.unwritten()
            self.control.send(
                "opened",
                vendor=vendor_of(self.side),
                pending=self.foreseen(pending, False),
                owed=owed,
                seen=elsewhere.seen(self.orders),
                **opened,
            )
            while self.turn():
                pass
        except Lost as lost:
            words = self.side.said_of(lost)
            raise Trouble("unreachable", "the database %s cannot be used: %s" % (self.source.words(), words)) from None
        finally:
            self.side.close()

    def turn(self):
        """One round of the loop; False at the end."""
        now = time.monotonic()
        until = 0.0 if self.asked and not self.lost else min(self.due.values(), default=now + 60.0) - now
        orders = self.control.orders(min(until, 60.0))
        if orders is None or any(order.get("do") == "quit" for order in orders):
            return False
        self.asked.extend(orders)
        try:
            with self.deadline:
                self.work()
            self.tell_locked()
        except Lost:
            now = time.monotonic()
            self.lost = self.lost or now
            if now - self.lost > PATIENCE:
                raise
            self.due["renew"] = now + (RENEW_EVERY if now > self.lost else 0.0)
        return True

    def work(self):
        now = time.monotonic()
        if self.lost is not None:
            if now < self.due.get("renew", 0.0):
                return
            self.side.renew()
            self.due.pop("renew", None)
        while self.asked:
            self.answer(self.asked[0])
            self.asked.popleft()
        for name in [name for name, moment in self.due.items() if moment <= now]:
            getattr(self, "do_" + name)(time.monotonic())
        self.lost = None  # only now: what fails again on a new connection has no more time than what is lost

    def answer(self, order):
        do = order.get("do")
        if do == "lock":
            self.resumes = bool(order.get("resumes"))
            self.due["lock"] = 0.0
        elif do == "look":
            self.look_every, self.place = float(order.get("every_seconds") or 0.0), order.get("place") or 0
            if self.look_every <= 0.0:
                self.due.pop("look", None)
            elif "look" not in self.due:
                self.side.ran = not self.resumes
                self.due["look"] = 0.0
        elif do == "cancel":
            self.control.send("cancelled", backends=self.side.cancel())
        elif do == "end_backends":
            self.due["end"] = 0.0
        elif do == "verify":
            self.verify(order)
        elif do == "resolve":
            self.resolve()
        else:
            raise Trouble("broken", "the order %r is not known" % do)

    # What is done again and again.

    def do_lock(self, now):
        holder = self.side.lock()
        if holder is None:
            del self.due["lock"]
            self.due["keep"] = now + KEEP_EVERY
            self.due["sweep"] = 0.0
            return
        self.busy(now, holder, self.side.quiet)
        self.due["lock"] = now + LOCK_EVERY

    def busy(self, now, holder, quiet=None):
        if now - self.told >= TELL_EVERY:
            self.told = now
            self.control.send(
                "busy", holder=holder, quiet_seconds=None if quiet is None else round(max(0.0, float(quiet)), 1)
            )

    def do_keep(self, now):
        self.due["keep"] = now + KEEP_EVERY
        self.side.keep()

    def do_sweep(self, now):
        left = self.side.sweep(self.resumes)
        known = {backend["pid"] for backend in self.swept}
        self.swept += [backend for backend in left if backend["pid"] not in known]
        if left:
            self.due["sweep"] = now + END_EVERY
            self.busy(now, "an earlier run of this app, which is being ended (pid %d)" % left[0]["pid"])
            return
        pending = self.pending()
        # What a run that goes on has written there is its own.
        ledger = None if self.resumes else self.ledger(pending)
        dirty = ledger.judge(self.left_by) if ledger else None
        owed = warning = None
        if ledger and not dirty:
            owed, _ = self.owes(pending)
            if owed or pending["migrations"]:
                warning = ledger.prepare()
                owed = None if warning else owed
            if warning is None and (owed or pending["migrations"]):
                self.codes(ledger).begins(bool(pending["migrations"]))
        if not self.resumes:
            self.side.snapshot()
        del self.due["sweep"]
        self.owed = {
            "pending": pending or {"migrations": [], "ahead": []},
            "swept": self.swept[:20],
            "dirty": dirty,
            "owed": owed,
            "warnings": [warning] if warning else [],
        }

    def tell_locked(self):
        if self.owed is not None:
            owed, self.owed = self.owed, None
            self.control.send("locked", **dict(owed, pending=self.foreseen(owed["pending"], True)))

    def do_look(self, now):
        fields = self.side.look()
        self.due["look"] = now + self.look_every
        self.control.send("look", place=self.place, **fields)

    def do_end(self, now):
        if self.side.end_backends():
            self.due["end"] = now + END_EVERY
        else:
            del self.due["end"]
            self.control.send("backends_gone")

    # The plan, and what has come of it.

    def unwritten(self):
        labels = plan.unwritten(self.side.wrapper())
        if not labels:
            return []
        return [
            "the models of %s have changes that are not in a migration, so they are not applied: "
            "run `python manage.py makemigrations`, and deploy what it writes" % short(", ".join(labels), 200)
        ]

    def djangos(self):
        """Django's own connection; None if the command is another's."""
        return self.side.wrapper() if self.orders.get("command") == "django" else None

    def pending(self):
        """What is pending, looked at anew; None where nobody can tell."""
        wrapper = self.djangos()
        if wrapper is None:
            return None
        found, migrations = self.planned(plan.pending, wrapper)
        self.migrations.update(migrations)
        return found

    def foreseen(self, pending, locked):
        """The same with what it does to code and schema: slow, and bounded by nothing but its size, so no deadline counts."""
        asked = pending is not None and (self.orders.get("serving") is not None or self.orders.get("plan"))
        wrapper = self.djangos() if asked else None
        if wrapper is not None:
            pending["outlook"] = self.planned(outlook.outlook, wrapper, self.orders, pending, locked)
        return pending

    def planned(self, ask, wrapper, *more):
        """What Django's own code says; its errors of the connection are ours."""
        from django.db import Error, connections

        # Parts of Django go by the alias alone: they are to have our bounded connection, and not to open one more.
        connections[wrapper.alias] = wrapper
        try:
            return ask(wrapper, *more)
        except Error as error:
            raise Lost(str(error)) from error

    def verify(self, order):
        recorded = operations = None
        suspects = []
        wrapper = self.side.wrapper() if order.get("pending") is not None else None
        if wrapper is not None:
            names = [migration["name"] for migration in order["pending"].get("migrations") or []]
            recorded = self.planned(plan.recorded, wrapper, names, self.migrations)
            operations = plan.operations_of(order.get("migration"), self.migrations)
            open_ones = [order["migration"]] if order.get("migration") else [it for it in names if it not in recorded]
            suspects = [it for name in open_ones for it in plan.operations_of(name, self.migrations) or []]
        ledger = self.ledger(order.get("pending"))
        if ledger:
            order = dict(order, at=ledger.confirmed(order.get("at")))
        case = verdict.Case(order, recorded, operations, suspects)
        backends = self.side.backends()
        leftovers, unverified = self.side.verify(case)
        left = [it for it in leftovers if not it["removed"]]
        clean = unverified is None and not backends and recorded is not None
        marked = bool(ledger and ledger.settle(order.get("migration"), left[:10], clean))
        if ledger and clean and not left and not order.get("failed") and len(recorded) == len(ledger.names):
            self.codes(ledger).done()
        self.control.send(
            "verified",
            backends=backends,
            recorded=verdict.own(case),
            leftovers=leftovers[:50],
            unverified=unverified,
            marked=marked,
        )

    # What the database keeps of runs that nothing can undo.

    def ledger(self, pending):
        wrapper = self.djangos() if self.orders.get("marker") else None
        if wrapper is None or self.side.vendor not in KNOWN:
            return None
        failure = importlib.import_module("_ostler." + self.side.vendor).failure
        return marker.Ledger(marker.Table(wrapper, self.orders, failure), pending)

    def codes(self, ledger):
        return codes.Codes(ledger.table, self.code)

    def owes(self, pending):
        """Whether `migrate` is owed to this code also where nothing is pending (see `codes`), or None; and what is lost where
        nobody can know, as a list of warnings."""
        ledger = self.ledger(pending) if pending is not None and not pending["own"] else None
        if ledger is None:
            return None, []
        asked = self.codes(ledger)
        if not ledger.table.may():
            return None, [ledger.lost("this role has not the right to, or the database is read only")]
        return asked.owed(), []

    def left_by(self, row):
        """What a run that died has left of the migration in which it was: `(leftovers, words where that cannot be told)`."""
        own = project.own_migrate()
        if own:
            return (
                [],
                "`migrate` is of %s, which may work in several schemas: what is left in which cannot be told" % own,
            )
        recorded = self.planned(plan.recorded, self.side.wrapper(), [row.migration], self.migrations)
        operations = plan.operations_of(row.migration, self.migrations)
        pending = {"migrations": [{"name": row.migration, "atomic": False, "operations": len(operations or [])}]}
        order = {"pending": pending, "migration": row.migration, "at": row.step, "failed": True}
        leftovers, unclear = self.side.verify(verdict.Case(order, recorded, operations))
        return [it for it in leftovers if not it["removed"]], unclear

    def resolve(self):
        """Takes away what stands there, unless somebody migrates right now."""
        ledger = self.ledger(self.pending())
        holder = self.side.lock() if ledger else None
        cleared = ledger.resolve() if ledger and holder is None else []
        self.control.send("resolved", holder=holder, cleared=[short(it, 500) for it in cleared[:20]])


def nothing(control, why, orders):
    """What is said for an app in which there is nothing to watch, until nobody asks any more."""
    pending = {"migrations": [], "ahead": []}
    control.send("opened", vendor="other", pending=pending, seen=dict(elsewhere.seen(orders), none=why))
    while True:
        told = control.orders(60.0)
        if told is None or any(order.get("do") == "quit" for order in told):
            return
        if any(order.get("do") == "resolve" for order in told):
            control.send("resolved", holder=None, cleared=[])


def vendor_of(side):
    return side.vendor if side.vendor in KNOWN else "other"
