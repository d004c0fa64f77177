"""What is told of locks and rewrites, beside what PostgreSQL itself does: a column is written anew, or it is not."""

from postgres import Postgres

SERVER = Postgres
# Notes which file a table is in, before and after an operation.
NOTE = """
import sys
def note(apps, editor):
    with editor.connection.cursor() as cursor:
        cursor.execute("INSERT INTO noted SELECT %s, pg_relation_filenode('shop_order'), (SELECT string_agg(DISTINCT mode, ' ') "
                       "FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'shop_order'::regclass)", [__name__])
"""
NOTED = "migrations.RunPython(note, migrations.RunPython.noop)"
REWRITTEN = "written anew"
# name, operation, whether PostgreSQL writes the table anew, what else is told
CASES = [
    ("null", "migrations.AddField('order', 'a', models.IntegerField(null=True))", False, None),
    ("default", "migrations.AddField('order', 'b', models.IntegerField(default=7))", False, None),
    ("longer", "migrations.AlterField('order', 'name', models.CharField(max_length=80))", False, None),
    ("text", "migrations.AlterField('order', 'name', models.TextField())", False, None),
    ("shorter", "migrations.AlterField('order', 'name', models.CharField(max_length=30))", True, None),
    ("bigger", "migrations.AlterField('order', 'price', models.BigIntegerField(default=0))", True, None),
    (
        "decimal",
        "migrations.AddField('order', 'c', models.DecimalField(max_digits=8, decimal_places=2, null=True))",
        False,
        None,
    ),
    (
        "digits",
        "migrations.AlterField('order', 'c', models.DecimalField(max_digits=12, decimal_places=2, null=True))",
        False,
        None,
    ),
    (
        "places",
        "migrations.AlterField('order', 'c', models.DecimalField(max_digits=14, decimal_places=4, null=True))",
        True,
        None,
    ),
    ("filled", "migrations.AlterField('order', 'a', models.IntegerField(default=0))", False, "looked at for NULL in a"),
    (
        "index",
        "migrations.AddIndex('order', models.Index(fields=['b'], name='by_b'))",
        False,
        "nobody can write to shop_order",
    ),
    (
        "indexed",
        "migrations.AlterField('order', 'b', models.IntegerField(default=7, db_index=True))",
        False,
        "nobody can write to shop_order",
    ),
    (
        "unique",
        "migrations.AddConstraint('order', models.UniqueConstraint(fields=['id', 'b'], name='once'))",
        False,
        "nobody can read or write shop_order while its unique index is built",
    ),
    ("option", "migrations.AlterModelOptions('order', {'ordering': ['id']})", False, None),
    ("renamed", "migrations.RenameField('order', 'b', 'bb')", False, None),
]
DB_DEFAULTS = [
    ("constant", "migrations.AddField('order', 'd', models.IntegerField(db_default=3))", False, None),
    ("now", "migrations.AddField('order', 'e', models.DateTimeField(db_default=Now()))", False, None),
    ("uuid", "migrations.AddField('order', 'f', models.UUIDField(db_default=RandomUUID()))", True, None),
]


def what_is_told_to_be_written_anew_is_and_nothing_else(place):
    project = place.project()
    place.migrate()
    place.server.psql(
        "CREATE TABLE noted (migration text, file oid, locks text); GRANT ALL ON noted TO public; "
        "INSERT INTO shop_order (name, price) SELECT 'x', i FROM generate_series(1, 100) i",
        place.name,
    )
    cases = CASES + (DB_DEFAULTS if place.has("django/db/models/expressions.py") and has_db_default(place) else [])
    names = {}
    for number, (name, operation, _, _) in enumerate(cases, 2):
        imports = "from django.db.models.functions import Now\n"
        if "RandomUUID" in operation:
            imports += "from django.contrib.postgres.functions import RandomUUID\n"
        made = project.migration(
            "%04d_%s" % (number, name), ", ".join([NOTED, operation, NOTED]), code=NOTE, imports=imports
        )
        names[made] = name
    opened = place.watch(plan=True)[1]
    told = {name: [] for name in names.values()}
    for it in opened["pending"]["outlook"]["locks"]:
        if not it["words"].startswith("rows that its code changes"):
            told[names[it["migration"]]].append(it["words"])
    place.migrate()
    files = {}
    for line in place.server.psql("SELECT migration, file FROM noted", place.name).split():
        migration, file = line.split("|")
        files.setdefault(names[migration.replace(".migrations", "")], []).append(file)
    rewritten = {name: len(set(found)) == 2 for name, found in files.items()}
    assert rewritten == {name: is_so for name, _, is_so, _ in cases}, rewritten
    wrong = {name: told[name] for name, _, is_so, _ in cases if any(REWRITTEN in it for it in told[name]) != is_so}
    assert not wrong, wrong
    wrong = {
        name: told[name]
        for name, _, _, words in cases
        if words
        and not any(words in it for it in told[name])
        or not words
        and [it for it in told[name] if REWRITTEN not in it]
    }
    assert not wrong, wrong


def has_db_default(place):
    import glob

    found = glob.glob(place.venv + "/lib/python3*/site-packages/django/db/models/fields/__init__.py")
    with open(found[0], encoding="utf-8") as file:
        return "db_default" in file.read()


LAWS = [what_is_told_to_be_written_anew_is_and_nothing_else]
