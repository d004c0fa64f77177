"""What is foreseen before anything is run: ostlerd's `Outlook`. Nothing in here fails a run."""

from _ostler import advice, breakage, coming, tables
from _ostler.text import said, short

LISTED = 50  # of each kind
UNKNOWN = (
    "whether the code that serves can go on with the new schema is not known: it has not told what it uses of the "
    "database, as an earlier ostlerd's workers have not, nor a worker that has only just begun"
)


def outlook(wrapper, orders, pending, locked):
    """Of a database that is ahead of the code, when it is opened; of what is pending, with the lock; for a plan of both."""
    serving, plan = orders.get("serving"), orders.get("plan")
    breaks, untold, locks, models = [], [], [], None
    try:
        models = None if serving is None else tables.read(serving.get("tables"))
        if serving is not None and pending["ahead"] and not locked:
            older(wrapper, pending["ahead"], models or [], breaks, untold)
        if (locked or plan) and pending["migrations"]:
            if serving is not None and models is None:
                untold.append(UNKNOWN)
            if models is not None or plan:
                newer(wrapper, models or [], plan and wrapper.vendor == "postgresql", (breaks, untold, locks))
    except Exception as error:
        untold.append("whether code and schema fit could not be found out: %s" % short(said(error), 300))
    return {"breaks": breaks[:LISTED], "untold": untold[:LISTED], "locks": locks[:LISTED], "known": models is not None}


def newer(wrapper, serving, with_locks, told):
    """What is pending, for the code that serves."""
    breaks, untold, locks = told
    state, migrations = coming.pending_of(wrapper)
    if not state.models:
        return  # a new database: there is nothing that anybody could use
    was, steps = coming.steps(wrapper.alias, state, migrations, connection=wrapper if with_locks else None)
    locks.extend(
        {"migration": it["migration"], "operation": it["operation"], "words": words}
        for it in steps
        for words in it["locks"]
    )
    if not serving:
        return
    verdicts = breakage.judged(serving, was, steps, bounded=wrapper.vendor != "sqlite")
    verdicts.sort(key=lambda it: not it["certain"])  # what is certain is not among what is left out
    breaks.extend(advice.told(it) for it in verdicts)
    untold.extend(
        "%s: operation %d (%s) %s: what it does to the code that serves cannot be told"
        % (it["migration"], it["number"], it["operation"], it["untold"])
        for it in steps
        if it["untold"]
    )


def older(wrapper, ahead, serving, breaks, untold):
    """What is there, for the code to come, which does not know all migrations that the database has."""
    from django.apps import apps

    labels = {name.partition(".")[0] for name in ahead}
    own = {
        model._meta.label
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in labels and coming.allowed(wrapper.alias, model)
    }
    mine = [it for it in tables.of(apps) if it["model"] in own and it["managed"] and is_plain(it["table"])]
    is_there = found(wrapper, {it["table"] for it in mine + serving})
    # Where the code that serves meets the same, nothing gets worse.
    same = breakage.check(serving, as_if_there(serving), is_there)
    verdicts = breakage.check(mine, as_if_there(mine), is_there)
    breaks.extend(advice.told_of_the_past(it) for key, it in verdicts.items() if key not in same)
    untold.append(
        "the code to come does not know %s: whether it fits types and constraints of the database cannot be told"
        % short(", ".join(ahead), 200)
    )


def is_plain(table):
    """Whether it is found by its name: not where a name holds the schema too."""
    return '"' not in table and "." not in table


def as_if_there(models):
    """The tables as the code has them; types and constraints are left out."""
    return {it["table"]: {"columns": {name: {"kind": ""} for name in it["columns"]}, "rules": []} for it in models}


def found(wrapper, names):
    """Those of these tables that the database has, as far as `breakage.needs_a_value` asks."""
    made, look = {}, wrapper.introspection
    with wrapper.cursor() as cursor:
        there = {name.lower(): name for name in look.table_names(cursor, include_views=True)}
        for table in sorted(names):
            if table.lower() in there:
                name = there[table.lower()]
                key = look.get_primary_key_column(cursor, name)  # the database's own to number
                made[table] = {
                    "rules": [],
                    "columns": {
                        it.name: {
                            "kind": "",
                            "null": it.null_ok or it.name == key,
                            "db_default": it.default is not None,
                        }
                        for it in look.get_table_description(cursor, name)
                    },
                }
    return made
