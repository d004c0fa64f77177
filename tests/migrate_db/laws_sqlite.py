"""SQLite: the file lock, a locked file, a run that is killed in the middle."""

import contextlib
import os
import signal
import sqlite3

from maria import at_once, driven, failure_of, step_to, verify
from place import names_of
from project import MODELS

SERVER = None
ADD = 'migrations.AddField("order", "a", models.IntegerField(null=True))'
WIDEN = 'migrations.AlterField("order", "price", models.BigIntegerField(default=0))'


def project(place, **options):
    place.file = os.path.join(place.folder, "db.sqlite3")
    return place.project({"ENGINE": "django.db.backends.sqlite3", "NAME": place.file, "OPTIONS": options})


@contextlib.contextmanager
def opened(place):
    connection = sqlite3.connect(place.file, isolation_level=None, timeout=20)
    try:
        yield connection
    finally:
        connection.close()


def filled(place, rows, **options):
    made = project(place, **options)
    place.migrate()
    with opened(place) as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
            "INSERT INTO shop_order (name, price) SELECT hex(randomblob(15)), i FROM n" % rows
        )
    return made


def answer(place, sql):
    with opened(place) as connection:
        return connection.execute(sql).fetchall()


def the_guard_is_in_force_and_read_back(place):
    project(place, timeout=30)
    opened_ = place.watch()[1]
    assert opened_["vendor"] == "sqlite" and opened_["guards"] == [["busy_timeout", "1s"]], opened_
    assert "no server" in opened_["unwatched"] and names_of(opened_) == ["shop.0001_initial"], opened_


def models_with_changes_that_no_migration_has_are_named(place):
    shop = project(place)
    place.migrate()
    told = [words for words in place.watch()[1]["warnings"] if "models" in words]
    assert told == [], told
    shop.write("shop/models.py", MODELS + "    colour = models.CharField(max_length=9, default='')\n")
    told = [words for words in place.watch()[1]["warnings"] if "models" in words]
    assert len(told) == 1 and "the models of shop have changes" in told[0] and "makemigrations" in told[0], told


def the_lock_is_of_one_and_hinders_nobody_else(place):
    project(place)
    place.migrate()
    first, (second, _) = place.locked(), place.watch()
    assert "another run" in second.ask("lock", "busy")["holder"]
    answer(place, "INSERT INTO shop_order (name, price) VALUES ('x', 1)")
    first.kill(signal.SIGKILL)
    second.hear("locked")


def a_look_lets_the_locks_of_sqlite_be(place):
    """The lock's descriptor is never closed: SQLite's own locks in the same program would go with it."""
    filled(place, 10)
    answer(place, "PRAGMA journal_mode = WAL")
    watch = place.locked()
    with opened(place) as other:
        other.execute("BEGIN IMMEDIATE")
        watch.ask("look", "look", every_seconds=0.05)
        look = watch.hear("look", where=lambda it: it["working"])
        assert "pid %d" % os.getpid() in look["doing"], look
        other.execute("ROLLBACK")
        watch.hear("look", where=lambda it: not it["working"])
    assert answer(place, "PRAGMA quick_check") == [("ok",)]


def a_locked_file_is_a_lock_after_the_guard(place):
    made = filled(place, 10)
    made.migration("0002_add", ADD)
    watch = place.locked()
    with opened(place) as other:
        other.execute("BEGIN IMMEDIATE")
        run = place.run()
        step = step_to(run, "migration")
        failed = failure_of(run)
        assert run.ended() == 1 and failed["kind"] == "lock", failed
        other.execute("ROLLBACK")
    report = verify(watch, watch.locked["pending"], "shop.0002_add", step)
    assert report["leftovers"] == [] and report["recorded"] == [] and report["unverified"] is None, report
    place.migrate()


def a_run_that_is_killed_in_the_middle_is_rolled_back(place):
    made = filled(place, 200000)
    made.migration(
        "0002_slow",
        WIDEN + ", migrations.RunPython(wait)",
        code="""
        import time
        def wait(apps, editor):
            editor.connection.cursor().execute("PRAGMA cache_spill = 1")
            apps.get_model("shop", "order").objects.update(price=-1)
            time.sleep(60)
        """,
    )
    watch = place.locked()
    run = place.run()
    step = step_to(run, "operation", number=2)
    watch.ask("look", "look", every_seconds=0.05)
    watch.hear("look", where=lambda it: it["working"] and "pid %d" % run.pid in it["doing"])
    wait_for_journal(place, 1 << 20)
    run.kill(signal.SIGKILL)
    run.ended()
    assert os.path.getsize(place.file + "-journal") > 0
    watch.ask("end_backends", "backends_gone")
    report = verify(watch, watch.locked["pending"], "shop.0002_slow", step)
    assert report["leftovers"] == [] and report["recorded"] == [] and report["unverified"] is None, report
    assert answer(place, "SELECT COUNT(*) FROM shop_order WHERE price < 0") == [(0,)]


