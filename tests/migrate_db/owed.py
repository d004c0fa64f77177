"""What hangs on `migrate` is done once for each code, on whichever host, for any kind of database: the laws of `laws_owed` and
those beside it."""

import json
import os
import signal
import subprocess

from hosts import Host
from project import SETTINGS

# What it does outlasts a rollback, and so does what a file beside it has it do.
RECEIVER = """
import os, time
from django.apps import AppConfig
def after(sender, using=None, **_):
    with open("done", "a") as file:
        file.write(using + "\\n")
    if os.path.exists("fails"):
        raise ValueError("a package's trigger")
    if os.path.exists("stays"):
        time.sleep(600)
class Shop(AppConfig):
    name = "shop"
    def ready(self):
        from django.db.models.signals import post_migrate
        post_migrate.connect(after, sender=self, weak=False)
"""
STEP = 'migrations.AddField("order", "note", models.CharField(max_length=9, null=True))'


def written(place, number):
    """Another release of it."""
    with open(os.path.join(place.folder, "shop", "apps.py"), "w", encoding="utf-8") as file:
        file.write(RECEIVER + "# release %d\n" % number)


def done(place):
    try:
        with open(os.path.join(place.folder, "done"), encoding="utf-8") as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def switch(place, name, on):
    path = os.path.join(place.folder, name)
    if on:
        open(path, "w", encoding="utf-8").close()
    else:
        os.unlink(path)


def opened(place, host="web1", **orders):
    """What a host is told before it has the lock."""
    watch, said = place.watch(tag="ostler:%s:%s:r0" % (place.app, host), host=host, **orders)
    watch.say("quit")
    watch.ended()
    return said


def migrated(host, dies=None, **orders):
    """A run as ostlerd drives it, pending or not; `dies` is done to the host in its post_migrate. What was told with the lock."""
    locked = host.begin(**orders)
    host.start()
    if dies:
        host.run.hear("step", where=lambda it: it["at"] == "after")
        dies(host)
        return locked
    failed = host.run.ended() != 0
    report = host.verify(locked["pending"], None, None, failed=failed)
    assert report["leftovers"] == [] and failed == os.path.exists(os.path.join(host.place.folder, "fails")), report
    host.leave()
    return locked


