"""PostgreSQL: what a run that nothing undoes left is known to whoever has the lock next, on whichever host."""

import json
import signal

from hosts import Host, nothing_runs_twice, steps
from hosts import what_an_operation_has_committed_is_not_run_again as committed
from postgres import Postgres

SERVER = Postgres


def prepared(place):
    project = place.project()
    place.migrate()
    place.server.psql("CREATE TABLE done_once (name text)", place.name, user="shop")
    return project


def rows(place):
    return place.server.psql("SELECT name FROM done_once", place.name).splitlines()


def markers(place):
    there = place.server.psql("SELECT to_regclass('ostler_migrations')", place.name)
    return (
        place.server.psql("SELECT run, host, migration, state FROM ostler_migrations WHERE state <> 'done'", place.name)
        if there
        else ""
    )


def died_in(place, name, number, host="web1"):
    """A host that is dead in the middle of an operation."""
    one = Host(place, host)
    assert one.begin()["dirty"] is None
    one.start(slow=60, slow_from=number)
    one.step(at="operation", number=number)
    while len([it for it in rows(place) if it.startswith(name.partition(".")[2])]) < number:
        pass
    one.die()
    return one


def what_a_dead_host_left_half_done_is_refused_on_every_other(place):
    project = prepared(place)
    name = steps(project, "0002_half")
    died_in(place, name, 2)
    for host in ("web2", "web3"):
        other = Host(place, host)
        dirty = other.begin()["dirty"]
        assert (dirty["host"], dirty["migration"], dirty["release"]) == ("web1", name, place.folder), dirty
        assert dirty["since"].startswith("20") and "operation 2 of 3" in dirty["what"], dirty
        assert "0002_half --fake" in dirty["leftovers"][0]["remedy"], dirty
        other.leave()
    assert rows(place) == ["0002_half 1", "0002_half 2"]
    [said] = other.resolve()["cleared"]
    assert "web1" in said and "shop.0002_half" in said, said
    after = Host(place, "web4")
    assert after.begin()["dirty"] is None
    assert markers(place) == ""


def what_failed_halfway_is_refused_on_every_other(place):
    project = prepared(place)
    name = project.migration(
        "0002_half",
        'migrations.RunSQL("INSERT INTO done_once VALUES (1)"), migrations.RunSQL("this is no SQL")',
        atomic=False,
    )
    one, other = Host(place, "web1"), Host(place, "web2")
    pending = one.begin()["pending"]
    one.start()
    step = one.step(at="operation", number=2)
    assert one.run.ended() == 1
    report = one.verify(pending, name, step)
    assert report["marked"] and report["leftovers"], report
    one.leave()
    dirty = other.begin()["dirty"]
    assert dirty["host"] == "web1" and dirty["leftovers"] == report["leftovers"], (dirty, report)


def a_run_that_is_under_way_elsewhere_is_not_dirty(place):
    project = prepared(place)
    steps(project, "0002_slow")
    one, other = Host(place, "web1"), Host(place, "web2")
    pending = one.begin()["pending"]
    one.start(slow=1)
    one.step(at="operation", number=2)
    assert "under way" in markers(place), markers(place)
    other.orders = {"tag": "ostler:%s:web2:r0" % place.app, "host": "web2"}
    waiting, _ = place.watch(**other.orders)
    assert "web1" in waiting.ask("lock", "busy")["holder"]
    assert "web1" in other.resolve()["holder"]
    assert one.run.ended() == 0, one.run.printed()
    report = one.verify(pending, None, None, failed=False)
    assert report["leftovers"] == [] and not report["marked"], report
    assert markers(place) == ""
    one.leave()
    locked = waiting.hear("locked")
    assert locked["dirty"] is None and locked["pending"]["migrations"] == [], locked
    assert len(rows(place)) == 3


def what_died_before_it_did_anything_is_run_again(place):
    project = prepared(place)
    name = steps(project, "0002_first", count=1)
    steps(project, "0003_second", count=1)
    one = Host(place, "web1")
    one.begin()
    one.start(slow=0)
    one.step(at="migration", name="shop.0003_second")
    one.run.kill(signal.SIGSTOP)
    record = place.server.psql("SELECT count(*) FROM django_migrations WHERE name = '0003_second'", place.name)
    one.die()
    # It is stopped somewhere: where its row is, its operation has begun.
    begun = markers(place) != ""
    other = Host(place, "web2")
    locked = other.begin()
    if record == "0" and not begun and "0003_second 1" not in rows(place):
        assert locked["dirty"] is None, locked
        assert [it["name"] for it in locked["pending"]["migrations"]] == ["shop.0003_second"], (name, locked)
    assert "0002_first" not in str(locked["dirty"])


