"""What a manage.py may do: a look at it changes nothing, and what cannot be seen of its migrations is said."""

from laws_sqlite import ADD, answer, project
from place import names_of

SERVER = None
HEAD = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_of_shop.settings")
"""
SETUP = HEAD + "import django\ndjango.setup()\n"
CALLS = {
    "calls": SETUP + "from django.core.management import call_command\ncall_command(*sys.argv[1:])\n",
    "calls_by_module": SETUP + "from django.core import management\nmanagement.call_command(*sys.argv[1:])\n",
    "executes": SETUP + "from django.core.management import ManagementUtility\nManagementUtility(sys.argv).execute()\n",
    "loads": SETUP
    + """
from django.core.management import get_commands, load_command_class
load_command_class(get_commands()[sys.argv[1]], sys.argv[1]).run_from_argv(sys.argv)
""",
    "child": HEAD
    + """
if os.environ.get("IN_CHILD"):
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
else:
    import subprocess
    sys.exit(subprocess.call([sys.executable] + sys.argv, env=dict(os.environ, IN_CHILD="1")))
""",
}
READY = """
import os
from django.apps import AppConfig
from django.core.management import call_command
class Shop(AppConfig):
    name = "shop"
    def ready(self):
        call_command("diffsettings", stdout=open(os.devnull, "w"))
"""
EXECS = {
    "execv": "os.execv(sys.executable, [sys.executable, 'real.py'] + sys.argv[1:])\n",
    "execvpe": "os.execvpe(sys.executable, [sys.executable, 'real.py'] + sys.argv[1:], dict(os.environ))\n",
    "execl": "os.execl(sys.executable, sys.executable, 'real.py', *sys.argv[1:])\n",
    "posix": "import posix\nposix.execv(sys.executable, [sys.executable, 'real.py'] + sys.argv[1:])\n",
}


def tables(place):
    return [name for (name,) in answer(place, "SELECT name FROM sqlite_master WHERE type = 'table'")]


def a_look_never_migrates_whatever_manage_py_does(place):
    for name, manage in CALLS.items():
        one = place.beside(name)
        project(one).write("manage.py", manage)
        opened_ = one.watch()[1]
        assert names_of(opened_) == ["shop.0001_initial"], (name, opened_)
        assert tables(one) == [], (name, tables(one))
        run = one.run()
        heard = run.all()
        assert run.ended() == 0, (name, run.printed())
        assert "shop_order" in tables(one), (name, run.printed())
        unseen = [it for it in heard if it["at"] == "unseen"]
        steps = [it["name"] for it in heard if it["at"] == "migration"]
        if name == "child":
            assert len(unseen) == 1 and "in its own process" in unseen[0]["words"] and steps == [], heard
        else:
            assert unseen == [] and steps == ["shop.0001_initial"], (name, heard)


def what_an_app_calls_while_it_gets_ready_is_no_end_of_manage_py(place):
    project(place).write("shop/apps.py", READY)
    for manage in (CALLS["calls"], CALLS["executes"]):
        with open(place.folder + "/manage.py", "w", encoding="utf-8") as file:
            file.write(manage)
        assert names_of(place.watch()[1]) == ["shop.0001_initial"]
        assert tables(place) == []


def a_manage_py_that_starts_another_program_in_its_place_is_refused_in_words(place):
    for name, manage in EXECS.items():
        one = place.beside(name)
        made = project(one)
        made.write("real.py", CALLS["executes"])
        made.write("manage.py", HEAD + manage)
        told = one.refused()
        assert "starts another program (%s)" % one.python in told["message"], told
        run = one.run()
        heard = run.all()
        assert run.ended() == 1 and "starts another program" in heard[-1]["message"], (heard, run.printed())
        assert tables(one) == [], (name, tables(one))


OWN = """
from django.core.management.commands.migrate import Command as Djangos
class Command(Djangos):
    def handle(self, *args, **options):
        print("migrating every tenant", flush=True)
        super().handle(*args, **options)
