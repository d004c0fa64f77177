"""PostgreSQL: reaching it, its guards, the plan, the lock."""

import select
import signal
import socket
import threading
import time
from urllib.parse import quote

from place import names_of
from postgres import PASSWORD, Pgbouncer, Postgres

SERVER = Postgres


def guards_are_in_force_and_read_back(place):
    place.project()
    opened = place.watch()[1]
    assert dict(opened["guards"]) == {
        "application_name": place.tag.replace("ostler:", "ostler-watch:", 1),
        "lock_timeout": "1s",
        "idle_in_transaction_session_timeout": "15min",
        "client_connection_check_interval": "1s",
    }, opened
    assert opened["warnings"] == [] and opened["unwatched"] is None, opened
    assert opened["vendor"] == "postgresql" and opened["version"].startswith("15."), opened


def guards_hold_though_options_replace_those_of_the_environment(place):
    place.project(
        dict(place.server.database(place.name), OPTIONS={"options": "-c search_path=public -c lock_timeout=9s"})
    )
    opened = place.watch(environment={"PGOPTIONS": "-c lock_timeout=7s"})[1]
    assert dict(opened["guards"])["lock_timeout"] == "1s", opened


def a_statement_timeout_of_the_role_is_told(place):
    place.project()
    place.server.psql("ALTER ROLE shop IN DATABASE %s SET statement_timeout = '30s'" % place.name)
    opened = place.watch()[1]
    assert dict(opened["guards"])["statement_timeout"] == "30s" and "30s" in opened["warnings"][0], opened


def the_plan_is_that_of_django(place):
    project = place.project()
    place.migrate()
    project.migration("0002_add", 'migrations.AddField("order", "a", models.IntegerField(null=True))')
    project.migration("0003_data", 'migrations.RunSQL("SELECT 1"), migrations.RunSQL("SELECT 2")', atomic=False)
    watch, opened = place.watch()
    expected = [
        {"name": "shop.0002_add", "atomic": True, "operations": 1},
        {"name": "shop.0003_data", "atomic": False, "operations": 2},
    ]
    assert opened["pending"] == {"migrations": expected, "ahead": [], "own": None}, opened
    assert watch.ask("lock", "locked")["pending"] == opened["pending"]


def nothing_pending_is_known_at_once(place):
    place.project()
    place.migrate()
    bare = place.start("watch")
    opened = bare.hear("opened")
    took = time.monotonic() - bare.began
    assert opened["pending"] == {"migrations": [], "ahead": [], "own": None}, opened
    place.note("told %.2f s after its start, the import included" % took)


def a_database_ahead_of_the_code_is_named(place):
    project = place.project()
    project.migration("0002_later", 'migrations.AddField("order", "a", models.IntegerField(null=True))')
    place.migrate()
    project.remove("0002_later")
    assert place.watch()[1]["pending"] == {"migrations": [], "ahead": ["shop.0002_later"], "own": None}


def a_squash_that_replaced_what_is_applied_is_recorded_and_not_ahead(place):
    project = place.project()
    project.migration("0002_a", 'migrations.AddField("order", "a", models.IntegerField(null=True))')
    place.migrate()
    project.migration(
        "0001_squashed_0002", 'migrations.RunSQL("SELECT 1/0")', after="", replaces=["0001_initial", "0002_a"]
    )
    opened = place.watch()[1]
    assert opened["pending"] == {
        "migrations": [{"name": "shop.0001_squashed_0002", "atomic": True, "operations": 0}],
        "ahead": [],
        "own": None,
    }, opened
    place.migrate()
    assert place.watch()[1]["pending"] == {"migrations": [], "ahead": [], "own": None}
    for name in ("0001_initial", "0002_a"):
        project.remove(name)
    assert place.watch()[1]["pending"] == {"migrations": [], "ahead": [], "own": None}


def two_ends_are_refused_by_name(place):
    project = place.project()
    project.migration("0002_a", "", after="0001_initial")
    project.migration("0002_b", "", after="0001_initial")
    failed = place.refused()
    assert failed["kind"] == "graph", failed
    for word in ("shop", "0002_a", "0002_b", "makemigrations --merge"):
        assert word in failed["message"], failed


def a_missing_parent_is_refused_by_name(place):
    project = place.project()
    project.migration("0003_c", "", after="0002_gone")
    failed = place.refused()
    assert failed["kind"] == "graph" and "0002_gone" in failed["message"], failed


def a_history_that_contradicts_the_migrations_is_refused(place):
    project = place.project()
    project.migration("0002_a", "")
    place.migrate()
    place.server.psql("DELETE FROM django_migrations WHERE name = '0001_initial'", place.name)
    failed = place.refused()
    assert failed["kind"] == "graph" and "0001_initial" in failed["message"], failed


def an_app_that_does_not_import_is_told_with_its_traceback(place):
    project = place.project()
    project.write("shop/models.py", "import nothing_of_this_name\n")
    failed = place.refused()
    assert failed["kind"] == "app" and "nothing_of_this_name" in failed["message"], failed
    assert "shop/models.py" in failed["traceback"], failed


def a_migration_that_does_not_import_is_told(place):
    project = place.project()
    project.write("shop/migrations/0002_bad.py", "import nothing_of_this_name\n")
    failed = place.refused()
    assert failed["kind"] == "app" and "nothing_of_this_name" in failed["message"], failed


def an_alias_that_is_none_is_told_with_those_that_are(place):
    place.project()
    failed = place.refused(database={"alias": "direct"})
    assert failed["kind"] == "app" and "direct" in failed["message"] and "default" in failed["message"], failed


