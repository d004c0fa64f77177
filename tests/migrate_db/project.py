"""A Django project of one app, whose migrations are given as text."""

import json
import os
import textwrap

MANAGE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_of_shop.settings")
if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""
SETTINGS = """
import json, os
with open(os.path.join(os.path.dirname(__file__), "databases.json")) as file:
    DATABASES = json.load(file)
SECRET_KEY = "x"
USE_TZ = True
INSTALLED_APPS = ["shop"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
"""
MODELS = """
from django.db import models
class Order(models.Model):
    name = models.CharField(max_length=40)
    price = models.IntegerField(default=0)
"""
FIRST = """
    initial = True
    dependencies = []
    operations = [migrations.CreateModel("Order", [
        ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
        ("name", models.CharField(max_length=40)), ("price", models.IntegerField(default=0))])]
"""
HEAD = """
from django.db import migrations, models
{imports}
{code}
class Migration(migrations.Migration):
"""


class Project:
    """`Project(folder, {"default": {...}})`; `migration` adds one to the end."""

    def __init__(self, folder, databases):
        self.folder = folder
        self.last = None
        self.write("manage.py", MANAGE)
        self.write("site_of_shop/__init__.py", "")
        self.write("site_of_shop/settings.py", SETTINGS)
        self.databases(databases)
        self.write("shop/__init__.py", "")
        self.write("shop/models.py", MODELS)
        self.write("shop/migrations/__init__.py", "")
        self.write("shop/migrations/0001_initial.py", HEAD.format(imports="", code="") + FIRST)
        self.last = "0001_initial"

    def databases(self, databases):
        self.write("site_of_shop/databases.json", json.dumps(databases))

    def write(self, path, text):
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def remove(self, name):
        os.unlink(os.path.join(self.folder, "shop", "migrations", name + ".py"))

    def migration(self, name, operations, atomic=True, code="", after=None, imports="", replaces=None):
        """`operations` is the inside of the list, as text."""
        text = HEAD.format(imports=imports, code=textwrap.dedent(code))
        text += "    atomic = %r\n" % atomic
        if replaces:
            text += "    replaces = %r\n" % [("shop", it) for it in replaces]
        depends = self.last if after is None else after
        text += "    dependencies = %r\n" % ([("shop", depends)] if depends else [])
        text += "    operations = [%s]\n" % operations
        self.write("shop/migrations/%s.py" % name, text)
        self.last = name
        return "shop." + name
