"""Django without a manage.py: found as a worker loads it, up to where it sets Django up, and migrated in the same way."""

import os

from laws_sqlite import ADD, project
from place import names_of

SERVER = None
WSGI = """
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_of_shop.settings")
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""
USES_TABLES = (
    WSGI
    + """
from shop.models import Order
Order.objects.count()
"""
)
APP = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'']\n"
FIRST = ["shop.0001_initial"]


def app(entry="site_of_shop.wsgi", *args, certain=False):
    return {"entry": entry, "args": list(args), "certain": certain}


def bare(place, wsgi=WSGI):
    """The project without its manage.py."""
    made = project(place)
    os.unlink(os.path.join(place.folder, "manage.py"))
    made.write("site_of_shop/wsgi.py", wsgi)
    return made


def moved(place, folder):
    """The project's code in a folder of its own below the app's."""
    os.mkdir(os.path.join(place.folder, folder))
    for name in ("shop", "site_of_shop"):
        os.rename(os.path.join(place.folder, name), os.path.join(place.folder, folder, name))


def is_migrated(place, orders, settings="site_of_shop.settings"):
    opened_ = place.watch(**orders)[1]
    assert names_of(opened_) == FIRST, opened_
    assert opened_["seen"] == {"settings": settings, "none": None, "others": []}, opened_
    run = place.run(**orders)
    heard = run.all()
    assert run.ended() == 0, run.printed()
    assert [it["name"] for it in heard if it["at"] == "migration"] == FIRST, heard
    assert names_of(place.watch(**orders)[1]) == []


def what_the_apps_module_sets_up_is_migrated_without_a_manage_py(place):
    bare(place)
    is_migrated(place, {"django": app()})


def code_in_a_subfolder_is_found_by_gunicorns_own_settings(place):
    for name, arguments in (
        ("pythonpath", ["--pythonpath", "netbox"]),
        ("chdir", ["--chdir", "netbox"]),
        ("conf", ["-c", "other.py"]),
    ):
        one = place.beside(name)
        made = bare(one, "import os\nassert os.environ['IN_CONF'] == '1'\n" + WSGI if name == "conf" else WSGI)
        made.write("other.py", "pythonpath = 'netbox'\nraw_env = ['IN_CONF=1']\n")
        moved(one, "netbox")
        # One that would do something else is not asked: nobody starts it from there.
        made.write("netbox/manage.py", "raise SystemExit(3)\n")
        is_migrated(one, {"django": app("site_of_shop.wsgi:application", *arguments)})


def a_package_among_others_is_migrated_with_the_settings_that_the_environment_names(place):
    bare(place)
    moved(place, "site-packages")
    with open(os.path.join(place.folder, "site-packages", "site_of_shop", "mine.py"), "w", encoding="utf-8") as file:
        file.write("from site_of_shop.settings import *\n")
    environment = {
        "PYTHONPATH": os.path.join(place.folder, "site-packages"),
        "DJANGO_SETTINGS_MODULE": "site_of_shop.mine",
    }
    is_migrated(place, {"django": app(), "environment": environment}, "site_of_shop.mine")


def what_the_module_does_with_tables_waits_until_they_are_there(place):
    bare(place, USES_TABLES)
    is_migrated(place, {"django": app()})


def a_factory_is_called_as_gunicorn_calls_it(place):
    bare(
        place,
        "def make(settings):\n    import os\n    os.environ['DJANGO_SETTINGS_MODULE'] = settings\n"
        "    from django.core.wsgi import get_wsgi_application\n    return get_wsgi_application()\n",
    )
    is_migrated(place, {"django": app("site_of_shop.wsgi:make('site_of_shop.settings')")})


def an_app_that_is_not_djangos_has_nothing_to_migrate(place):
    made = bare(place, APP)
    made.write("broken.py", "raise OSError('the port is taken')\n")
    for orders, words in (
        ({"django": app()}, "site_of_shop.wsgi does not set it up"),
        ({"django": app(), "environment": {"DJANGO_SETTINGS_MODULE": "site_of_shop.settings"}}, "does not set"),
        ({"django": app("broken")}, "broken failed before it had loaded Django: OSError: the port is taken"),
    ):
        program, opened_ = place.watch(**orders)
        assert words in opened_["seen"]["none"] and names_of(opened_) == [], opened_
        program.say("quit")
        assert program.ended() == 0, program.printed()
    assert not os.path.exists(place.file)


def where_the_configuration_says_that_it_is_djangos_it_has_to_be(place):
    bare(place, APP)
    told = place.refused(django=app(certain=True))
    assert told["kind"] == "app" and "DJANGO_SETTINGS_MODULE is not set" in told["message"], told
    environment = {"DJANGO_SETTINGS_MODULE": "site_of_shop.settings"}
    is_migrated(place, {"django": app(certain=True), "environment": environment})


def a_module_that_breaks_after_it_has_named_its_settings_is_told_with_its_trace(place):
    bare(place, WSGI.replace("from django", "import nowhere_at_all\nfrom django"))
    told = place.refused(django=app())
    assert told["kind"] == "app" and "nowhere_at_all" in told["message"] and "Traceback" in told["traceback"], told
    bare(place).write("site_of_shop/settings.py", "1 / 0\n")
    told = place.refused(django=app())
    assert "the app cannot be imported: ZeroDivisionError" in told["message"], told


def django_without_a_database_has_nothing_to_migrate(place):
    made = bare(place)
    for databases in ({}, {"default": {}}):
        made.databases(databases)
        opened_ = place.watch(django=app())[1]
        assert "no `default`" in opened_["seen"]["none"], opened_


ROUTER = """
class Router:
    def allow_migrate(self, db, app_label, **hints):
        return db != "legacy"
