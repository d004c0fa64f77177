"""What `inspect` says of gunicorn's settings and of the app."""

import os
import re

from booting import written
from supervisor import Shop

UNSET = {
    "ignored": [],
    "master_hooks": [],
    "chdir": None,
    "preload_app": False,
    "conf": None,
    "bind_set": False,
    "workers_set": False,
    "umask_set": False,
    "user_set": False,
}


def inspected(at, event="settings", status=0, **settings):
    with Shop(at.venv, at.directory, **settings) as app:
        worker = app.spawn(mode="inspect", listeners=[])
        message = worker.hear(event)
        assert worker.ended() == status, (worker.status, app.printed())
        return message


def settings_are_told_from_file_environment_and_arguments(at):
    written(
        at,
        "gunicorn.conf.py",
        """
workers = 3
bind = ["127.0.0.1:9000", "unix:/tmp/x"]
timeout = 31
keepalive = 7
max_requests = 1000
daemon = True
pidfile = "/tmp/pid"
def when_ready(server):
    pass
""",
    )
    told = inspected(
        at,
        args=["--threads", "4", "--preload"],
        env={"GUNICORN_CMD_ARGS": "--timeout 32 --backlog 99 --forwarded-allow-ips 10.0.0.9"},
    )
    expected = {
        "class_name": "gthread",
        "family": "gthread",
        "workers": 3,
        "workers_set": True,
        "backlog": 99,
        "bind": ["127.0.0.1:9000", "unix:/tmp/x"],
        "bind_set": True,
        "timeout": 32.0,
        "keepalive": 7.0,
        "threads": 4,
        "graceful_timeout": 30.0,
        "max_requests": 1000,
        "max_requests_jitter": 0,
        "preload_app": True,
        "ignored": ["daemon", "pidfile"],
        "master_hooks": ["when_ready"],
        "forwarded_allow_ips": ["10.0.0.9"],
        "uid": os.geteuid(),
        "gid": os.getegid(),
        "conf": os.path.join(at.directory, "gunicorn.conf.py"),
    }
    assert {name: told[name] for name in expected} == expected, told
    assert told["gunicorn"] == at.gunicorn


def settings_that_nobody_chose_are_told_as_such(at):
    told = inspected(at)
    assert {name: told[name] for name in UNSET} == UNSET, told
    assert (told["family"], told["class_name"], told["workers"], told["umask"]) == ("sync", "sync", 1, 0), told


WSGI = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'x')\n"
FILES = {  # what an app consists of, and whether that says that it loads Django
    "its settings": ({"main.py": WSGI}, True),
    "an import": ({"main.py": "def make():\n    from django.core.wsgi import get_wsgi_application\n"}, True),
    "a name": ({"main.py": "import importlib\nimportlib.import_module('django.core.wsgi')\n"}, True),
    "deep inside": (
        {
            "main.py": "from own import (  # this\n    a,\n    b as c,\n)\n",
            "own/__init__.py": "",
            "own/b.py": "from . import d\n",
            "own/d.py": "from ..own.e import x\n",
            "own/e.py": WSGI,
        },
        True,
    ),
    "a package of its own": (
        {"own/__init__.py": "", "own/main.py": "import json, own.other\n", "own/other.py": WSGI},
        True,
    ),
    "one from an index": (
        {
            "site-packages/own/__init__.py": "",
            "site-packages/own/main.py": "from own import other\n",
            "site-packages/own/other.py": WSGI,
        },
        True,
    ),
    "another's package": (
        {
            "main.py": "from third.wsgi import application\n",
            "site-packages/third/__init__.py": "",
            "site-packages/third/wsgi.py": WSGI,
        },
        True,
    ),
    "another's other module": (
        {
            "main.py": "import third\n",
            "site-packages/third/__init__.py": "import third.wsgi\n",
            "site-packages/third/wsgi.py": WSGI,
        },
        False,
    ),
    "compiled": ({"main.py": "import quick\n", "quick.so": "\0django.core\0"}, True),
    "words": ({"main.py": "# django is not needed\nname = 'not django'\nimport djangoesque\n"}, False),
    "nothing": ({"main.py": "import json, os\nfrom os import path\nraise SystemExit('loaded')\n"}, False),
    "no module": ({}, False),
}


