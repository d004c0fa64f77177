"""PostgreSQL: what a run left, servers that go away, commands that are not Django's."""

import os
import select
import signal
import time
import urllib.parse

from laws_postgres_run import index, sql, under_way, verified
from postgres import PASSWORD, Postgres

SERVER = Postgres


def failing(place, operations, **more):
    """A watched run of a migration that fails; the watching program, what it said and its last step."""
    project = place.project()
    place.migrate()
    project.migration("0002_long", operations, **more)
    watch = place.locked()
    watch.say("look", every_seconds=0.1)
    watch.hear("look")
    run = place.run()
    heard = run.all()
    assert run.ended() == 1, run.printed()
    steps = [it for it in heard if it["event"] == "step"]
    return watch, heard[-1], steps[-1]


def a_failed_atomic_migration_leaves_nothing(place):
    watch, failed, step = failing(place, sql("CREATE TABLE half ()", "SELECT 1/0"))
    assert failed["kind"] == "migration" and "division by zero" in failed["message"], failed
    assert "operation 2 of 2" in failed["message"], failed
    found = verified(place, watch, at=step)
    assert (found["recorded"], found["leftovers"], found["unverified"]) == ([], [], None), found


def operations_that_are_applied_and_not_recorded_are_named(place):
    watch, failed, step = failing(place, sql("CREATE TABLE half ()", "SELECT 1/0"), atomic=False)
    [left] = verified(place, watch, at=step, atomic=False)["leftovers"]
    for word in ("operation before it is applied", "operation 2 of 2"):
        assert word in left["what"], left
    assert "migrate shop 0002_long --fake" in left["remedy"] and not left["removed"], left


def the_first_operation_of_a_migration_that_is_not_atomic_leaves_nothing_where_it_is_one_statement(place):
    watch, failed, step = failing(place, sql("SELECT 1/0"), atomic=False)
    assert verified(place, watch, at=step, atomic=False)["leftovers"] == []


def python_outside_a_transaction_may_be_half_done(place):
    code = """
        def fill(apps, editor):
            editor.execute("INSERT INTO shop_order (name, price) VALUES ('x', 1)")
            raise ValueError("half way")
    """
    watch, failed, step = failing(place, "migrations.RunPython(fill)", code=code, atomic=False)
    assert "half way" in failed["message"], failed
    [left] = verified(place, watch, at=step, atomic=False)["leftovers"]
    assert "a part of it may be done" in left["what"], left


def what_is_applied_and_not_recorded_is_told_with_its_remedy(place):
    project = place.project()
    place.migrate()
    place.server.psql(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$; "
        "CREATE TRIGGER no BEFORE INSERT ON django_migrations FOR EACH ROW EXECUTE FUNCTION no()",
        place.name,
    )
    project.migration("0002_long", sql("CREATE TABLE whole ()"), atomic=False)
    watch = place.locked()
    watch.say("look", every_seconds=0.1)
    watch.hear("look")
    heard = place.run().all()
    assert heard[-2]["at"] == "recording", heard
    [left] = verified(place, watch, at=heard[-2], atomic=False)["leftovers"]
    assert left["what"] == "applied but not recorded", left
    assert left["remedy"] == "python manage.py migrate shop 0002_long --fake", left


def an_invalid_index_that_was_there_before_is_not_ours(place):
    project = place.project()
    place.migrate()
    place.server.psql("INSERT INTO shop_order (name, price) VALUES ('a', 1), ('a', 1)", place.name)
    try:
        place.server.psql("CREATE UNIQUE INDEX CONCURRENTLY old ON shop_order (name)", place.name)
    except AssertionError as error:
        assert "could not create unique index" in str(error), error
    assert index(place, "old") == "f"
    # Two operations: what is left of them is a person's to remove.
    project.migration(
        "0002_long",
        sql("CREATE UNIQUE INDEX CONCURRENTLY fresh ON shop_order (price)") + ", " + sql("SELECT 1"),
        atomic=False,
    )
    watch = place.locked()
    watch.say("look", every_seconds=0.1)
    watch.hear("look")
    run = place.run()
    step = [it for it in run.all() if it["event"] == "step"][-1]
    [left] = verified(place, watch, at=step, atomic=False, operations=2)["leftovers"]
    assert "fresh" in left["what"] and left["remedy"] == "DROP INDEX CONCURRENTLY public.fresh;", left
    assert not left["removed"] and index(place, "fresh") == "f" and index(place, "old") == "f"
    # Whoever verifies a run that another watched knows nothing of before: what the migration itself names is its own.
    watch.say("quit")
    after = place.locked(tag="ostler:%s:web1:r2" % place.app)
    named = " ".join(it["what"] for it in verified(place, after, atomic=False)["leftovers"])
    assert "fresh" in named and "old" not in named, named


