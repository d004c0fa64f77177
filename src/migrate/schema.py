"""Which operations of a migration the schema shows as done: the models' state before and after each, against the database."""

import re

DONE, NOT, PARTLY, UNKNOWN, NEUTRAL = "done", "not done", "partly done", "unknown", "neutral"

# What only changes rows, so that a transaction takes it back also where it does not take back a change of the schema.
ROWS_ONLY = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|SELECT|SET|WITH)\b", re.I)
COMMENT = re.compile(r"--[^\n]*|#[^\n]*|/\*.*?\*/", re.S)


class Schema:
    """The database as it is."""

    def __init__(self, wrapper, watched):
        self.wrapper, self.watched = wrapper, watched
        with wrapper.cursor() as cursor:
            self.tables = set(wrapper.introspection.table_names(cursor))
        self.columns, self.named = {}, {}

    def types(self, table):
        """`{column: (type, nullable)}`."""
        if table not in self.columns:
            with self.wrapper.cursor() as cursor:
                if self.wrapper.vendor == "mysql":
                    cursor.execute(
                        "SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE = 'YES' FROM information_schema.COLUMNS "
                        "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s",
                        [table],
                    )
                    rows = cursor.fetchall()
                else:
                    cursor.execute("PRAGMA table_info(%s)" % self.wrapper.ops.quote_name(table))
                    rows = [(row[1], row[2], not row[3]) for row in cursor.fetchall()]
            self.columns[table] = {column: (plain(kind), bool(null)) for column, kind, null in rows}
        return self.columns[table]

    def names(self, table):
        """The names of its indexes and constraints."""
        if table not in self.named:
            found = set()
            if table in self.tables:
                with self.wrapper.cursor() as cursor:
                    found = set(self.wrapper.introspection.get_constraints(cursor, table))
            self.named[table] = found
        return self.named[table]

    def holds(self, fact):
        kind, table = fact[:2]
        if kind == "table":
            return table in self.tables
        if table not in self.tables:
            return False
        return fact[2] in (self.types(table) if kind == "column" else self.names(table))

    def has(self, statement):
        """Whether the index or key that a statement makes is there; None where it makes none that has a name."""
        text = str(statement)
        names = re.search(r"\bADD CONSTRAINT [`\"]([^`\"]+)|\bCREATE (?:UNIQUE )?INDEX [`\"]([^`\"]+)", text)
        table = re.search(r"\bALTER TABLE [`\"]([^`\"]+)|\bON [`\"]([^`\"]+)", text)
        if not names or not table:
            return None
        return (names.group(1) or names.group(2)) in self.names(table.group(1) or table.group(2))

    def of(self, operation, app, before, after, rolls_back):
        """How far `operation`, which leads from `before` to `after`, has come."""
        name = type(operation).__name__
        inner = getattr(operation, "database_operations", None)
        if name == "SeparateDatabaseAndState" and inner is not None:
            return self.of_all(inner, app, before, rolls_back)
        if hasattr(operation, "code"):  # RunPython
            return NOT if rolls_back and operation.atomic is not False else UNKNOWN
        if hasattr(operation, "sql"):
            # Django runs it without a transaction: one statement is one of its own, and was ended with the run where
            # somebody watched. Where nobody did it may have gone on, and left no trace.
            whole = rolls_back or self.watched and len(statements_of(operation.sql)) == 1
            return NOT if whole and rows_only(operation.sql) else UNKNOWN
        if not operation.reduces_to_sql:
            return UNKNOWN
        old, new = facts(before, app, self.wrapper), facts(after, app, self.wrapper)
        signs = [self.holds(fact) for fact in new.keys() - old.keys()]
        signs += [not self.holds(fact) for fact in old.keys() - new.keys()]
        for fact in new.keys() & old.keys():
            if new[fact] != old[fact]:
                is_now = self.types(fact[1]).get(fact[2]) if fact[1] in self.tables else None
                signs.append(True if is_now == new[fact] else False if is_now == old[fact] else None)
        return summed(signs) if signs else (NEUTRAL if is_neutral(operation) else UNKNOWN)

    def of_all(self, operations, app, state, rolls_back):
        found = []
        for operation in operations:
            after = state.clone()
            operation.state_forwards(app, after)
            found.append(self.of(operation, app, state, after, rolls_back))
            state = after
        found = [one for one in found if one != NEUTRAL]
        if not found:
            return NEUTRAL
        return found[0] if len(set(found)) == 1 else UNKNOWN if UNKNOWN in found else PARTLY


def summed(signs):
    if None in signs:
        return UNKNOWN
    return DONE if all(signs) else PARTLY if any(signs) else NOT


def is_neutral(operation):
    return type(operation).__name__ in ("AlterModelOptions", "AlterModelManagers", "AlterModelTableComment")


def statements_of(sql):
    texts = [sql] if isinstance(sql, str) else [one if isinstance(one, str) else one[0] for one in sql]
    return [part for text in texts for part in COMMENT.sub("", text).split(";") if part.strip()]


def rows_only(sql):
    return all(ROWS_ONLY.match(one) for one in statements_of(sql))


def facts(state, app, wrapper):
    """What the models of an app say that there is in the database: `{fact: (type, nullable) of a column or None}`."""
    found = {}
    for model in (
        state.apps.get_app_config(app).get_models(include_auto_created=True) if app in state.apps.app_configs else ()
    ):
        meta = model._meta
        if not meta.managed or meta.proxy or meta.swapped:
            continue
        found["table", meta.db_table] = None
        for field in meta.local_concrete_fields:
            kind = field.db_type(wrapper)
            if kind is not None:
                found["column", meta.db_table, field.column] = (plain(kind), bool(field.null))
        for named in list(meta.indexes) + list(meta.constraints):
            if getattr(named, "condition", None) is None or wrapper.features.supports_partial_indexes:
                found["name", meta.db_table, named.name] = None
    return found


def plain(kind):
    """A type as both Django and the server would write it."""
    kind = text(kind).lower().replace("auto_increment", "").replace("autoincrement", "")
    kind = re.sub(r"\b(tiny|small|medium|big)?int(eger)?(\(\d+\))?", lambda it: (it.group(1) or "") + "int", kind)
    kind = (
        re.sub(r"\bbool(ean)?\b", "tinyint", kind).replace("numeric", "decimal").replace("double precision", "double")
    )
    kind = re.sub(r"\bjson\b", "longtext", kind)
    return re.sub(r"\s*([(),])\s*", r"\1", kind).strip()


def text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
