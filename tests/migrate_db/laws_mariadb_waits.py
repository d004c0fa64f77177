"""MariaDB: who waits for whom, and what becomes of a wait."""

import time

from maria import failure_of, filled, step_to, until, verify
from mariadb import Mariadb

SERVER = Mariadb
ADD = 'migrations.AddField("order", "a", models.IntegerField(null=True))'


def a_queue_behind_an_idle_transaction_is_seen(place):
    made = filled(place, 10)
    made.migration("0002_add", ADD)
    with place.server.session(place.name) as idle, place.server.session(place.name) as reader:
        idle.ask("START TRANSACTION")
        idle.ask("SELECT COUNT(*) FROM shop_order")
        watch = place.locked()
        watch.ask("look", "look", every_seconds=0.1)
        run = place.run(guards={"lock_timeout_seconds": 20.0})
        first = watch.hear("look", where=lambda it: it.get("waiting"))
        assert first["backends"] == 2 and first["working"] and "metadata lock" in first["doing"], first
        assert idle.pid in [it["pid"] for it in first["blockers"]], (idle.pid, first)
        assert all("probably" in it["state"] for it in first["blockers"]), first
        reader.begin("SELECT COUNT(*) FROM shop_order")
        look = watch.hear("look", where=lambda it: (it.get("harm") or 0) > 0.5)
        assert look["blocked"] == 1 and look["waiting"] > look["harm"], look
        began = time.monotonic()
        assert watch.ask("cancel", "cancelled")["backends"] == 1
        failed = failure_of(run)
        assert run.ended() == 1 and failed["kind"] == "cancelled", failed
        place.note("cancelled and ended in %.2f s" % (time.monotonic() - began))
        step = {"at": "operation", "number": 1, "of": 1, "words": ""}
        report = verify(watch, watch.locked["pending"], "shop.0002_add", step)
        assert report["leftovers"] == [] and report["recorded"] == [] and report["backends"] == 0, report


def a_guard_ends_the_wait_after_a_second(place):
    made = filled(place, 10)
    made.migration("0002_add", ADD)
    with place.server.session(place.name) as idle:
        idle.ask("START TRANSACTION")
        idle.ask("SELECT COUNT(*) FROM shop_order")
        watch = place.locked()
        run = place.run()
        step = step_to(run, "operation")
        began = time.monotonic()
        failed = failure_of(run)
        took = time.monotonic() - began
        assert run.ended() == 1 and failed["kind"] == "lock", failed  # without the guard: a day
        assert verify(watch, watch.locked["pending"], "shop.0002_add", step)["leftovers"] == []
    place.note("after %.2f s" % took)


def looks_come_as_often_as_asked(place):
    filled(place, 10)
    watch = place.locked()
    watch.ask("look", "look", every_seconds=0.001)
    began, count = time.monotonic(), 300
    for _ in range(count):
        watch.hear("look")
    took = (time.monotonic() - began) / count * 1000
    place.note("%.1f ms" % took)


def a_later_change_waits_for_its_lock_again_and_again(place):
    """A failure at the second operation would leave the migration half applied."""
    made = filled(place, 10)
    made.migration("0002_two", 'migrations.CreateModel("Line", [("id", models.AutoField(primary_key=True))]), ' + ADD)
    with place.server.session(place.name) as idle:
        idle.ask("START TRANSACTION")
        idle.ask("SELECT COUNT(*) FROM shop_order")
        place.locked()
        run = place.run()
        step_to(run, "operation", number=2)
        until(lambda: "again in 2 s" in run.printed())
        idle.ask("ROLLBACK")
    assert run.ended() == 0, run.printed()


def a_blocker_is_known(place, *options):
    place.server = place.stack.enter_context(Mariadb(*options))
    place.server.sql("GRANT PROCESS ON *.* TO shop@localhost")
    if "--performance-schema=1" in options:
        place.server.sql("GRANT SELECT ON performance_schema.* TO shop@localhost")
    made = filled(place, 10)
    made.migration("0002_add", ADD)
    with place.server.session(place.name) as idle, place.server.session(place.name) as other:
        other.ask("START TRANSACTION")
        other.ask("SELECT COUNT(*) FROM django_migrations")
        idle.ask("START TRANSACTION")
        idle.ask("SELECT COUNT(*) FROM shop_order")
        watch = place.locked()
        watch.ask("look", "look", every_seconds=0.1)
        place.run(guards={"lock_timeout_seconds": 20.0})
        look = watch.hear("look", where=lambda it: it.get("waiting"))
        [known] = look["blockers"]
        assert known["pid"] == idle.pid and known["state"] == "idle in transaction", look


def a_blocker_is_known_by_the_performance_schema(place):
    a_blocker_is_known(place, "--performance-schema=1", "--performance-schema-instrument=wait/lock/metadata/sql/mdl=ON")


def a_blocker_is_known_by_the_plugin(place):
    a_blocker_is_known(place, "--plugin-load-add=metadata_lock_info")


def row_locks_are_seen_with_the_privilege(place):
    """Both ways: somebody who waits for rows of the run, and the run that waits for somebody's."""
    place.server = place.stack.enter_context(Mariadb())
    place.server.sql("GRANT PROCESS ON *.* TO shop@localhost")
    made = filled(place, 10)
    made.migration(
        "0002_data",
        "migrations.RunPython(rows)",
        code="""
        def rows(apps, editor):
            with editor.connection.cursor() as cursor:
                cursor.execute("UPDATE shop_order SET price = 1 WHERE id = 1")
                cursor.execute("SELECT SLEEP(4)")
                cursor.execute("UPDATE shop_order SET price = 2 WHERE id = 2")
        """,
    )
    with place.server.session(place.name) as one, place.server.session(place.name) as two:
        one.ask("START TRANSACTION")
        one.ask("UPDATE shop_order SET price = 7 WHERE id = 2")
        watch = place.locked()
        watch.ask("look", "look", every_seconds=0.25)
        run = place.run(guards={"lock_timeout_seconds": 20.0})
        watch.hear("look", where=lambda it: it.get("doing") == "User sleep")
        two.begin("UPDATE shop_order SET price = 7 WHERE id = 1")
        look = watch.hear("look", where=lambda it: (it.get("harm") or 0) > 0.3)
        assert look["blocked"] == 1, look
        look = watch.hear("look", where=lambda it: (it.get("waiting") or 0) > 0.3)
        assert [it["pid"] for it in look["blockers"]] == [one.pid], look
        one.ask("ROLLBACK")
    assert run.ended() == 0, run.printed()


LAWS = [
    a_queue_behind_an_idle_transaction_is_seen,
    a_guard_ends_the_wait_after_a_second,
    looks_come_as_often_as_asked,
    a_later_change_waits_for_its_lock_again_and_again,
    a_blocker_is_known_by_the_performance_schema,
    a_blocker_is_known_by_the_plugin,
    row_locks_are_seen_with_the_privilege,
]
