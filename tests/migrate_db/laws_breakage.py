"""Whether code goes on with the schema to come: a table of cases, each tried with the models and operations of this Django."""

import json
import os
import subprocess

from breakage_cases import CASES
from program import bundle, source

SERVER = None
LOAD = """
import json, sys, types
for name, text in json.load(sys.stdin):
    module = types.ModuleType("_ostler." + name)
    sys.modules.setdefault("_ostler", types.ModuleType("_ostler"))
    sys.modules["_ostler." + name] = module
    setattr(sys.modules["_ostler"], name, module)
    exec(compile(text, name, "exec"), module.__dict__)
"""
# What is tried in the app's interpreter: Django's own states, no database.
TRIED = (
    LOAD
    + """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=[], DEFAULT_AUTO_FIELD="django.db.models.AutoField",
                   DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()
from django.db import migrations, models
from django.db.migrations.state import ProjectState
from _ostler import advice, breakage, coming, tables
HAS_DB_DEFAULT = django.VERSION >= (5, 0)

def field(**more):
    return models.IntegerField(**more)

def state_of(*operations):
    state = ProjectState()
    migrated = [type("Migration", (migrations.Migration,), {"operations": list(operations)})("0001", "shop")]
    migrated[0].mutate_state(state, preserve=False)
    return state

def order(**fields):
    made = [("id", models.AutoField(primary_key=True)), ("name", models.CharField(max_length=40)),
            ("price", models.IntegerField()), ("note", models.TextField(null=True, blank=True)),
            ("by", models.IntegerField(null=True)), ("size", models.IntegerField(null=True, blank=True, default=3))]
    return migrations.CreateModel("Order", made + sorted(fields.items()))

def line():
    return migrations.CreateModel("Line", [("id", models.AutoField(primary_key=True)),
                                           ("of", models.ForeignKey("shop.Order", models.CASCADE))])

def tag():
    return migrations.CreateModel("Tag", [("id", models.AutoField(primary_key=True)),
                                          ("orders", models.ManyToManyField("shop.Order"))])

def verdicts(before, operations, serving=None):
    before = list(before)
    used = tables.of(state_of(*(before if serving is None else serving)).apps)
    used = tables.read(tables.told(used))
    plan = [type("Migration", (migrations.Migration,), {"operations": list(operations)})("0002_next", "shop")]
    was, found = coming.steps("default", state_of(*before), plan)
    judged = breakage.judged(used, was, found)
    told = [advice.told(it) for it in judged]
    assert all(it["remedy"] and it["model"] and it["migration"] == "shop.0002_next" for it in told), told
    said = sorted("%s%s: %s: %s" % ("" if it["certain"] else "may ", it["operation"], it["what"], it["effect"]) for it in told)
    return [sorted((it["what"], it["table"], it["name"], it["certain"]) for it in judged), said,
            [it["untold"] for it in found if it["untold"]]]

M, RemoveField, AddField, AlterField = migrations, migrations.RemoveField, migrations.AddField, migrations.AlterField
Separate, RunSQL = migrations.SeparateDatabaseAndState, migrations.RunSQL
"""
)


