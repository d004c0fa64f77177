"""A migration that was stopped halfway where the database does not take it back: how far it came, and the ways out.

For MySQL and MariaDB, where each change of the schema is committed at once, and for what is not atomic on SQLite. An aborted
statement may have been committed all the same, and one that was under way when its client died goes on: only the schema
itself tells.
"""

from _ostler import plan, schema
from _ostler.database import leftover
from _ostler.text import one_line, said, short

SQL_LIMIT = 6000  # characters of a remedy


def leftovers(wrapper, case, watched):
    """What the migration that was under way has left: `(a list of at most one, what cannot be told or None)`.

    `watched` says that this very program has seen the run: then a run that told nothing has begun nothing.
    """
    name = under_way(case)
    if name is None or watched and not case.at:
        return [], None
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(wrapper)
    app, _, short_name = name.partition(".")
    try:
        migration = loader.graph.nodes[app, short_name]
    except KeyError:
        return [
            leftover(
                "%s was under way and is not in the code any more" % name,
                "deploy the release that has it, and compare the database with it",
                name,
            )
        ], None
    if wrapper.features.can_rollback_ddl and plan.atomic(migration, wrapper):
        return [], None
    one = Halfway(wrapper, loader, migration, name, case.at or {}, watched)
    return one.judge(), one.unclear


def under_way(case):
    """The migration that was begun, by name, or the first that could have been; None where none is in between."""
    recorded = case.recorded or []
    pending = case.pending or []
    if case.name is not None:
        at = (case.at or {}).get("at")
        return None if case.name in recorded or at in ("applied", "after") else case.name
    return next((one["name"] for one in pending if one["name"] not in recorded), None)


