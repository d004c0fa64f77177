"""SQLite: who has the file when a migration does not get its lock, as far as the kernel shows it to this user."""

import contextlib
import json
import os
import pwd
import subprocess
import sys

from laws_sqlite import ADD, answer, filled, project
from maria import driven, failure_of, step_to, verify
from program import bundle

SERVER = None
USER = pwd.getpwuid(os.getuid()).pw_name
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
rows = connection.execute(sys.argv[3])
rows.fetchone()
print("holds", flush=True)
sys.stdin.read()
"""
WRITE = ("BEGIN IMMEDIATE", "SELECT 1")
READ = ("BEGIN", "SELECT * FROM shop_order")


@contextlib.contextmanager
def held(place, statements, user=None):
    """Another program has the file: its process."""
    script = os.path.join(place.folder, "report.py")
    with open(script, "w", encoding="utf-8") as file:
        file.write(HOLDER)
    process = subprocess.Popen(
        ["/usr/bin/python3", script, place.file, *statements],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=user,
    )
    try:
        assert process.stdout.readline() == "holds\n"
        yield process
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def is_named(blockers, holder, state, user=USER):
    [it] = blockers
    assert it["pid"] == holder.pid and it["state"] == state, blockers
    assert "report.py" in it["application"] and it["application"].endswith(" of the user " + user), blockers


def in_each_mode(place):
    made = filled(place, 10)
    made.migration("0002_add", ADD)
    for mode in ("delete", "wal"):
        answer(place, "PRAGMA journal_mode = " + mode)
        yield mode


def who_writes_is_named_where_the_migration_gives_up(place):
    for mode in in_each_mode(place):
        with held(place, WRITE) as holder:
            failed = failure_of(place.run())
            assert failed["kind"] == "lock", (mode, failed)
            is_named(failed["blockers"], holder, "writing")
            assert failed["message"].endswith("database is locked"), failed


def who_writes_is_named_while_the_migration_waits(place):
    for mode in in_each_mode(place):
        watch = place.locked()
        with held(place, WRITE) as holder:
            watch.ask("look", "look", every_seconds=0.05)
            quiet = [watch.hear("look") for _ in range(5)]
            # Nobody waits yet.
            assert not any(it["blockers"] for it in quiet) and "report.py" in quiet[-1]["doing"], (mode, quiet)
            run = place.run(guards={"lock_timeout_seconds": 60.0})
            step_to(run, "operation")
            is_named(watch.hear("look", where=lambda it: it["blockers"])["blockers"], holder, "writing")
        assert run.ended() == 0, run.printed()
        watch.hear("look", where=lambda it: not it["blockers"])
        watch.say("quit")
        assert watch.ended() == 0, watch.printed()
        back(place)


def back(place):
    answer(place, "DELETE FROM django_migrations WHERE name = '0002_add'")
    answer(place, "ALTER TABLE shop_order DROP COLUMN a")


def who_reads_is_named_where_the_migration_cannot_commit(place):
    made = filled(place, 10)
    made.migration("0002_add", ADD)
    watch = place.locked()
    with held(place, READ) as holder, held(place, READ) as other:
        failed = failure_of(place.run())
        assert failed["kind"] == "lock", failed
        assert {it["pid"] for it in failed["blockers"]} == {holder.pid, other.pid}, failed
        assert {it["state"] for it in failed["blockers"]} == {"reading"}, failed
    with held(place, READ) as holder:
        watch.ask("look", "look", every_seconds=0.05)
        run = place.run(guards={"lock_timeout_seconds": 60.0})
        is_named(watch.hear("look", where=lambda it: it["blockers"])["blockers"], holder, "reading")
    assert run.ended() == 0, run.printed()


def what_it_has_left_is_seen_while_the_other_still_writes(place):
    """Else the outcome would be unknown, and not tried again."""
    made = project(place)
    driven(place)
    assert answer(place, "SELECT COUNT(*) FROM ostler_migrations") == [(1,)]
    made.migration("0002_add", ADD)
    watch = place.locked()
    with held(place, WRITE):
        run = place.run()
        step = step_to(run, "operation")
        assert failure_of(run)["kind"] == "lock"
        report = verify(watch, watch.locked["pending"], "shop.0002_add", step)
    assert report["leftovers"] == [] and report["recorded"] == [] and report["unverified"] is None, report


def nobody_is_named_where_the_run_itself_writes(place):
    made = filled(place, 10)
    made.migration(
        "0002_slow",
        ADD + ", migrations.RunPython(wait)",
        code="""
        import time
        def wait(apps, editor):
            time.sleep(1)
        """,
    )
    watch = place.locked()
    watch.ask("look", "look", every_seconds=0.05)
    run = place.run()
    look = watch.hear("look", where=lambda it: it["working"])
    assert look["blockers"] == [] and "pid %d" % run.pid in look["doing"], look
    while run.running():
        assert watch.hear("look")["blockers"] == []
    assert run.ended() == 0, run.printed()


def a_database_that_cannot_be_opened_for_a_lock_says_whose(place):
    filled(place, 10)
    with held(place, ("BEGIN EXCLUSIVE", "SELECT 1")) as holder:
        said = place.refused()
    assert said["kind"] == "unreachable" and "is held by" in said["message"], said
    assert said["message"].startswith("the database %s cannot be used: " % place.file), said
    assert "pid %d, writing" % holder.pid in said["message"] and "report.py" in said["message"], said


def another_writer_since_the_transaction_began_to_read_is_said(place):
    """No wait for a lock, and nobody who has one: SQLite lets no transaction write on an old picture of the database."""
    made = filled(place, 10)
    answer(place, "PRAGMA journal_mode = WAL")
    made.migration(
        "0002_data",
        "migrations.RunPython(more)",
        code="""
        import sqlite3
        def more(apps, editor):
            Order = apps.get_model("shop", "order")
            print(Order.objects.count())
            other = sqlite3.connect(editor.connection.settings_dict["NAME"], isolation_level=None)
            other.execute("UPDATE shop_order SET price = 7")
            other.close()
            Order.objects.update(price=8)
        """,
    )
    failed = failure_of(place.run())
    assert failed["kind"] == "lock" and failed["blockers"] == [], failed
    version = json.loads(
        subprocess.run(
            [place.python, "-c", "import sys; print(list(sys.version_info[:2]))"],
            capture_output=True,
            check=True,
            text=True,
        ).stdout
    )
    words = "another connection has written" if version >= [3, 11] else "nobody is seen to hold a lock of it now"
    assert words in failed["message"], failed


def a_table_that_the_migration_itself_has_locked_is_nobody_elses_lock(place):
    made = filled(place, 10)
    made.migration(
        "0002_drop",
        "migrations.RunPython(drop)",
        code="""
        def drop(apps, editor):
            raw = editor.connection.connection
            rows = raw.execute("SELECT * FROM shop_order")
            rows.fetchone()
            raw.execute("DROP TABLE shop_order")
        """,
    )
    failed = failure_of(place.run())
    assert "table is locked" in failed["message"] and failed["kind"] == "migration", failed


def loaded(proc):
    """What `holders` says with another folder in the place of /proc, of the file in its arguments."""
    names = ("text", "wire", "tag", "database", "holders")
    sources = {name: source for name, source in bundle() if name in names}
    return (
        """
