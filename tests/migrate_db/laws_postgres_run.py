"""PostgreSQL: a run that is watched, its lock queue, its end."""

import contextlib
import signal
import time

import hosts
from postgres import Postgres, wait_until

SERVER = Postgres
ROWS = 200000
# Work for the server itself, beyond its own time-outs: a hash of a hash of …
HEAVY = "name::bytea"
for _ in range(60):
    HEAVY = "sha512(%s)" % HEAVY
CONCURRENTLY = "from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently"
QUICK = 1.5  # seconds, on a machine that does much else; the figures are in the notes


def sql(*statements):
    return ", ".join("migrations.RunSQL(%r)" % statement for statement in statements)


def under_way(place, operation, fill=0, holds=None, **more):
    """A watched run that is in its last migration, which has been applied up to there."""
    project = place.project()
    place.migrate()
    if fill:
        place.server.psql(
            "INSERT INTO shop_order (name, price) SELECT 'name ' || i, i FROM generate_series(1, %d) i" % fill,
            place.name,
        )
    project.migration("0002_long", operation if operation.startswith("migrations.") else sql(operation), **more)
    watch = place.locked()
    watch.say("look", every_seconds=0.1)
    run = place.run()
    run.hear("step", where=lambda it: it["at"] == "operation")
    if holds is not None:
        watch.look = watch.hear("look", where=holds)
    return watch, run


def working(look):
    return look["working"] and (look["doing"] or "").strip() not in ("", "SHOW")


def cancelled(place, watch, run):
    """Cancels, and answers what the run said of its end."""
    began = time.monotonic()
    assert watch.ask("cancel", "cancelled")["backends"] == 1
    answered = time.monotonic() - began
    failed = run.hear("failed")
    told = time.monotonic() - began
    assert run.ended() == 1, run.printed()
    place.note("cancelled in %.3f s, told %.3f s, ended %.3f s" % (answered, told, time.monotonic() - began))
    assert told < QUICK, told
    assert failed["kind"] == "cancelled", failed
    assert "0002_long" in failed["message"] and "Traceback" in failed["traceback"], failed
    assert watch.ask("end_backends", "backends_gone")
    return failed


def verified(place, watch, at=None, name="shop.0002_long", atomic=True, failed=True, operations=1):
    watch.say("look", every_seconds=0)
    pending = {"migrations": [{"name": name, "atomic": atomic, "operations": operations}], "ahead": []}
    return watch.ask("verify", "verified", pending=pending, migration=name, at=at, failed=failed)


def clean(place, watch, **more):
    found = verified(place, watch, **more)
    assert (found["backends"], found["recorded"], found["leftovers"], found["unverified"]) == (0, [], [], None), found


def a_statement_that_sleeps_is_cancelled_at_once(place):
    watch, run = under_way(place, "SELECT pg_sleep(60)", holds=lambda it: "pg_sleep" in (it["doing"] or ""))
    cancelled(place, watch, run)
    clean(place, watch)


def an_index_build_is_cancelled_at_once_and_its_progress_is_seen(place):
    watch, run = under_way(
        place,
        "CREATE INDEX heavy ON shop_order ((%s))" % HEAVY,
        fill=ROWS,
        holds=lambda it: (it["doing"] or "").startswith("building index") and it["percent"],
    )
    place.note("%s %.0f %%" % (watch.look["doing"], watch.look["percent"]))
    cancelled(place, watch, run)
    clean(place, watch)


def an_alter_that_rewrites_is_cancelled_at_once(place):
    watch, run = under_way(
        place,
        "ALTER TABLE shop_order ALTER COLUMN name TYPE text USING (%s)::text" % HEAVY,
        fill=ROWS,
        holds=lambda it: (it["doing"] or "").startswith("ALTER TABLE"),
    )
    cancelled(place, watch, run)
    clean(place, watch)