def a_run_that_is_done_is_recorded(place):
    project = place.project()
    name = project.migration("0002_long", sql("SELECT 1"))
    watch = place.locked()
    place.migrate()
    pending = watch.locked["pending"]
    found = watch.ask(
        "verify", "verified", pending=pending, migration=name, at={"at": "applied", "seconds": 0.1}, failed=False
    )
    assert found["recorded"] == ["shop.0001_initial", "shop.0002_long"] and found["leftovers"] == [], found


def with_a_server_of_its_own(law):
    def tried(place):
        with Postgres() as place.server:
            law(place)

    tried.__name__ = law.__name__
    return tried


@with_a_server_of_its_own
def a_server_that_restarts_in_the_middle_is_found_again_and_verified(place):
    watch, run = under_way(place, "SELECT pg_sleep(60)", holds=lambda it: "pg_sleep" in (it["doing"] or ""))
    place.server.stop(signal.SIGINT)
    place.server.start()
    failed = run.hear("failed")
    assert failed["kind"] == "connection", failed
    began = time.monotonic()
    watch.hear("look", where=lambda it: it["backends"] == 0)
    place.note("looked again %.2f s after the failure" % (time.monotonic() - began))
    found = verified(place, watch)
    assert (found["backends"], found["recorded"], found["leftovers"]) == (0, [], []), found
    other = place.watch(tag="ostler:%s:web2:r7" % place.app)[0]
    other.say("lock")
    assert other.hear("busy")["holder"].startswith("web1 ")  # the lock is ours again


def the_lock_is_ours_again_before_anything_is_told(place):
    watch, _ = under_way(place, "SELECT pg_sleep(60)", holds=lambda it: "pg_sleep" in (it["doing"] or ""))
    watch.say("look", every_seconds=0.05)
    mine = "FROM pg_stat_activity WHERE application_name LIKE 'ostler-watch:%s:%%'" % place.app
    for _ in range(5):
        ended = place.server.psql(
            "SELECT string_agg(pid::text, ',') FROM (SELECT pid, pg_terminate_backend(pid) %s) it" % mine
        )
        while place.server.psql("SELECT count(*) FROM pg_stat_activity WHERE pid IN (%s)" % ended) != "0":
            time.sleep(0.01)
        while select.select([watch.control], [], [], 0)[0]:
            watch.read(0)
        watch.events.clear()
        watch.hear("look")  # it may have been asked before the end
        watch.hear("look")
        held = place.server.psql(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 "
            "AND pid IN (SELECT pid %s)" % mine
        )
        assert held == "2", held


@with_a_server_of_its_own
def a_server_that_stays_away_ends_the_watch_in_words(place):
    watch, run = under_way(place, "SELECT pg_sleep(60)", holds=lambda it: "pg_sleep" in (it["doing"] or ""))
    began = time.monotonic()
    place.server.stop(signal.SIGQUIT)
    assert run.hear("failed")["kind"] == "connection"
    failed = [it for it in watch.all() if it["event"] == "failed"]
    assert failed[0]["kind"] == "unreachable" and "refused" in failed[0]["message"], failed
    assert watch.ended() == 1
    place.note("given up after %.1f s" % (time.monotonic() - began))


