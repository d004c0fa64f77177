"""Whether code goes on with the schema to come: a table of cases, each tried with the models and operations of this Django."""

import json
import os
import subprocess

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
TRIED = LOAD + """
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
            ("price", models.IntegerField()), ("note", models.TextField(null=True, blank=True)), ("by", models.IntegerField(null=True)),
            ("size", models.IntegerField(null=True, blank=True, default=3))]
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

ORDER = "shop_order"


def outcome(place, program):
    """What it prints, with the modules of the helper at hand."""
    done = subprocess.run([place.python, "-c", program], input=json.dumps([it for it in bundle() if it[0] != "main"]), capture_output=True, text=True,
                          timeout=120, cwd=place.folder, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tried(place, cases):
    """What is said of each case, by its name."""
    program = TRIED + "out = {}\n" + "".join(
        "if %s:\n    out[%r] = verdicts(%s)\n" % (condition or "True", name, case) for name, case, condition in cases)
    return outcome(place, program + "print(json.dumps(out))\n")


# name, arguments of `verdicts`, on which Django, what breaks: (what, table, column, certain)
CASES = [
    ("a column is removed", "[order()], [RemoveField('order', 'price')]", None,
     [("column", ORDER, "price", True)]),
    ("a column is renamed", "[order()], [M.RenameField('order', 'price', 'cost')]", None,
     [("column", ORDER, "price", True)]),
    ("a field is renamed and keeps its column",
     "[order()], [AlterField('order', 'price', field(db_column='price')), M.RenameField('order', 'price', 'cost')]", None, []),
    ("a table is removed", "[order(), line()], [M.DeleteModel('Line')]", None, [("table", "shop_line", None, True)]),
    ("a table is renamed", "[order(), line()], [M.RenameModel('Line', 'Row')]", None, [("table", "shop_line", None, True)]),
    ("a model is renamed and keeps its table", "[order(), line()], [M.AlterModelTable('Line', 'shop_line'), "
     "M.RenameModel('Line', 'Row')]", None, []),
    ("a table gets another name", "[order(), line()], [M.AlterModelTable('Line', 'lines')]", None,
     [("table", "shop_line", None, True)]),
    ("a key is removed", "[order(), line()], [RemoveField('line', 'of')]", None, [("column", "shop_line", "of_id", True)]),
    ("a table between two is removed", "[order(), tag()], [RemoveField('tag', 'orders')]", None,
     [("table", "shop_tag_orders", None, True)]),
    ("a model with a table between is removed", "[order(), tag()], [M.DeleteModel('Tag')]", None,
     [("table", "shop_tag", None, True), ("table", "shop_tag_orders", None, True)]),
    ("what nobody uses is removed", "[order(), line()], [M.DeleteModel('Line')], [order()]", None, []),
    ("a column that nobody uses is removed", "[order(vat=field())], [RemoveField('order', 'vat')], [order()]", None, []),
    ("a column takes no NULL and has no default", "[order()], [AddField('order', 'vat', field(default=0))]", None,
     [("insert", ORDER, "vat", True)]),
    ("a column takes NULL", "[order()], [AddField('order', 'vat', field(null=True))]", None, []),
    ("a column has a default in the database", "[order()], [AddField('order', 'vat', field(db_default=0))]",
     "HAS_DB_DEFAULT", []),
    ("a column loses its default in the database",
     "[order(vat=field(db_default=0))], [AlterField('order', 'vat', field(default=0))]", "HAS_DB_DEFAULT",
     [("default", ORDER, "vat", True)]),
    ("the default of an unknown column goes",
     "[order(vat=field(db_default=0))], [AlterField('order', 'vat', field(default=0))], [order()]", "HAS_DB_DEFAULT",
     [("insert", ORDER, "vat", True)]),
    ("an unknown column takes no NULL any more",
     "[order(vat=field(null=True))], [AlterField('order', 'vat', field(default=0))], [order()]", None,
     [("insert", ORDER, "vat", True)]),
    ("what was wrong before is nobody's fault",
     "[order(vat=field())], [AddField('order', 'x', field(null=True))], [order()]", None, []),
    ("two steps that together break nothing",
     "[order()], [AddField('order', 'vat', field(default=0)), AlterField('order', 'vat', field(null=True))]", None, []),
    ("a known column takes no NULL any more", "[order()], [AlterField('order', 'note', models.TextField())]", None,
     [("null", ORDER, "note", True)]),
    ("a known column that is always set takes no NULL any more",
     "[order()], [AlterField('order', 'size', field(default=3))]", None, [("null", ORDER, "size", False)]),
    ("a known column that has to be given takes no NULL any more", "[order()], [AlterField('order', 'by', field())]", None,
     [("null", ORDER, "by", False)]),
    ("a text becomes JSON", "[order()], [AlterField('order', 'note', models.JSONField(null=True, blank=True))]", None,
     [("type", ORDER, "note", False)]),
    ("a text gets shorter", "[order()], [AlterField('order', 'name', models.CharField(max_length=20))]", None,
     [("narrower", ORDER, "name", False)]),
    ("a text gets longer", "[order()], [AlterField('order', 'name', models.CharField(max_length=80))]", None, []),
    ("a text gets endless", "[order()], [AlterField('order', 'name', models.TextField())]", None, []),
    ("a number gets larger", "[order()], [AlterField('order', 'price', models.BigIntegerField())]", None, []),
    ("a number gets smaller", "[order()], [AlterField('order', 'price', models.SmallIntegerField())]", None,
     [("narrower", ORDER, "price", False)]),
    ("a number becomes a text", "[order()], [AlterField('order', 'price', models.CharField(max_length=9))]", None,
     [("type", ORDER, "price", True)]),
    ("a number gets places", "[order()], [AlterField('order', 'price', models.DecimalField(max_digits=12, decimal_places=2))]",
     None, [("type", ORDER, "price", False)]),
    ("the serving code is as narrow already",
     "[order()], [AlterField('order', 'price', models.SmallIntegerField())], [order(), "
     "AlterField('order', 'price', models.SmallIntegerField())]", None, []),
    ("a column becomes unique", "[order()], [AlterField('order', 'price', field(unique=True))]", None,
     [("rule", ORDER, "unique (price)", False)]),
    ("two columns become unique", "[order()], [M.AlterUniqueTogether('order', {('name', 'price')})]", None,
     [("rule", ORDER, "unique (name, price)", False)]),
    ("a constraint", "[order()], [M.AddConstraint('order', models.UniqueConstraint(fields=['name'], name='once'))]", None,
     [("rule", ORDER, "unique (name)", False)]),
    ("a constraint that the code knows",
     "[order()], [M.AddConstraint('order', models.UniqueConstraint(fields=['name'], name='once'))], "
     "[order(), M.AlterUniqueTogether('order', {('name',)})]", None, []),
    ("a constraint that was there before",
     "[order(), M.AlterUniqueTogether('order', {('name',)})], [AddField('order', 'x', field(null=True))], [order()]", None, []),
    ("a column is removed and another one added", "[order()], [AddField('order', 'x', field(null=True)), "
     "RemoveField('order', 'price'), AddField('order', 'y', field(null=True))]", None, [("column", ORDER, "price", True)]),
    ("an index", "[order()], [M.AddIndex('order', models.Index(fields=['name'], name='by_name'))]", None, []),
    ("rows alone", "[order()], [M.RunPython(M.RunPython.noop)]", None, []),
    ("a new table", "[order()], [line(), tag()]", None, []),
    ("the state alone", "[order()], [Separate(state_operations=[RemoveField('order', 'price')])]", None, []),
    ("the state alone and then another column",
     "[order()], [Separate(state_operations=[RemoveField('order', 'price')]), AddField('order', 'x', field(null=True))]",
     None, []),
    ("the database alone", "[order()], [Separate(database_operations=[RemoveField('order', 'price')])]", None,
     [("column", ORDER, "price", True)]),
    ("a model that Django does not manage any more",
     "[order(), line()], [M.AlterModelOptions('Line', {'managed': False}), M.DeleteModel('Line')]", None, []),
    ("an order of rows", "[order(), line()], [M.AlterOrderWithRespectTo('line', 'of')]", None,
     [("insert", "shop_line", "_order", True)]),
    ("SQL of its own", "[order()], [RunSQL('ALTER TABLE shop_order DROP COLUMN price', RunSQL.noop, "
     "state_operations=[RemoveField('order', 'price')])]", None, []),
]


def what_breaks_the_code_that_serves_is_found_and_nothing_else(place):
    found = tried(place, [case[:3] for case in CASES])
    assert len(found) > 30, found
    wrong = {name: (found[name][0], expected) for name, _, _, expected in CASES
             if name in found and found[name][0] != [list(it) for it in sorted(expected, key=str)]}
    assert not wrong, wrong


def a_verdict_names_the_operation_the_table_the_column_and_the_model(place):
    found = tried(place, [case[:3] for case in CASES])
    said = {name: it[1] for name, it in found.items()}
    assert said["a column is removed"] == [
        "Remove field price from order: column price of shop_order is removed: every query of shop.Order of the release that "
        "serves names it, and fails"], said
    assert said["a column is removed and another one added"][0].startswith("Remove field price from order"), said
    assert "column price of shop_order is renamed to cost" in said["a column is renamed"][0], said
    assert "table shop_line is renamed to shop_row" in said["a table is renamed"][0], said
    assert said["a text gets shorter"][0].startswith("may Alter field name"), said
    assert "changes from CharField(40) to CharField(20)" in said["a text gets shorter"][0], said


def what_sql_of_its_own_does_cannot_be_told_but_rows_can(place):
    def sql(text):
        return "[order()], [RunSQL(%r)]" % text

    cases = {"table": "ALTER TABLE shop_order ADD x int", "rows": "UPDATE shop_order SET price = 1; DELETE FROM shop_order",
             "index": "CREATE INDEX CONCURRENTLY x ON shop_order (name)", "both": "UPDATE shop_order SET price = 1; DROP TABLE x"}
    found = tried(place, [(name, sql(text), None) for name, text in cases.items()])
    assert {name: bool(it[2]) for name, it in found.items()} == {"table": True, "rows": False, "index": False, "both": True}, found


def a_description_that_makes_no_sense_is_none(place):
    found = subprocess.run(
        [place.python, "-c", source("worker", "tables.py") + """
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
"""], capture_output=True, text=True, timeout=120, cwd=place.folder)
    assert found.returncode == 0, found.stderr


def the_operations_of_a_migration_are_read_from_the_code_whether_it_is_pending_or_not(place):
    program = LOAD + """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes"])
django.setup()
from _ostler import plan
print(json.dumps([len(plan.operations_of(name, {}) or []) for name in ("contenttypes.0001_initial", "contenttypes.0009_none")]))
"""
    first, none = outcome(place, program)
    assert first > 0 and none == 0, (first, none)


LAWS = [what_breaks_the_code_that_serves_is_found_and_nothing_else,
        a_verdict_names_the_operation_the_table_the_column_and_the_model,
        what_sql_of_its_own_does_cannot_be_told_but_rows_can, a_description_that_makes_no_sense_is_none,
        the_operations_of_a_migration_are_read_from_the_code_whether_it_is_pending_or_not]
