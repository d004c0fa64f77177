"""The Django project of the trial. Whatever a migration does leaves a row for each of its steps: done twice it leaves two."""

import json
import os

FILES = {
    "manage.py": """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_of_shop.settings")
if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
""",
    "site_of_shop/__init__.py": "",
    "site_of_shop/settings.py": """
import json, os
with open(os.path.join(os.path.dirname(__file__), "databases.json")) as file:
    DATABASES = json.load(file)
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "site_of_shop.urls"
USE_TZ = True
INSTALLED_APPS = ["shop"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
""",
    "site_of_shop/urls.py": """
from django.http import HttpResponse
from django.urls import path
from shop.models import Order
urlpatterns = [path("", lambda request: HttpResponse("%d orders" % Order.objects.count()))]
""",
    "site_of_shop/wsgi.py": """
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_of_shop.settings")
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
""",
    "shop/__init__.py": "",
    "shop/models.py": """
from django.db import models
class Order(models.Model):
    name = models.CharField(max_length=40)
    price = models.IntegerField(default=0)
""",
    # Where and when a step was begun.
    "shop/steps.py": """
import os, socket, time
def insert(cursor, vendor, name, number, seconds):
    row = "'%s', %d, '%s', %r" % (name, number, socket.gethostname(), time.time())
    if not seconds:
        sql = "SELECT " + row
    elif vendor == "postgresql":
        sql = "SELECT %s FROM pg_sleep(%s)" % (row, seconds)
    else:
        sql = "SELECT %s FROM (SELECT SLEEP(%s) AS slept) AS it WHERE slept = 0" % (row, seconds)
    cursor.execute("INSERT INTO step_done (migration, step, host, moment) " + sql)
def client(name, number, seconds):
    def step(apps, editor):
        with editor.connection.cursor() as cursor:
            insert(cursor, editor.connection.vendor, name, number, 0)
        time.sleep(seconds)
    return step
def server(name, number, seconds):
    def step(apps, editor):
        with editor.connection.cursor() as cursor:
            insert(cursor, editor.connection.vendor, name, number, seconds)
    return step
""",
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_initial.py": """
from django.db import migrations, models
class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.CreateModel("Order", [
        ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
        ("name", models.CharField(max_length=40)), ("price", models.IntegerField(default=0))])]
""",
}
HEAD = """
from django.db import migrations, models
from shop.steps import client, server
class Migration(migrations.Migration):
    atomic = %r
    dependencies = [("shop", %r)]
    operations = [%s]
"""
CONCURRENT = "__import__('django.contrib.postgres.operations', fromlist=['x']).AddIndexConcurrently"
TABLE = "CREATE TABLE step_done (migration varchar(60), step int, host varchar(60), moment double precision)"


class Migration:
    """One, and what is in the database when it is applied: its steps, columns and indexes of `shop_order`."""

    def __init__(self, name, atomic, operations, steps=0, columns=(), indexes=()):
        self.name, self.atomic, self.operations = name, atomic, operations
        self.steps, self.columns, self.indexes = set(range(1, steps + 1)), set(columns), set(indexes)


def data(name, atomic, steps, seconds):
    """Rows alone: in turns it waits itself and has the server wait in the middle of a statement."""
    kinds = ("client", "server")
    return Migration(
        name,
        atomic,
        [
            "migrations.RunPython(%s(%r, %d, %s))" % (kinds[number % 2], name, number, seconds)
            for number in range(1, steps + 1)
        ],
        steps,
    )


def column(name, seconds):
    """A change of the schema, and what takes its time after it."""
    made = "c" + name[:4]
    field = 'migrations.AddField("order", %r, models.IntegerField(null=True))' % made
    later = "migrations.RunPython(server(%r, 1, %s))" % (name, seconds)
    return Migration(name, True, [field, later], 1, columns=[made])


def index(name, kind, also=False):
    """An index of its own on a table with many rows, built concurrently where that can be; `also` a column after it."""
    made = "i" + name[:4]
    one = 'models.Index(fields=["name", "price"], name=%r)' % made
    add = "%s(%r, %s)" % (CONCURRENT if kind == "postgresql" else "migrations.AddIndex", "order", one)
    if not also:
        return Migration(name, kind != "postgresql", [add], indexes=[made])
    field = 'migrations.AddField("order", "c%s", models.IntegerField(null=True))' % name[:4]
    return Migration(name, True, [add, field], indexes=[made], columns=["c" + name[:4]])


def of_all_kinds(kind, seconds):
    """What is pending in each round."""
    return [
        data("0002_atomic", True, 2, seconds),
        data("0003_data", False, 3, seconds),
        column("0004_column", seconds),
        index("0005_index", kind),
        data("0006_last", False, 2, seconds),
    ]


class Project:
    """A release in `folder`, with the first migration alone."""

    def __init__(self, folder, settings):
        self.folder, self.last = folder, "0001_initial"
        for path, text in FILES.items():
            self.write(path, text)
        self.write("site_of_shop/databases.json", json.dumps({"default": settings}))

    def write(self, path, text):
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def add(self, migration):
        operations = ",\n        ".join(migration.operations)
        self.write("shop/migrations/%s.py" % migration.name, HEAD % (migration.atomic, self.last, operations))
        self.last = migration.name
