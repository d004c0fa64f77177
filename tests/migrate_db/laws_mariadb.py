"""MariaDB: reaching it, its guards, the lock, who waits for whom, and every way to end a run."""

import signal
import time
import urllib.parse

import hosts
from maria import at_once, driven, failure_of, filled, project, step_to, until, verify
from mariadb import PASSWORD, Mariadb
from place import names_of

SERVER = Mariadb
ADD = 'migrations.AddField("order", "a", models.IntegerField(null=True))'
WIDEN = 'migrations.AlterField("order", "price", models.BigIntegerField(default=0))'
LONG_UPDATE = (
    'migrations.RunPython(lambda apps, editor: apps.get_model("shop", "order").objects.update('
    'price=models.F("price") + 1, name="yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"))'
)


def guards_are_in_force_and_read_back(place):
    project(place)
    began = time.monotonic()
    opened = place.watch()[1]
    assert opened["vendor"] == "mysql" and opened["version"].startswith("10.11"), opened
    assert dict(opened["guards"]) == {"lock_wait_timeout": "1s", "innodb_lock_wait_timeout": "1s"}, opened
    assert opened["unwatched"] is None and len(opened["warnings"]) == 1 and "PROCESS" in opened["warnings"][0], opened
    assert names_of(opened) == ["shop.0001_initial"], opened
    place.note("open after %.2f s" % (time.monotonic() - began))


def the_servers_own_limit_of_statements_is_told(place):
    project(
        place,
        dict(
            place.server.database(place.name),
            OPTIONS={"unix_socket": place.server.socket, "init_command": "SET SESSION max_statement_time = 30"},
        ),
    )
    opened = place.watch()[1]
    assert dict(opened["guards"])["max_statement_time"] == "30s", opened
    assert any("30s" in it for it in opened["warnings"]), opened


def nothing_pending_is_known_at_once(place):
    project(place)
    place.migrate()
    watch = place.start("watch")
    assert names_of(watch.hear("opened")) == []
    place.note("%.2f s after its start, the import of Django included" % (time.monotonic() - watch.began))


def a_wrong_password_is_said(place):
    project(place, dict(place.server.database(place.name), PASSWORD="wrong"))
    said = place.refused()
    assert said["kind"] == "unreachable" and "Access denied" in said["message"] and "wrong" not in said["message"], said


def a_server_that_is_down_is_said(place):
    settings = place.server.database(place.name)
    project(place, dict(settings, OPTIONS={"unix_socket": place.folder + "/nobody"}))
    said = place.refused()
    assert said["kind"] == "unreachable" and "cannot be reached" in said["message"], said


def the_lock_is_of_one_and_freed_by_its_death(place):
    project(place)
    first, (second, _) = place.locked(), place.watch()
    assert "this machine" in second.ask("lock", "busy")["holder"]
    first.kill(signal.SIGKILL)
    began = time.monotonic()
    second.hear("locked")
    place.note("ours %.2f s after the death" % (time.monotonic() - began))


def two_databases_of_one_server_do_not_exclude_each_other(place):
    made = project(place)
    place.locked()
    made.databases({"default": place.server.database(place.name + "b")})
    place.locked()


def the_lock_comes_back_after_a_lost_connection(place):
    project(place)
    watch = place.locked()
    mine = place.server.sql("SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '%s'" % place.name)
    place.server.sql(*["KILL %s" % row[0] for row in mine])
    watch.ask("look", "look", every_seconds=0.1)
    lock = "ostler:migrate:" + place.name
    until(lambda: place.server.sql("SELECT IS_USED_LOCK('%s')" % lock)[0][0] not in ["NULL"] + [row[0] for row in mine])


