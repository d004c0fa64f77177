"""Django's `migrate`, as manage.py runs it, telling where it is and why it failed."""

import sys

from _ostler import hooks, mysql, postgresql, project, sqlite
from _ostler.text import one_line, said, trace_of
from _ostler.wire import Trouble

VENDORS = {"postgresql": postgresql, "mysql": mysql, "sqlite": sqlite}


def run(orders, control):
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, write_through=True)
    told = hooks.Hooks(orders, control, VENDORS)
    alias = orders["database"]["alias"]
    try:
        unchecked = ["--skip-checks"] if orders.get("unchecked") else []
        project.execute(["migrate", "--noinput", "--database", alias] + unchecked, orders.get("django"))
        elsewhere(told)
    except project.NoDjango as none:
        control.failed("migration", str(none))
        print(none, file=sys.stderr)
        sys.exit(1)
    except Trouble as trouble:
        control.failed("migration", trouble.message, trouble.trace)
        print(trouble.message, file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code:
            # manage.py has printed the error itself: what led to this exit is its context.
            tell(control, told, end.__context__ or told.error, one_line(end.code) if isinstance(end.code, str) else "")
        elsewhere(told)
        raise
    except BaseException as error:
        tell(control, told, error)
        raise


def elsewhere(told):
    if not told.began:
        told.unseen(
            "manage.py has not migrated in its own process: where it was, and why it failed, is not known; what its "
            "other processes do is watched by the database alone"
        )


def tell(control, told, error, own=""):
    """`own` are the words that a command which is not Django's own ends with: what it means is not in the error."""
    if error is None:
        # With no words at all, what it has written last says more than its exit status.
        return control.failed("migration", own) if own else None
    if not told.began:
        told.where = "before Django had begun to migrate"
    where = told.where + ": " if told.where else ""
    kind = kind_of(error) or ("migration" if told.began else "app")
    blockers, more = told.blockers(error) if kind == "lock" else ([], "")
    words = words_of(error)
    words = "%s (%s)" % (own, words) if own and own not in words else words
    return control.failed(kind, where + words + more, trace_of(error), blockers=blockers)


def chain(error):
    """The error and what led to it, the outermost first."""
    seen = []
    while error is not None and error not in seen and len(seen) < 20:
        seen.append(error)
        error = error.__cause__ or error.__context__
    return seen


def kind_of(error):
    """The innermost error of a database tells most: what is around it came of it."""
    for inner in reversed(chain(error)):
        if isinstance(inner, hooks.Fenced):
            return "lock"
        for vendor in VENDORS.values():
            kind = vendor.failure(inner)
            if kind:
                return kind
    return "cancelled" if isinstance(error, KeyboardInterrupt) else None


def words_of(error):
    return one_line(said(error)) or type(error).__name__
