"""The app's Django project, found and set up the way its own manage.py does it; without one, the way the app itself does.

Without a manage.py the app's module is loaded as a worker loads it, with gunicorn's settings, up to where it would set Django
up: by then it has said which settings. It is not loaded further: what it does with its models may need what is migrated first.
"""

import os
import runpy
import sys

from _ostler import settings
from _ostler.text import said, short, status_of, trace_of
from _ostler.wire import Failure, Trouble

MANAGE = "manage.py"
# To look, and in whatever way manage.py takes it up: it changes nothing.
HARMLESS = ["check"]
NAMES_SETTINGS = "DJANGO_SETTINGS_MODULE"


class NoDjango(BaseException):
    """The app does not load Django, or one without a database: nothing is to be migrated. Its text says why."""


class Reached(BaseException):
    """manage.py has done all that it does before Django takes over."""


def as_script(arguments):
    """Runs manage.py as `python manage.py ARGUMENTS` does: its folder first on the path, itself `__main__`."""
    path = os.path.abspath(MANAGE)
    sys.argv = [MANAGE] + arguments
    sys.path.insert(0, os.path.dirname(path))
    refuse_exec()
    runpy.run_path(path, run_name="__main__")


def refuse_exec():
    """What takes this program's place would migrate without guards, and with nobody who sees it."""
    us = os.getpid()

    def refusing(plain):
        def refused(program, *others):
            if os.getpid() != us:
                return plain(program, *others)  # a child that somebody has made
            raise Trouble(
                "app",
                "manage.py starts another program (%s) in its own place, in which a migration could not be "
                "watched: name that interpreter as `python` of the app, let manage.py call Django itself, or "
                "have it run unseen with [migrate] command" % short(os.fsdecode(program), 200),
            )

        return refused

    # Every other way to do it, `os.execvp` and the like, comes to one of these.
    for module in (os, sys.modules["posix"]):
        module.execv, module.execve = refusing(module.execv), refusing(module.execve)


def execute(arguments, app=None):
    """Runs a command of Django to its end, which is a `SystemExit` where it fails."""
    if app is None and os.path.exists(MANAGE):
        return as_script(arguments)
    find(app)
    sys.argv = ["django-admin"] + arguments
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


def find(app):
    """Has the environment name the settings where no manage.py does."""
    if app is not None:
        return load(app)
    if not os.environ.get(NAMES_SETTINGS):
        raise Trouble(
            "app",
            "no manage.py in %s, and DJANGO_SETTINGS_MODULE is not set: set it in the app's env, or "
            "name another command with [migrate] command" % os.getcwd(),
        )
    sys.path.insert(0, os.getcwd())


def load(app):
    """Loads the app's module up to where it sets Django up. `certain` is where the configuration says that it is Django's."""
    import django
    from django.apps import apps

    certain, failed = app.get("certain"), None
    ways = Ways((django, "setup", True))
    try:
        made = settings.load(app)
        settings.set_environment(made.cfg)
        try:
            made.load()
        except Reached:
            pass
        except (Exception, SystemExit) as error:
            failed = error
    except Failure as failure:
        raise Trouble("app", failure.message, failure.trace) from None
    finally:
        ways.open()
    if ways.reached or apps.ready:
        return
    what, named = app.get("entry") or "the app", os.environ.get(NAMES_SETTINGS)
    if named and (certain or not failed and served_by_django()):
        return
    if failed is None and not certain:
        raise NoDjango("django is installed, but %s does not set it up when it is loaded" % what)
    if failed is None:
        raise Trouble(
            "app",
            "%s does not set Django up when it is loaded, and DJANGO_SETTINGS_MODULE is not set: set it in the "
            "app's env, or say enabled = false in [migrate]" % what,
        )
    words = status_of(failed) if isinstance(failed, SystemExit) else said(failed)
    if certain or named:
        raise Trouble("app", "%s does not load: %s" % (what, words), trace_of(failed)) from None
    raise NoDjango("%s failed before it had loaded Django: %s" % (what, words))


def served_by_django():
    return "django.core.handlers.base" in sys.modules


def settle(app=None):
    """Sets Django up as its commands would find it, without running one."""
    try:
        from django.core import management
        from django.core.management import base
    except Exception as error:
        message = (
            "Django cannot be imported by %s: %s: name another command with [migrate] command where the app has "
            "none" % (sys.executable, said(error))
        )
        raise Trouble("app", message, trace_of(error)) from None
    if app is not None or not os.path.exists(MANAGE):
        find(app)
    else:
        look_at_manage(management, base)
    try:
        import django

        django.setup()
    except Exception as error:
        raise Trouble("app", "the app cannot be imported: %s" % said(error), trace_of(error)) from None


def look_at_manage(management, base):
    """Runs manage.py up to where Django would take over."""
    # The ways into a command: manage.py may take any of them.
    # What an app calls while it gets ready, by the last two, it calls whenever Django is set up.
    ways = Ways(
        (management.ManagementUtility, "execute", True),
        (management, "call_command", False),
        (base.BaseCommand, "execute", False),
    )
    try:
        as_script(HARMLESS)
    except Reached:
        pass
    except SystemExit as end:
        if not os.environ.get(NAMES_SETTINGS):
            raise Trouble(
                "app", "manage.py ended before Django began: exit status %s" % end.code, trace_of(end)
            ) from None
    except Trouble:
        raise
    except Exception as error:
        raise Trouble("app", "manage.py failed: %s" % said(error), trace_of(error)) from None
    finally:
        ways.open()


def named():
    """The module of Django's settings, as Django has it; None where they are of none."""
    from django.conf import settings as loaded

    name = getattr(loaded, "SETTINGS_MODULE", None)
    return name if isinstance(name, str) else None


class Ways:
    """Functions that end in `Reached` until they are open again, also for those who have imported them meanwhile. Each is
    shut at once, or once the apps are ready."""

    def __init__(self, *ways):
        self.shut, self.reached = True, False
        self.kept = [(owner, name, getattr(owner, name)) for owner, name, _ in ways]
        for owner, name, at_once in ways:
            setattr(owner, name, self.shutting(getattr(owner, name), at_once))

    def open(self):
        self.shut = False
        for owner, name, plain in self.kept:
            setattr(owner, name, plain)

    def shutting(self, plain, at_once):
        def shut(*arguments, **named):
            from django.apps import apps

            if self.shut and (at_once or apps.ready):
                self.reached = True
                raise Reached()
            return plain(*arguments, **named)

        return shut


def own_migrate():
    """Which package the command `migrate` is of, where it is not Django's own: what that does only it knows."""
    from django.core.management import get_commands

    home = get_commands().get("migrate", "django.core")
    home = home if isinstance(home, str) else type(home).__module__
    return None if home == "django.core" else home