import json, os, sys, types
shim = sys.modules["_ostler"] = types.ModuleType("_ostler")
sources = json.loads(sys.stdin.read())
for name in %r:
    module = sys.modules["_ostler." + name] = types.ModuleType("_ostler." + name)
    setattr(shim, name, module)
    exec(sources[name], module.__dict__)
shim.holders.PROC = %r
path = sys.argv[1]
if len(sys.argv) > 2:
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
print(json.dumps(shim.holders.in_the_way(shim.holders.File(path, os.open(path, os.O_RDONLY)))))
"""
        % (names, proc),
        json.dumps(sources),
    )


def told(place, proc="/proc", *user):
    code, sources = loaded(proc)
    ran = subprocess.run([sys.executable, "-c", code, place.file, *user], input=sources, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def less_is_said_where_less_can_be_read(place):
    filled(place, 10)
    assert told(place) == []
    with held(place, WRITE) as holder:
        is_named(told(place), holder, "writing")
        [it] = told(place, os.path.join(place.folder, "nowhere"))
        assert it["pid"] == holder.pid and it["application"] == "a process whose name is not shown", it
    # Who has it open and holds no lock may have held one a moment ago: a guess, and said to be one.
    with held(place, ("SELECT 1", "SELECT * FROM shop_order LIMIT 0")) as holder:
        is_named(told(place), holder, "probably: has it open")
        assert told(place, os.path.join(place.folder, "nowhere")) == []


def another_users_process_is_named(place):
    filled(place, 10)
    if os.getuid() != 0:
        return place.note("only root can start a program of another user")
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chmod(place.file, 0o666)
    with held(place, WRITE) as holder:
        is_named(told(place, "/proc", str(nobody)), holder, "writing")
    # Whoever has it open and holds no lock is seen by himself and by root alone.
    with held(place, ("SELECT 1", "SELECT * FROM shop_order LIMIT 0")):
        assert told(place, "/proc", str(nobody)) == []


LAWS = [
    who_writes_is_named_where_the_migration_gives_up,
    who_writes_is_named_while_the_migration_waits,
    who_reads_is_named_where_the_migration_cannot_commit,
    what_it_has_left_is_seen_while_the_other_still_writes,
    nobody_is_named_where_the_run_itself_writes,
    a_database_that_cannot_be_opened_for_a_lock_says_whose,
    another_writer_since_the_transaction_began_to_read_is_said,
    a_table_that_the_migration_itself_has_locked_is_nobody_elses_lock,
    less_is_said_where_less_can_be_read,
    another_users_process_is_named,
]
