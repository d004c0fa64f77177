"""Two hosts on one database, each driven as ostlerd drives it, and migrations that nothing undoes."""

import contextlib
import copy
import os
import random
import signal
import time

# Each operation leaves a row, committed at once: done twice it leaves two.
CODE = """
    import os, time
    def done(number):
        def done(apps, editor):
            with editor.connection.cursor() as cursor:
                cursor.execute("INSERT INTO done_once (name) VALUES ('%s %d')" % (NAME, number))
            if number >= int(os.environ.get("SLOW_FROM", "1")):
                time.sleep(float(os.environ.get("SLOW", "0")))
        return done
"""


def steps(project, name, count=3, atomic=False):
    """A migration of so many operations; its name."""
    operations = ", ".join("migrations.RunPython(done(%d))" % number for number in range(1, count + 1))
    return project.migration(name, operations, atomic=atomic, code="NAME = %r\n" % name + CODE.replace("\n    ", "\n"))


class Host:
    """One of them: its own name; the project is the same."""

    def __init__(self, place, name):
        # A stack of its own: a thousand programs are more descriptors than one process has.
        self.place, self.name, self.runs = copy.copy(place), name, 0
        self.place.stack = place.stack.enter_context(contextlib.ExitStack())
        self.watch = self.run = self.locked = None

    def begin(self, **more):
        """Has the lock: what it was told then. Others of its programs are dead."""
        self.place.stack.close()
        self.runs += 1
        tag = "ostler:%s:%s:r%d" % (self.place.app, self.name, self.runs)
        self.orders = dict(tag=tag, host=self.name, **more)
        self.watch, _ = self.place.watch(**self.orders)
        self.locked = self.watch.ask("lock", "locked", 60)
        return self.locked

    def start(self, slow=0.0, slow_from=1):
        self.watch.say("look", every_seconds=0.1)
        self.run = self.place.run(environment={"SLOW": str(slow), "SLOW_FROM": str(slow_from)}, **self.orders)
        return self.run

    def step(self, **fields):
        return self.run.hear("step", where=lambda it: all(it.get(key) == value for key, value in fields.items()))

    def die(self):
        """The whole host at once."""
        for program in (self.watch, self.run):
            if program is not None and program.running():
                program.kill(signal.SIGKILL)
                program.ended()

    def verify(self, pending, name, step, failed=True):
        self.watch.ask("end_backends", "backends_gone", 60)
        at = {key: value for key, value in step.items() if key != "event"} if step else None
        return self.watch.ask("verify", "verified", pending=pending, migration=name, at=at, failed=failed)

    def leave(self):
        self.watch.say("quit")
        assert self.watch.ended() == 0, self.watch.printed()

    def resolve(self):
        watch, _ = self.place.watch(**self.orders)
        said = watch.ask("resolve", "resolved")
        watch.say("quit")
        watch.ended()
        return said

    def deploy(self, kill_after=None):
        """One deployment: `dirty` as it was told, or whether all is applied; dies after so many seconds, where said."""
        locked = self.begin()
        if locked["dirty"]:
            self.leave()
            return locked["dirty"]
        if not locked["pending"]["migrations"]:
            self.leave()
            return True
        run, name, step = self.start(slow=0.15), None, None
        if kill_after is not None:
            self.step(at="migration")
            limit = time.monotonic() + kill_after
        while run.running() or run.events:
            run.read(0.01)
            for event in run.events:
                if event["event"] == "step":
                    name, step = event.get("name", name), event
            run.events.clear()
            if kill_after is not None and time.monotonic() > limit:
                self.die()
                return False
        report = self.verify(locked["pending"], name, step, failed=run.ended() != 0)
        assert report["leftovers"] == [] and len(report["recorded"]) == len(locked["pending"]["migrations"]), report
        self.leave()
        return True


def nothing_runs_twice(place, project, rows, forget):
    """Two hosts deploy in turns and die at random moments; `rows()` are the names of what was done, `forget(name)` puts
    right by hand what is half done: it is applied, whatever it did."""
    seed = random.SystemRandom().randrange(10**9)
    place.note("the moments are drawn from %d" % seed)
    drawn = random.Random(seed)
    hosts = [Host(place, "web1"), Host(place, "web2")]
    rounds, dirty = place.rounds(4), 0
    for number in range(1, rounds + 1):
        name = steps(project, "%04d_round" % (number + 1))
        dies = drawn.uniform(0.0, 0.6)
        for turn in range(4):
            said = hosts[(number + turn) % 2].deploy(kill_after=dies if turn == 0 else None)
            if said is True:
                break
            if said:
                dirty += 1
                assert said["migration"] == name and said["host"] == hosts[number % 2].name, said
                forget(name)
                assert hosts[(number + turn) % 2].resolve()["cleared"]
        done = rows()
        assert len(done) == len(set(done)), done
    place.note("%d rounds, %d of them dirty" % (rounds, dirty))


# As long as this file is not there.
WAITS = """
import os, time
def waits(apps, editor):
    while not os.path.exists(%r):
        time.sleep(0.02)
"""


