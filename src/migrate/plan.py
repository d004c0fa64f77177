"""What is pending, as Django's own loader and executor see it, and whether the migrations make sense at all."""

from _ostler import project
from _ostler.text import said, short, trace_of
from _ostler.wire import Trouble

NAMED = 8  # how many names a sentence holds


def pending(wrapper):
    """`({"migrations": [...], "ahead": [...], "own": ...}, {name: migration})`."""
    from django.db.migrations.exceptions import (
        BadMigrationError,
        CircularDependencyError,
        InconsistentMigrationHistory,
        NodeNotFoundError,
    )
    from django.db.migrations.executor import MigrationExecutor

    try:
        executor = MigrationExecutor(wrapper)
        loader = executor.loader
        # What the table says: the loader adds to its own picture what squashes stand for.
        loader.ostler_recorded = set(executor.recorder.applied_migrations())
        check(loader, wrapper)
        plan = executor.migration_plan(loader.graph.leaf_nodes())
    except (BadMigrationError, CircularDependencyError, InconsistentMigrationHistory, NodeNotFoundError) as error:
        raise Trouble("graph", "the migrations make no sense: %s" % said_of(error), trace_of(error)) from None
    except Exception as error:
        from django.db import Error, InterfaceError

        if isinstance(error, (Error, InterfaceError)):
            raise
        raise Trouble("app", "a migration cannot be imported: %s" % said(error), trace_of(error)) from None
    found = [
        {"name": name_of(migration), "atomic": atomic(migration, wrapper), "operations": len(migration.operations)}
        for migration, backwards in plan
        if not backwards
    ]
    found += unrecorded_squashes(loader)
    by_name = {name_of(migration): migration for migration, backwards in plan if not backwards}
    return {"migrations": found, "ahead": ahead(loader), "own": project.own_migrate()}, by_name


def unwritten(wrapper):
    """The apps whose models have changes that no migration has, as `migrate` says where nothing is pending; what cannot be
    compared is not said."""
    from django.apps import apps
    from django.db.migrations.autodetector import MigrationAutodetector
    from django.db.migrations.loader import MigrationLoader
    from django.db.migrations.state import ProjectState

    try:
        loader = MigrationLoader(wrapper)
        found = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps))
        return sorted(found.changes(graph=loader.graph))
    except Exception:
        return []


def unrecorded_squashes(loader):
    """Squashes of which all is applied and which are not recorded themselves: `migrate` does only that for them.

    Without it the squash would be run once the files that it replaces are deleted.
    """
    recorded = getattr(loader, "ostler_recorded", set())
    return [
        {"name": "%s.%s" % key, "atomic": True, "operations": 0}
        for key, migration in sorted(loader.replacements.items())
        if key not in recorded and all(tuple(it) in recorded for it in migration.replaces)
    ]


def check(loader, wrapper):
    """What `migrate` refuses before it does anything."""
    loader.check_consistent_history(wrapper)
    conflicts = loader.detect_conflicts()
    if conflicts:
        ends = "; ".join(
            "%s ends in %s" % (app, " and ".join(sorted(names))) for app, names in sorted(conflicts.items())
        )
        raise Trouble(
            "graph",
            "the migrations have two ends: %s: make one of them follow the other, or run "
            "`python manage.py makemigrations --merge` and deploy what it writes" % ends,
        )


def ahead(loader):
    """Recorded in the database, and unknown to the code: the database is ahead of it.

    Only of apps that have migrations in this code: an app that was taken out of it leaves its records behind for good.
    What a squash replaced is known by its name in `replaces`; once the squash itself is an ordinary migration and the
    old files are deleted, their records stay as well, so what is older than the newest known record is no sign either.
    """
    known = set(loader.disk_migrations)
    for migration in loader.disk_migrations.values():
        known.update(tuple(name) for name in migration.replaces)
    moments = {key: getattr(record, "applied", None) for key, record in loader.applied_migrations.items()}
    found = []
    for key in loader.applied_migrations:
        app = key[0]
        if key in known or app not in loader.migrated_apps:
            continue
        newest = [moments[it] for it in known if it[0] == app and moments.get(it) is not None]
        mine = moments[key]
        if newest and mine is not None and mine < max(newest):
            continue
        found.append("%s.%s" % key)
    return sorted(found)


def recorded(wrapper, names, migrations):
    """Which of `names` are recorded as applied now; of a squash, also where all that it replaces is."""
    from django.db.migrations.recorder import MigrationRecorder

    applied = {"%s.%s" % tuple(key) for key in MigrationRecorder(wrapper).applied_migrations()}
    found = []
    for name in names:
        replaced = getattr(migrations.get(name), "replaces", None)
        if name in applied or (replaced and all("%s.%s" % tuple(key) in applied for key in replaced)):
            found.append(name)
    return found


def operations_of(name, migrations):
    """The operations of a migration by name, or None where the code has it no more."""
    if name is None:
        return None
    if name in migrations:
        return list(migrations[name].operations)
    from django.db.migrations.loader import MigrationLoader

    try:
        app, _, short_name = name.partition(".")
        return list(MigrationLoader(None, ignore_no_migrations=True).disk_migrations[app, short_name].operations)
    except Exception:
        return None


def name_of(migration):
    return "%s.%s" % (migration.app_label, migration.name)


def atomic(migration, wrapper):
    """Whether all of it is one transaction, which is rolled back as a whole: also a backend's schema editor decides that."""
    if not migration.atomic or not wrapper.features.can_rollback_ddl:
        return bool(migration.atomic)
    try:
        # It is not entered, which would change the connection.
        return bool(wrapper.SchemaEditorClass(wrapper, atomic=True).atomic_migration)
    except Exception:
        return False


def said_of(error):
    return short(error, 600) or type(error).__name__
