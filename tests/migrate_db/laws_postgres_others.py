"""PostgreSQL: who is the run's and who is not, whatever they call themselves; maintenance and clients behind a run."""

import signal

from laws_postgres_run import CONCURRENTLY, clean, under_way, verified
from postgres import Postgres, wait_until

SERVER = Postgres
NAMES_ITSELF = """
from django.db.backends.signals import connection_created
def name(sender, connection, **_):
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('application_name', 'shop', false), set_config('lock_timeout', '9s', false)")
connection_created.connect(name, weak=False)
"""
SLEEPS = "SELECT pg_sleep(60)"


def is_asleep(look):
    return look["backends"] >= 1 and look["working"] and "pg_sleep" in (look["doing"] or "")


def renames(place, first):
    """A run that is no longer called as it was is seen, can be cancelled, and is swept."""
    watch, run = under_way(place, "migrations.RunSQL([%r, %r])" % (first, SLEEPS), holds=is_asleep)
    assert place.server.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = '%s'" % place.tag) == "0"
    assert watch.ask("cancel", "cancelled")["backends"] == 1
    assert run.hear("failed")["kind"] == "cancelled"
    assert run.ended() == 1
    watch.ask("end_backends", "backends_gone")
    clean(place, watch)


def a_run_that_resets_all_is_watched_and_ended(place):
    renames(place, "RESET ALL")


def a_run_that_takes_another_name_is_watched_and_ended(place):
    renames(place, "SET application_name = 'nightly'")


def a_run_that_has_discarded_everything_is_known_by_its_number(place):
    """Not even its locks are left then; but it was seen before."""
    operations = "migrations.RunSQL(%r), migrations.RunSQL(%r), migrations.RunSQL(%r)" % (
        "SELECT pg_sleep(1)",
        "DISCARD ALL",
        SLEEPS,
    )
    watch, run = under_way(place, operations, atomic=False, holds=lambda it: it["backends"] >= 1)
    watch.hear("look", where=is_asleep)
    assert watch.ask("cancel", "cancelled")["backends"] == 1
    assert run.ended() == 1


def an_app_that_names_its_connections_does_not_take_the_guards_away(place):
    project = place.project()
    project.write("shop/__init__.py", NAMES_ITSELF)
    code = """
        def look(apps, editor):
            with editor.connection.cursor() as cursor:
                cursor.execute("SELECT current_setting('lock_timeout'), current_setting('application_name')")
                print("guards", cursor.fetchone())
    """
    project.migration("0002_a", "migrations.RunPython(look)", code=code)
    project.migration("0003_b", "migrations.RunSQL(['RESET ALL', 'SELECT 1'])")
    project.migration("0004_c", "migrations.RunPython(look)", code=code)
    run = place.run()
    assert run.ended() == 0, run.printed()
    guards = [line for line in run.printed().splitlines() if "guards" in line]
    assert len(guards) == 2 and all("('1s', '%s')" % place.tag in line for line in guards), run.printed()


def what_a_renamed_run_left_is_swept_by_the_next(place):
    watch, run = under_way(place, 'migrations.RunSQL(["RESET ALL", %r])' % SLEEPS, holds=is_asleep)
    watch.kill(signal.SIGKILL)
    run.kill(signal.SIGSTOP)
    after = place.watch(tag="ostler:%s:web1:r2" % place.app)[0]
    [swept] = after.ask("lock", "locked", 20)["swept"]
    assert "pg_sleep" in swept["query"], swept