@with_a_server_of_its_own
def a_server_that_stands_still_ends_the_watch_in_words(place):
    place.project()
    watch = place.locked()
    pid = int(
        place.server.psql(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'ostler-watch:%' "
            "ORDER BY backend_start DESC LIMIT 1"
        )
    )

    os.kill(pid, signal.SIGSTOP)
    watch.say("look", every_seconds=0.1)
    failed = [it for it in watch.all() if it["event"] == "failed"]
    os.kill(pid, signal.SIGCONT)
    assert failed[0]["kind"] == "unreachable" and "does not answer" in failed[0]["message"], failed
    assert watch.ended() == 1


def url_of(place, scheme="postgresql"):
    return "%s://shop:%s@127.0.0.1:%d/%s" % (scheme, urllib.parse.quote(PASSWORD), place.server.port, place.name)


def another_tool_is_watched_by_its_url(place):
    place.server.database(place.name)
    other = {"database": {"url": url_of(place, "postgresql+asyncpg")}, "command": "other"}
    watch, opened = place.watch(**other)
    assert opened["pending"] is None and dict(opened["guards"])["lock_timeout"] == "1s", opened
    place.server.psql("CREATE TABLE alembic_version (version_num text); CREATE TABLE t (a int)", place.name, "shop")
    watch.ask("lock", "locked")
    watch.say("look", every_seconds=0.1)
    with place.server.session(place.name, name=place.tag) as tool:
        tool.begin("SELECT pg_sleep(60)")
        watch.hear("look", where=lambda it: "pg_sleep" in (it["doing"] or ""))
        assert watch.ask("cancel", "cancelled")["backends"] == 1
        watch.hear("look", where=lambda it: it["backends"] == 1 and not it["working"])
        watch.ask("end_backends", "backends_gone")
    judged = watch.ask("verify", "verified", pending=None, migration=None, at=None, failed=True)
    assert (judged["recorded"], judged["leftovers"], judged["unverified"]) == (None, [], None), judged
    place.server.psql("ALTER TABLE t ADD b int", place.name)
    judged = watch.ask("verify", "verified", pending=None, migration=None, at=None, failed=True)
    assert "no longer what it was" in judged["unverified"], judged


def what_cannot_be_known_of_a_tool_is_said(place):
    place.server.database(place.name)
    watch = place.locked(database={"url": url_of(place)}, command="other")
    watch.say("look", every_seconds=0.1)
    watch.hear("look")
    judged = watch.ask("verify", "verified", pending=None, migration=None, at=None, failed=True)
    assert "nobody can tell" in judged["unverified"], judged
    judged = watch.ask("verify", "verified", pending=None, migration=None, at=None, failed=False)
    assert judged["unverified"] is None, judged


def a_wrong_url_is_refused_without_its_password(place):
    place.server.database(place.name)
    failed = place.refused(database={"url": url_of(place).replace("open", "shut")}, command="other")
    assert failed["kind"] == "unreachable" and "password authentication failed" in failed["message"], failed
    assert "sesame" not in str(failed), failed
    failed = place.refused(database={"url": "oracle://a:sesame@b/c"}, command="other")
    assert failed["kind"] == "app" and "oracle://" in failed["message"] and "sesame" not in str(failed), failed


LAWS = [
    a_failed_atomic_migration_leaves_nothing,
    operations_that_are_applied_and_not_recorded_are_named,
    the_first_operation_of_a_migration_that_is_not_atomic_leaves_nothing_where_it_is_one_statement,
    python_outside_a_transaction_may_be_half_done,
    what_is_applied_and_not_recorded_is_told_with_its_remedy,
    an_invalid_index_that_was_there_before_is_not_ours,
    a_run_that_is_done_is_recorded,
    a_server_that_restarts_in_the_middle_is_found_again_and_verified,
    the_lock_is_ours_again_before_anything_is_told,
    a_server_that_stays_away_ends_the_watch_in_words,
    a_server_that_stands_still_ends_the_watch_in_words,
    another_tool_is_watched_by_its_url,
    what_cannot_be_known_of_a_tool_is_said,
    a_wrong_url_is_refused_without_its_password,
]