def outcome(place, program):
    """What it prints, with the modules of the helper at hand."""
    done = subprocess.run(
        [place.python, "-c", program],
        input=json.dumps([it for it in bundle() if it[0] != "main"]),
        capture_output=True,
        text=True,
        timeout=120,
        cwd=place.folder,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tried(place, cases):
    """What is said of each case, by its name."""
    program = (
        TRIED
        + "out = {}\n"
        + "".join(
            "if %s:\n    out[%r] = verdicts(%s)\n" % (condition or "True", name, case)
            for name, case, condition in cases
        )
    )
    return outcome(place, program + "print(json.dumps(out))\n")


def what_breaks_the_code_that_serves_is_found_and_nothing_else(place):
    found = tried(place, [case[:3] for case in CASES])
    assert len(found) > 30, found
    wrong = {
        name: (found[name][0], expected)
        for name, _, _, expected in CASES
        if name in found and found[name][0] != [list(it) for it in sorted(expected, key=str)]
    }
    assert not wrong, wrong


def a_verdict_names_the_operation_the_table_the_column_and_the_model(place):
    found = tried(place, [case[:3] for case in CASES])
    said = {name: it[1] for name, it in found.items()}
    assert said["a column is removed"] == [
        "Remove field price from order: column price of shop_order is removed: every query of shop.Order of the release that "
        "serves names it, and fails"
    ], said
    assert said["a column is removed and another one added"][0].startswith("Remove field price from order"), said
    assert "column price of shop_order is renamed to cost" in said["a column is renamed"][0], said
    assert "table shop_line is renamed to shop_row" in said["a table is renamed"][0], said
    assert said["a text gets shorter"][0].startswith("may Alter field name"), said
    assert "changes from CharField(40) to CharField(20)" in said["a text gets shorter"][0], said


def what_sql_of_its_own_does_cannot_be_told_but_rows_can(place):
    def sql(text):
        return "[order()], [RunSQL(%r)]" % text

    cases = {
        "table": "ALTER TABLE shop_order ADD x int",
        "rows": "UPDATE shop_order SET price = 1; DELETE FROM shop_order",
        "index": "CREATE INDEX CONCURRENTLY x ON shop_order (name)",
        "both": "UPDATE shop_order SET price = 1; DROP TABLE x",
    }
    found = tried(place, [(name, sql(text), None) for name, text in cases.items()])
    assert {name: bool(it[2]) for name, it in found.items()} == {
        "table": True,
        "rows": False,
        "index": False,
        "both": True,
    }, found


def a_description_that_makes_no_sense_is_none(place):
    found = subprocess.run(
        [
            place.python,
            "-c",
            source("worker", "tables.py")
            + """
good = told([{"model": "a.B", "table": "a_b", "managed": True, "columns": {"id": {"kind": "IntegerField"}}, "rules": []}])
assert read(good)[0]["model"] == "a.B"
import zlib, base64
bomb = base64.b64encode(zlib.compress(b" " * (64 << 20))).decode()
for bad in ("", "x", good[:-8], bomb, base64.b64encode(zlib.compress(b"[]")).decode(),
            base64.b64encode(zlib.compress(b'{"version": 2, "models": []}')).decode(),
            base64.b64encode(zlib.compress(b'{"version": 1, "models": [{"model": 1}]}')).decode(), None):
    assert read(bad) is None, bad
many = [{"model": "app%d.Model%d" % (n % 40, n), "table": "app%d_model%d" % (n % 40, n), "managed": True, "rules": [],
         "columns": {"column_%d_%d" % (n, c): {"kind": "CharField(%d)" % (c * n % 255)} for c in range(20)}} for n in range(400)]
assert len(told(many)) <= TOLD_MOST and len(read(told(many))) == 400
assert told(many * 40) is None
""",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=place.folder,
    )
    assert found.returncode == 0, found.stderr


def the_operations_of_a_migration_are_read_from_the_code_whether_it_is_pending_or_not(place):
    program = (
        LOAD
        + """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes"])
django.setup()
from _ostler import plan
print(json.dumps([len(plan.operations_of(name, {}) or []) for name in ("contenttypes.0001_initial", "contenttypes.0009_none")]))
"""
    )
    first, none = outcome(place, program)
    assert first > 0 and none == 0, (first, none)


LAWS = [
    what_breaks_the_code_that_serves_is_found_and_nothing_else,
    a_verdict_names_the_operation_the_table_the_column_and_the_model,
    what_sql_of_its_own_does_cannot_be_told_but_rows_can,
    a_description_that_makes_no_sense_is_none,
    the_operations_of_a_migration_are_read_from_the_code_whether_it_is_pending_or_not,
]