def a_migration_that_fails_halfway_is_named_to_the_operation(place):
    made = filled(place, 10)
    made.migration(
        "0002_half",
        ADD + ", " + WIDEN + ", migrations.RunPython(boom), "
        'migrations.AddIndex("order", models.Index(fields=["price"], name="shop_order_p"))',
        code="def boom(apps, editor):\n    raise ValueError('boom')",
    )
    watch = place.locked()
    run = place.run()
    step = step_to(run, "operation", number=3)
    assert run.ended() == 1
    report = verify(watch, watch.locked["pending"], "shop.0002_half", step)
    [left] = report["leftovers"]
    assert report["recorded"] == [] and left["migration"] == "shop.0002_half", report
    assert "2 of 4 operations are done; operation 3 of 4" in left["what"], left
    for wanted in (
        "DROP COLUMN `a`",
        "MODIFY `price` integer",
        "CREATE INDEX `shop_order_p`",
        "python manage.py migrate shop 0002_half --fake",
    ):
        assert wanted in left["remedy"], (wanted, left)
    # The way back is what it says.
    back = left["remedy"].split("or to go forward:")[0].splitlines()[1:]
    place.server.sql(*[line.rstrip(";") for line in back if not line.startswith("--")], database=place.name)
    assert verify(watch, watch.locked["pending"], "shop.0002_half", step_back(step))["leftovers"] == []


def an_alter_whose_client_was_killed_is_ended_before_it_commits(place):
    made = filled(place, 400000)
    made.migration("0002_long", WIDEN)
    watch = place.locked()
    run = place.run()
    step = step_to(run, "operation")
    watch.ask("look", "look", every_seconds=0.1)
    look = watch.hear("look", where=lambda it: it.get("percent"))
    assert "stage" in look["doing"] and look["working"], look
    run.kill(signal.SIGKILL)
    run.ended()
    began = time.monotonic()
    watch.ask("end_backends", "backends_gone")
    place.note("gone in %.2f s" % (time.monotonic() - began))
    report = verify(watch, watch.locked["pending"], "shop.0002_long", step)
    assert report["backends"] == 0 and report["leftovers"] == [] and report["recorded"] == [], report


def an_alter_that_commits_though_its_client_was_killed_is_applied_and_unrecorded(place):
    made = filled(place, 400000)
    made.migration("0002_long", WIDEN)
    watch = place.locked()
    run = place.run()
    step = step_to(run, "operation")
    watch.ask("look", "look", every_seconds=0.1)
    watch.hear("look", where=lambda it: it.get("percent"))
    run.kill(signal.SIGKILL)
    run.ended()
    began = time.monotonic()
    watch.events.clear()
    watch.hear("look", where=lambda it: it["backends"] == 0)
    place.note("ran on for %.1f s" % (time.monotonic() - began))
    [left] = verify(watch, watch.locked["pending"], "shop.0002_long", step)["leftovers"]
    assert "applied but not recorded" in left["what"] and "--fake" in left["remedy"], left
    # The next ostlerd knows nothing but what was pending.
    watch.say("quit")
    watch.ended()
    later = place.locked()
    [left] = verify(later, watch.locked["pending"], None, None)["leftovers"]
    assert "applied but not recorded" in left["what"], left


def a_cancelled_data_migration_is_rolled_back_and_clean(place):
    made = filled(place, 300000)
    made.migration("0002_data", LONG_UPDATE)
    watch = place.locked()
    run = place.run()
    step = step_to(run, "operation")
    watch.ask("look", "look", every_seconds=0.1)
    watch.hear("look", where=lambda it: it.get("doing") == "Updating")
    time.sleep(0.5)  # so that there is something to roll back
    began = time.monotonic()
    watch.ask("cancel", "cancelled")
    failed = failure_of(run)
    assert run.ended() == 1 and failed["kind"] == "cancelled", failed
    place.note("ended in %.2f s" % (time.monotonic() - began))
    watch.ask("end_backends", "backends_gone", 60)  # the server may still be at the end of its connection
    report = verify(watch, watch.locked["pending"], "shop.0002_data", step)
    assert report["leftovers"] == [] and report["recorded"] == [] and report["backends"] == 0, report
    assert place.server.sql("SELECT COUNT(*) FROM shop_order WHERE price <> id", database=place.name) == [["0"]]


def the_end_of_backends_waits_for_the_rollback(place):
    made = filled(place, 400000)
    made.migration("0002_data", LONG_UPDATE)
    watch = place.locked()
    run = place.run()
    step_to(run, "operation")
    watch.ask("look", "look", every_seconds=0.1)
    watch.hear("look", where=lambda it: it.get("doing") == "Updating")
    time.sleep(1.5)
    run.kill(signal.SIGKILL)
    run.ended()
    began = time.monotonic()
    watch.ask("end_backends", "backends_gone")
    place.note("rolled back in %.1f s" % (time.monotonic() - began))
    busy = (
        "SELECT COUNT(*) FROM information_schema.INNODB_TRX t JOIN information_schema.PROCESSLIST p "
        "ON p.ID = t.trx_mysql_thread_id WHERE p.DB = '%s'" % place.name
    )
    assert place.server.sql(busy) == [["0"]]
    assert place.server.sql("SELECT COUNT(*) FROM shop_order WHERE price <> id", database=place.name) == [["0"]]