def a_concurrent_index_that_is_cancelled_is_removed(place):
    operation = 'AddIndexConcurrently("order", models.Index(fields=["name"], name="shop_name"))'
    with contextlib.ExitStack() as stack:
        # A concurrent index waits for every transaction that is older.
        watch, run = None, None
        project = place.project()
        place.migrate()
        other = stack.enter_context(place.server.session(place.name, name="report"))
        other.ask("BEGIN ISOLATION LEVEL REPEATABLE READ")
        other.ask("SELECT count(*) FROM shop_order")
        project.migration("0002_long", operation, atomic=False, imports=CONCURRENTLY)
        watch = place.locked()
        watch.say("look", every_seconds=0.1)
        run = place.run()
        waiting = watch.hear("look", where=lambda it: it["waiting"] and it["blockers"])
        assert waiting["blockers"][0]["application"] == "report", waiting
        cancelled(place, watch, run)
        other.ask("COMMIT")
    assert index(place, "shop_name") == "f"  # there, and INVALID
    found = verified(place, watch, atomic=False, at={"at": "operation", "number": 1, "of": 1, "words": "Add"})
    [left] = found["leftovers"]
    assert left["removed"] and "shop_name" in left["what"] and left["migration"] == "shop.0002_long", found
    assert index(place, "shop_name") == ""
    again = place.run()
    assert again.ended() == 0, again.printed()


def index(place, name):
    return place.server.psql(
        "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname = '%s'" % name,
        place.name,
    )


def a_run_that_computes_in_a_transaction_is_seen_idle_and_left_to_signals(place):
    code = """
        def compute(apps, editor):
            import time
            editor.execute("SELECT 1")
            time.sleep(60)
    """
    watch, run = under_way(
        place,
        "migrations.RunPython(compute)",
        code=code,
        holds=lambda it: it["idle_in_transaction"] and not it["working"],
    )
    assert watch.ask("cancel", "cancelled")["backends"] == 0
    began = time.monotonic()
    run.kill(signal.SIGINT)
    failed = run.hear("failed")
    assert failed["kind"] == "cancelled" and "KeyboardInterrupt" in failed["message"], failed
    assert run.ended() == -signal.SIGINT, run.printed()
    place.note("SIGINT took %.3f s" % (time.monotonic() - began))
    watch.ask("end_backends", "backends_gone")
    clean(place, watch)


def the_lock_queue_is_seen_with_who_holds_it_and_who_waits_behind(place):
    project = place.project()
    place.migrate()
    project.migration("0002_long", 'migrations.AddField("order", "extra", models.IntegerField(null=True))')
    watch = place.locked(guards={"lock_timeout_seconds": 60.0})
    watch.say("look", every_seconds=0.1)
    with place.server.session(place.name, name="nightly-report") as holder, place.server.session(
        place.name
    ) as reader, place.server.session(place.name) as second:
        holder.ask("BEGIN")
        holder.ask("SELECT count(*) FROM shop_order")
        run = place.run(guards={"lock_timeout_seconds": 60.0})
        seen = watch.hear("look", where=lambda it: it["waiting"] and it["waiting"] > 0.2)
        [blocker] = seen["blockers"]
        assert blocker["pid"] == holder.pid and blocker["application"] == "nightly-report", seen
        assert blocker["state"] == "idle in transaction" and "SELECT" in blocker["query"], seen
        assert seen["blocked"] == 0 and seen["harm"] is None, seen
        reader.begin("SELECT name FROM shop_order")
        seen = watch.hear("look", where=lambda it: it["blocked"] == 1)
        # Behind one that waits behind us: no less harmed.
        second.begin("BEGIN; LOCK TABLE shop_order IN ACCESS EXCLUSIVE MODE")
        seen = watch.hear("look", where=lambda it: it["blocked"] == 2 and it["harm"] > 0.3)
        began = time.monotonic()
        assert watch.ask("cancel", "cancelled")["backends"] == 1
        watch.hear("look", where=lambda it: not it["blocked"])
        place.note("nobody waits %.3f s after the cancel" % (time.monotonic() - began))
        assert run.hear("failed")["kind"] == "cancelled"
        run.ended()
    clean(place, watch)


