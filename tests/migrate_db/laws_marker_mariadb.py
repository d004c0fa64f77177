"""MariaDB, which undoes no migration: what one left is known to whoever has the lock next, on whichever host."""

from hosts import Host, nothing_runs_twice, steps
from hosts import what_an_operation_has_committed_is_not_run_again as committed
from maria import project
from mariadb import Mariadb

SERVER = Mariadb


def prepared(place):
    made = project(place)
    place.migrate()
    place.server.sql("CREATE TABLE done_once (name varchar(100))", database=place.name)
    return made


def rows(place):
    return [row[0] for row in place.server.sql("SELECT name FROM done_once", database=place.name)]


def markers(place):
    return place.server.sql(
        "SELECT host, migration, state FROM ostler_migrations WHERE state <> 'done'", database=place.name
    )


def what_failed_halfway_is_refused_on_every_other(place):
    made = prepared(place)
    made.migration("0002_whole", 'migrations.AddField("order", "a", models.IntegerField(null=True))')
    name = made.migration(
        "0003_half",
        'migrations.AddField("order", "b", models.IntegerField(null=True)), migrations.RunSQL("this is no SQL")',
    )
    one, other = Host(place, "web1"), Host(place, "web2")
    pending = one.begin()["pending"]
    one.start()
    step = one.step(at="operation", words="Raw SQL operation")
    assert one.run.ended() == 1
    report = one.verify(pending, name, step)
    assert report["recorded"] == ["shop.0002_whole"] and report["marked"], report
    one.leave()
    for _ in range(2):
        dirty = other.begin()["dirty"]
        assert (dirty["host"], dirty["migration"]) == ("web1", name), dirty
        assert "DROP COLUMN" in dirty["leftovers"][0]["remedy"], dirty
        other.leave()
    assert len(other.resolve()["cleared"]) == 1
    assert other.begin()["dirty"] is None


def what_a_dead_host_left_half_done_is_refused_on_every_other(place):
    made = prepared(place)
    name = steps(made, "0002_half", atomic=True)
    one, other = Host(place, "web1"), Host(place, "web2")
    one.begin()
    one.start(slow=60, slow_from=2)
    one.step(at="operation", number=2)
    one.die()
    dirty = other.begin()["dirty"]
    assert (dirty["host"], dirty["migration"]) == ("web1", name) and dirty["leftovers"], dirty
    other.leave()
    assert rows(place) == ["0002_half 1"]  # the second was in a transaction of its own


def what_an_operation_has_committed_is_not_run_again(place):
    made = prepared(place)
    committed(place, made, lambda: rows(place), atomic=True)


def a_run_that_ends_well_leaves_no_row(place):
    made = prepared(place)
    for number in range(2, 5):
        steps(made, "%04d_whole" % number, count=2, atomic=True)
    assert Host(place, "web1").deploy() is True
    assert markers(place) == [] and len(rows(place)) == 6


def of_two_hosts_that_die_at_random_nothing_runs_twice(place):
    made = prepared(place)

    def forget(name):
        place.server.sql(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('shop', '%s', now())" % name.partition(".")[2],
            database=place.name,
        )

    nothing_runs_twice(place, made, lambda: rows(place), forget)


LAWS = [
    what_failed_halfway_is_refused_on_every_other,
    what_a_dead_host_left_half_done_is_refused_on_every_other,
    what_an_operation_has_committed_is_not_run_again,
    a_run_that_ends_well_leaves_no_row,
    of_two_hosts_that_die_at_random_nothing_runs_twice,
]