class Halfway:
    def __init__(self, wrapper, loader, migration, name, at, watched):
        self.wrapper, self.migration, self.name, self.at = wrapper, migration, name, at
        self.app = migration.app_label
        self.operations = migration.operations
        self.schema = schema.Schema(wrapper, watched)
        self.states = [loader.project_state((self.app, migration.name), at_end=False)]
        for operation in self.operations:
            self.states.append(self.states[-1].clone())
            operation.state_forwards(self.app, self.states[-1])
        self.unclear = None  # in words
        self.rolls_back = bool(migration.atomic) or not wrapper.features.can_rollback_ddl

    def judge(self):
        found = self.progress()
        total = len(found)
        done = [number for number, one in enumerate(found) if one == schema.DONE]
        open_ones = [number for number, one in enumerate(found) if one not in (schema.DONE, schema.NEUTRAL)]
        if not open_ones and (done or self.at.get("at") in ("committing", "recording")):
            return [self.unrecorded()]
        unclear = [number for number in open_ones if found[number] in (schema.PARTLY, schema.UNKNOWN)]
        if (
            self.at.get("at") is None and not done
        ):  # nobody saw where it was, and what cannot be seen may not have begun
            if open_ones and found[open_ones[0]] == schema.UNKNOWN:
                self.unclear = (
                    "whether operation %d of %s (%s) was done cannot be told: it leaves no trace in the schema"
                    % (open_ones[0] + 1, self.name, words(self.operations[open_ones[0]]))
                )
            unclear = [number for number in unclear if found[number] == schema.PARTLY]
        if not done and not unclear:
            return []
        first = open_ones[0]
        what = "%s is half applied: %d of %d operations are done" % (self.name, len(done), total)
        what += "; operation %d of %d (%s) is %s" % (
            first + 1,
            total,
            words(self.operations[first]),
            SAID[found[first]],
        )
        return [leftover(short(what, 600), self.remedy(done, open_ones, found), self.name)]

    def progress(self):
        """How far each operation has come: by what the run said last, and by what the schema shows."""
        at, number = self.at.get("at"), self.at.get("number", 0)
        found = []
        for index, operation in enumerate(self.operations):
            passed = at in ("committing", "recording") or at == "operation" and index + 1 < number
            if passed:
                found.append(schema.DONE)
            elif at == "operation" and (index + 1 > number or not self.at.get("begun", True)) or at == "migration":
                found.append(schema.NOT)
            else:
                atomic = self.rolls_back and (
                    operation.atomic or self.migration.atomic and operation.atomic is not False
                )
                found.append(self.schema.of(operation, self.app, self.states[index], self.states[index + 1], atomic))
        if at is None:  # what has no trace in the schema was done where something after it is
            last = max((index for index, one in enumerate(found) if one == schema.DONE), default=-1)
            found = [
                schema.DONE
                if index < last and one in (schema.NEUTRAL, schema.UNKNOWN, schema.NOT) and not self.visible(index, one)
                else one
                for index, one in enumerate(found)
            ]
        return found

    def visible(self, index, one):
        """Whether the schema itself says so of this operation."""
        operation = self.operations[index]
        return one == schema.NOT and not hasattr(operation, "code") and not hasattr(operation, "sql")

    def unrecorded(self):
        """All is done, but for keys and indexes that come at the end, perhaps."""
        late = self.late()
        missing = [text for text in late if self.schema.has(text) is False]
        what = "%s is applied but not recorded" % self.name
        if missing:
            what = (
                "all %d operations of %s are done, it is not recorded, and %d of the keys and indexes that come last "
                "are missing" % (len(self.operations), self.name, len(missing))
            )
        return leftover(what, "\n".join(missing + [self.fake()]), self.name)

    def late(self):
        """The statements that Django keeps for the end of the migration."""
        editor = self.editor()
        try:
            for index, operation in enumerate(self.operations):
                if operation.reduces_to_sql and not hasattr(operation, "sql"):
                    operation.database_forwards(self.app, editor, self.states[index], self.states[index + 1])
            return [str(one) + ";" for one in editor.deferred_sql]
        except Exception:
            return []

    def remedy(self, done, open_ones, found):
        """Both ways out: back, so that it can be run again, and forward."""
        back = []
        for index in reversed(done):
            back += self.collected(index, False)
        forward = []
        for index in open_ones:
            note = " (may be done in part: look first)" if found[index] in (schema.PARTLY, schema.UNKNOWN) else ""
            forward += ["-- operation %d: %s%s" % (index + 1, words(self.operations[index]), note)]
            forward += self.collected(index, True)
        forward += [text for text in self.late_of(done) if self.schema.has(text) is False]
        unclear = [index + 1 for index in open_ones if found[index] in (schema.PARTLY, schema.UNKNOWN)]
        warn = ["-- first see by hand how far operation %d came, and undo it" % unclear[0]] if unclear else []
        text = "\n".join(
            ["to go back, and run it again later:"]
            + warn
            + (back or ["-- nothing else"])
            + ["or to go forward:"]
            + forward
            + [self.fake()]
        )
        return (
            text
            if len(text) <= SQL_LIMIT
            else text[:SQL_LIMIT] + "\n-- … cut; `python manage.py sqlmigrate %s %s` has "
            "it all" % (self.app, self.migration.name)
        )

    def late_of(self, indexes):
        """What is kept for the end by the operations that are done already."""
        editor = self.editor()
        try:
            for index in indexes:
                if self.operations[index].reduces_to_sql and not hasattr(self.operations[index], "sql"):
                    self.operations[index].database_forwards(
                        self.app, editor, self.states[index], self.states[index + 1]
                    )
        except Exception:
            pass
        return [str(one) + ";" for one in editor.deferred_sql]

    def collected(self, index, forward):
        """The SQL of one operation, or of its way back."""
        operation, before, after = self.operations[index], self.states[index], self.states[index + 1]
        name = words(operation)
        if not forward and not operation.reversible:
            return ["-- operation %d cannot be undone by Django: %s" % (index + 1, name)]
        if not operation.reduces_to_sql:
            if not forward and getattr(operation, "reverse_code", None) is not None and is_noop(operation.reverse_code):
                return []
            return ["-- operation %d is Python, no SQL: %s" % (index + 1, name)]
        editor = self.editor()
        try:
            if forward:
                operation.database_forwards(self.app, editor, before, after)
            else:
                operation.database_backwards(self.app, editor, after, before)
            statements = list(editor.collected_sql) + [str(one) + ";" for one in editor.deferred_sql]
        except Exception as error:
            return ["-- the SQL of operation %d (%s) cannot be told: %s" % (index + 1, name, said(error))]
        return [one_line(text) for text in statements]

    def editor(self):
        """One that only writes down; it is not entered, which would change the connection."""
        editor = self.wrapper.SchemaEditorClass(self.wrapper, collect_sql=True, atomic=False)
        editor.deferred_sql = []
        return editor

    def fake(self):
        database = "" if self.wrapper.alias == "default" else " --database " + self.wrapper.alias
        return "python manage.py migrate %s %s --fake%s" % (self.app, self.migration.name, database)


SAID = {schema.NOT: "not done", schema.PARTLY: "done in part", schema.UNKNOWN: "perhaps done in part"}


def is_noop(code):
    return getattr(code, "__name__", "") == "noop"


def words(operation):
    return short(operation.describe(), 120)