def what_a_dead_run_left_is_swept_by_the_next(place):
    made = filled(place, 1000)
    # Each row takes a while, so that it is still at it when the next one comes.
    made.migration("0002_long", 'migrations.RunSQL("UPDATE shop_order SET price = SLEEP(0.05)")')
    watch = place.locked()
    run = place.run()
    step_to(run, "operation")
    # What is at work before is the beginning of the transaction.
    is_at_it = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = '%s' AND INFO LIKE 'UPDATE %%SLEEP%%'"
    until(lambda: place.server.sql(is_at_it % place.name) == [["1"]])
    for one in (watch, run):
        one.kill(signal.SIGKILL)
        one.ended()
    later, _ = place.watch(tag="ostler:other:web2:r9")
    locked = later.ask("lock", "locked")
    assert len(locked["swept"]) == 1 and "SLEEP" in locked["swept"][0]["query"], locked
    assert names_of(locked) == ["shop.0002_long"], locked
    assert verify(later, locked["pending"], None, None)["leftovers"] == []


def a_server_that_restarts_in_the_middle_is_a_lost_connection(place):
    """On a server of its own."""
    server = place.stack.enter_context(Mariadb())
    place.server = server
    made = filled(place, 300000)
    made.migration("0002_long", WIDEN)
    watch = place.locked()
    run = place.run()
    step = step_to(run, "operation")
    watch.ask("look", "look", every_seconds=0.1)
    watch.hear("look", where=lambda it: it.get("percent"))
    server.kill()
    server.start()
    failed = failure_of(run)
    assert run.ended() == 1 and failed["kind"] == "connection", failed
    report = verify(watch, watch.locked["pending"], "shop.0002_long", step)
    assert report["leftovers"] == [] and report["recorded"] == [] and report["backends"] == 0, report


def sigint_ends_pymysql_at_once_and_mysqlclient_when_its_statement_does(place):
    """Which is why the statement is cancelled first."""
    made = filled(place, 10)
    made.migration("0002_sleep", 'migrations.RunSQL("SELECT SLEEP(100)")')
    watch = place.locked()
    run = place.run()
    step_to(run, "operation")
    watch.ask("look", "look", every_seconds=0.1)
    watch.hear("look", where=lambda it: it.get("doing") == "User sleep")
    began = time.monotonic()
    run.kill(signal.SIGINT)
    if place.has("MySQLdb"):
        for _ in range(20):
            assert watch.hear("look")["working"]
        assert run.running()
        began = time.monotonic()
        watch.ask("cancel", "cancelled")
    assert run.ended() != 0
    place.note("ended in %.2f s" % (time.monotonic() - began))
    watch.ask("end_backends", "backends_gone")


def a_data_migration_is_applied_once_by_two_at_once(place):
    made = filled(place, 3)
    place.server.sql("UPDATE shop_order SET price = 0", database=place.name)
    rounds = place.rounds(10)
    for number in range(2, 2 + rounds):
        made.migration(
            "%04d_data" % number,
            "migrations.RunPython(more)",
            code="""
            def more(apps, editor):
                apps.get_model("shop", "order").objects.update(price=models.F("price") + 1)
            """,
        )
        plans = at_once(lambda: driven(place), lambda: driven(place))
        assert sorted(len(it["migrations"]) for it in plans) == [0, 1], plans
    assert place.server.sql("SELECT DISTINCT price FROM shop_order", database=place.name) == [[str(rounds)]]


