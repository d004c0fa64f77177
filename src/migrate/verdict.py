"""What a run left: recorded or not, half applied or not, for every kind of database."""

from _ostler.database import leftover
from _ostler.text import short

# Operations that are one statement each, which is done or not done.
SINGLE = ("AddIndexConcurrently", "RemoveIndexConcurrently", "ValidateConstraint")


class Case:
    """A run as it is to be judged."""

    def __init__(self, order, recorded, operations, suspects=None):
        pending = order.get("pending")
        self.pending = None if pending is None else pending.get("migrations") or []
        self.name = order.get("migration")  # the one that was under way
        self.at = reached(order.get("at") or {})  # ostlerd's `Step`
        self.failed = bool(order.get("failed"))
        self.recorded = recorded  # the names of `pending` that are recorded now; None where nobody can tell
        self.operations = operations  # the operations of `name`, or None
        # The operations of `name`, or of all that were pending where nobody knows where the run was.
        self.suspects = suspects if suspects is not None else operations or []

    @property
    def migration(self):
        for migration in self.pending or []:
            if migration["name"] == self.name:
                return migration
        return None

    def concurrent_index(self):
        """The name of the index, where the migration is nothing but one concurrent operation on it."""
        if self.migration is None or self.migration["atomic"] or self.operations is None or len(self.operations) != 1:
            return None
        operation = self.operations[0]
        kind = type(operation).__name__
        if kind == "AddIndexConcurrently":
            return operation.index.name
        return operation.name if kind == "RemoveIndexConcurrently" else None

    def words(self):
        """Everything by which what was under way may name an index."""
        found = []
        for operation in self.suspects:
            for one in [operation] + [getattr(operation, name, None) for name in ("index", "constraint")]:
                found += [text for text in (getattr(one, "name", None), getattr(one, "sql", None)) if text]
        return [text if isinstance(text, str) else repr(text) for text in found]

    def is_opaque(self):
        """Whether what was under way may do things that nobody can read in it."""
        own = [
            it
            for it in self.suspects
            if not type(it).__module__.startswith("django.") or type(it).__name__ == "RunPython"
        ]
        return self.pending is None or bool(own)


def reached(at):
    """Where a run is that has committed the operation in which it was: at the end of all, or before the next."""
    if not at.get("done"):
        return at
    number, of = int(at.get("number") or 1), int(at.get("of") or 1)
    return {"at": "committing"} if number >= of else {"at": "operation", "number": number + 1, "of": of, "begun": False}


def own(case):
    """Of what is recorded, what the run itself can have applied. What it was stopped in before it could record it, and what
    comes after that, another server has applied since, which had got the lock."""
    stopped = case.failed and case.at.get("at") in ("migration", "operation")
    if not stopped or case.pending is None or case.name not in (case.recorded or []):
        return case.recorded
    names = [migration["name"] for migration in case.pending]
    before = names[: names.index(case.name)]
    print("ostler: %s was stopped; another server has applied it since" % case.name, flush=True)
    return [name for name in case.recorded if name in before]


def leftovers(case, rolls_back, same=None):
    """What the migration that was under way left, by where it was.

    `rolls_back` says whether the database undoes a schema change with its transaction, `same` whether the schema is
    what it was before the run, where that is known.
    """
    migration = case.migration
    if not case.failed or migration is None or case.recorded is None or case.name in case.recorded:
        return []
    if migration["atomic"] and rolls_back:
        return []  # all of it is one transaction, its record included (see `hooks`)
    if same and not case.recorded and done(case) is not None:
        if not any(type(it).__name__ in ("RunPython", "RunSQL") for it in done(case)):
            return []
    at, app, name = case.at.get("at"), *case.name.partition(".")[::2]
    fake = "python manage.py migrate %s %s --fake" % (app, name)
    if at == "recording":
        return [leftover("applied but not recorded", fake, case.name)]
    if at == "committing":
        return [
            leftover(
                "all operations are applied, its foreign keys and indexes that come last may not be; it is not "
                "recorded",
                "add what is missing of `python manage.py sqlmigrate %s %s`, then %s" % (app, name, fake),
                case.name,
            )
        ]
    if at == "operation":
        return operation(case, app, name, fake, rolls_back)
    return []


def done(case):
    """The operations up to the one that was under way, where they are known."""
    if case.operations is None:
        return None
    number = case.at.get("number") if case.at.get("at") == "operation" else len(case.operations)
    return case.operations[:number]


def operation(case, app, name, fake, rolls_back):
    number, of = int(case.at.get("number") or 1), int(case.at.get("of") or 1)
    words = short(case.at.get("words"), 120)
    before = [it for it in (done(case) or [None] * number)[: number - 1] if not touches_nothing(it)]
    current = case.operations[number - 1] if case.operations and number <= len(case.operations) else None
    begun = case.at.get("begun", True)
    whole = single(current, rolls_back) or not begun
    if not before and whole:
        return []
    what = (
        "operation %d of %d (%s) failed" % (number, of, words)
        if begun
        else "operation %d of %d was not begun" % (number, of)
    )
    if before:
        what = (
            "operation%s before it %s applied and not recorded: "
            % ("s" if len(before) > 1 else "", "are" if len(before) > 1 else "is")
            + what
        )
    if not whole:
        what += ", and a part of it may be done"
    remedy = (
        "undo by hand what is applied (`python manage.py sqlmigrate %s %s` shows it) and deploy again, or finish the "
        "rest by hand, then %s" % (app, name, fake)
    )
    return [leftover(what, remedy, case.name)]


def touches_nothing(operation):
    """Whether it changes Django's own picture of the schema alone."""
    return getattr(operation, "database_operations", None) == []


def single(operation, rolls_back):
    """Whether it is done as a whole or not at all."""
    if operation is None:
        return False
    if touches_nothing(operation) or type(operation).__name__ in SINGLE:
        return True
    if not rolls_back:
        return False
    # A transaction of its own, or one string, which the server takes as one.
    return bool(getattr(operation, "atomic", False)) or (
        type(operation).__name__ == "RunSQL" and isinstance(operation.sql, str)
    )
