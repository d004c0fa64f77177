"""MariaDB: what a role that may not keep the table `ostler_migrations` is told, and that its migrations run all the same."""

from hosts import Host, steps
from laws_marker_mariadb import prepared
from maria import project
from mariadb import PASSWORD, Mariadb
from owed import STEP, written

SERVER = Mariadb
ROWS = "SELECT, INSERT, UPDATE, DELETE"


def narrow(place, made, *grants):
    """From now on the project's role has these rights and no other; `%s` stands for the database."""
    role = "narrow_%s" % place.name
    place.server.sql(
        "CREATE USER %s@localhost IDENTIFIED BY '%s'" % (role, PASSWORD),
        *("GRANT %s TO %s@localhost" % (it % place.name, role) for it in grants),
    )
    made.databases({"default": dict(place.server.settings(place.name), USER=role)})


def tables(place):
    return [row[0] for row in place.server.sql("SHOW TABLES", database=place.name)]


def where_no_table_may_be_made_it_is_said_before_the_run(place):
    made = prepared(place)
    steps(made, "0002_half", count=1)
    narrow(place, made, ROWS + " ON %s.*")
    one = Host(place, "web1")
    [warning] = one.begin()["warnings"]
    assert "ostler_migrations" in warning and "denied" in warning and "marker = false" in warning, warning
    assert "CREATE TABLE" in warning and "shop.0002_half" in warning, warning
    one.start()
    assert one.run.ended() == 0, one.run.printed()
    report = one.verify(one.locked["pending"], None, None, failed=False)
    assert report["recorded"] == ["shop.0002_half"] and report["leftovers"] == [], report
    assert "ostler_migrations" not in tables(place)


def nothing_owed(place):
    _, opened = place.watch()
    assert opened["owed"] is None and opened["pending"]["migrations"] == [], opened
    [warning] = [it for it in opened["warnings"] if "ostler_migrations" in it]
    assert "post_migrate" in warning and "marker = false" in warning and "CREATE TABLE" in warning, warning


def where_no_table_may_be_made_nothing_is_owed(place):
    """Else it would be owed again with each rollout, for nobody could keep that it is done."""
    made = prepared(place)
    written(place, 1)
    narrow(place, made, ROWS + " ON %s.*")
    nothing_owed(place)


def where_the_table_may_not_be_written_nothing_is_owed(place):
    made = prepared(place)
    made.migration("0002_note", STEP)
    written(place, 1)
    assert Host(place, "web1").deploy() is True and "ostler_migrations" in tables(place)
    written(place, 2)
    assert place.watch()[1]["owed"] == "new"
    grants = [ROWS + " ON %s." + it for it in tables(place) if it != "ostler_migrations"]
    narrow(place, made, "SELECT ON %s.ostler_migrations", *grants)
    nothing_owed(place)


def on_a_server_that_is_read_only_nothing_is_owed(place):
    with Mariadb() as follower:
        project(place, follower.database(place.name))
        place.migrate()
        written(place, 1)
        follower.sql("SET GLOBAL read_only = 1")
        nothing_owed(place)
        follower.sql("SET GLOBAL read_only = 0")
        assert place.watch()[1]["owed"] == "new"


LAWS = [
    where_no_table_may_be_made_it_is_said_before_the_run,
    where_no_table_may_be_made_nothing_is_owed,
    where_the_table_may_not_be_written_nothing_is_owed,
    on_a_server_that_is_read_only_nothing_is_owed,
]