def maintenance_behind_a_run_is_named_and_no_harm(place):
    place.server.psql(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dba') THEN "
        "CREATE ROLE dba SUPERUSER LOGIN; END IF; END $$"
    )
    code = """
        def hold(apps, editor):
            import time
            editor.execute("LOCK TABLE shop_order IN ACCESS EXCLUSIVE MODE")
            editor.execute("SELECT pg_sleep(60)")
    """
    watch, run = under_way(
        place, "migrations.RunPython(hold)", code=code, holds=lambda it: "pg_sleep" in (it["doing"] or "")
    )
    with place.server.session(place.name, user="dba", name="psql") as vacuum, place.server.session(
        place.name, name="analyze"
    ) as analyze, place.server.session(place.name, user="dba", name="pg_dump") as dump, place.server.session(
        place.name
    ) as reader:
        vacuum.begin("VACUUM shop_order")
        analyze.begin("ANALYZE shop_order")
        dump.begin("BEGIN; LOCK TABLE shop_order IN ACCESS SHARE MODE")
        look = watch.hear("look", where=lambda it: len(it["maintenance"]) == 3)
        assert look["blocked"] == 0 and look["harm"] is None, look
        assert {it["application"] for it in look["maintenance"]} == {"psql", "analyze", "pg_dump"}, look
        reader.begin("SELECT name FROM shop_order")
        look = watch.hear("look", where=lambda it: it["blocked"])
        assert look["blocked"] == 1 and look["harm"] is not None and len(look["maintenance"]) == 3, look
        watch.ask("cancel", "cancelled")
        run.ended()


def other_clients_are_counted(place):
    watch, run = under_way(place, "SELECT pg_sleep(60)", holds=is_asleep)
    assert watch.look["clients"] == 0, watch.look
    with place.server.session(place.name):
        watch.hear("look", where=lambda it: it["clients"] == 1)
    run.kill(signal.SIGKILL)


def a_look_says_what_it_was_taken_of(place):
    watch, run = under_way(place, "SELECT pg_sleep(60)", holds=is_asleep)
    assert watch.look["place"] == 0
    watch.say("look", every_seconds=0.1, place=7)
    watch.hear("look", where=lambda it: it["place"] == 7)
    run.kill(signal.SIGKILL)


def work_between_two_looks_is_seen(place):
    code = """
        def batches(apps, editor):
            import time
            while True:
                editor.execute("SELECT 1")
                time.sleep(0.5)
    """
    watch, run = under_way(place, "migrations.RunPython(batches)", code=code, atomic=False)
    for _ in range(3):
        watch.hear("look", where=lambda it: it["working"] and it["backends"] >= 1)
        watch.hear("look", where=lambda it: not it["working"])
    run.kill(signal.SIGKILL)


def a_concurrent_index_that_waits_is_told_as_such(place):
    project = place.project()
    place.migrate()
    with place.server.session(place.name, name="report") as other:
        other.ask("BEGIN ISOLATION LEVEL REPEATABLE READ")
        other.ask("SELECT count(*) FROM shop_order")
        project.migration(
            "0002_long",
            'AddIndexConcurrently("order", models.Index(fields=["name"], name="shop_name"))',
            atomic=False,
            imports=CONCURRENTLY,
        )
        watch = place.locked()
        watch.say("look", every_seconds=0.1)
        run = place.run()
        look = watch.hear("look", where=lambda it: it["waiting"] and it["blockers"])
        assert look["concurrent"] and look["blocked"] == 0, look
        other.ask("COMMIT")
        assert run.ended() == 0, run.printed()


def broken_index(place, name, role="shop", database=None):
    """An invalid index of somebody's: what is unique twice."""
    place.server.psql("INSERT INTO shop_order (name, price) VALUES ('twice', 1), ('twice', 2)", place.name)
    place.server.psql(
        "CREATE UNIQUE INDEX CONCURRENTLY %s ON shop_order (name)" % name, place.name, user=role, check=False
    )