def laws(project):
    def once_for_each_code_on_whichever_host(place):
        project(place)
        written(place, 1)
        one, other = Host(place, "web1"), Host(place, "web2")
        assert len(migrated(one)["pending"]["migrations"]) == 1 and done(place) == ["default"]
        assert opened(place)["owed"] is None and opened(place, "web2")["owed"] is None
        written(place, 2)
        said = opened(place, "web2")
        assert said["owed"] == "new" and said["pending"]["migrations"] == [], said
        assert "post_migrate" not in str(said["warnings"]), said
        locked = migrated(other)
        assert locked["owed"] == "new" and locked["pending"]["migrations"] == [], locked
        assert done(place) == ["default"] * 2
        # Whoever has waited for the lock is told that nothing is owed any more.
        locked = one.begin()
        assert locked["owed"] is None and locked["pending"]["migrations"] == [], locked
        one.leave()
        # Of code that has had it that another has followed is told; it has it again, and then the other has not.
        written(place, 1)
        assert opened(place)["owed"] == "earlier"
        assert migrated(one)["owed"] == "earlier" and opened(place)["owed"] is None
        written(place, 2)
        assert opened(place)["owed"] == "earlier"

    def what_failed_after_the_last_migration_is_owed(place):
        made = project(place)
        written(place, 1)
        one, other = Host(place, "web1"), Host(place, "web2")
        migrated(one)
        made.migration("0002_note", STEP)
        switch(place, "fails", True)
        migrated(one)
        said = opened(place, "web2")
        assert said["owed"] == "new" and said["pending"]["migrations"] == [], said
        # Once more in vain: then with nothing pending from the beginning.
        migrated(other)
        assert opened(place)["owed"] == "new"
        switch(place, "fails", False)
        migrated(other)
        assert opened(place)["owed"] is None and done(place) == ["default"] * 4

    def what_was_cut_after_the_last_migration_is_owed(place):
        made = project(place)
        written(place, 1)
        migrated(Host(place, "web1"))
        made.migration("0002_note", STEP)
        switch(place, "stays", True)

        def the_run(host):
            host.run.kill(signal.SIGKILL)
            assert host.run.ended() == -signal.SIGKILL
            host.verify(host.locked["pending"], None, None, failed=True)
            host.leave()

        for dies in (Host.die, the_run, Host.die):
            said = migrated(Host(place, "web1"), dies=dies)
            assert said["owed"] == "new", said
            said = opened(place, "web2")
            assert said["owed"] == "new" and said["pending"]["migrations"] == [], said
        switch(place, "stays", False)
        other = Host(place, "web2")
        migrated(other)
        assert opened(place)["owed"] is None

    def code_that_has_migrations_again_is_owed_all_of_it(place):
        made = project(place)
        made.migration("0002_note", STEP)
        written(place, 1)
        one = Host(place, "web1")
        migrated(one)
        # Somebody takes one back by hand; the same code applies it again, and dies after it.
        back = [place.python, "manage.py", "migrate", "shop", "0001"]
        subprocess.run(back, cwd=place.folder, check=True, stdout=subprocess.DEVNULL, timeout=60)
        switch(place, "stays", True)
        migrated(one, dies=Host.die)
        assert opened(place, "web2")["owed"] == "new"

    def without_a_marker_nothing_is_owed(place):
        project(place)
        written(place, 1)
        migrated(Host(place, "web1"), marker=False)
        written(place, 2)
        said = opened(place, marker=False)
        assert said["owed"] is None and "post_migrate" not in str(said["warnings"]), said

    def each_alias_has_its_own(place):
        made = project(place)
        written(place, 1)
        with open(os.path.join(place.folder, "site_of_shop", "databases.json"), encoding="utf-8") as file:
            both = json.load(file)
        made.databases(dict(both, second=both["default"]))
        one = Host(place, "web1")
        migrated(one)
        assert opened(place)["owed"] is None
        said = opened(place, database={"alias": "second"})
        assert said["owed"] == "new" and said["pending"]["migrations"] == [], said
        migrated(one, database={"alias": "second"})
        assert done(place) == ["default", "second"]
        assert opened(place, database={"alias": "second"})["owed"] is None and opened(place)["owed"] is None

    def two_hosts_at_once_run_it_once(place):
        project(place)
        written(place, 1)
        one = Host(place, "web1")
        migrated(one)
        written(place, 2)
        one.begin()
        watch, said = place.watch(tag="ostler:%s:web2:r1" % place.app, host="web2")
        assert said["owed"] == "new"
        watch.say("lock")
        watch.hear("busy")
        one.start()
        assert one.run.ended() == 0, one.run.printed()
        one.verify(one.locked["pending"], None, None, failed=False)
        one.leave()
        locked = watch.hear("locked", 30)
        assert locked["owed"] is None and locked["pending"]["migrations"] == [], locked

    def an_app_that_djangos_checks_refuse_is_told_apart_and_is_no_matter_if_nothing_is_pending(place):
        made = project(place)
        made.write("site_of_shop/settings.py", SETTINGS + 'ROOT_URLCONF = "shop.urls"\n')
        made.write("shop/urls.py", "this is no Python\n")
        run = place.run()
        failed = run.hear("failed")
        assert failed["kind"] == "app" and failed["message"].startswith("before Django had begun to migrate: "), failed
        assert "urls.py" in failed["message"] + failed["traceback"] and run.ended() != 0, failed
        run = place.run(unchecked=True)
        assert run.ended() == 0, run.printed()

    return [
        once_for_each_code_on_whichever_host,
        what_failed_after_the_last_migration_is_owed,
        what_was_cut_after_the_last_migration_is_owed,
        code_that_has_migrations_again_is_owed_all_of_it,
        without_a_marker_nothing_is_owed,
        each_alias_has_its_own,
        two_hosts_at_once_run_it_once,
        an_app_that_djangos_checks_refuse_is_told_apart_and_is_no_matter_if_nothing_is_pending,
    ]