def a_full_database_is_said_as_such(place):
    place.server = place.stack.enter_context(
        Mariadb("--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:40M")
    )
    made = filled(place, 10)
    made.migration(
        "0002_much",
        """migrations.RunSQL("CREATE TABLE much (a INT PRIMARY KEY, b CHAR(255))"), migrations.RunSQL(
        "INSERT INTO much SELECT seq, REPEAT('x', 255) FROM seq_1_to_1000000")""",
    )
    watch = place.locked()
    run = place.run()
    step = step_to(run, "operation", number=2)
    failed = failure_of(run)
    assert run.ended() == 1 and failed["kind"] == "full", failed
    [left] = verify(watch, watch.locked["pending"], "shop.0002_much", step)["leftovers"]
    assert "1 of 2 operations are done; operation 2 of 2" in left["what"], left


def another_command_is_locked_and_said_to_be_unwatched(place):
    place.server.database(place.name)
    url = "mysql://shop:%s@/%s?unix_socket=%s" % (
        urllib.parse.quote(PASSWORD),
        place.name,
        urllib.parse.quote(place.server.socket, safe=""),
    )
    watch, opened = place.watch(command="other", database={"url": url})
    assert "other than Django's" in opened["unwatched"] and opened["pending"] is None, opened
    watch.ask("lock", "locked")
    second, _ = place.watch(command="other", database={"url": url})
    second.ask("lock", "busy")
    report = watch.ask("verify", "verified", pending=None, migration=None, at=None, failed=True)
    assert report["recorded"] is None and report["unverified"], report


def raw_sql_of_a_run_that_nobody_watched_is_not_called_clean(place):
    """Django runs it without a transaction, and it may have gone on without its client."""
    made = filled(place, 10)
    made.migration("0002_raw", 'migrations.RunSQL("UPDATE shop_order SET price = price + 1")')
    watch = place.locked()
    report = verify(watch, watch.locked["pending"], None, None)
    assert report["leftovers"] == [] and "cannot be told" in report["unverified"], report
    watch.ask("look", "look", every_seconds=0.25)  # and with one that did
    step = {"at": "operation", "number": 1, "of": 1, "words": ""}
    for migration, at in (("shop.0002_raw", step), (None, None)):
        report = verify(watch, watch.locked["pending"], migration, at)
        assert report["leftovers"] == [] and report["unverified"] is None, report


def step_back(step):
    return dict(step, at="operation", number=1)


def a_run_beside_another_applies_nothing(place):
    hosts.nothing_is_applied_beside_another_run(place, filled(place, 3))


def a_run_goes_on_when_who_watches_it_is_replaced(place):
    hosts.a_run_goes_on_when_who_watches_it_is_replaced(place, filled(place, 3), "SELECT SLEEP(2)")


def what_another_has_applied_meanwhile_is_not_told_as_the_runs_own(place):
    hosts.what_another_has_applied_meanwhile_is_not_told_as_the_runs_own(place, filled(place, 3), "SELECT SLEEP(3)")


def what_was_applied_since_the_plan_is_not_applied_again(place):
    hosts.what_was_applied_since_the_plan_is_not_applied_again(place, filled(place, 3))


LAWS = [
    a_run_beside_another_applies_nothing,
    a_run_goes_on_when_who_watches_it_is_replaced,
    what_another_has_applied_meanwhile_is_not_told_as_the_runs_own,
    what_was_applied_since_the_plan_is_not_applied_again,
    guards_are_in_force_and_read_back,
    the_servers_own_limit_of_statements_is_told,
    nothing_pending_is_known_at_once,
    a_wrong_password_is_said,
    a_server_that_is_down_is_said,
    the_lock_is_of_one_and_freed_by_its_death,
    two_databases_of_one_server_do_not_exclude_each_other,
    the_lock_comes_back_after_a_lost_connection,
    a_migration_that_fails_halfway_is_named_to_the_operation,
    an_alter_whose_client_was_killed_is_ended_before_it_commits,
    an_alter_that_commits_though_its_client_was_killed_is_applied_and_unrecorded,
    a_cancelled_data_migration_is_rolled_back_and_clean,
    the_end_of_backends_waits_for_the_rollback,
    what_a_dead_run_left_is_swept_by_the_next,
    a_server_that_restarts_in_the_middle_is_a_lost_connection,
    sigint_ends_pymysql_at_once_and_mysqlclient_when_its_statement_does,
    a_data_migration_is_applied_once_by_two_at_once,
    a_full_database_is_said_as_such,
    another_command_is_locked_and_said_to_be_unwatched,
    raw_sql_of_a_run_that_nobody_watched_is_not_called_clean,
]
