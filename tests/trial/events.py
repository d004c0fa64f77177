"""What befalls a machine or the database server in the middle of a migration."""

import signal
import time


class Event:
    """`happen` answers whether there was anybody whom it could befall. `drawn` are random numbers of its own, so that the
    same seed gives the same."""

    def __init__(self, name, drawn, act):
        self.name, self.act = name, act
        self.share, self.order, self.aimed = drawn.random(), drawn.random(), drawn.random() < 0.7

    def between(self, least, most):
        return least + (most - least) * self.share

    def happen(self, world, within=3.0):
        limit = time.monotonic() + within
        first = int(self.order * len(world.hosts))
        hosts = world.hosts[first:] + world.hosts[:first]
        while True:
            if self.aimed:  # mostly at the machine that migrates
                hosts.sort(key=lambda host: not host.which("migrate"))
            for host in hosts:
                if self.act(self, world, host):
                    world.note("%s on %s" % (self.name, host.name))
                    return True
            if time.monotonic() > limit:
                world.note("%s: nobody was there" % self.name)
                return False
            time.sleep(0.02)


def killed(role):
    def act(event, world, host):
        return host.signal(role, signal.SIGKILL)

    return act


def stopped(role):
    def act(event, world, host):
        pids = host.which(role)
        with host.frozen(pids):
            time.sleep(event.between(1, 8) if pids else 0)
        return bool(pids)

    return act


def daemon_killed(event, world, host):
    """As with a supervisor that starts it again at once, or a while later."""
    if not host.fall():
        return False
    time.sleep(event.between(0, 3))
    host.start()
    return True


def machine_killed(event, world, host):
    """All of it at once, its connections with it: nobody says goodbye."""
    host.plugged(False)
    host.fall()
    host.signal("any", signal.SIGKILL)
    time.sleep(event.between(0, 4))
    host.plugged(True)
    host.start()
    return True


def machine_frozen(event, world, host):
    """As a virtual machine that is moved."""
    pids = host.which("any")
    with host.frozen(pids):
        time.sleep(event.between(1, 8))
    return bool(pids)


def cut_off(event, world, host):
    host.plugged(False)
    time.sleep(event.between(1, 10))
    host.plugged(True)
    return True


def backend_ended(watching):
    def act(event, world, host):
        return world.server.end_backends(world.database, host, watching)

    return act


def backend_stopped(event, world, host):
    pids = world.server.processes(world.database, host)
    with host.frozen(pids):
        time.sleep(event.between(1, 8) if pids else 0)
    return bool(pids)


def server_restarted(crash):
    def act(event, world, host):
        world.server.restart(crash)
        return True

    return act


def server_stopped(event, world, host):
    """All of the database server stands still."""
    with world.server.frozen():
        time.sleep(event.between(1, 8))
    return True


NONE = {"nothing": lambda *_: True}
OF_HOSTS = {
    "ostlerd killed": daemon_killed,
    "migrate killed": killed("migrate"),
    "watcher killed": killed("watch"),
    "machine killed": machine_killed,
    "ostlerd stopped": stopped("ostlerd"),
    "migrate stopped": stopped("migrate"),
    "watcher stopped": stopped("watch"),
    "machine frozen": machine_frozen,
    "backend ended": backend_ended(False),
    "watching backend ended": backend_ended(True),
    "network down": cut_off,
}
OF_SERVERS = {"server restarted": server_restarted(False), "server killed": server_restarted(True)}
IN_ROUNDS = dict(NONE, **OF_HOSTS, **OF_SERVERS)
IN_KILLS = {
    "ostlerd killed": daemon_killed,
    "ostlerd stopped": stopped("ostlerd"),
    "migrate killed": killed("migrate"),
    "migrate stopped": stopped("migrate"),
    "watcher killed": killed("watch"),
    "watcher stopped": stopped("watch"),
    "backend ended": backend_ended(False),
    "backend stopped": backend_stopped,
    "server killed": server_restarted(True),
    "server stopped": server_stopped,
}
