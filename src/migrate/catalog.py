"""What PostgreSQL's own tables tell: who waits for whom, what is invalid, whether the schema is as before."""

from _ostler import backends, verdict
from _ostler.database import Lost, leftover
from _ostler.text import short

# Programs that look after a database: who waits in them is nobody that is kept waiting.
PROGRAMS = (
    "^(pg_dump|pg_dumpall|pg_restore|pg_basebackup|vacuumdb|reindexdb|clusterdb|pg_repack|pg_squeeze|pgcompacttable)"
)
STATEMENTS = "^\\s*(/[*].*?[*]/\\s*)*(VACUUM|ANALY[SZ]E|REINDEX|CLUSTER|REFRESH MATERIALIZED|CREATE (UNIQUE )?INDEX)\\y"
# Everything of a look in one question: some 1 ms. `pg_blocking_pids` is asked only of those that wait, and the question itself
# is left out: a concurrent index waits for its snapshot, for that moment. What others do is shown to few roles; that they wait
# for a lock that only maintenance takes is shown to all, and that they sit at a psql.
LOOK = """
    WITH mine AS (
      SELECT pid, state, query, backend_start::text AS start, concat_ws(' ', query_start, state_change) AS moved
        FROM pg_stat_activity WHERE MINE AND CLIENT),
    queue AS (
      SELECT l.pid, max(l.mode) AS mode, max(SINCE) AS seconds
        FROM pg_locks l WHERE NOT l.granted GROUP BY l.pid ORDER BY 3 DESC NULLS LAST LIMIT %(most)s)
    SELECT json_build_object(
      'mine', (SELECT json_agg(json_build_object('pid', pid, 'state', state, 'query', left(query, 400), 'start', start,
                                                 'moved', moved)) FROM mine),
      'clients', (SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND usesysid IS NOT NULL AND CLIENT AND pid <> pg_backend_pid()
                     AND application_name NOT LIKE 'ostler-watch:%%' AND pid NOT IN (SELECT pid FROM mine)),
      'waiting', (SELECT json_agg(json_build_object('pid', q.pid, 'seconds', q.seconds,
          'by', array_remove(pg_blocking_pids(q.pid), pg_backend_pid()),
          'person', a.usesysid IS NOT NULL AND (a.backend_type IS NULL OR a.backend_type = 'client backend')
                    AND a.application_name NOT LIKE 'ostler-watch:%%',
          'maintains', a.usesysid IS NULL OR q.mode = 'ShareUpdateExclusiveLock' OR a.application_name ~ %(programs)s
                       OR a.query ~* %(statements)s
                       OR (a.application_name = 'psql' AND a.query = '<insufficient privilege>')))
        FROM queue q LEFT JOIN pg_stat_activity a ON a.pid = q.pid)
      BUILDING)::text"""
BUILDING = """, 'building', (SELECT json_agg(json_build_object(
          'command', b.command, 'phase', b.phase, 'index', b.index_relid::bigint,
          'blocks', array[b.blocks_done, b.blocks_total], 'tuples', array[b.tuples_done, b.tuples_total],
          'lockers', array[b.lockers_done, b.lockers_total]))
        FROM pg_stat_progress_create_index b JOIN mine ON mine.pid = b.pid)"""
LOOK = LOOK.replace("MINE", backends.MINE).replace("CLIENT", backends.CLIENT)
LOOK_OLD = LOOK.replace("SINCE", "NULL::float").replace("BUILDING", "")
LOOK = LOOK.replace("SINCE", "extract(epoch FROM clock_timestamp() - l.waitstart)").replace("BUILDING", BUILDING)

OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_%%'"
# Oids and not names: quick, and nothing that a vacuum changes.
MARK = """
    SELECT md5(coalesce((SELECT string_agg(concat_ws(',', c.oid, c.relname, c.relkind), ';' ORDER BY c.oid)
                           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE OURS), '')
            || coalesce((SELECT string_agg(concat_ws(',', a.attrelid, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
                                a.atthasdef, a.attisdropped), ';' ORDER BY a.attrelid, a.attnum)
                           FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                           JOIN pg_namespace n ON n.oid = c.relnamespace WHERE a.attnum > 0 AND OURS), '')
            || coalesce((SELECT string_agg(concat_ws(',', k.oid, k.conname, k.convalidated), ';' ORDER BY k.oid)
                           FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace WHERE OURS), '')
            || coalesce((SELECT string_agg(concat_ws(',', d.oid, md5(pg_get_expr(d.adbin, d.adrelid))), ';' ORDER BY d.oid)
                           FROM pg_attrdef d), '')
            || coalesce((SELECT string_agg(concat_ws(',', e.oid, e.enumlabel), ';' ORDER BY e.oid) FROM pg_enum e), '')
            || coalesce((SELECT string_agg(concat_ws(',', p.oid, p.proname, md5(p.prosrc)), ';' ORDER BY p.oid)
                           FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE OURS), '')
            || coalesce((SELECT string_agg(concat_ws(',', i.indexrelid, i.indisvalid), ';' ORDER BY i.indexrelid)
                           FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                           JOIN pg_namespace n ON n.oid = c.relnamespace WHERE OURS), ''))""".replace("OURS", OURS)
VERSIONS = (
    "alembic_version",
    "django_migrations",
    "schema_migrations",
    "flyway_schema_history",
    "goose_db_version",
    "databasechangelog",
    "_sqlx_migrations",
    "_prisma_migrations",
)


class Wait:
    def __init__(self, seconds, by, person, maintains):
        self.seconds, self.by, self.person, self.maintains = seconds, by, person, maintains


def waits(rows, clocks):
    """Who waits, by pid. A server that does not say since when is timed by our own clock."""
    import time

    now = time.monotonic()
    for pid in set(clocks) - {row["pid"] for row in rows}:
        del clocks[pid]
    found = {}
    for row in rows:
        seconds = row["seconds"]
        if seconds is None:
            seconds = now - clocks.setdefault(row["pid"], now)
        found[row["pid"]] = Wait(max(0.0, float(seconds)), row["by"] or [], bool(row["person"]), bool(row["maintains"]))
    return found


def behind(mine, waits):
    """Others that wait behind the run, each with its seconds, through however many others they do: `(harmed, maintenance)`.

    Whoever waits behind somebody who waits behind us is harmed by us only since that one has been.
    """
    found, begun = {}, dict.fromkeys(mine)
    while begun:
        more = {}
        for pid, wait in waits.items():
            for blocker in wait.by:
                if pid in mine or blocker not in begun:
                    continue
                seconds = wait.seconds if begun[blocker] is None else min(wait.seconds, begun[blocker])
                if seconds > max(found.get(pid, -1.0), more.get(pid, -1.0)):
                    more[pid] = seconds
        found.update(more)
        begun = more
    harmed = {pid: seconds for pid, seconds in found.items() if waits[pid].person and not waits[pid].maintains}
    return harmed, [pid for pid in found if waits[pid].maintains]


def progress(building, active):
    """What the server does, in words, and how much of it is done."""
    for row in building or []:
        for name in ("lockers", "tuples", "blocks"):
            done, total = row[name]
            # Each phase counts in its own unit and leaves the last one's behind.
            if total and (name == "lockers") == row["phase"].startswith("waiting"):
                return row["phase"], min(100.0, 100.0 * done / total)
        return row["phase"], None
    return (short(active[0]["query"], 120) or None if active else None), None


class Index:
    def __init__(self, number, name, short_name, table, visible, building):
        self.number, self.name, self.short_name, self.table = number, name, short_name, table
        self.visible = visible  # whether its table is the one that its bare name means to us
        self.building = building  # whether somebody else builds an index on its table