def wait_for_journal(place, size):
    from maria import until

    until(lambda: os.path.exists(place.file + "-journal") and os.path.getsize(place.file + "-journal") > size)


def a_remade_table_that_was_left_behind_is_named(place):
    made = filled(place, 10)
    made.migration("0002_remake", WIDEN + ", " + ADD, atomic=False)
    watch = place.locked()
    answer(place, "ALTER TABLE shop_order RENAME TO new__shop_order")
    report = verify(
        watch, watch.locked["pending"], "shop.0002_remake", {"at": "operation", "number": 1, "of": 2, "words": ""}
    )
    assert 'ALTER TABLE "new__shop_order" RENAME TO "shop_order";' in [it["remedy"] for it in report["leftovers"]], (
        report
    )


def what_is_not_atomic_is_named_to_the_operation(place):
    made = filled(place, 10)
    made.migration(
        "0002_half",
        ADD + ", migrations.RunPython(boom)",
        atomic=False,
        code="def boom(apps, editor):\n    raise ValueError('boom')",
    )
    watch = place.locked()
    run = place.run()
    step = step_to(run, "operation", number=2)
    assert run.ended() == 1
    [left] = verify(watch, watch.locked["pending"], "shop.0002_half", step)["leftovers"]
    assert "1 of 2 operations are done; operation 2 of 2" in left["what"] and "--fake" in left["remedy"], left


def code_of_a_migrations_own_is_told_from_the_operations_of_django(place):
    made = filled(place, 10)
    made.migration(
        "0002_code",
        ADD
        + """,
        migrations.RunPython(migrations.RunPython.noop), migrations.RunSQL("UPDATE shop_order SET price = 1"),
        migrations.SeparateDatabaseAndState(database_operations=[migrations.RunSQL("UPDATE shop_order SET price = 2")]),
        migrations.SeparateDatabaseAndState()""",
    )
    run = place.run()
    heard = run.all()
    assert run.ended() == 0, run.printed()
    assert [it["runs"] for it in heard if it["at"] == "operation"] == [None, "python", "sql", "sql", None], heard


def a_full_disk_is_said_as_such(place):
    made = filled(place, 10)
    made.migration(
        "0002_much",
        "migrations.RunPython(much)",
        code="""
        def much(apps, editor):
            with editor.connection.cursor() as cursor:
                cursor.execute("PRAGMA max_page_count = 30")
            apps.get_model("shop", "order").objects.bulk_create(
                apps.get_model("shop", "order")(name="x" * 40) for _ in range(20000))
        """,
    )
    watch = place.locked()
    run = place.run()
    step = step_to(run, "operation")
    failed = failure_of(run)
    assert run.ended() == 1 and failed["kind"] == "full", failed
    assert verify(watch, watch.locked["pending"], "shop.0002_much", step)["leftovers"] == []


def a_folder_that_may_not_be_written_is_said(place):
    made = project(place)
    made.databases({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/proc/nowhere/db.sqlite3"}})
    said = place.refused()
    assert said["kind"] == "unreachable" and "/proc/nowhere/db.sqlite3" in said["message"], said


def a_database_in_memory_needs_nothing(place):
    place.project({"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"})
    watch = place.locked()
    assert watch.ask("look", "look", every_seconds=0.1)["backends"] == 0
    place.locked()


def a_data_migration_is_applied_once_by_two_at_once(place):
    made = filled(place, 3)
    answer(place, "UPDATE shop_order SET price = 0")
    rounds = place.rounds(10)
    for number in range(2, 2 + rounds):
        made.migration(
            "%04d_data" % number,
            "migrations.RunPython(more)",
            code="""
            def more(apps, editor):
                apps.get_model("shop", "order").objects.update(price=models.F("price") + 1)
            """,
        )
        plans = at_once(lambda: driven(place), lambda: driven(place))
        assert sorted(len(it["migrations"]) for it in plans) == [0, 1], plans
    assert answer(place, "SELECT DISTINCT price FROM shop_order") == [(rounds,)]


LAWS = [
    the_guard_is_in_force_and_read_back,
    models_with_changes_that_no_migration_has_are_named,
    the_lock_is_of_one_and_hinders_nobody_else,
    a_look_lets_the_locks_of_sqlite_be,
    a_locked_file_is_a_lock_after_the_guard,
    a_run_that_is_killed_in_the_middle_is_rolled_back,
    a_remade_table_that_was_left_behind_is_named,
    what_is_not_atomic_is_named_to_the_operation,
    code_of_a_migrations_own_is_told_from_the_operations_of_django,
    a_full_disk_is_said_as_such,
    a_folder_that_may_not_be_written_is_said,
    a_database_in_memory_needs_nothing,
    a_data_migration_is_applied_once_by_two_at_once,
]