"""


def sqlite(place, name, **more):
    return dict({"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(place.folder, name)}, **more)


def others_of(place, migrated=("default",)):
    return place.watch(migrated=list(migrated))[1]["seen"]["others"]


def an_entry_that_nobody_migrates_is_named_and_no_other(place):
    made = project(place)
    made.migration("0002_add", ADD)
    entries = {
        "default": sqlite(place, "db.sqlite3"),
        "reports": sqlite(place, "reports.sqlite3"),
        "mirror": sqlite(place, "mirror.sqlite3", TEST={"MIRROR": "default"}),
        "same": sqlite(place, "../%s/db.sqlite3" % os.path.basename(place.folder)),
        "legacy": sqlite(place, "legacy.sqlite3"),
        "gone": {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "HOST": "127.0.0.1", "PORT": "1"},
        "broken": {"ENGINE": "no.such.engine", "NAME": "x"},
        "none": {},
    }
    made.databases(entries)
    made.write("site_of_shop/routers.py", ROUTER)
    with open(os.path.join(place.folder, "site_of_shop", "settings.py"), "a", encoding="utf-8") as file:
        file.write("DATABASE_ROUTERS = ['site_of_shop.routers.Router']\n")
    assert others_of(place) == [{"name": "reports", "pending": 2}]
    assert not os.path.exists(place.folder + "/reports.sqlite3"), "a look makes nothing"
    assert others_of(place, ("default", "reports")) == []
    place.run(database={"alias": "reports"}).ended()
    assert others_of(place) == []
    assert place.watch()[1]["seen"]["others"] == [], "nobody has asked"


LAWS = [
    what_the_apps_module_sets_up_is_migrated_without_a_manage_py,
    code_in_a_subfolder_is_found_by_gunicorns_own_settings,
    a_package_among_others_is_migrated_with_the_settings_that_the_environment_names,
    what_the_module_does_with_tables_waits_until_they_are_there,
    a_factory_is_called_as_gunicorn_calls_it,
    an_app_that_is_not_djangos_has_nothing_to_migrate,
    where_the_configuration_says_that_it_is_djangos_it_has_to_be,
    a_module_that_breaks_after_it_has_named_its_settings_is_told_with_its_trace,
    django_without_a_database_has_nothing_to_migrate,
    an_entry_that_nobody_migrates_is_named_and_no_other,
]
