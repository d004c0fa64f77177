"""What Django's `migrate` is made to tell, and the guards that its connections are given."""

import importlib.abc
import importlib.util
import sys
import time

from _ostler import database
from _ostler.text import short


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


class Hooks:
    def __init__(self, orders, control, vendors):
        self.orders, self.control, self.vendors = orders, control, vendors
        self.alias = orders["database"].get("alias")
        self.number = self.of = 0
        self.timeout = database.lock_timeout_of(orders, "", True)
        self.where = None  # in words, for the failure
        self.error = None  # the last that came out of a migration
        Late({"django.db.backends.signals": self.signals, "django.db.migrations.executor": self.executor})

    def step(self, at, **fields):
        self.control.send("step", at=at, **fields)

    # Connections.

    def signals(self, module):
        module.connection_created.connect(self.connected, weak=False, dispatch_uid="ostler")

    def connected(self, sender=None, connection=None, **_):
        vendor = self.vendors.get(connection.vendor)
        if vendor is not None and connection.connection is not None:
            with connection.cursor() as cursor:
                vendor.guard(cursor, self.orders)
            self.limit(connection)

    def limit(self, connection):
        vendor = self.vendors.get(connection.vendor)
        if vendor is not None:
            with connection.cursor() as cursor:
                vendor.lock_timeout(cursor, self.timeout)

    # The executor.

    def executor(self, module):
        hooks, kind = self, module.MigrationExecutor
        migrate, apply_migration, record = kind.migrate, kind.apply_migration, kind.record_migration

        def counting(executor, targets, plan=None, *more, **named):
            hooks.number, hooks.of = 0, len(executor.migration_plan(targets) if plan is None else plan)
            state = migrate(executor, targets, plan, *more, **named)
            if executor.connection.alias == hooks.alias:
                hooks.where = "after the last migration"
                hooks.step("after", words="what the app does after migrations (post_migrate)")
            return state

        def applying(executor, state, migration, *more, **named):
            if executor.connection.alias != hooks.alias:
                return apply_migration(executor, state, migration, *more, **named)
            return hooks.apply(executor, migration,
                               lambda: apply_migration(executor, state, migration, *more, **named))

        def recording(executor, migration):
            if executor.connection.alias == hooks.alias and not executor.connection.in_atomic_block:
                hooks.step("recording")
            return record(executor, migration)

        kind.migrate, kind.apply_migration, kind.record_migration = counting, applying, recording

    def apply(self, executor, migration, go):
        name = "%s.%s" % (migration.app_label, migration.name)
        connection, began = executor.connection, time.monotonic()
        self.number += 1
        self.where = name
        self.step("migration", name=name, number=self.number, of=max(self.of, self.number), atomic=bool(migration.atomic))
        self.timeout = database.lock_timeout_of(self.orders, name, migration.atomic)
        self.limit(connection)
        restore = self.listen(migration, name)
        try:
            state = go()
        except BaseException as error:
            self.error = error
            raise
        finally:
            restore()
        self.step("applied", seconds=round(time.monotonic() - began, 3))
        self.where = None
        self.timeout = database.lock_timeout_of(self.orders, "", True)
        self.limit(connection)
        return state

    def listen(self, migration, name):
        """Has a migration tell its operations; what it answers takes that away again."""
        operations, apply = list(migration.operations), migration.apply
        for number, operation in enumerate(operations, 1):
            operation.database_forwards = self.telling(operation, number, len(operations), name)

        def applied(project_state, schema_editor, *more, **named):
            state = apply(project_state, schema_editor, *more, **named)
            self.where = name
            self.step("committing")
            if schema_editor.atomic_migration and not schema_editor.collect_sql:
                # Django would do these at the end of the transaction, commit, and then record: whoever is killed between
                # has a migration applied that nobody knows of. Done now, the record is part of the transaction.
                while schema_editor.deferred_sql:
                    schema_editor.execute(schema_editor.deferred_sql.pop(0), None)
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
            self.where = "%s, operation %d of %d (%s)" % (name, number, of, words)
            self.step("operation", number=number, of=of, words=words)
            return forwards(*arguments, **named)

        return told


def described(operation):
    try:
        return short(operation.describe(), 200)
    except Exception:
        return type(operation).__name__
