"""Whether a pooler stands between that gives each transaction another backend: neither lock nor guard holds there."""

from _ostler.database import Lost
from _ostler.wire import Trouble

ROUNDS = 4


def refuse(one, other, source):
    """Raises where `one` and `other`, two connections of ours, do not each have a backend of their own."""
    if direct(one) and direct(other):
        return
    first, second = pid(one), pid(other)
    shared = first == second
    for _ in range(ROUNDS):
        if shared:
            break
        try:
            other.ask("BEGIN")
        except Lost:
            shared = True  # a pooler that allows no transactions at all
            break
        held = pid(other)
        shared = pid(one) != first or held != second
        other.ask("COMMIT")
        shared = shared or pid(other) != second or pid(one) != first
    if shared:
        raise Trouble(
            "pooler",
            "a pooler stands before the database %s that gives every transaction another backend "
            "(pgbouncer with pool_mode = transaction): neither the lock nor lock_timeout would hold. Add "
            "an alias to Django's DATABASES that reaches the server itself, and name it: [migrate] "
            'database = "direct"' % source.words(),
        )


def direct(link):
    """Whether the server itself answered when the connection was made: a pooler makes up the pid that it gives out."""
    info = getattr(link.raw, "info", None)
    given = getattr(info, "backend_pid", None)
    return given is not None and given == pid(link)


def pid(link):
    return link.ask("SELECT pg_backend_pid()")[0][0]
