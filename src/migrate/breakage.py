"""Whether code can go on with another schema than its own: descriptions in, verdicts out; nothing is asked or read here.

A description is that of `tables`. `serving` is a list of them, what the code uses; `was` and `now` are the database by
table, before and after the migrations to come. Only their difference counts: what was wrong before is nobody's fault now.
"""

import re

INTEGERS = {
    "SmallIntegerField": 16,
    "PositiveSmallIntegerField": 15,
    "IntegerField": 32,
    "PositiveIntegerField": 31,
    "BigIntegerField": 64,
    "PositiveBigIntegerField": 63,
}
TEXTS = ("CharField", "SlugField", "FileField", "FilePathField", "TextField")
KNOWN = (
    "BooleanField",
    "DateField",
    "DateTimeField",
    "TimeField",
    "DurationField",
    "UUIDField",
    "JSONField",
    "GenericIPAddressField",
    "FloatField",
    "BinaryField",
    "DecimalField",
)
# What the code writes is taken, and what it reads is only of another class. What is written as text is taken where it fits.
CLOSE = {
    ("int", "DecimalField"),
    ("int", "FloatField"),
    ("DateField", "DateTimeField"),
    ("FloatField", "DecimalField"),
    ("DecimalField", "FloatField"),
}
SAME, WIDER, NARROWER, OTHER, UNKNOWN = "same", "wider", "narrower", "other", "unknown"


def check(serving, was, now, bounded=True):
    """`{key: verdict}`; `bounded` is whether the database holds columns to the length of their type."""
    found = {}

    def add(what, used, name, certain, **more):
        key = (what, used["table"], name)
        if key not in found:
            found[key] = dict(more, what=what, table=used["table"], name=name, model=used["model"], certain=certain)

    for used in serving:
        before, after = was.get(used["table"]), now.get(used["table"])
        if before is None:
            continue
        if after is None:
            add("table", used, None, True)
            continue
        for name, mine in used["columns"].items():
            if name in before["columns"] and name not in after["columns"]:
                add("column", used, name, True)
            elif name in before["columns"]:
                changed(add, used, name, (mine, before["columns"][name], after["columns"][name]), bounded)
        for name, is_ in after["columns"].items():
            if name not in used["columns"] and used["managed"] and needs_a_value(is_):
                if not needs_a_value(before["columns"].get(name)):
                    add("insert", used, name, True)
        for rule in after["rules"]:
            if rule not in before["rules"] and rule not in used["rules"] and used["managed"]:
                add("rule", used, rule, False)
    return found


def needs_a_value(column):
    """Whether an insert that does not name it fails."""
    return column is not None and not any(column.get(it) for it in ("null", "db_default", "auto"))


def changed(add, used, name, columns, bounded):
    """A column that both know."""
    mine, before, after = columns
    if mine.get("null") and before.get("null") and not after.get("null"):
        add("null", used, name, not mine.get("fills"))
    if mine.get("db_default") and before.get("db_default") and needs_a_value(after):
        add("default", used, name, True)
    if mine["kind"] in ("", after["kind"]):
        return
    how = compared(before["kind"], after["kind"])
    if how in (OTHER, UNKNOWN) or how == NARROWER and bounded:
        families = (family(before["kind"]), family(after["kind"]))
        certain = how == OTHER and families not in CLOSE and families[0] != "text"
        add("narrower" if how == NARROWER else "type", used, name, certain, was=before["kind"], now=after["kind"])


def family(kind):
    name = kind.partition("(")[0]
    if name in INTEGERS:
        return "int"
    if name in TEXTS:
        return "text"
    return name if name in KNOWN else None


def bounds(kind):
    """The numbers by which a type is bounded; as large as can be where there are none."""
    name = kind.partition("(")[0]
    if name in INTEGERS:
        return [INTEGERS[name]]
    numbers = [int(it) for it in re.findall(r"\d+", kind.partition("(")[2])]
    if name == "DecimalField" and len(numbers) == 2:
        return [numbers[0] - numbers[1], numbers[1]]
    return numbers or [float("inf")]


def compared(was, now):
    """What becomes of a column whose type changes so."""
    if was == now:
        return SAME
    if family(was) is None or family(now) is None:
        return UNKNOWN
    if family(was) != family(now):
        return OTHER
    before, after = bounds(was), bounds(now)
    if len(before) != len(after):
        return NARROWER if len(after) > len(before) else WIDER
    return NARROWER if any(b > a for b, a in zip(before, after)) else WIDER


def applied(tables, changes):
    """The tables after a change, which is `{table: (before, after)}` by the migrations' own picture.

    Column by column: what an earlier operation has taken out of that picture alone is still in the database.
    """
    made = dict(tables)
    for table, (before, after) in changes.items():
        if after is None:
            made.pop(table, None)
        elif before is None or table not in made:
            made[table] = after
        else:
            columns = {
                name: it
                for name, it in made[table]["columns"].items()
                if name in after["columns"] or name not in before["columns"]
            }
            columns.update((name, it) for name, it in after["columns"].items() if it != before["columns"].get(name))
            rules = [it for it in made[table]["rules"] if it in after["rules"] or it not in before["rules"]]
            rules += [it for it in after["rules"] if it not in before["rules"] and it not in rules]
            made[table] = dict(made[table], columns=columns, rules=rules)
    return made


def judged(serving, was, steps, bounded=True):
    """What the steps together break, each with the step that does.

    A step is one operation: `{"migration", "operation", "changes": {table: (before, after)}}`.
    """
    now, since = was, {}
    for step in steps:
        if not step["changes"]:
            continue
        now = applied(now, step["changes"])
        found = check(serving, was, now, bounded)
        since = {key: since.get(key, step) for key in found}
    found = check(serving, was, now, bounded) if since else {}
    named = [
        dict(
            it,
            migration=since[key]["migration"],
            operation=since[key]["operation"],
            renamed=renamed(key, since[key]["changes"]),
        )
        for key, it in found.items()
    ]
    # Who renames is told of the old name alone.
    new = {(it["migration"], it["operation"], it["renamed"]) for it in named if it["renamed"]}
    return [it for it in named if it["what"] != "insert" or (it["migration"], it["operation"], it["name"]) not in new]


def renamed(key, changes):
    """What a table or column that has gone is called now, where the same operation has made one like it."""
    what, table, name = key
    if what == "table" and table in changes:
        shape = sorted(changes[table][0]["columns"])
        alike = [
            other
            for other, (before, after) in changes.items()
            if before is None and after is not None and sorted(after["columns"]) == shape
        ]
    elif what == "column" and table in changes and None not in changes[table]:
        before, after = changes[table]
        kind = before["columns"].get(name, {}).get("kind")
        gone = [it for it in before["columns"] if it not in after["columns"]]
        alike = [it for it, made in after["columns"].items() if it not in before["columns"] and made["kind"] == kind]
        alike = alike if len(gone) == 1 else []
    else:
        return None
    return alike[0] if len(alike) == 1 else None