def whether_the_files_say_that_django_is_loaded_is_told_and_nothing_is_loaded(at):
    for number, (name, (files, loads)) in enumerate(FILES.items()):
        folder = os.path.join(at.directory, "case%d" % number)
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
            written(at, os.path.join(folder, path), text)
        paths = os.pathsep.join([folder, os.path.join(folder, "site-packages")])
        entry = "own.main:application" if any(path.endswith("own/main.py") for path in files) else "main:application"
        told = inspected(at, entry=entry, env={"PYTHONPATH": paths})
        assert told["django"] == {"settings": None, "loads": loads}, (name, told["django"])
    told = inspected(at, entry="main:application", env={"DJANGO_SETTINGS_MODULE": "x.y"})
    assert told["django"] == {"settings": "x.y", "loads": True}, told["django"]
    told = inspected(at, entry="main:application", args=["-e", "DJANGO_SETTINGS_MODULE=x.z"])
    assert told["django"] == {"settings": "x.z", "loads": True}, told["django"]
    many = {"m%d" % it: "import m%d\n" % (it + 1) for it in range(400)}
    for name, text in many.items():
        written(at, name + ".py", text)
    told = inspected(at, entry="m0:application", env={"PYTHONPATH": at.directory})
    assert told["django"]["loads"] is True, "of so much nobody says that it does not"


def every_class_has_its_family(at):
    families = {
        "sync": "sync",
        "gthread": "gthread",
        "gevent": "gevent",
        "tornado": "tornado",
        "uvicorn_worker.UvicornWorker": "uvicorn",
        "uvicorn.workers.UvicornH11Worker": "uvicorn",
        "gevent_pywsgi": None,
    }
    if at.major >= 27:
        families["asgi"] = "asgi"
    for kind, family in families.items():
        told = inspected(at, args=["-k", kind])
        assert (told["family"], told["class_name"]) == (family, kind), told


def bad_settings_are_told_in_one_sentence(at):
    def told(status, **settings):
        message = inspected(at, event="failed", status=status, **settings)
        assert message["stage"] == "settings" and "\n" not in message["message"], message
        return message["message"], message["traceback"]

    words, _ = told(2, args=["--nonsense"])
    assert words == "gunicorn refuses its arguments: unrecognized arguments: --nonsense", words
    words, _ = told(1, args=["--config", "missing.py"])
    assert "missing.py" in words and "doesn't exist" in words, words
    words, _ = told(1, args=["-k", "nonsense"])
    assert words.startswith("gunicorn's worker class nonsense does not load: "), words
    words, _ = told(1, args=["-k", "missing.Worker"])
    assert words == (
        "gunicorn's worker class missing.Worker does not load: ModuleNotFoundError: No module named 'missing'"
    ), words
    written(at, "gunicorn.conf.py", "workers = (\n")
    words, _ = told(1)
    # Before Python 3.10 it was not known which one.
    assert re.search(
        r"SyntaxError: ('\(' was never closed|unexpected EOF while parsing) \(gunicorn.conf.py, line \d\)$", words
    ), words
    written(at, "gunicorn.conf.py", "workers = 2\nkeepalive = missing\n")
    words, trace = told(1)
    assert words.startswith("gunicorn's settings do not load: Failed to read config file: "), words
    assert words.endswith("gunicorn.conf.py: line 2: NameError: name 'missing' is not defined"), words
    assert "keepalive = missing" in trace, trace
    written(at, "gunicorn.conf.py", "workers = 'many'\n")
    words, _ = told(1)
    assert "Invalid value for workers: many" in words, words


def a_gunicorn_from_the_future_is_refused(at):
    os.mkdir(os.path.join(at.directory, "gunicorn"))
    written(at, "gunicorn/__init__.py", "version_info = (99, 0, 0)\n__version__ = '99.0.0'\n")
    message = inspected(at, event="failed", status=1, env={"PYTHONPATH": at.directory})
    assert message["message"] == "gunicorn 99.0.0 is not supported, only 20.1 to 27 are: install one of those", message


LAWS = [
    settings_are_told_from_file_environment_and_arguments,
    settings_that_nobody_chose_are_told_as_such,
    every_class_has_its_family,
    whether_the_files_say_that_django_is_loaded_is_told_and_nothing_is_loaded,
    bad_settings_are_told_in_one_sentence,
]
ONCE = [a_gunicorn_from_the_future_is_refused]