def an_invalid_index_of_somebody_else_is_none_of_ours(place):
    watch, run = under_way(
        place,
        'migrations.RunSQL("CREATE TABLE half ()"), migrations.RunSQL(%r)' % SLEEPS,
        atomic=False,
        holds=lambda it: it["backends"] >= 1,
    )
    broken_index(place, "their_index")
    run.kill(signal.SIGKILL)
    watch.ask("end_backends", "backends_gone")
    found = verified(
        place, watch, atomic=False, operations=2, at={"at": "operation", "number": 2, "of": 2, "words": "Raw SQL"}
    )
    assert not any("their_index" in it["what"] or "DROP INDEX" in it["remedy"] for it in found["leftovers"]), found
    assert place.server.psql("SELECT count(*) FROM pg_class WHERE relname = 'their_index'", place.name) == "1"


def an_index_that_somebody_else_builds_under_our_name_is_not_removed(place):
    """Seen by a role that may not see what others build."""
    place.server.psql(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dba') THEN "
        "CREATE ROLE dba SUPERUSER LOGIN; END IF; END $$"
    )
    project = place.project()
    place.migrate()
    project.migration(
        "0002_long",
        'AddIndexConcurrently("order", models.Index(fields=["name"], name="shop_name"))',
        atomic=False,
        imports=CONCURRENTLY,
    )
    with place.server.session(place.name, name="report") as old, place.server.session(
        place.name, user="dba", name="psql"
    ) as dba:
        watch = place.locked()
        watch.say("look", every_seconds=0.1)
        old.ask("BEGIN ISOLATION LEVEL REPEATABLE READ")
        old.ask("SELECT count(*) FROM shop_order")
        dba.begin("CREATE INDEX CONCURRENTLY shop_name ON shop_order (name)")
        there = "SELECT count(*) FROM pg_class WHERE relname = 'shop_name'"
        wait_until(lambda: place.server.psql(there, place.name) == "1", what="it is being built")
        run = place.run()
        watch.hear("look", where=lambda it: it["waiting"])
        assert watch.ask("cancel", "cancelled")["backends"] == 1
        run.ended()
        watch.ask("end_backends", "backends_gone")
        found = verified(place, watch, atomic=False, at={"at": "operation", "number": 1, "of": 1, "words": "Add"})
        assert found["leftovers"] == [], found
        assert place.server.psql(there, place.name) == "1"
        old.ask("COMMIT")


def an_invalid_index_of_our_own_name_in_another_schema_is_left_alone(place):
    project = place.project()
    place.migrate()
    project.migration(
        "0002_long",
        'AddIndexConcurrently("order", models.Index(fields=["name"], name="shop_name"))',
        atomic=False,
        imports=CONCURRENTLY,
    )
    watch = place.locked()
    watch.say("look", every_seconds=0.1)
    place.server.psql(
        "CREATE SCHEMA theirs; CREATE TABLE theirs.shop_order (name text); "
        "INSERT INTO theirs.shop_order VALUES ('a'), ('a')",
        place.name,
    )
    place.server.psql("CREATE UNIQUE INDEX CONCURRENTLY shop_name ON theirs.shop_order (name)", place.name, check=False)
    found = verified(place, watch, atomic=False, at={"at": "operation", "number": 1, "of": 1, "words": "Add"})
    assert found["leftovers"] == [], found
    assert place.server.psql("SELECT count(*) FROM pg_class WHERE relname = 'shop_name'", place.name) == "1"


LAWS = [
    a_run_that_resets_all_is_watched_and_ended,
    a_run_that_takes_another_name_is_watched_and_ended,
    a_run_that_has_discarded_everything_is_known_by_its_number,
    an_app_that_names_its_connections_does_not_take_the_guards_away,
    what_a_renamed_run_left_is_swept_by_the_next,
    maintenance_behind_a_run_is_named_and_no_harm,
    other_clients_are_counted,
    a_look_says_what_it_was_taken_of,
    work_between_two_looks_is_seen,
    a_concurrent_index_that_waits_is_told_as_such,
    an_invalid_index_of_somebody_else_is_none_of_ours,
    an_index_that_somebody_else_builds_under_our_name_is_not_removed,
    an_invalid_index_of_our_own_name_in_another_schema_is_left_alone,
]