"""
TENANT = """
from django.db import connection
connection.schema_name = "acme"
"""


def a_project_with_a_command_migrate_of_its_own_says_so_and_a_tenant_is_named(place):
    made = project(place)
    assert place.watch()[1]["pending"]["own"] is None
    for package in ("shop/management", "shop/management/commands"):
        made.write(package + "/__init__.py", "")
    made.write("shop/management/commands/migrate.py", TENANT + OWN)
    place.migrate()
    opened_ = place.watch()[1]
    assert (names_of(opened_), opened_["pending"]["own"]) == ([], "shop"), opened_
    made.migration("0002_add", "migrations.RunPython(lambda apps, editor: 1 / 0), " + ADD)
    run = place.run()
    failed = run.hear("failed")
    assert "shop.0002_add in the schema acme, operation 1 of 2" in failed["message"], failed
    assert "ZeroDivisionError" in failed["message"] or "division" in failed["message"], failed
    assert "migrating every tenant" in run.printed()


WORDS = """
import sys
from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as Djangos
class Command(Djangos):
    def handle(self, *args, **options):
        %s
"""
# What it does, what is told of it (nothing: then its last line is), and what else is.
OWN_WORDS = (
    (
        "raise CommandError('the tenant acme has no schema')",
        "the tenant acme has no schema",
        "before Django had begun to migrate",
    ),
    (
        "super().handle(*args, **options); raise CommandError('of 3 tenants 1 is not migrated: acme')",
        "of 3 tenants 1 is not migrated: acme",
        "CommandError",
    ),
    (
        """
        try:
            super().handle(*args, **options)
        except Exception as error:
            sys.exit("the tenant acme is not migrated, write to ops")
""",
        "the tenant acme is not migrated, write to ops",
        "ZeroDivisionError: division by zero",
    ),
    ("sys.exit('no tenant is known')", "no tenant is known", "no tenant is known"),
    ("print('acme is locked', file=sys.stderr); sys.exit(3)", None, "acme is locked"),
)


def the_words_of_a_command_migrate_of_its_own_are_told(place):
    for number, (does, words, more) in enumerate(OWN_WORDS):
        one = place.beside("project%d" % number)
        made = project(one)
        for package in ("shop/management", "shop/management/commands"):
            made.write(package + "/__init__.py", "")
        one.migrate()
        if "ZeroDivision" in more:
            made.migration("0002_add", "migrations.RunPython(lambda apps, editor: 1 / 0)")
        made.write("shop/management/commands/migrate.py", WORDS % does)
        run = one.run()
        failed = [it for it in run.all() if it["event"] == "failed"]
        assert run.ended() in (1, 3), run.printed()
        if words is None:
            lines = [it for it in run.printed().splitlines() if not it.startswith("ostler: ")]
            assert failed == [] and lines[-1] == more, (failed, lines)
        else:
            assert words in failed[0]["message"] and more in failed[0]["message"], failed


BACKEND = """
from django.db.backends.sqlite3 import base, schema
class Editor(schema.DatabaseSchemaEditor):
    def __init__(self, connection, collect_sql=False, atomic=True):
        super().__init__(connection, collect_sql, atomic=False)
class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = Editor
"""


def what_the_backends_editor_does_without_a_transaction_is_not_called_atomic(place):
    made = project(place)
    made.write("careful/__init__.py", "")
    made.write("careful/base.py", BACKEND)
    made.databases({"default": {"ENGINE": "careful", "NAME": place.file}})
    made.migration("0002_add", ADD)
    program, opened_ = place.watch()
    assert [it["atomic"] for it in opened_["pending"]["migrations"]] == [False, False], opened_
    heard = place.run().all()
    assert [it["atomic"] for it in heard if it["at"] == "migration"] == [False, False], heard


LAWS = [
    a_look_never_migrates_whatever_manage_py_does,
    what_an_app_calls_while_it_gets_ready_is_no_end_of_manage_py,
    a_manage_py_that_starts_another_program_in_its_place_is_refused_in_words,
    a_project_with_a_command_migrate_of_its_own_says_so_and_a_tenant_is_named,
    the_words_of_a_command_migrate_of_its_own_are_told,
    what_the_backends_editor_does_without_a_transaction_is_not_called_atomic,
]
