"""What is pending in entries of DATABASES that nobody has asked to migrate. It is told, and never more than that: what cannot be
reached in a moment, or follows another by itself, is left out."""

import os
import threading
import time

from _ostler import project
from _ostler.source import beside
from _ostler.text import short

SECONDS = 3.0  # for all of them together
ENTRIES = 20
WAIT = {
    "postgresql": {"connect_timeout": 2},
    "mysql": {"connect_timeout": 2, "read_timeout": 2},
    "sqlite": {"timeout": 1},
}
IDENTITY = {
    "postgresql": "SELECT pg_postmaster_start_time()::text, current_database()",
    "mysql": "SELECT @@hostname, @@port, @@datadir, DATABASE()",
}
FOLLOWS = {"postgresql": "SELECT pg_is_in_recovery()", "mysql": "SELECT @@global.read_only"}


def seen(orders):
    """The fields of ostlerd's `DjangoSeen`."""
    found = {"settings": None, "none": None, "others": []}
    if orders.get("command") != "django":
        return found
    try:
        from django.apps import apps

        if apps.ready:
            found["settings"] = project.named()
            if orders.get("migrated"):
                found["others"] = others(orders["migrated"])
    except Exception:
        pass  # it is told beside what was asked for
    return found


def others(migrated):
    """Those that have something pending: `[{"name": "reports", "pending": 3}]`."""
    from django.db import connections

    aliases = [alias for alias in sorted(connections.databases) if alias not in migrated]
    aliases = [alias for alias in aliases if not is_none(connections.databases[alias])][:ENTRIES]
    if not aliases:
        return []
    asked = {
        alias: Asked(alias, alias not in migrated) for alias in [*migrated, *aliases] if alias in connections.databases
    }
    limit = time.monotonic() + SECONDS
    for one in asked.values():
        one.thread.start()
    for one in asked.values():
        one.thread.join(max(0.0, limit - time.monotonic()))
    ours = [asked[alias] for alias in migrated if alias in asked]
    known, found = set().union(*(one.identities for one in ours)), []
    # Which server one that did not answer is, nobody knows: another entry may lead to it.
    unsure = {one.kind for one in ours if not one.identified}
    for alias in aliases:
        one, pending = asked[alias], asked[alias].pending
        if pending and not known & one.identities and one.kind not in unsure:
            found.append({"name": short(alias, 100), "pending": pending})
        known |= one.identities
    return found


def is_none(entry):
    """Whether it is no database of its own: nothing at all, or said to be another's mirror."""
    engine = entry.get("ENGINE") or "django.db.backends.dummy"
    return engine == "django.db.backends.dummy" or bool((entry.get("TEST") or {}).get("MIRROR"))


class Asked:
    """One entry, asked in a thread of its own, which may hang."""

    def __init__(self, alias, counts):
        self.alias, self.counts, self.pending, self.kind = alias, counts, 0, None
        self.identities = set()  # by what it is known to be the same as another
        self.identified = False  # whether that is all that there is to know
        self.thread = threading.Thread(target=self.ask, daemon=True)

    def ask(self):
        try:
            self.look()
        except Exception:
            pass

    def look(self):
        from django.db import connections

        wrapper = connections.create_connection(self.alias)
        kind = self.kind = wrapper.vendor
        entry = wrapper.settings_dict
        self.identities = self.identities | {as_written(kind, entry)}
        self.identified = kind not in IDENTITY
        if kind not in WAIT or kind == "sqlite" and (not self.counts or is_no_file(entry)):
            return
        wrapper = beside(self.alias, dict(WAIT[kind], **(entry.get("OPTIONS") or {})))
        if kind == "sqlite" and not os.path.exists(str(entry["NAME"])):
            wrapper.settings_dict["NAME"] = ":memory:"  # as empty, and nothing is made
        try:
            if kind in IDENTITY:
                self.identities = self.identities | {(kind,) + tuple(str(it) for it in row(wrapper, IDENTITY[kind]))}
                self.identified = True
                if row(wrapper, FOLLOWS[kind])[0] and self.counts:
                    return
            if self.counts:
                self.pending = count(wrapper)
        finally:
            wrapper.close()


def as_written(kind, entry):
    name = str(entry.get("NAME") or "")
    if kind == "sqlite":
        return (kind, os.path.realpath(name))
    options = entry.get("OPTIONS") or {}
    host = entry.get("HOST") or options.get("host") or options.get("unix_socket") or options.get("service") or ""
    return (kind, str(host), str(entry.get("PORT") or options.get("port") or ""), name)


def is_no_file(entry):
    name = str(entry.get("NAME") or "")
    return name in ("", ":memory:") or name.startswith("file:")


def row(wrapper, statement):
    with wrapper.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


def count(wrapper):
    """How many migrations are pending that the routers let do anything here."""
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(wrapper)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    labels = {migration.app_label for migration, backwards in plan if not backwards}
    wanted = {label for label in labels if allowed(wrapper.alias, label)}
    return sum(1 for migration, backwards in plan if not backwards and migration.app_label in wanted)


def allowed(alias, label):
    """Whether anything of this app may be migrated here."""
    from django.apps import apps
    from django.db import router

    try:
        models = list(apps.get_app_config(label).get_models(include_auto_created=True))
    except LookupError:
        models = []
    if models:
        return any(router.allow_migrate_model(alias, model) for model in models)
    return router.allow_migrate(alias, label)