def nothing_is_applied_beside_another_run(place, project):
    """Of two runs, neither of which any lock holds back, one applies."""
    go = os.path.join(place.folder, "go")
    project.migration("0002_long", "migrations.RunPython(waits)", atomic=False, code=WAITS % go)
    one = place.run()
    one.hear("step", where=lambda it: it["at"] == "operation")
    other = place.run(tag="ostler:%s:web2:r1" % place.app, host="web2")
    failed = other.hear("failed")
    assert failed["kind"] == "lock" and "another server" in failed["message"], failed
    assert other.ended() == 1, other.printed()
    with open(go, "x"):
        pass
    assert one.ended() == 0, one.printed()
    os.unlink(go)
    # Also who has nothing to apply waits for the end of the other.
    project.migration("0003_long", "migrations.RunPython(waits)", atomic=False, code=WAITS % go)
    one = place.run()
    one.hear("step", where=lambda it: it["at"] == "operation")
    project.remove("0003_long")
    other = place.run(tag="ostler:%s:web2:r2" % place.app, host="web2")
    assert other.hear("failed")["kind"] == "lock"
    assert other.ended() == 1, other.printed()
    with open(go, "x"):
        pass
    assert one.ended() == 0, one.printed()


def a_run_goes_on_when_who_watches_it_is_replaced(place, project, sleeps):
    """`sleeps` is SQL. Who watches is killed; the next one has the lock, and ends nothing."""
    project.migration("0002_long", 'migrations.RunSQL("%s"), migrations.RunSQL("%s")' % (sleeps, sleeps), atomic=False)
    first = place.locked()
    run = place.run()
    run.hear("step", where=lambda it: it["at"] == "operation")
    first.kill(signal.SIGKILL)
    first.ended()
    second, _ = place.watch()
    assert second.ask("lock", "locked", 60, resumes=True)["swept"] == []
    assert run.ended() == 0, run.printed()
    pending = first.locked["pending"]
    report = second.ask("verify", "verified", pending=pending, migration=None, at=None, failed=False)
    assert report["leftovers"] == [] and report["recorded"] == ["shop.0002_long"], report


def what_another_has_applied_meanwhile_is_not_told_as_the_runs_own(place, project, sleeps):
    """It dies in the second of three, which another server applies before anybody has looked, and the third as well."""
    project.migration("0002_own", 'migrations.RunSQL("SELECT 1")')
    project.migration("0003_long", 'migrations.RunSQL("%s")' % sleeps)
    project.migration("0004_last", 'migrations.RunSQL("SELECT 1")')
    watch = place.locked()
    run = place.run()
    run.hear("step", where=lambda it: it["at"] == "migration" and it["name"] == "shop.0003_long")
    step = run.hear("step", where=lambda it: it["at"] == "operation")
    run.kill(signal.SIGKILL)
    run.ended()
    watch.ask("end_backends", "backends_gone", 60)
    place.migrate()
    at = {key: value for key, value in step.items() if key != "event"}
    report = watch.ask(
        "verify", "verified", pending=watch.locked["pending"], migration="shop.0003_long", at=at, failed=True
    )
    assert report["leftovers"] == [] and report["recorded"] == ["shop.0002_own"], report


# What Django calls after the commit is the app's own: it may take its time, and it may fail.
COMMITTED = """
import os, time
from django.db import transaction
def after():
    time.sleep(float(os.environ.get("SLOW", "0")))
    raise ValueError("mail is down")
def insert(apps, editor):
    with editor.connection.cursor() as cursor:
        cursor.execute("INSERT INTO done_once (name) VALUES ('once')")
    transaction.on_commit(after, using=editor.connection.alias)
"""


def what_an_operation_has_committed_is_not_run_again(place, project, rows, atomic):
    """In a transaction of its own, which has ended: the run dies there, or fails there, and nobody takes it for undone."""
    one, other = Host(place, "web1"), Host(place, "web2")
    insert, more = "migrations.RunPython(insert, atomic=True)", "migrations.RunPython(migrations.RunPython.noop)"
    for number, (operations, dies) in enumerate(
        [(insert, True), (insert + ", " + more, True), (insert, False), (insert + ", " + more, False)], 1
    ):
        name = project.migration("0002_data", operations, atomic=atomic, code=COMMITTED, after="0001_initial")
        pending = one.begin()["pending"]
        one.start(slow=60 if dies else 0)
        step = one.step(at="operation", number=1)
        if dies:
            limit = time.monotonic() + 60
            while len(rows()) < number:
                assert time.monotonic() < limit and one.run.running(), one.run.printed()
            one.die()
        else:
            assert one.run.ended() == 1
            [left] = one.verify(pending, name, step)["leftovers"]
            assert "--fake" in left["remedy"], left
            one.leave()
        dirty = other.begin()["dirty"]
        assert dirty and (dirty["host"], dirty["migration"]) == ("web1", name), dirty
        assert "--fake" in dirty["leftovers"][0]["remedy"], dirty
        other.leave()
        assert len(rows()) == number, rows()
        assert other.resolve()["cleared"]
        project.remove("0002_data")


# Between Django's plan and its first migration.
HELD = """
import os, time
from django.apps import AppConfig
def before(**_):
    if os.environ.get("HELD"):
        open("held", "w").close()
        while os.path.exists("held"):
            time.sleep(0.02)
class Shop(AppConfig):
    name = "shop"
    def ready(self):
        from django.db.models.signals import pre_migrate
        pre_migrate.connect(before, sender=self, weak=False)
"""


def what_was_applied_since_the_plan_is_not_applied_again(place, project):
    project.write("shop/apps.py", HELD)
    project.migration("0002_held", 'migrations.RunSQL("SELECT 1")')
    held = os.path.join(place.folder, "held")
    late = place.run(environment={"HELD": "1"})
    limit = time.monotonic() + 60
    while not os.path.exists(held):
        assert time.monotonic() < limit and late.running(), late.printed()
        time.sleep(0.02)
    place.migrate()
    os.unlink(held)
    failed = late.hear("failed")
    assert failed["kind"] == "lock" and "meanwhile" in failed["message"], failed
    assert late.ended() == 1
