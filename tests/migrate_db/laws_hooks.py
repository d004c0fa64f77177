"""A Django whose methods are not as those of today: with other signatures, and without them."""

import os

from laws_sqlite import ADD, answer, project

SERVER = None
CHANGE = """
from django.db.migrations import executor
kind = executor.MigrationExecutor
apply, record, run = kind.apply_migration, kind.record_migration, kind.migrate
"""
# Everything is given by name, or in another order: what 6.0 did with `record_migration`, for all of them.
NAMED = (
    CHANGE
    + """
def apply_migration(self, *, migration, fake, state):
    return apply(self, state, migration, fake)
def record_migration(self, *of, more=None):
    return record(self, *of)
def migrate(self, targets, state=None, *, plan, **others):
    return run(self, targets, plan, state, **others)
def all_forwards(self, state, plan, full_plan, fake, fake_initial):
    for migration, _ in plan:
        state.apps
        state = self.apply_migration(fake=fake, migration=migration, state=state)
    return state
kind.migrate, kind.apply_migration, kind.record_migration = migrate, apply_migration, record_migration
kind._migrate_all_forwards = all_forwards
"""
)
# One of them is called something else.
GONE = (
    CHANGE
    + """
def all_forwards(self, state, plan, full_plan, fake, fake_initial):
    for migration, _ in plan:
        state.apps
        state = self.carry_out(state, migration, fake=fake)
    return state
kind.carry_out, kind._migrate_all_forwards = apply, all_forwards
del kind.apply_migration
"""
)
# One of them is given something else.
OTHER = (
    CHANGE
    + """
def all_forwards(self, state, plan, full_plan, fake, fake_initial):
    for migration, _ in plan:
        state.apps
        state = self.apply_migration((state, migration), fake)
    return state
kind._migrate_all_forwards = all_forwards
kind.apply_migration = lambda self, both, fake: apply(self, *both, fake)
"""
)


def run_on(place, django):
    """What a run of two migrations tells on a Django that was changed so."""
    project(place).migration("0002_add", ADD)
    folder = os.path.join(place.folder, "changed")
    os.mkdir(folder)
    with open(os.path.join(folder, "sitecustomize.py"), "w", encoding="utf-8") as file:
        file.write(django)
    run = place.run(environment={"PYTHONPATH": folder})
    heard = run.all()
    assert run.ended() == 0, run.printed()
    assert answer(place, "SELECT name FROM django_migrations ORDER BY id") == [("0001_initial",), ("0002_add",)]
    return run, heard


def a_run_is_followed_whatever_the_signatures_of_django_are(place):
    _, heard = run_on(place, NAMED)
    steps = [
        (it["at"], it.get("name"), it.get("number"), it.get("of")) for it in heard if it["at"] in ("migration", "after")
    ]
    assert steps == [
        ("migration", "shop.0001_initial", 1, 2),
        ("migration", "shop.0002_add", 2, 2),
        ("after", None, None, None),
    ]
    assert "unseen" not in [it["at"] for it in heard], heard


def where_a_hook_does_not_fit_that_is_said_and_the_migration_goes_on(place):
    for name, django, words in (("gone", GONE, "has no apply_migration"), ("other", OTHER, "not as expected")):
        run, heard = run_on(place.beside(name), django)
        unseen = [it for it in heard if it["at"] == "unseen"]
        assert len(unseen) == 1 and words in unseen[0]["words"], heard
        assert "progress is not seen" in run.printed(), run.printed()


LAWS = [
    a_run_is_followed_whatever_the_signatures_of_django_are,
    where_a_hook_does_not_fit_that_is_said_and_the_migration_goes_on,
]