def where_no_table_may_be_made_it_is_said_before_the_run(place):
    project = prepared(place)
    place.server.psql("ALTER SCHEMA public OWNER TO root; REVOKE CREATE ON SCHEMA public FROM shop, public", place.name)
    steps(project, "0002_half", count=1)
    one = Host(place, "web1")
    [warning] = one.begin()["warnings"]
    assert "ostler_migrations" in warning and "permission denied" in warning and "marker = false" in warning, warning
    assert "CREATE TABLE" in warning and "shop.0002_half" in warning, warning
    one.start()
    assert one.run.ended() == 0, one.run.printed()


def without_a_marker_no_table_is_made(place):
    project = prepared(place)
    steps(project, "0002_half", count=1)
    one = Host(place, "web1")
    locked = one.begin(marker=False)
    assert locked["warnings"] == [] and locked["dirty"] is None, locked
    one.start()
    assert one.run.ended() == 0, one.run.printed()
    assert place.server.psql("SELECT to_regclass('ostler_migrations') IS NULL", place.name) == "t"


def a_transaction_needs_no_marker(place):
    project = prepared(place)
    steps(project, "0002_whole", atomic=True)
    one = Host(place, "web1")
    one.begin()
    one.start()
    assert one.run.ended() == 0, one.run.printed()
    assert place.server.psql("SELECT to_regclass('ostler_migrations') IS NULL", place.name) == "t"


def the_table_is_in_the_schema_of_the_records(place):
    project = prepared(place)
    place.server.psql(
        "CREATE SCHEMA first AUTHORIZATION shop; ALTER ROLE shop IN DATABASE %s SET search_path = first, public"
        % place.name,
        place.name,
    )
    steps(project, "0002_half", count=1)
    one = Host(place, "web1")
    one.begin()
    one.start()
    assert one.run.ended() == 0, one.run.printed()
    assert (
        place.server.psql("SELECT schemaname FROM pg_tables WHERE tablename = 'ostler_migrations'", place.name)
        == "public"
    )


def in_its_first_operation(place):
    """A host whose run goes on to two more."""
    steps(prepared(place), "0002_half", count=3)
    one = Host(place, "web1")
    one.begin()
    one.start(slow=5)
    one.step(at="operation", number=1)
    while not rows(place):
        pass
    return one


def a_run_whose_row_is_gone_stops_before_its_next_operation(place):
    one = in_its_first_operation(place)
    place.server.psql("DELETE FROM ostler_migrations", place.name)
    failed = one.run.hear("failed")
    assert "another server has taken over" in failed["message"], failed
    assert one.run.ended() == 1 and rows(place) == ["0002_half 1"], rows(place)


def what_an_operation_has_committed_is_not_run_again(place):
    project = prepared(place)
    committed(place, project, lambda: rows(place), atomic=False)


def a_run_that_another_server_has_judged_stops_and_leaves_the_judgement(place):
    one = in_its_first_operation(place)
    judged = json.dumps({"words": "half applied", "leftovers": []})
    place.server.psql(
        "UPDATE ostler_migrations SET state = 'dirty', step = '%s' WHERE state <> 'done'" % judged, place.name
    )
    failed = one.run.hear("failed")
    assert "another server has taken over" in failed["message"], failed
    assert one.run.ended() == 1 and rows(place) == ["0002_half 1"], rows(place)
    assert place.server.psql("SELECT step FROM ostler_migrations WHERE state = 'dirty'", place.name) == judged


def of_two_hosts_that_die_at_random_nothing_runs_twice(place):
    project = prepared(place)

    def forget(name):
        place.server.psql(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('shop', '%s', now())" % name.partition(".")[2],
            place.name,
        )

    nothing_runs_twice(place, project, lambda: rows(place), forget)


LAWS = [
    what_a_dead_host_left_half_done_is_refused_on_every_other,
    what_failed_halfway_is_refused_on_every_other,
    a_run_that_is_under_way_elsewhere_is_not_dirty,
    what_died_before_it_did_anything_is_run_again,
    where_no_table_may_be_made_it_is_said_before_the_run,
    without_a_marker_no_table_is_made,
    a_transaction_needs_no_marker,
    the_table_is_in_the_schema_of_the_records,
    a_run_whose_row_is_gone_stops_before_its_next_operation,
    a_run_that_another_server_has_judged_stops_and_leaves_the_judgement,
    what_an_operation_has_committed_is_not_run_again,
    of_two_hosts_that_die_at_random_nothing_runs_twice,
]
