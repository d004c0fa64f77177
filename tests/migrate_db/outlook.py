"""What is foreseen before anything is run, for any kind of database: the laws of `laws_outlook` and those beside it."""

import subprocess

from program import source

REMOVE = 'migrations.RemoveField("order", "price")'
WITHOUT = """
from django.db import models
class Order(models.Model):
    name = models.CharField(max_length=40)
"""
# As a worker of the app tells it.
TELL = """
import sys
sys.path.insert(0, ".")
import django
django.setup()
from django.apps import apps
sys.stdout.write(told(of(apps)))
"""


def serving(place):
    """What the code that is there now would tell while it serves."""
    done = subprocess.run(
        [place.python, "-c", source("worker", "tables.py") + TELL],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=place.folder,
        env={"DJANGO_SETTINGS_MODULE": "site_of_shop.settings"},
    )
    assert done.returncode == 0, done.stderr
    return {"tables": done.stdout}


def foreseen(place, serving, **more):
    """What is foreseen with the lock, and when the database is opened."""
    watch, opened = place.watch(serving=serving, **more)
    locked = watch.ask("lock", "locked", 30)
    watch.say("quit")
    watch.ended()
    return opened["pending"].get("outlook"), locked["pending"].get("outlook")


def only(outlook):
    """The one thing that breaks."""
    [one] = outlook["breaks"]
    return one


def what_is_pending_is_held_against_the_code_that_serves(place, project):
    place.migrate()
    told = serving(place)
    project.migration("0002_remove", REMOVE)
    project.write("shop/models.py", WITHOUT)
    opened, locked = foreseen(place, told)
    assert opened == {"breaks": [], "untold": [], "locks": [], "known": True}, opened
    broken = only(locked)
    assert (broken["migration"], broken["table"], broken["column"], broken["model"], broken["certain"]) == (
        "shop.0002_remove",
        "shop_order",
        "price",
        "shop.Order",
        True,
    ), broken
    assert broken["operation"] == "Remove field price from order" and "in two releases" in broken["remedy"], broken
    assert foreseen(place, None) == (None, None)
    opened, locked = foreseen(place, {"tables": None})
    assert not locked["known"] and "is not known" in locked["untold"][0] and not locked["breaks"], locked
    assert foreseen(place, told, plan=True)[0]["breaks"] == [broken]
    # The old code and the new schema, in truth.
    place.migrate()
    assert foreseen(place, told) == (dict(opened, untold=[], known=True),) * 2


def code_that_is_older_than_the_database_is_held_against_its_tables(place, project):
    models = open(place.folder + "/shop/models.py", encoding="utf-8").read()
    place.migrate()
    project.migration(
        "0002_next",
        REMOVE
        + ", "
        + (
            'migrations.AddField("order", "vat", models.IntegerField(default=1)), '
            'migrations.AddField("order", "note", models.IntegerField(null=True))'
        ),
    )
    project.write(
        "shop/models.py",
        WITHOUT + "    vat = models.IntegerField(default=1)\n    note = models.IntegerField(null=True)\n",
    )
    place.migrate()
    told = serving(place)
    project.remove("0002_next")
    project.write("shop/models.py", models)
    older = foreseen(place, told)[0]
    assert sorted((it["what"], it["certain"], it["migration"]) for it in older["breaks"]) == [
        ("column price of shop_order is removed", True, None),
        ("column vat of shop_order takes no NULL and has no default in the database", True, None),
    ], older
    assert (
        "older than the database" in older["breaks"][0]["effect"] and "types and constraints" in older["untold"][0]
    ), older
    # What serves meets the same: nothing gets worse.
    assert foreseen(place, serving(place))[0]["breaks"] == []
    # What was added is no harm to code that does not know it.
    project.write("shop/models.py", WITHOUT + "    vat = models.IntegerField(default=1)\n")
    assert foreseen(place, told)[0]["breaks"] == []


def laws(project):
    """Both, on a new project of `project(place)`."""

    def named(law):
        def tried(place):
            law(place, project(place))

        tried.__name__ = law.__name__
        return tried

    return [
        named(what_is_pending_is_held_against_the_code_that_serves),
        named(code_that_is_older_than_the_database_is_held_against_its_tables),
    ]