def invalid_indexes(link, version, mine=()):
    """Each index that cannot be used. Who builds one is seen by all roles, which one is not: so by the lock on its table."""
    building = (
        "EXISTS (SELECT FROM pg_stat_progress_create_index b JOIN pg_locks l ON l.pid = b.pid AND l.granted "
        "WHERE l.relation = i.indrelid AND l.locktype = 'relation' AND NOT b.pid = ANY(%s))"
    )
    return [
        Index(*row)
        for row in link.ask(
            """
        SELECT c.oid::bigint, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relname, t.relname,
               pg_table_is_visible(t.oid), %s
          FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE NOT (i.indisvalid AND i.indisready) AND c.relkind = 'i' AND %s ORDER BY 2"""
            % (building if version >= 120000 else "false AND %s IS NULL", OURS.replace("%%", "%").replace("%", "%%")),
            [list(mine)],
        )
    ]


def mark(link):
    """The schema as one value, with what known tools have recorded; None where that took too long."""
    try:
        schema = link.ask(MARK.replace("%%", "%"))[0][0]
        tables = [
            row[0]
            for row in link.ask(
                "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables WHERE tablename IN (%s) "
                "AND has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'SELECT') ORDER BY 1"
                % ", ".join("'%s'" % name for name in VERSIONS)
            )
        ]
        records = [
            link.ask("SELECT md5(coalesce(string_agg(t::text, ';' ORDER BY t::text), '')) FROM %s t" % table)[0][0]
            for table in tables
        ]
    except Lost:
        return None
    return schema, tables, records


def verify(side, case):
    """PostgreSQL's part of a verdict: `(leftovers, unverified)`."""
    link, unverified = side.looker, None
    left = []
    for index in invalid_indexes(link, side.version, side.known):
        owner = owner_of(side, case, index)
        if owner is None:
            continue
        alone = case.failed and index.visible and case.concurrent_index() == index.short_name
        removed = alone and index.number in side.built and remove(side, index.name)
        remedy = "DROP INDEX CONCURRENTLY %s;" % index.name
        if owner == "perhaps":
            remedy = "ask who has made it; if nobody has but this run: " + remedy
        left.append(leftover("index %s of table %s is INVALID" % (index.name, index.table), remedy, case.name, removed))
    same = None
    if side.ran and side.mark is not None:
        after = mark(link)
        same = None if after is None else after == side.mark
    if case.pending is None and case.failed:
        unverified = words_of(side, same)
    return left + verdict.leftovers(case, True, same), unverified


def owner_of(side, case, index):
    """Whose an invalid index is: `ours`, `perhaps`, or None where it is somebody else's or was there before."""
    if index.number in side.built:
        return "ours"
    before = side.invalid if side.ran else ()  # else it was looked at after the run
    if index.number in before or index.building or not case.failed:
        return None
    if case.migration is not None and case.migration["atomic"]:
        return None  # a transaction leaves none
    if index.visible and any(index.short_name in words for words in list(side.said) + case.words()):
        return "ours"
    return "perhaps" if case.is_opaque() else None


def words_of(side, same):
    """What can be said of a command that is not Django's and has failed; None where the database is as before."""
    if same is None:
        return "the schema could not be compared with what it was before the run"
    if not same:
        return (
            "the schema, or what the tool records in it, is no longer what it was before the run: what of it is done "
            "nobody but the tool can tell"
        )
    if not side.mark[1]:
        return (
            "the schema is as before; whether data was changed nobody can tell: no table of a known tool (%s) is in "
            "the database" % ", ".join(VERSIONS[:3])
        )
    return None


def remove(side, name):
    """Drops an invalid index; whether it is gone. Without standing in anybody's way, and only for as long as we may."""
    try:
        link = side.connect(side.tag.watch)
    except Lost:
        return False
    try:
        link.ask("DROP INDEX CONCURRENTLY IF EXISTS %s" % name)
        return True
    except Lost:
        return False
    finally:
        link.close()
