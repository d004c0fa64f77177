"""What Django's `migrate` is made to tell, and the guards that its connections are given."""

import importlib.abc
import importlib.util
import sys
import time

from _ostler import database, plan
from _ostler.text import said, short
from _ostler.trail import Trail


class Late(importlib.abc.MetaPathFinder):
    """Changes a module when the app imports it, and not before: an app may have things to do first."""

    def __init__(self, changes):
        self.changes = {}
        for name, change in changes.items():
            if name in sys.modules:  # by a sitecustomize or a .pth file
                change(sys.modules[name])
            else:
                self.changes[name] = change
        sys.meta_path.insert(0, self)

    def find_spec(self, name, path=None, target=None):
        if name not in self.changes:
            return None
        change = self.changes.pop(name)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            change(module)

        spec.loader.exec_module = exec_module
        return spec


class Fenced(Exception):
    """Another server is migrating: the lock of this run is lost."""


class Hooks:
    def __init__(self, orders, control, vendors):
        self.orders, self.control, self.vendors = orders, control, vendors
        self.alias = orders["database"].get("alias")
        self.fenced = None  # the connection by which no other run is at work
        self.number = self.of = 0
        self.blind = False  # whether it has been said that progress is not seen
        self.timeout = database.lock_timeout_of(orders, "", True)
        self.began = False  # whether Django has begun to migrate, in this very process
        self.place = ""  # where in the database, in words
        self.where = None  # in words, for the failure
        self.error = None  # the last that came out of a migration
        self.trail = Trail(orders, vendors)
        Late({"django.db.backends.signals": self.signals, "django.db.migrations.executor": self.executor})

    def step(self, at, **fields):
        self.control.send("step", at=at, **fields)
        self.trail.step(dict(fields, at=at))

    # Connections.

    def signals(self, module):
        module.connection_created.connect(self.connected, weak=False, dispatch_uid="ostler")

    def connected(self, sender=None, connection=None, **_):
        vendor = self.vendors.get(connection.vendor)
        if vendor is not None and connection.connection is not None:
            with connection.cursor() as cursor:
                vendor.guard(cursor, self.orders)
                vendor.lock_timeout(cursor, self.timeout)

    def limit(self, connection):
        vendor = self.vendors.get(connection.vendor)
        if vendor is not None:
            with connection.cursor() as cursor:
                vendor.again(cursor, self.orders, self.timeout)

    def blockers(self, error):
        """Who had the lock that this run did not get, where that is seen from here, and more words about it."""
        try:
            from django.db import connections

            wrapper = connections[self.alias]
            seen = getattr(self.vendors.get(wrapper.vendor), "blockers", None)
            return seen(wrapper.settings_dict["NAME"], error) if seen else ([], "")
        except Exception:
            return [], ""  # what failed is told all the same

    # The executor. Of what Django calls, only what is needed is read, wherever it stands: signatures change from one Django to
    # the next. Where a hook does not fit, that is said, and the migration goes on as it would without.

    def executor(self, module):
        kind = getattr(module, "MigrationExecutor", None)
        self.around(kind, "migrate", self.migrating)
        self.around(kind, "apply_migration", self.applying)
        self.around(kind, "record_migration", self.recording)

    def around(self, owner, name, before):
        """Has `before(arguments)` called before a method, and what it answers, `after(error or None)`, after it."""
        plain = getattr(owner, name, None)
        if not callable(plain):
            return self.unseen("this Django has no %s to be told by" % name)

        def told(*arguments, **named):
            after = self.carefully(name, before, arguments + tuple(named.values()))
            try:
                result = plain(*arguments, **named)
            except BaseException as error:
                self.carefully(name, after, error)
                raise
            self.carefully(name, after, None)
            return result

        setattr(owner, name, told)
        return None

    def carefully(self, name, hook, *arguments):
        """Whatever is wrong with a hook is not the migration's fault; but an error of the database is."""
        if hook is None:
            return None
        try:
            return hook(*arguments)
        except Exception as error:
            if isinstance(error, (Fenced, getattr(sys.modules.get("django.db.utils"), "Error", Fenced))):
                raise
            return self.unseen("%s of this Django is not as expected: %s" % (name, said(error)))

    def unseen(self, words):
        """Once: how far the migration is cannot be told any more."""
        if not self.blind:
            self.blind = True
            print("ostler: progress is not seen: %s" % words, file=sys.stderr, flush=True)
            self.step("unseen", words=short(words, 500))

    def ours(self, arguments):
        return arguments[0].connection.alias == self.alias

    def migrating(self, arguments):
        # The plan is the list of pairs (migration, backwards).
        plans = [it for it in arguments if isinstance(it, list) and it and hasattr(it[0][0], "operations")]
        self.number, self.of = 0, len(plans[0]) if plans else 0
        self.began = True
        if self.ours(arguments):
            first, backwards = plans[0][0] if plans else (None, False)
            self.fence(arguments[0], None if backwards else first)

        def after(error):
            if error is None and self.ours(arguments):
                self.where = "after the last migration (post_migrate)"
                self.step("after", words="what the app does after migrations (post_migrate)")

        return after

    def recording(self, arguments):
        if self.ours(arguments) and not arguments[0].connection.in_atomic_block:
            self.step("recording")

    def applying(self, arguments):
        if not self.ours(arguments):
            return None
        migration = next(it for it in arguments if hasattr(it, "operations") and hasattr(it, "app_label"))
        name = "%s.%s" % (migration.app_label, migration.name)
        connection, began = arguments[0].connection, time.monotonic()
        self.number += 1
        self.place = place_of(connection)
        self.where = name + self.place
        self.fence(arguments[0], migration)
        atomic = plan.atomic(migration, connection)
        self.trail.enter(migration, connection)
        self.step("migration", name=name, number=self.number, of=max(self.of, self.number), atomic=atomic)
        self.timeout = database.lock_timeout_of(self.orders, name, atomic)
        self.limit(connection)
        restore = self.listen(migration, name)

        def after(error):
            restore()
            if error is not None:
                self.error = error
                return
            self.step("applied", seconds=round(time.monotonic() - began, 3))
            self.trail.leave()
            self.where = None
            usual = database.lock_timeout_of(self.orders, "", True)
            if (
                usual != self.timeout
            ):  # the next migration sets its own anyway, and of many small ones each would wait twice
                self.timeout = usual
                self.limit(connection)

        return after

    def fence(self, executor, migration):
        """The lock that lets one server migrate is held by the watching side, whose connection may be lost: then another server
        has it, and may be here too, or have been here since the plan was made. `migration` is the next, if there is one."""
        connection = executor.connection
        vendor = self.vendors.get(connection.vendor)
        if vendor is None or self.fenced is not None and connection.connection is self.fenced:
            return
        with connection.cursor() as cursor:
            if not vendor.fence(cursor, str(connection.settings_dict.get("NAME"))):
                raise Fenced("another server has begun to migrate: the lock of this run is lost")
        self.fenced = connection.connection
        recorder = executor.recorder
        if migration is None or not recorder.has_table():
            return
        if recorder.migration_qs.filter(app=migration.app_label, name=migration.name).exists():
            raise Fenced("another server has applied it meanwhile: the lock of this run was lost")

    def listen(self, migration, name):
        """Has a migration tell its operations; what it answers takes that away again."""
        operations, apply = list(migration.operations), migration.apply
        for number, operation in enumerate(operations, 1):
            operation.database_forwards = self.telling(operation, number, len(operations), name)

        def applied(*arguments, **named):
            state = apply(*arguments, **named)
            self.where = name + self.place
            self.step("committing")
            editor = next((it for it in arguments + tuple(named.values()) if hasattr(it, "deferred_sql")), None)
            if editor is None:
                self.unseen("the schema editor of this Django is not as expected")
            elif getattr(editor, "atomic_migration", False) and not getattr(editor, "collect_sql", False):
                # Django would do these at the end of the transaction, commit, and then record: whoever is killed between
                # has a migration applied that nobody knows of. Done now, the record is part of the transaction.
                while editor.deferred_sql:
                    editor.execute(editor.deferred_sql.pop(0), None)
            return state

        migration.apply = applied

        def restore():
            migration.__dict__.pop("apply", None)
            for operation in operations:
                operation.__dict__.pop("database_forwards", None)

        return restore

    def telling(self, operation, number, of, name):
        forwards = operation.database_forwards

        def told(*arguments, **named):
            words = described(operation)
            self.where = "%s%s, operation %d of %d (%s)" % (name, self.place, number, of, words)
            self.step("operation", number=number, of=of, words=words, runs=language(operation))
            answer = forwards(*arguments, **named)
            self.trail.done(next((it.connection for it in arguments if hasattr(it, "deferred_sql")), None))
            return answer

        return told


def place_of(connection):
    """Of a tenant's schema (django-tenants), which."""
    schema = getattr(connection, "schema_name", None)
    return " in the schema %s" % short(schema, 100) if isinstance(schema, str) else ""


def language(operation):
    """Of code of the migration's own, in which it is: `python`, `sql` or None."""
    kinds = [getattr(one, "__name__", "") for one in type(operation).__mro__]
    if "RunPython" in kinds or "RunSQL" in kinds:
        return "python" if "RunPython" in kinds else "sql"
    found = [language(one) for one in getattr(operation, "database_operations", None) or ()]
    return next((one for one in found if one), None)


def described(operation):
    try:
        return short(operation.describe(), 200)
    except Exception:
        return type(operation).__name__