def unreachable(place, within, *words, **settings):
    place.project(dict(place.server.settings("postgres"), **settings))
    began = time.monotonic()
    failed = place.refused()
    assert failed["kind"] == "unreachable", failed
    for word in words:
        assert word in failed["message"], (word, failed)
    assert PASSWORD not in str(failed) and "not the word" not in str(failed), failed
    assert time.monotonic() - began < within


def a_wrong_password_is_told_in_the_words_of_the_server(place):
    unreachable(place, 60, "password authentication failed", "127.0.0.1", "shop", PASSWORD="not the word")


def a_server_that_is_down_is_told_with_its_place(place):
    unreachable(place, 60, "refused", "127.0.0.1:1 ", PORT="1")


def a_database_that_is_missing_is_told_by_name(place):
    unreachable(place, 60, "no_such_shop", "does not exist", NAME="no_such_shop")


def a_host_that_swallows_everything_is_given_up(place):
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        unreachable(place, 60, "127.0.0.1:%d" % silent.getsockname()[1], PORT=str(silent.getsockname()[1]))


def a_transaction_pooler_is_refused_and_a_session_pooler_is_not(place):
    settings = place.server.database(place.name)
    project = place.project(settings)
    for mode, refused in (("transaction", True), ("statement", True), ("session", False)):
        with Pgbouncer(place.server, mode) as pooler:
            project.databases({"default": dict(settings, PORT=str(pooler.port))})
            if not refused:
                opened = place.start("watch")
                assert dict(opened.hear("opened")["guards"])["lock_timeout"] == "1s"
                opened.say("quit")
                assert opened.ended() == 0
                continue
            failed = place.refused()
            assert failed["kind"] == "pooler", (mode, failed)
            for word in ("127.0.0.1:%d" % pooler.port, "[migrate] database"):
                assert word in failed["message"], failed


def one_of_two_gets_the_lock_and_the_other_names_it(place):
    place.project()
    one = place.locked()
    two = place.watch(tag="ostler:%s:web2:r7" % place.app)[0]
    two.say("lock")
    first = two.hear("busy")
    assert first["holder"].startswith("web1 (pid "), first
    later = two.hear("busy", where=lambda it: "since" in it["holder"] and "since 0 s" not in it["holder"])
    place.note(later["holder"])
    place.migrate()  # what is pending is looked at anew with the lock
    one.say("quit")
    assert names_of(two.hear("locked", 3)) == []


def the_lock_goes_with_the_life_of_its_holder(place):
    place.project()
    one = place.locked()
    two = place.watch(tag="ostler:%s:web2:r7" % place.app)[0]
    two.say("lock")
    two.hear("busy")
    one.kill(signal.SIGKILL)
    two.hear("locked", 5)


class Starting:
    """In front of a server: says to the first that come that it is starting up, as a server does that was just started."""

    def __init__(self, place, refusals):
        self.refusals, self.socket = refusals, socket.create_server(("127.0.0.1", 0))
        self.server = place.server.database(place.name)
        self.database = dict(self.server, HOST="127.0.0.1", PORT=str(self.socket.getsockname()[1]))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            first = client.recv(8192)
            while first[4:8] in (b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30"):  # TLS, GSSAPI: neither
                client.sendall(b"N")
                first = client.recv(8192)
            if self.refusals:
                self.refusals -= 1
                body = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
                return client.sendall(b"E" + (len(body) + 4).to_bytes(4, "big") + body)
            with socket.create_connection((self.server["HOST"], int(self.server["PORT"]))) as real:
                real.sendall(first)
                while True:
                    for ready in select.select([client, real], [], [])[0]:
                        data = ready.recv(65536)
                        if not data:
                            return None
                        (real if ready is client else client).sendall(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def a_server_that_is_starting_up_is_waited_for(place):
    front = place.stack.enter_context(Starting(place, 3))
    place.project(front.database)
    opened = place.watch()[1]
    assert opened["vendor"] == "postgresql" and front.refusals == 0, (opened, front.refusals)


def guards_of_another_tools_command_are_those_that_it_gets(place):
    place.project()
    server = place.server.settings(place.name)
    parts = tuple(quote(server[key]) for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME"))
    url = "postgresql://%s:%s@%s:%s/%s" % parts
    opened = place.watch(command="other", database={"url": url})[1]
    assert dict(opened["guards"]) == {"lock_timeout": "1s", "client_connection_check_interval": "1s"}, opened
    assert opened["warnings"] == [], opened


LAWS = [
    guards_are_in_force_and_read_back,
    guards_hold_though_options_replace_those_of_the_environment,
    a_statement_timeout_of_the_role_is_told,
    the_plan_is_that_of_django,
    nothing_pending_is_known_at_once,
    a_database_ahead_of_the_code_is_named,
    a_squash_that_replaced_what_is_applied_is_recorded_and_not_ahead,
    two_ends_are_refused_by_name,
    a_missing_parent_is_refused_by_name,
    a_history_that_contradicts_the_migrations_is_refused,
    an_app_that_does_not_import_is_told_with_its_traceback,
    a_migration_that_does_not_import_is_told,
    an_alias_that_is_none_is_told_with_those_that_are,
    a_wrong_password_is_told_in_the_words_of_the_server,
    a_server_that_is_down_is_told_with_its_place,
    a_database_that_is_missing_is_told_by_name,
    a_host_that_swallows_everything_is_given_up,
    a_transaction_pooler_is_refused_and_a_session_pooler_is_not,
    one_of_two_gets_the_lock_and_the_other_names_it,
    the_lock_goes_with_the_life_of_its_holder,
    a_server_that_is_starting_up_is_waited_for,
    guards_of_another_tools_command_are_those_that_it_gets,
]