def a_lock_that_is_not_to_be_had_fails_as_one_within_its_time(place):
    project = place.project()
    place.migrate()
    project.migration("0002_long", 'migrations.AddField("order", "extra", models.IntegerField(null=True))')
    with place.server.session(place.name) as holder:
        holder.ask("BEGIN")
        holder.ask("SELECT count(*) FROM shop_order")
        run = place.run(guards={"lock_timeout_seconds": 9.0, "overrides": {"0002_long": {"lock_timeout_seconds": 0.3}}})
        run.hear("step", where=lambda it: it["at"] == "operation")
        began = time.monotonic()
        failed = run.hear("failed")
        assert time.monotonic() - began < 0.3 + QUICK
        assert failed["kind"] == "lock" and "Add field extra" in failed["message"], failed
        assert run.ended() == 1


def a_migration_that_is_not_atomic_waits_for_locks_without_end(place):
    project = place.project()
    code = """
        def look(apps, editor):
            with editor.connection.cursor() as cursor:
                cursor.execute("SELECT current_setting('lock_timeout'), current_setting('application_name')")
                print("guards", cursor.fetchone())
    """
    project.migration("0002_a", "migrations.RunPython(look)", code=code, atomic=False)
    project.migration("0003_b", "migrations.RunPython(look)", code=code)
    run = place.run()
    assert run.ended() == 0
    guards = [line for line in run.printed().splitlines() if "guards" in line]
    assert "('0', '%s')" % place.tag in guards[0] and "('1s', '%s')" % place.tag in guards[1], run.printed()


def the_guard_is_set_once_for_each_migration(place):
    project = place.project()
    code = """
        def tell(execute, sql, *more):
            if "lock_timeout" in sql:
                print("guard", sql)
            return execute(sql, *more)
        def listen(apps, editor):
            editor.connection.execute_wrappers.append(tell)
    """
    project.migration("0002_a", "migrations.RunPython(listen)", code=code)
    for name in ("0003_b", "0004_c", "0005_d"):
        project.migration(name, sql("SELECT 1"))
    run = place.run()
    assert run.ended() == 0
    assert sum("guard" in line for line in run.printed().splitlines()) == 3, run.printed()


def what_a_killed_run_left_is_swept_before_the_next(place):
    watch, run = under_way(place, "SELECT pg_sleep(60)", holds=lambda it: "pg_sleep" in (it["doing"] or ""))
    watch.kill(signal.SIGKILL)  # and its lock with it
    run.kill(signal.SIGSTOP)  # a client that neither works nor is gone
    began = time.monotonic()
    after = place.watch(tag="ostler:%s:web1:r2" % place.app)[0]
    locked = after.ask("lock", "locked", 20)
    [swept] = locked["swept"]
    assert swept["application"] == place.tag and "pg_sleep" in swept["query"], locked
    place.note("swept %.2f s after its start" % (time.monotonic() - began))
    assert (
        place.server.psql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ostler:%s:%%'" % place.app, place.name
        )
        == "0"
    )


def a_killed_client_leaves_no_statement_running(place):
    watch, run = under_way(place, "SELECT pg_sleep(60)", holds=lambda it: "pg_sleep" in (it["doing"] or ""))
    run.kill(signal.SIGKILL)
    began = time.monotonic()
    watch.hear("look", where=lambda it: it["backends"] == 0)
    took = time.monotonic() - began
    place.note("its backend was gone after %.2f s" % took)
    assert took < 5, took
    clean(place, watch)


