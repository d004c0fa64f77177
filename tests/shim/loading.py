"""What of a Django project a worker loads before its first client, and what it tells of it."""

import os
import signal

from django_project import UNASKED, VIEWS, kinds, project, site
from supervisor import Shop, until


def what_the_models_use_of_the_database_is_told_once_it_serves(at):
    """Without a connection to it: there is none in this project's folder."""
    project(at)
    for kind, module in kinds(at):
        for preload in (False, True):
            with site(at, kind, module, preload=preload) as app:
                told = app.ready(tables=True).hear("tables")
                models = {it["model"]: it for it in tables()["read"](told["text"])}
                assert {"auth.User", "auth.User_groups", "sessions.Session"} <= set(models), sorted(models)
                columns = models["auth.User"]["columns"]
                assert columns["last_login"]["null"] and columns["username"] == {"kind": "CharField(150)"}, columns
                assert columns["id"].get("auto") and "unique (username)" in models["auth.User"]["rules"], models[
                    "auth.User"
                ]
    with Shop(at.venv, at.directory, args=["-k", "sync"]) as app:
        assert app.ready(tables=True).hear("tables")["text"] is None


def tables():
    made = {}
    path = os.path.join(os.path.dirname(__file__), "..", "..", "src", "worker", "tables.py")
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), made)
    return made


def urls_that_do_not_import_are_a_failed_boot(at):
    project(at, urls="from site1 import views\nurlpatterns = []\n", site1__views="import a_module_that_is_not_there\n")
    for kind, module in kinds(at):
        for preload in (False, True):
            with site(at, kind, module, preload=preload) as app:
                failing = app.hatch() if preload else app.spawn(hold=True)
                message = failing.hear("failed")
                assert message["stage"] == "import", message
                assert message["message"] == (
                    "the URLs of site1.urls do not load: ModuleNotFoundError: No module named "
                    "'a_module_that_is_not_there'"
                ), message
                assert "site1/views.py" in message["traceback"], message
                assert failing.ended() == 3, app.printed()


def urls_are_loaded_all_the_way_down(at):
    nested = "[path('a/', include([path('b/', include('site1.deep'))]))]"
    project(at, urls=VIEWS % nested, site1__deep="import a_deep_module_that_is_not_there\n")
    with site(at) as app:
        assert "a_deep_module" in app.spawn().hear("failed")["message"]
    handler = "urlpatterns = []\nhandler500 = 'site1.nowhere.page'\n"
    project(at, urls=handler)
    with site(at) as app:
        message = app.spawn().hear("failed")["message"]
        assert message.startswith("the URLs of site1.urls do not load: ") and "nowhere" in message, message
    project(at, urls="from django.urls import re_path\nurlpatterns = [re_path('(', lambda request: None)]\n")
    with site(at) as app:
        assert "is not a valid regular expression" in app.spawn().hear("failed")["message"]


def urls_that_end_the_program_are_a_failed_boot(at):
    project(at, urls="import sys\nsys.exit('no')\n")
    with site(at) as app:
        message = app.spawn().hear("failed")
        assert message["message"] == "the URLs of site1.urls do not load: no", message
    project(at, urls="import sys\nprint('no licence')\nsys.exit(4)\n")
    with site(at) as app:
        message = app.spawn().hear("failed")
        assert message["message"] == "the URLs of site1.urls do not load: exit status 4: no licence", message


def a_worker_told_to_go_while_it_loads_its_urls_leaves_quietly(at):
    loading, go_on = (os.path.join(at.directory, name) for name in ("loading", "go_on"))
    project(
        at,
        urls="import os, time\nopen(%r, 'w').close()\nwhile not os.path.exists(%r):\n    time.sleep(0.01)\n"
        "urlpatterns = []\n" % (loading, go_on),
    )
    for kind, module in kinds(at):
        with site(at, kind, module) as app:
            worker = app.spawn(hold=True, probe=UNASKED)
            until(lambda: os.path.exists(loading), "it loads")
            worker.kill(signal.SIGTERM)
            open(go_on, "w").close()
            assert worker.ended() == 0 and "Traceback" not in app.printed(), (kind, worker.status, app.printed())
        os.remove(loading)
        os.remove(go_on)


def template_tags_that_do_not_import_are_a_failed_boot(at):
    project(
        at,
        settings="INSTALLED_APPS += ['site1']\n",
        site1__templatetags____init__="",
        site1__templatetags__prices="import a_tag_that_is_not_there\n",
    )
    with site(at) as app:
        message = app.spawn().hear("failed")
        assert message["message"].startswith("the templates' engines and tags do not load: "), message
        assert "a_tag_that_is_not_there" in message["message"], message


def what_a_first_page_needs_is_loaded_before_the_fork(at):
    loaded = os.path.join(at.directory, "loaded")
    early = "import os\nwith open(%r, 'a') as file:\n    file.write('%%s %%d\\n' %% (__name__, os.getpid()))\n" % loaded
    files = {
        "site1__context": early + "def processor(request): return {}\n",
        "site1__cache": early + "from django.core.cache.backends.locmem import LocMemCache as Cache\n",
        "site1__session": early + "from django.contrib.sessions.backends.signed_cookies import SessionStore\n",
    }
    added = (
        "TEMPLATES[0]['OPTIONS']['context_processors'].append('site1.context.processor')\n"
        "SESSION_ENGINE = 'site1.session'\nCACHES = {'default': {'BACKEND': 'site1.cache.Cache'}, "
        "'unused': {'BACKEND': 'not_installed.Cache'}, 'dead': {'BACKEND': 'site1.dead.Cache'}}\n"
    )
    uses = (
        "def page(request):\n    from django.core.cache import cache\n    cache.get('x')\n"
        "    request.session.get('x')\n    return render(request, 'admin/login.html')\n"
    )
    project(
        at,
        urls=VIEWS.replace('def page(request):\n    return HttpResponse("ok")\n', uses)
        % "[path('', page), path('admin/', __import__('django.contrib.admin').contrib.admin.site.urls)]",
        settings=added,
        site1__dead="raise RuntimeError('nobody uses it')\n",
        **files,
    )
    with site(at, preload=True) as app:
        zygote = app.hatch()
        zygote.hear("ready")
        assert app.ready(probe=UNASKED).proof["probe"]["status"] == 200, app.printed()
        app.ready(probe=UNASKED)
        with open(loaded) as file:
            assert sorted(file.read().split()) == sorted(
                ("site1.cache %d site1.context %d site1.session %d" % ((zygote.pid,) * 3)).split()
            ), app.printed()


LAWS = [what_the_models_use_of_the_database_is_told_once_it_serves, urls_that_do_not_import_are_a_failed_boot]
ONCE = [
    urls_are_loaded_all_the_way_down,
    urls_that_end_the_program_are_a_failed_boot,
    a_worker_told_to_go_while_it_loads_its_urls_leaves_quietly,
    template_tags_that_do_not_import_are_a_failed_boot,
    what_a_first_page_needs_is_loaded_before_the_fork,
]
