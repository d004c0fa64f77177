"""What migrations do to the tables, by Django's own picture of them: before, and after each operation to come.

A picture is Django's state of the models, rendered. It says nothing of SQL that a migration brings along.
"""

import re

from _ostler import locks, tables
from _ostler.plan import name_of
from _ostler.schema import rows_only, statements_of
from _ostler.text import short

# These change Django's own picture of the models, or rows, and no table.
NO_TABLE = ("AlterModelOptions", "AlterModelManagers", "AlterModelTableComment", "RunPython")
HARMLESS = re.compile(
    r"\s*(CREATE|DROP|REINDEX|ALTER)\s+(UNIQUE\s+)?INDEX\b|\s*(COMMENT|ANALYZE|VACUUM|CREATE\s+EXTENSION)\b", re.I
)


class Picture:
    """The tables of one database by a state of the models. Models that no operation touched are described once."""

    def __init__(self, alias):
        self.alias, self.known = alias, {}

    def of(self, state):
        found = {}
        for model in state.apps.get_models(include_auto_created=True):
            if model not in self.known:
                is_here = tables.has_table(model) and model._meta.managed and allowed(self.alias, model)
                self.known[model] = tables.describe(model) if is_here else None
            made, owner = self.known[model], model._meta.auto_created
            if owner and (owner._meta.app_label, owner._meta.model_name) not in state.models:
                made = None  # Django forgets to take it away together with its model
            if made is not None:
                found[made["table"]] = merged(found[made["table"]], made) if made["table"] in found else made
        return found

    def changes(self, before, state):
        after = self.of(state)
        names = sorted(set(before) | set(after))
        return {it: (before.get(it), after.get(it)) for it in names if before.get(it) != after.get(it)}, after


def allowed(alias, model):
    """Whether its table is one of this database."""
    from django.db import router

    try:
        return router.allow_migrate_model(alias, model)
    except Exception:
        return True


def merged(one, other):
    return dict(
        one, columns=dict(other["columns"], **one["columns"]), rules=sorted(set(one["rules"]) | set(other["rules"]))
    )


def pending_of(wrapper):
    """The models as the migrations that are applied have made them, and those that are pending."""
    from django.db.migrations.executor import MigrationExecutor
    from django.db.migrations.state import ProjectState

    executor = MigrationExecutor(wrapper)
    loader = executor.loader
    state = ProjectState(real_apps=loader.unmigrated_apps)
    for migration, _ in executor.migration_plan(loader.graph.leaf_nodes(), clean_start=True):
        if (migration.app_label, migration.name) in loader.applied_migrations:
            migration.mutate_state(state, preserve=False)
    plan = executor.migration_plan(loader.graph.leaf_nodes())
    return state, [migration for migration, backwards in plan if not backwards]


def steps(alias, state, migrations, connection=None):
    """`(tables now, steps)`: see `breakage.judged`. A step has `untold` as well, what nobody can tell of it in words, and with a
    connection to PostgreSQL `locks`, in words too."""
    picture, found = Picture(alias), []
    was = now = picture.of(state)
    for migration in migrations:
        for number, operation in enumerate(migration.operations, 1):
            step = {
                "migration": name_of(migration),
                "operation": described(operation),
                "number": number,
                "untold": untold(operation),
                "changes": {},
                "locks": [],
            }
            inner, old = database_operations(operation), model_of(operation, migration.app_label, state)
            if inner is not None:
                step["changes"], step["untold"] = separate(picture, inner, migration.app_label, state)
            operation.state_forwards(migration.app_label, state)
            changes, now = picture.changes(now, state)
            if connection is not None and inner is None and (old is None or old._meta.db_table in was):
                new = model_of(operation, migration.app_label, state)
                step["locks"] = locks.of(operation, old, new, connection)
            if inner is None and type(operation).__name__ not in NO_TABLE and not is_sql(operation):
                step["changes"] = changes
            found.append(step)
    return was, found


def model_of(operation, app, state):
    """The model that an operation is about, where it is about one that is there."""
    try:
        return state.apps.get_model(app, getattr(operation, "model_name", None) or operation.name)
    except (LookupError, AttributeError, ValueError):
        return None


def separate(picture, operations, app, state):
    """What those operations do to the tables whose models' state others say."""
    first, words = picture.of(state), []
    state, changes = state.clone(), {}
    now = first
    for operation in operations:
        words.append(untold(operation))
        operation.state_forwards(app, state)
        more, now = picture.changes(now, state)
        if type(operation).__name__ not in NO_TABLE and not is_sql(operation):
            changes.update((table, (first.get(table), after)) for table, (_, after) in more.items())
    return changes, next((it for it in words if it), None)


def database_operations(operation):
    """Of an operation that has others for the database and for Django's own picture."""
    found = getattr(operation, "database_operations", None)
    return None if found is None or not hasattr(operation, "state_operations") else list(found)


def is_sql(operation):
    return hasattr(operation, "sql") and hasattr(operation, "reverse_sql")


def untold(operation):
    """Why nobody can tell what it does to the tables; None where it can be told."""
    if not is_sql(operation):
        return None
    try:
        harmless = rows_only(operation.sql) or all(HARMLESS.match(it) for it in statements_of(operation.sql))
    except Exception:
        harmless = False
    return None if harmless else "runs SQL of its own"


def described(operation):
    try:
        return short(operation.describe(), 200)
    except Exception:
        return type(operation).__name__
