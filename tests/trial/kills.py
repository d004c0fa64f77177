"""One machine: each kind of migration meets each end, at a random moment; what is told of it is held against the database."""

import time

import release
import truth
from events import IN_KILLS, Event
from machines import until
from world import World

ROWS = 250000
SECONDS = 0.7  # that each step of data takes
LONGEST = {"data": 2.6, "schema": 1.6, "index": 1.2}  # seconds until it is over, at the least
KINDS = {
    "postgresql": {
        "atomic schema": lambda kind: [release.column("0002_schema", 1.0)],
        "atomic data": lambda kind: [release.data("0002_data", True, 3, SECONDS)],
        "data, not atomic": lambda kind: [release.data("0002_rows", False, 3, SECONDS)],
        "concurrent index": lambda kind: [release.index("0002_index", kind)],
    },
    "mariadb": {
        "alter": lambda kind: [release.index("0002_index", kind, also=True)],
        "atomic data": lambda kind: [release.data("0002_data", True, 3, SECONDS)],
        "data, not atomic": lambda kind: [release.data("0002_rows", False, 3, SECONDS)],
    },
}


def cases(kind):
    """`(migration, event)`, all of them."""
    events = [name for name in IN_KILLS if kind == "postgresql" or name != "backend stopped"]
    return [(migration, name) for migration in KINDS[kind] for name in events]


def play(server, network, number, count, options, case):
    migration, name = case
    with World(
        server, network, number, count, options, "%d-%s" % (options.seed, "-".join(case).replace(" ", "_"))
    ) as world:
        event = Event(name, world.drawn, IN_KILLS[name])
        longest = next((most for word, most in LONGEST.items() if word in migration), 1.0)
        moment = world.drawn.uniform(0.0, longest)
        host = world.hosts[0]
        host.start()
        said = host.ostler("wait", "shop")
        assert said.status == 0, "before anything has happened: " + said.words
        server.fill(world.database, ROWS)
        world.release(KINDS[server.kind][migration](server.kind))
        answer = host.begin("migrate", "shop", "--json")
        until(lambda: host.which("migrate"), 20, "the migration is started")
        time.sleep(moment)
        happened = event.happen(world, within=1.0)
        world.event = "%s: %s" % (migration, name if happened else "nothing")
        world.heard(host, answer())
        judge(world, host)
        world.settle()
        world.close()
    return world


def judge(world, host):
    """What is told of the run, once it is over, held against the database as it is then."""
    until(lambda: host.ostler("status").status != 69, 60, "ostlerd answers")
    until(lambda: not host.which("migrate") and not world.server.left(world.database), 60, "the run is over")
    verdict = host.history()[-1]["record"]["verdict"]
    seen = world.look()
    if verdict is None:  # ostlerd has died in it: whoever migrates next is told first what it has left
        said = host.ostler("migrate", "shop", "--json")
        world.heard(host, said)
        verdict = said.told[-1]
        left = seen.half_done(world.migrations)
        if bool(left) != (verdict["kind"] == "dirty"):
            world.lie(
                "of a run whose ostlerd died: told %s, and half done is %s"
                % (verdict["kind"], ", ".join(it.name for it in left) or "nothing")
            )
        seen = world.look()
    hold(world, verdict, seen)


def hold(world, verdict, seen):
    """One verdict against the database, with no other run since."""
    migration, kind = world.migrations[0], verdict["kind"]
    whole, anything = seen.of(migration)
    recorded = migration.name in seen.recorded
    world.note("told: %s; recorded %s, whole %s, anything %s" % (kind, recorded, whole, anything))
    if kind in ("applied", "nothing") and not (recorded and whole):
        world.lie("told to be %s, and it is not applied" % kind)
    if kind in ("refused", "retryable", "failed", "partial") and (recorded or anything):
        world.lie("told to be as before (%s), and it is not" % kind)
    if kind == "dirty" and len(migration.steps) == len(migration.operations):
        for words in truth.claims(verdict, migration, seen):
            world.lie(words)
