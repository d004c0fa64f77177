"""What an operation locks and rewrites on PostgreSQL, as far as Django's own operations tell. Moments are not named."""

import re

CONCURRENT = ("AddIndexConcurrently", "RemoveIndexConcurrently", "ValidateConstraint", "AddConstraintNotValid")
# Functions that a row is asked for, one by one.
VOLATILE = re.compile(r"Random|random|UUID|uuid|clock_timestamp|nextval")


def of(operation, before, after, connection):
    """Words about one operation on a table that was there; `before` and `after` are its model."""
    name = type(operation).__name__
    if name in CONCURRENT:
        return []
    if hasattr(operation, "sql") and hasattr(operation, "reverse_sql"):
        return ["runs SQL of its own: what it locks cannot be told"]
    if name == "RunPython":
        return ["rows that its code changes stay locked until the migration has ended"]
    if before is None or after is None:
        return []
    table = after._meta.db_table
    if hasattr(operation, "index") and name == "AddIndex":
        return [index(table)]
    if hasattr(operation, "constraint") and name.startswith("Add"):
        return constraint(operation.constraint, table)
    if name == "AlterUniqueTogether":
        new = set(map(tuple, after._meta.unique_together)) - set(map(tuple, before._meta.unique_together))
        return [unique(table)] if new else []
    if name in ("AddField", "AlterField"):
        old = field_of(before, operation.name) if name == "AlterField" else None
        new = field_of(after, operation.name)
        if new is None or new.db_type(connection) is None:
            return []
        return added(new, table) if old is None else altered(old, new, table, connection)
    return []


def field_of(model, name):
    return next((it for it in model._meta.local_fields if it.name.lower() == name.lower()), None)


def index(table):
    return (
        "nobody can write to %s while the index is built: AddIndexConcurrently, in a migration with atomic = False, "
        "lets them" % table
    )


def unique(table):
    return (
        "nobody can read or write %s while its unique index is built: build a unique index CONCURRENTLY first, and add the "
        "constraint USING it" % table
    )


def constraint(made, table):
    kind = type(made).__name__
    if kind == "CheckConstraint":
        return [
            "nobody can read or write %s while all its rows are checked: AddConstraintNotValid, and ValidateConstraint in "
            "another migration, let them" % table
        ]
    if kind == "UniqueConstraint" and (
        getattr(made, "condition", None) is not None or getattr(made, "expressions", ())
    ):
        return [index(table)]
    return [unique(table)]


def has_key(field):
    return bool(field.remote_field and getattr(field, "db_constraint", False))


def added(field, table):
    found = []
    if (
        type(field).__name__.endswith("AutoField")
        or getattr(field, "generated", False)
        and getattr(field, "db_persist", False)
    ):
        found.append(rewrite(table, "every row gets a value of its own"))
    elif is_volatile(getattr(field, "db_default", None)):
        found.append(rewrite(table, "its db_default is worked out for every row"))
    if field.unique:
        found.append(unique(table))
    elif field.db_index:
        found.append(index(table))
    if has_key(field):
        found.append(key(table, field))
    return found


def key(table, field):
    return "nobody can write to %s and %s while the foreign key is checked" % (
        table,
        field.remote_field.model._meta.db_table,
    )


def is_volatile(default):
    return default is not None and hasattr(default, "resolve_expression") and bool(VOLATILE.search(repr(default)))


def rewrite(table, why):
    return "nobody can read or write %s while all of it is written anew: %s" % (table, why)


def altered(old, new, table, connection):
    found = []
    was, now = old.db_type(connection), new.db_type(connection)
    if plain(was) != plain(now) and not keeps_rows(plain(was), plain(now)):
        found.append(rewrite(table, "the type of %s changes from %s to %s" % (new.column, was, now)))
    if old.null and not new.null:
        found.append(
            "nobody can read or write %s while all its rows are looked at for NULL in %s" % (table, new.column)
        )
    if new.unique and not old.unique:
        found.append(unique(table))
    elif new.db_index and not old.db_index and not old.unique:
        found.append(index(table))
    if has_key(new) and (
        not has_key(old) or old.remote_field.model._meta.db_table != new.remote_field.model._meta.db_table
    ):
        found.append(key(table, new))
    return found


def plain(kind):
    return re.sub(
        r"\b(big|small)?serial\b", lambda it: (it.group(1) or "") + ("int" if it.group(1) else "integer"), str(kind)
    )


def keeps_rows(was, now):
    """Whether PostgreSQL changes the type without writing any row: a text that gets longer, a number with more digits."""
    texts = [re.match(r"varchar\((\d+)\)$|(text|varchar)$", it) for it in (was, now)]
    if all(texts):
        first, second = (float(it.group(1) or "inf") for it in texts)
        return second >= first
    numbers = [re.match(r"numeric\((\d+), ?(\d+)\)$", it) for it in (was, now)]
    if all(numbers):
        return int(numbers[1].group(1)) >= int(numbers[0].group(1)) and numbers[0].group(2) == numbers[1].group(2)
    return False
