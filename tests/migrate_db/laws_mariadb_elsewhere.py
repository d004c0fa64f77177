"""MariaDB: which entries of DATABASES that nobody migrates are named, and that none is named that leads where another does."""

import os

from maria import project
from mariadb import PASSWORD, Mariadb

SERVER = Mariadb
ADD = 'migrations.AddField("order", "a", models.IntegerField(null=True))'


def others_of(place, entries, migrated=("default",)):
    place.made.databases(entries)
    return place.watch(migrated=list(migrated))[1]["seen"]["others"]


def prepared(place):
    """The settings of the one that is migrated, which lacks a migration, and of another that lacks two."""
    place.made = project(place)
    place.migrate()
    place.made.migration("0002_add", ADD)
    name = "%s_reports" % place.name
    return place.server.settings(place.name), place.server.database(name)


def another_database_of_the_same_server_is_named(place):
    default, reports = prepared(place)
    assert others_of(place, {"default": default, "reports": reports}) == [{"name": "reports", "pending": 2}]
    both = {"default": default, "reports": reports}
    assert others_of(place, both, ("default", "reports")) == []
    place.run(database={"alias": "reports"}).ended()
    assert others_of(place, both) == []


def another_way_to_the_same_database_is_not_named(place):
    default, reports = prepared(place)
    link = os.path.join(place.folder, "s")
    os.symlink(place.server.socket, link)
    place.server.sql(
        "CREATE USER reader_%s@localhost IDENTIFIED BY '%s'" % (place.name, PASSWORD),
        "GRANT SELECT ON %s.* TO reader_%s@localhost" % (place.name, place.name),
    )
    entries = {
        "default": default,
        "replica": dict(default, TEST={"MIRROR": "default"}),
        "same": dict(default),
        "linked": dict(default, OPTIONS=dict(default["OPTIONS"], unix_socket=link)),
        "reader": dict(default, USER="reader_%s" % place.name),
    }
    assert others_of(place, entries) == []
    # Two ways to one that nobody migrates are one.
    entries.update(
        reports=reports,
        reports_linked=dict(reports, OPTIONS=dict(reports["OPTIONS"], unix_socket=link)),
        reports_mirror=dict(reports, TEST={"MIRROR": "reports"}),
    )
    assert others_of(place, entries) == [{"name": "reports", "pending": 2}]


def a_server_that_follows_another_is_not_named(place):
    """Its records come from the one that it follows."""
    default, _ = prepared(place)
    with Mariadb() as follower:
        entries = {"default": default, "replica": follower.database(place.name)}
        follower.sql("SET GLOBAL read_only = 1")
        assert others_of(place, entries) == []
        follower.sql("SET GLOBAL read_only = 0")
        assert others_of(place, entries) == [{"name": "replica", "pending": 2}]


def where_the_migrated_one_does_not_answer_nothing_is_called_another(place):
    """It may be the same by another way."""
    default, reports = prepared(place)
    gone = dict(default, OPTIONS=dict(default["OPTIONS"], unix_socket=place.folder + "/gone"))
    entries = {"default": default, "gone": gone, "reports": reports}
    assert others_of(place, entries, ("default", "gone")) == []
    assert others_of(
        place,
        dict(entries, gone={"ENGINE": "django.db.backends.sqlite3", "NAME": place.folder + "/other"}),
        ("default", "gone"),
    ) == [{"name": "reports", "pending": 2}]


LAWS = [
    another_database_of_the_same_server_is_named,
    another_way_to_the_same_database_is_not_named,
    a_server_that_follows_another_is_not_named,
    where_the_migrated_one_does_not_answer_nothing_is_called_another,
]
