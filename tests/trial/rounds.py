"""A round: all machines deploy the same release at once, and something befalls one of them."""

import contextlib
import threading
import time

import release
from events import IN_ROUNDS, Event
from world import World

SECONDS = 0.3  # that each step takes
ROWS = 150000


def chosen(drawn):
    """The names of one event, sometimes of two."""
    names = sorted(IN_ROUNDS)
    first = drawn.choice(names)
    others = [name for name in names if name not in ("nothing", first)]
    return [first, drawn.choice(others)] if first != "nothing" and drawn.random() < 0.2 else [first]


def play(server, network, number, count, options, seed):
    """The world as it was in the end."""
    with World(server, network, number, count, options, seed) as world:
        drawn = world.drawn
        names = chosen(drawn)
        if options.event:
            names = [options.event]
        events = [Event(name, drawn, IN_ROUNDS[name]) for name in names]
        # While one of them is pending, or from the start, when nobody has the lock yet.
        early, number = drawn.random() < 0.2, drawn.randrange(5)
        moments = [drawn.uniform(0.0, 1.2) for _ in events]
        cold = drawn.random() < 0.25
        delays = [drawn.uniform(0.0, 0.5) for _ in world.hosts]
        world.note("%d machines, %s start, %s" % (count, "cold" if cold else "warm", " and ".join(names)))
        pending = release.of_all_kinds(server.kind, SECONDS)
        if cold:
            world.release(pending)
        else:
            serve_the_first(world)
            world.release(pending)
        threads = [
            threading.Thread(target=deploy, args=(world, host, cold, delay), daemon=True)
            for host, delay in zip(world.hosts, delays)
        ]
        for thread in threads:
            thread.start()
        if not early:
            begun(world, number)
        for event, moment in zip(events, moments):
            time.sleep(moment)
            if not event.happen(world):
                names = ["nothing"] if names == [event.name] else [name for name in names if name != event.name]
        for thread in threads:
            thread.join()
        world.event = " and ".join(names)
        world.settle()
        world.close()
    return world


def serve_the_first(world):
    for host in world.hosts:
        host.start()
    for host in world.hosts:
        said = host.ostler("wait", "shop")
        assert said.status == 0, "before anything has happened: " + said.words
    world.server.fill(world.database, ROWS)


def begun(world, number, within=20.0):
    """Waits until one of them migrates and so many are applied; where that does not come, so long."""
    limit = time.monotonic() + within
    while time.monotonic() < limit:
        with contextlib.suppress(AssertionError, RuntimeError):  # the table comes with the first of them
            rows = world.server.rows(world.database, "SELECT count(*) FROM django_migrations")
            if int(rows[0][0]) > number and any(host.which("migrate") for host in world.hosts):
                return
        time.sleep(0.05)


def deploy(world, host, cold, delay):
    time.sleep(delay)
    try:
        if cold:
            host.start()
        said = host.ostler("wait", "shop", "--json") if cold else host.ostler("restart", "shop", "--json")
        world.heard(host, said)
    except Exception as error:
        world.lie("%s: %s: %s" % (host.name, type(error).__name__, error))
