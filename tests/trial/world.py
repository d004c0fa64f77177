"""What a trial happens in: one database, and machines that run one app on it."""

import contextlib
import os
import random
import shutil
import tempfile
import time

import truth
from host import Host
from machines import until
from release import TABLE

PATIENCE = 150  # seconds from the last event until all serve and all is applied
ENOUGH = 40  # tries of one machine


class World:
    """`with World(…) as world`: `count` machines, not started yet."""

    def __init__(self, server, network, number, count, options, seed):
        self.server, self.network, self.count, self.options = server, network, count, options
        self.database, self.seed = "shop_%d" % number, seed
        self.drawn = random.Random("%s %s" % (server.kind, seed))
        self.began = time.monotonic()
        self.notes, self.false, self.steps = [], [], {}
        self.migrations = []  # of the release, but for the first
        self.kinds = []  # of the outcomes of all runs, and in brackets what a person found who was to put it right
        self.hosts = []
        self.event, self.seconds = "nothing", 0.0  # what befell it, and how long a clean state took then

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        try:
            # Short, because a socket's path may not have more than 107 bytes.
            self.folder = tempfile.mkdtemp(prefix="ostler-trial-", dir="/tmp")
            self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            os.chmod(self.folder, 0o755)
            settings = self.server.database(self.database)
            self.stack.callback(self.server.drop, self.database)
            self.server.tell(self.database, TABLE)
            self.server.grant(self.database, "step_done")
            for number in range(1, self.count + 1):
                name = "web%d" % number
                host = Host(self.network, number, name, os.path.join(self.folder, name), self.options, settings)
                self.hosts.append(self.stack.enter_context(host))
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, _, error, __):
        if error is not None:
            self.lie("%s: %s" % (type(error).__name__, error))
        if self.false or self.options.keep:
            self.save(os.path.join(self.options.logs, "%s-%s" % (self.server.kind, self.seed)))
        self.stack.close()
        return isinstance(error, Exception)

    def note(self, words):
        self.notes.append("%7.2f  %s" % (time.monotonic() - self.began, words))

    def lie(self, words):
        """Something that may not be."""
        self.note("FALSE: " + words)
        self.false.append(words)

    def release(self, migrations):
        self.migrations += migrations
        for host in self.hosts:
            for migration in migrations:
                host.project.add(migration)

    def look(self):
        """The database now; what was ever there is remembered, whoever takes it away."""
        seen = truth.Seen(self.server, self.database)
        self.steps.update((str(step), step) for step in seen.steps)
        for words in seen.twice() + seen.hollow(self.migrations):
            if words not in self.false:
                self.lie(words)
        return seen

    def heard(self, host, said):
        """The answer of a command that ends when all is applied, held against the database."""
        self.note("%s: %s" % (host.name, said.words))
        if said.status == 0:
            for name in self.look().missing(self.migrations):
                self.lie("%s: `ostler %s` exits 0, and %s is not applied" % (host.name, " ".join(said.args), name))

    def settle(self):
        """As an operator does, until every machine serves the release."""
        since = time.monotonic()
        for host in self.hosts:
            for _ in range(ENOUGH):
                said = host.ostler("restart", "shop", "--json")
                self.heard(host, said)
                if said.status == 0:
                    break
                if time.monotonic() - since > PATIENCE:
                    return self.lie(
                        "%s does not get to a clean state within %d s: %s" % (host.name, PATIENCE, said.words)
                    )
                for verdict in said.told:
                    if verdict["kind"] == "dirty":
                        self.repair(verdict)
                time.sleep(0.5)
        self.seconds = time.monotonic() - since

    def repair(self, verdict):
        seen = self.look()
        half = seen.half_done(self.migrations)
        for it in half:
            if len(it.steps) == len(it.operations) and it.name in verdict["reason"]:
                for words in truth.claims(verdict, it, seen):
                    self.lie(words)
        self.note("put right by hand: " + (", ".join(it.name for it in half) or "nothing was half done"))
        self.kinds.append("(half done)" if half else "(nothing half done)")
        truth.repair(self.server, self.database, half)
        host = self.drawn.choice(self.hosts)
        said = host.ostler("migrate", "shop", "--resolve")
        self.note("%s: %s" % (host.name, said.words))
        if said.status:
            self.lie("what is dirty cannot be resolved on %s: %s" % (host.name, said.words))

    def told(self):
        """The histories, held against what was ever there."""
        runs = {host.name: host.history() for host in self.hosts}
        told = [(host, truth.kind_of(run), run["record"]["pending"]) for host, own in runs.items() for run in own]
        self.note("runs: " + ", ".join("%s %s" % one[:2] for one in told))
        self.kinds += [kind for _, kind, pending in told if kind != "nothing" and pending != ["shop.0001_initial"]]
        for words in truth.histories(runs, self.steps.values(), self.look().recorded):
            self.lie(words)
        return runs

    def close(self):
        """All serve; then all is stopped, and nothing is left."""
        for host in self.hosts:
            status = host.answers()
            if status != 200:
                self.lie("%s answers %s where all is applied" % (host.name, status))
        self.told()
        left = []

        def gone():
            left[:] = self.server.left(self.database)
            return not left

        try:
            until(gone, 60)
        except AssertionError:
            self.lie("left in the database: " + "; ".join(left))
        if self.server.columns(self.database, "ostler_migrations"):
            rows = self.server.rows(
                self.database, "SELECT migration, state, host FROM ostler_migrations WHERE state <> 'done'"
            )
            if rows:
                self.lie("left in ostler_migrations: %s" % rows)
        for host in self.hosts:
            for words in host.stop():
                self.lie("%s: left of it: %s" % (host.name, words))

    def save(self, place):
        """What happened, and the logs."""
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, "notes"), "w", encoding="utf-8") as file:
            file.write("\n".join(self.notes) + "\n")
        files = [(self.server.log, "server.log")]
        for host in self.hosts:
            files += [
                (host.log, host.name + ".log"),
                (os.path.join(host.folder, "state", "shop", "migrations.jsonl"), host.name + ".jsonl"),
            ]
        for path, name in files:
            with contextlib.suppress(OSError):
                shutil.copy(path, os.path.join(place, name))
