"""The app's Django project, found and set up the way its own manage.py does it."""

import os
import runpy
import sys

from _ostler.text import said, trace_of
from _ostler.wire import Trouble

MANAGE = "manage.py"


class Reached(BaseException):
    """manage.py has done all that it does before Django takes over."""


def as_script(arguments):
    """Runs manage.py as `python manage.py ARGUMENTS` does: its folder first on the path, itself `__main__`."""
    path = os.path.abspath(MANAGE)
    sys.argv = [MANAGE] + arguments
    sys.path.insert(0, os.path.dirname(path))
    runpy.run_path(path, run_name="__main__")


def execute(arguments):
    """Runs a command of Django to its end, which is a `SystemExit` where it fails."""
    if os.path.exists(MANAGE):
        return as_script(arguments)
    need_settings()
    sys.path.insert(0, os.getcwd())
    sys.argv = ["django-admin"] + arguments
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)


def need_settings():
    if not os.environ.get("DJANGO_SETTINGS_MODULE"):
        raise Trouble("app", "no manage.py in %s, and DJANGO_SETTINGS_MODULE is not set: set it in the app's env, or "
                             "name another command with [migrate] command" % os.getcwd())


def settle():
    """Sets Django up as the command `migrate` would find it, without running it."""
    try:
        from django.core.management import ManagementUtility
    except Exception as error:
        message = "Django cannot be imported by %s: %s: name another command with [migrate] command where the app has " \
                  "none" % (sys.executable, said(error))
        raise Trouble("app", message, trace_of(error)) from None
    kept, ManagementUtility.execute = ManagementUtility.execute, reach
    try:
        if os.path.exists(MANAGE):
            as_script(["migrate"])
        else:
            need_settings()
            sys.path.insert(0, os.getcwd())
    except Reached:
        pass
    except SystemExit as end:
        if not os.environ.get("DJANGO_SETTINGS_MODULE"):
            raise Trouble("app", "manage.py ended before Django began: exit status %s" % end.code, trace_of(end)) from None
    except Exception as error:
        raise Trouble("app", "manage.py failed: %s" % said(error), trace_of(error)) from None
    finally:
        ManagementUtility.execute = kept
    try:
        import django
        django.setup()
    except Exception as error:
        raise Trouble("app", "the app cannot be imported: %s" % said(error), trace_of(error)) from None


def reach(utility):
    raise Reached()
