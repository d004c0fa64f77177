"""The run's connections among all of a PostgreSQL, and what the others are called.

A connection of the run is known by its name (`application_name`). An app may set another for each connection, and a
migration may lose it (`RESET ALL`). So each also takes two advisory locks when it is made, shared, so that nobody ever
waits for them: one is the run's, one that of all runs of the app. And whoever was seen once is known by pid and start.
"""

import hashlib

from _ostler.database import backend

RUN, FAMILY = 0x6F737472, 0x6F737466  # "ostr", "ostf"
AUTOVACUUM = "autovacuum"

MARKED = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = %(kind)s "
    "AND objid = %(number)s AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
# A connection of this run; `mine` has the parameters.
MINE = (
    "(application_name = %(name)s OR pid IN (" + MARKED + ") OR (pid, backend_start::text) IN ("
    "SELECT * FROM unnest(%(pids)s::int[], %(starts)s::text[]))) AND pid <> pg_backend_pid() "
    "AND datname = current_database() AND usesysid IS NOT NULL"
)
CLIENT = "(backend_type IS NULL OR backend_type = 'client backend')"
ALL = """
    SELECT pid, application_name, usename, host(client_addr), state, query,
           extract(epoch FROM clock_timestamp() - coalesce(xact_start, state_change))::bigint, usesysid IS NULL
      FROM pg_stat_activity"""
# What an autovacuum works on, and whether it is one that the server does not cancel for whoever waits: its own words are
# shown to few roles.
VACUUMED = """
    SELECT c.oid::regclass::text,
           age(c.relfrozenxid) > least(current_setting('autovacuum_freeze_max_age')::bigint, (
               SELECT option_value::bigint FROM pg_options_to_table(c.reloptions)
                WHERE option_name = 'autovacuum_freeze_max_age'))
           OR mxid_age(c.relminmxid) > current_setting('autovacuum_multixact_freeze_max_age')::bigint
      FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
     WHERE l.pid = %s AND l.granted AND l.mode = 'ShareUpdateExclusiveLock' AND c.relkind IN ('r', 'm')"""


def number(text):
    """The second half of an advisory lock's key."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) & 0x7FFFFFFF


def marks(tag):
    """The advisory locks of a connection that is called `tag`."""
    family = [(FAMILY, number(tag.family))] if tag.text.startswith(tag.family) else []
    return [(RUN, number(tag.text))] + family


def mine(tag, known):
    """The parameters of `MINE`; `known` has the start of each that was seen, by pid."""
    return {
        "name": tag.text,
        "kind": RUN,
        "number": number(tag.text),
        "pids": list(known),
        "starts": list(known.values()),
    }


def others_of(tag):
    """The condition for what earlier runs of the app have left, and its parameters."""
    own = (
        "application_name = %(name)s OR pid IN ("
        + MARKED.replace("%(kind)s", "%(run)s").replace("%(number)s", "%(own)s")
        + ")"
    )
    condition = (
        "(left(application_name, %(length)s) = %(family)s OR pid IN (" + MARKED + ")) AND NOT (" + own + ") "
        "AND pid <> pg_backend_pid() AND datname = current_database() AND usesysid IS NOT NULL"
    )
    return condition, {
        "length": len(tag.family),
        "family": tag.family,
        "kind": FAMILY,
        "number": number(tag.family),
        "name": tag.text,
        "run": RUN,
        "own": number(tag.text),
    }


def who(link, pids):
    """The connections with these pids, as ostlerd's `Backend`s."""
    found = [described(link, row) for row in link.ask(ALL + " WHERE pid = ANY(%s)", [pids])]
    if 0 in pids:
        found.append(backend(0, "a prepared transaction (see pg_prepared_xacts)", "prepared"))
    return found


def described(link, row):
    pid, application, user, address, state, query, seconds, is_server = row
    who = application or "%s from %s" % (user or "the server itself", address or "the local socket")
    # Nobody else who works for no role holds a lock that anybody waits for.
    if is_server and not user:
        who, query = vacuum(link, pid, query or ""), "" if (query or "").startswith("<insufficient") else query
    return backend(pid, who, state or "", query or "", seconds)


def vacuum(link, pid, query):
    rows = link.ask(VACUUMED, [pid])
    words = "%s of %s" % (AUTOVACUUM, rows[0][0]) if rows else AUTOVACUUM
    if query.endswith("(to prevent wraparound)") or any(urgent for _, urgent in rows):
        return words + " to prevent wraparound, which the server does not cancel"
    return words
