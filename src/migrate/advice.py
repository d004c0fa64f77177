"""A verdict on code and schema in words: what breaks, and how it is done in two releases."""

LATER = "in a later release, once no code that knows it serves"


def told(verdict):
    """One of ostlerd's `Breakage`s, of what the migrations to come do to the code that serves."""
    return said(verdict, "the release that serves", remedy(verdict))


def told_of_the_past(verdict):
    """The same of code that is older than the database."""
    remedy = (
        "deploy a release that knows the migrations that the database has; to go back all the same, first undo them "
        "with that release's code: `python manage.py migrate %s NAME_OF_THE_MIGRATION_BEFORE`"
        % verdict["model"].partition(".")[0]
    )
    return said(verdict, "the release to come, which is older than the database", remedy)


def said(verdict, release, remedy):
    return {
        "migration": verdict.get("migration"),
        "operation": verdict.get("operation") or "",
        "table": verdict["table"],
        "column": None if verdict["what"] in ("table", "rule") else verdict["name"],
        "model": verdict["model"],
        "certain": verdict["certain"],
        "what": what(verdict),
        "effect": of(verdict, release),
        "remedy": remedy,
    }


def what(verdict):
    table, name, kind = verdict["table"], verdict["name"], verdict["what"]
    place = "column %s of %s" % (name, table)
    if kind == "table":
        return "table %s is %s" % (table, "renamed to " + verdict["renamed"] if verdict.get("renamed") else "removed")
    if kind == "column":
        return "%s is %s" % (place, "renamed to " + verdict["renamed"] if verdict.get("renamed") else "removed")
    if kind == "insert":
        return "%s takes no NULL and has no default in the database" % place
    if kind == "null":
        return "%s takes no NULL any more" % place
    if kind == "default":
        return "%s has no default in the database any more" % place
    if kind == "rule":
        return "table %s gets the constraint %s" % (table, name)
    return "%s changes from %s to %s" % (place, verdict["was"], verdict["now"])


def of(verdict, release):
    """What that does to the model that uses it."""
    model = "%s of %s" % (verdict["model"], release)
    return {
        "table": "%s is kept there, and all its queries fail",
        "column": "every query of %s names it, and fails",
        "insert": "%s does not know it, and each of its inserts fails",
        "null": "%s writes NULL there where the code sets nothing" if verdict["certain"] else "%s may write NULL there",
        "default": "%s leaves it to the database, and its inserts fail",
        "rule": "%s does not know it, and what it writes against it fails",
        "narrower": "%s may write what does not fit any more",
        "type": "%s reads and writes the old type",
    }[verdict["what"]] % model


def remedy(verdict):
    kind, name, model = verdict["what"], verdict["name"], verdict["model"].partition(".")[2]
    if kind == "table" and verdict.get("renamed"):
        return 'keep the table: give the renamed model db_table = "%s" in its Meta' % verdict["table"]
    if kind == "table":
        return (
            "in two releases: first one without the model, whose migration takes it out of Django's state alone, "
            'SeparateDatabaseAndState(state_operations=[DeleteModel("%s")]); remove the table %s' % (model, LATER)
        )
    if kind == "column" and verdict.get("renamed"):
        return (
            'keep the column: rename the field alone, with db_column="%s"; or add the new column beside the old one, '
            "write both, and remove the old one %s" % (name, LATER)
        )
    if kind == "column":
        return (
            "in two releases: first one without the field, whose migration lets the column take NULL (or gives it a "
            "db_default) and takes it out of Django's state alone, SeparateDatabaseAndState(state_operations=["
            'RemoveField("%s", …)]); remove the column %s' % (model, LATER)
        )
    if kind == "insert":
        return (
            "give the field a db_default (Django 5.0 and later), or null=True, and make it NOT NULL in a later release: "
            "Django takes a `default` out of the database again"
        )
    if kind == "null":
        return "in two releases: first one that always sets it (a `default` of the field does), then null=False"
    if kind == "default":
        return "keep its db_default as long as code serves that leaves it to the database"
    if kind == "type":
        return (
            "add a column of the new type beside the old one, write both, read the new one in the next release, and "
            "remove the old one after that"
        )
    return "in two releases: first one that keeps to it, then the one that has the database enforce it"