def backends_are_ended_where_their_client_is_dead(place):
    watch, run = under_way(place, "SELECT pg_sleep(60)", holds=lambda it: "pg_sleep" in (it["doing"] or ""))
    run.kill(signal.SIGKILL)
    began = time.monotonic()
    watch.ask("end_backends", "backends_gone")
    place.note("gone in %.2f s" % (time.monotonic() - began))
    clean(place, watch)


def steps_come_in_order_and_what_django_prints_comes_at_once(place):
    project = place.project()
    project.migration("0002_two", sql("SELECT 1", "SELECT pg_sleep(2)"))
    run = place.run()
    run.hear("step", where=lambda it: it["at"] == "operation" and it["number"] == 2)
    wait_until(lambda: run.printed().endswith("Applying shop.0002_two..."), 1.5, "the line before it is finished")
    steps = [{"event": "step", "at": "migration", "name": "shop.0002_two"}] + run.all()
    assert [it["at"] for it in steps] == ["migration", "committing", "applied", "after"], steps
    assert run.ended() == 0


def the_record_is_part_of_the_transaction(place):
    """Django records what has deferred SQL after the commit: whoever dies between leaves it unrecorded."""
    project = place.project()
    place.migrate()
    project.migration(
        "0002_key", 'migrations.AddField("order", "parent", models.ForeignKey("shop.Order", models.CASCADE, null=True))'
    )
    place.server.psql(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$; "
        "CREATE TRIGGER no BEFORE INSERT ON django_migrations FOR EACH ROW EXECUTE FUNCTION no()",
        place.name,
    )
    run = place.run()
    assert run.ended() == 1
    columns = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'parent_id'"
    assert place.server.psql(columns, place.name) == "0"
    place.server.psql("DROP TRIGGER no ON django_migrations", place.name)
    place.migrate()
    assert place.server.psql(columns, place.name) == "1"
    keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = 'shop_order'::regclass"
    assert place.server.psql(keys, place.name) == "1"


def a_run_beside_another_applies_nothing(place):
    project = place.project()
    place.migrate()
    hosts.nothing_is_applied_beside_another_run(place, project)


def a_run_goes_on_when_who_watches_it_is_replaced(place):
    project = place.project()
    place.migrate()
    hosts.a_run_goes_on_when_who_watches_it_is_replaced(place, project, "SELECT pg_sleep(2)")


def what_another_has_applied_meanwhile_is_not_told_as_the_runs_own(place):
    project = place.project()
    place.migrate()
    hosts.what_another_has_applied_meanwhile_is_not_told_as_the_runs_own(place, project, "SELECT pg_sleep(3)")


def what_was_applied_since_the_plan_is_not_applied_again(place):
    project = place.project()
    place.migrate()
    hosts.what_was_applied_since_the_plan_is_not_applied_again(place, project)


LAWS = [
    a_run_beside_another_applies_nothing,
    a_run_goes_on_when_who_watches_it_is_replaced,
    what_another_has_applied_meanwhile_is_not_told_as_the_runs_own,
    what_was_applied_since_the_plan_is_not_applied_again,
    a_statement_that_sleeps_is_cancelled_at_once,
    an_index_build_is_cancelled_at_once_and_its_progress_is_seen,
    an_alter_that_rewrites_is_cancelled_at_once,
    a_concurrent_index_that_is_cancelled_is_removed,
    a_run_that_computes_in_a_transaction_is_seen_idle_and_left_to_signals,
    the_lock_queue_is_seen_with_who_holds_it_and_who_waits_behind,
    a_lock_that_is_not_to_be_had_fails_as_one_within_its_time,
    a_migration_that_is_not_atomic_waits_for_locks_without_end,
    the_guard_is_set_once_for_each_migration,
    what_a_killed_run_left_is_swept_before_the_next,
    a_killed_client_leaves_no_statement_running,
    backends_are_ended_where_their_client_is_dead,
    steps_come_in_order_and_what_django_prints_comes_at_once,
    the_record_is_part_of_the_transaction,
]
