"""PostgreSQL with a real autovacuum, made slow: who waits for it, and for how long."""

from postgres import Postgres, wait_until

ROWS = 20000
SLOW = (
    "autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0, "
    "autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_analyze_threshold = 2000000000"
)
ADD = 'migrations.AddField("order", "extra", models.IntegerField(null=True))'
NONE = {"lock_timeout_seconds": None, "overrides": {}}
WORKS = (
    "SELECT count(*) FROM pg_stat_progress_vacuum v JOIN pg_class c ON c.oid = v.relid WHERE c.relname = 'shop_order'"
)


class Vacuuming(Postgres):
    # The earlier one counts no more.
    options = ("autovacuum=on", "autovacuum_naptime=1s", "autovacuum_max_workers=8")


SERVER = Vacuuming


def vacuumed(place, urgent=False):
    """A project whose table an autovacuum is at."""
    project = place.project()
    place.migrate()
    place.server.psql(
        "INSERT INTO shop_order (name, price) SELECT 'name ' || i, i FROM generate_series(1, %d) i" % ROWS, place.name
    )
    # Where it is off, only what must not be put off is done.
    mode = "autovacuum_enabled = off, autovacuum_freeze_max_age = 100000" if urgent else "autovacuum_enabled = on"
    place.server.psql("ALTER TABLE shop_order SET (%s, %s)" % (SLOW, mode), place.name)
    place.server.psql("DELETE FROM shop_order WHERE price < %d" % (ROWS // 2), place.name)
    if urgent:
        place.server.psql(
            "DO $$ BEGIN FOR i IN 1..101000 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$", place.name
        )
    wait_until(lambda: place.server.psql(WORKS, place.name) == "1", 60, "an autovacuum is at it")
    return project


def an_autovacuum_gives_way_within_the_usual_lock_timeout(place):
    project = vacuumed(place)
    project.migration("0002_extra", ADD)
    watch = place.locked(guards=NONE)
    watch.say("look", every_seconds=0.1)
    run = place.run(guards=NONE)
    look = watch.hear("look", where=lambda it: it["blockers"])
    assert look["blockers"][0]["application"] == "autovacuum of shop_order", look
    assert run.ended() == 0, run.printed()
    place.note("applied %.1f s after its start" % (__import__("time").monotonic() - run.began))


def one_against_wraparound_is_named_and_does_not_give_way(place):
    project = vacuumed(place, urgent=True)
    project.migration("0002_extra", ADD)
    watch = place.locked(guards=NONE)
    watch.say("look", every_seconds=0.1)
    run = place.run(guards=NONE)
    look = watch.hear("look", where=lambda it: it["blockers"])
    assert "to prevent wraparound, which the server does not cancel" in look["blockers"][0]["application"], look
    assert run.hear("failed")["kind"] == "lock"
    assert run.ended() == 1


def the_lock_timeout_is_a_little_more_than_the_servers_deadlock_timeout(place):
    place.project()
    place.server.psql("ALTER DATABASE %s SET deadlock_timeout = '700ms'" % place.name)
    watch, opened = place.watch(guards=NONE)
    assert opened["lock_timeout"] == 1.2 and ["lock_timeout", "1200ms"] in opened["guards"], opened
    assert not any("lock_timeout" in words for words in opened["warnings"]), opened
    one = {"lock_timeout_seconds": 0.4, "overrides": {}}
    opened = place.watch(guards=one)[1]
    assert opened["lock_timeout"] == 0.4 and ["lock_timeout", "400ms"] in opened["guards"], opened


LAWS = [
    an_autovacuum_gives_way_within_the_usual_lock_timeout,
    one_against_wraparound_is_named_and_does_not_give_way,
    the_lock_timeout_is_a_little_more_than_the_servers_deadlock_timeout,
]
