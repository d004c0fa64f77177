"""What is in a database, and whether what was told of it is true."""

import collections
import datetime
import re

from machines import until

CLEAN = ("nothing", "refused", "retryable", "failed")  # "the database is as before"


class Step:
    def __init__(self, migration, number, host, moment):
        self.migration, self.number, self.host, self.moment = migration, int(number), host, float(moment)

    def __str__(self):
        return "step %d of %s on %s at %.3f" % (self.number, self.migration, self.host, self.moment)


class Seen:
    """A database at one moment; waits for a server that is down."""

    def __init__(self, server, database):
        def look():
            try:
                # Records first: what they claim was there before.
                tables = server.columns(database, "django_migrations")
                self.recorded = (
                    [row[0] for row in server.rows(database, "SELECT name FROM django_migrations")] if tables else []
                )
                rows = server.rows(database, "SELECT migration, step, host, moment FROM step_done")
                self.columns = server.columns(database, "shop_order")
                self.indexes = server.indexes(database, "shop_order")
            except (AssertionError, RuntimeError):
                return False
            self.steps = [Step(*row) for row in rows]
            return True

        until(look, 90, "the database %s answers" % database)

    def twice(self):
        """Steps that were done more than once, and migrations that are recorded more than once, in words."""
        done = collections.defaultdict(list)
        for step in self.steps:
            done[step.migration, step.number].append(str(step))
        found = ["done twice: " + " and ".join(all_) for all_ in done.values() if len(all_) > 1]
        return found + [
            "%s is recorded %d times" % one for one in collections.Counter(self.recorded).items() if one[1] > 1
        ]

    def of(self, migration):
        """What is there of a migration: `(all of it, anything of it)`."""
        done = {step.number for step in self.steps if step.migration == migration.name}
        columns, indexes = migration.columns & self.columns, migration.indexes & set(self.indexes)
        whole = (
            done == migration.steps
            and columns == migration.columns
            and indexes == migration.indexes
            and all(self.indexes[name] for name in indexes)
        )
        return whole, bool(done or columns or indexes)

    def hollow(self, migrations):
        """Recorded, and not all there."""
        return [
            "%s is recorded, and a part of it is missing" % it.name
            for it in migrations
            if it.name in self.recorded and not self.of(it)[0]
        ]

    def half_done(self, migrations):
        return [it for it in migrations if it.name not in self.recorded and self.of(it)[1]]

    def missing(self, migrations):
        return [it.name for it in migrations if it.name not in self.recorded]


def claims(verdict, migration, seen):
    """What is false in the words of a verdict about how far a migration has come, each of whose operations is one step."""
    words = "; ".join([verdict["reason"]] + [it["what"] for it in verdict.get("leftovers") or []])
    done = {step.number for step in seen.steps if step.migration == migration.name}
    found = []
    for count, number, what in re.findall(
        r"(\d+) of \d+ operations are done; operation (\d+) of \d+ \(.*?\) is ([\w ]+)", words
    ):
        least = set(range(1, int(number)))
        most = least | ({int(number)} if "perhaps" in what or "part" in what else set())
        if len(least) != int(count) or not least <= done <= most:
            found.append("told: %s done, operation %s is %s; done are %s" % (count, number, what, sorted(done)))
    for number, more in re.findall(r"operation (\d+) of \d+ \(.*?\) failed([^;]*)", words):
        least = set(range(1, int(number)))
        if not least <= done <= least | ({int(number)} if "a part of it may be done" in more else set()):
            found.append("told: operation %s failed%s; done are %s" % (number, more, sorted(done)))
    return found


def repair(server, database, migrations):
    """What a person does about a dirty database: everything of what is not recorded is taken back."""
    for it in Seen(server, database).half_done(migrations):
        server.tell(database, "DELETE FROM step_done WHERE migration = '%s'" % it.name)
        for name in it.indexes:
            server.drop_index(database, name)
        for name in it.columns:
            server.tell(database, "ALTER TABLE shop_order DROP COLUMN IF EXISTS " + name)


def began(run):
    return datetime.datetime.fromisoformat(run["started"].replace("Z", "+00:00")).timestamp()


def kind_of(run):
    verdict = run["record"]["verdict"]
    if run["record"]["resolved"]:
        return "resolved"
    return verdict["kind"] if verdict else "ostlerd died"


def short(name):
    return name.partition(".")[2]


def histories(runs, steps, recorded):
    """What is false in `{host: its runs, oldest first}`, held against all steps that were ever seen."""
    found, stepped = [], {it.migration for it in steps}
    for host, own in runs.items():
        for number, run in enumerate(own):
            end = began(own[number + 1]) if number + 1 < len(own) else float("inf")
            inside = [it for it in steps if it.host == host and began(run) - 0.001 <= it.moment < end - 0.001]
            found += ["%s, run %s: %s" % (host, run["run"], words) for words in of_run(run, inside, recorded, stepped)]
        early = [it for it in steps if it.host == host and (not own or it.moment < began(own[0]) - 0.001)]
        found += ["%s: %s is in no run of its history" % (host, it) for it in early]
    return found


def of_run(run, inside, recorded, stepped):
    """`inside` are the steps that were done while it was the last run of its machine, `stepped` what anybody did steps of."""
    kind, verdict = kind_of(run), run["record"]["verdict"] or {}
    applied = {short(name) for name in verdict.get("applied") or []}
    found = ["told as applied, and not recorded: " + name for name in applied if name not in recorded]
    others = (applied & stepped) - {it.migration for it in inside}
    found += ["told as applied by it, and done by others: " + name for name in sorted(others)]
    if kind == "applied":
        found += [
            "applied, and not recorded: " + name
            for name in map(short, run["record"]["pending"])
            if name not in recorded
        ]
    if kind in CLEAN:
        found += ["told to be as before (%s), and there is %s" % (kind, it) for it in inside]
    if kind == "partial":
        found += [
            "told to have applied no more than %s, and there is %s" % (", ".join(sorted(applied)), it)
            for it in inside
            if it.migration not in applied
        ]
    return found
