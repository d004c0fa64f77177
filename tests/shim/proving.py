"""What a worker proves before its first client: a Django project as `startproject` makes it, and probes that nobody asked for."""

import os
import signal
import subprocess

from supervisor import Shop, until

UNASKED = {"path": "/", "host": None, "scheme": "http", "timeout_seconds": 10.0, "asked": False,
           "tolerate": {"errors": False, "late": False}}
BORNE = dict(UNASKED, tolerate={"errors": True, "late": True})
WSGI = ("sync", "gthread", "gevent", "tornado")


def kinds(at):
    """Worker class and entry of every class that this gunicorn has."""
    yield from ((kind, "wsgi") for kind in WSGI)
    yield "uvicorn_worker.UvicornWorker", "asgi"
    if at.major >= 27:
        yield "asgi", "asgi"


def project(at, urls=None, settings="", **files):
    """A project as Django makes it, in a folder of its own; `urls` replaces its urls.py, `settings` are added to its own."""
    folder = os.path.join(at.directory, "project")
    if not os.path.exists(folder):
        os.mkdir(folder)
        subprocess.run([os.path.join(at.venv, "bin", "django-admin"), "startproject", "site1", folder], check=True)
        with open(os.path.join(folder, "site1", "settings.py"), encoding="utf-8") as file:
            at.settings = file.read()
    written = {"site1/settings.py": at.settings + "\n" + settings}
    if urls is not None:
        written["site1/urls.py"] = urls
    written.update({name.replace("__", "/") + ".py": text for name, text in files.items()})
    for name, text in written.items():
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    return folder


def site(at, kind="sync", module="wsgi", **more):
    folder = os.path.join(at.directory, "project")
    return Shop(at.venv, at.directory, entry="site1.%s:application" % module, args=["-k", kind],
                env=dict({"PYTHONPATH": folder}, **more.pop("env", {})), **more)


VIEWS = """
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import include, path
from django.shortcuts import render
def page(request):
    return HttpResponse("ok")
def broken(request):
    raise KeyError("a view that is broken")
urlpatterns = %s
"""
SENDS = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "site1.settings"
from django.core.wsgi import get_wsgi_application
inner = get_wsgi_application()
def application(environ, start_response):
    if environ["PATH_INFO"] != "/":
        return inner(environ, start_response)
    start_response("302 Found", [("Location", "%s")])
    return []
"""
SENDS_ASGI = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "site1.settings"
from django.core.asgi import get_asgi_application
inner = get_asgi_application()
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    if scope["path"] != "/":
        return await inner(scope, receive, send)
    await send({"type": "http.response.start", "status": 302, "headers": [(b"location", b"%s")]})
    await send({"type": "http.response.body", "body": b""})
"""
PRODUCTION = "DEBUG = False\nALLOWED_HOSTS = ['.shop.example.com', 'x']\n"


def a_new_project_is_proven_by_its_urls_and_its_first_page(at):
    project(at)
    for kind, module in kinds(at):
        for preload in (False, True):
            with site(at, kind, module, preload=preload) as app:
                worker = app.ready(probe=UNASKED)
                assert worker.proof["urls"] > 5, worker.proof
                answer = worker.proof["probe"]
                assert (answer["status"], answer["good"], answer["path"]) == (200, True, "/"), answer
                assert worker.finished == 0 and worker.in_flight() == []


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
                assert columns["id"].get("auto") and "unique (username)" in models["auth.User"]["rules"], models["auth.User"]
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
                assert message["message"] == ("the URLs of site1.urls do not load: ModuleNotFoundError: No module named "
                                              "'a_module_that_is_not_there'"), message
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
    project(at, urls="import os, time\nopen(%r, 'w').close()\nwhile not os.path.exists(%r):\n    time.sleep(0.01)\n"
                     "urlpatterns = []\n" % (loading, go_on))
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
    project(at, settings="INSTALLED_APPS += ['site1']\n", site1__templatetags____init__="",
            site1__templatetags__prices="import a_tag_that_is_not_there\n")
    with site(at) as app:
        message = app.spawn().hear("failed")
        assert message["message"].startswith("the templates' engines and tags do not load: "), message
        assert "a_tag_that_is_not_there" in message["message"], message


def a_view_that_raises_is_told_with_its_own_traceback(at):
    project(at, urls=VIEWS % "[path('', broken)]", settings=PRODUCTION)
    for kind, module in kinds(at):
        with site(at, kind, module) as app:
            message = app.spawn(hold=True, probe=UNASKED).hear("failed")
            assert message["stage"] == "probe", message
            assert message["message"] == "the probe of / answered 500 Internal Server Error", (kind, message)
            assert "a view that is broken" in message["traceback"] and "in broken" in message["traceback"], (kind, message)


def what_a_first_page_needs_is_loaded_before_the_fork(at):
    loaded = os.path.join(at.directory, "loaded")
    early = "import os\nwith open(%r, 'a') as file:\n    file.write('%%s %%d\\n' %% (__name__, os.getpid()))\n" % loaded
    files = {"site1__context": early + "def processor(request): return {}\n",
             "site1__cache": early + "from django.core.cache.backends.locmem import LocMemCache as Cache\n",
             "site1__session": early + "from django.contrib.sessions.backends.signed_cookies import SessionStore\n"}
    added = ("TEMPLATES[0]['OPTIONS']['context_processors'].append('site1.context.processor')\n"
             "SESSION_ENGINE = 'site1.session'\nCACHES = {'default': {'BACKEND': 'site1.cache.Cache'}, "
             "'unused': {'BACKEND': 'not_installed.Cache'}, 'dead': {'BACKEND': 'site1.dead.Cache'}}\n")
    uses = "def page(request):\n    from django.core.cache import cache\n    cache.get('x')\n" \
           "    request.session.get('x')\n    return render(request, 'admin/login.html')\n"
    project(at, urls=VIEWS.replace('def page(request):\n    return HttpResponse("ok")\n', uses) %
            "[path('', page), path('admin/', __import__('django.contrib.admin').contrib.admin.site.urls)]",
            settings=added, site1__dead="raise RuntimeError('nobody uses it')\n", **files)
    with site(at, preload=True) as app:
        zygote = app.hatch()
        zygote.hear("ready")
        assert app.ready(probe=UNASKED).proof["probe"]["status"] == 200, app.printed()
        app.ready(probe=UNASKED)
        with open(loaded) as file:
            assert sorted(file.read().split()) == sorted(("site1.cache %d site1.context %d site1.session %d" % (
                (zygote.pid,) * 3)).split()), app.printed()


def what_is_borne_with_is_told_and_serves(at):
    project(at, urls=VIEWS % "[path('', broken)]", settings=PRODUCTION)
    for kind, module in kinds(at):
        with site(at, kind, module) as app:
            worker = app.ready(probe=BORNE)
            answer = worker.proof["probe"]
            assert (answer["status"], answer["good"]) == (500, False), answer
            assert answer["message"] == "the probe of / answered 500 Internal Server Error", answer
            assert "a view that is broken" in app.printed()


def below_500_is_good_if_nobody_asked_for_more(at):
    project(at, urls=VIEWS % "[path('page', page)]", settings=PRODUCTION)
    with site(at) as app:
        worker = app.ready(probe=UNASKED)
        assert (worker.proof["probe"]["status"], worker.proof["probe"]["good"]) == (404, True), worker.proof
        message = app.spawn(probe=dict(UNASKED, asked=True)).hear("failed")["message"]
        assert message == "the probe of / answered 404 Not Found", message


def the_host_is_one_that_django_accepts(at):
    for allowed, expected in (("['.shop.example.com', 'x']", "shop.example.com"), ("['*']", "localhost"), ("['*', 'y']", "y")):
        project(at, urls=VIEWS.replace('HttpResponse("ok")', 'HttpResponse(status=418 if request.get_host() == "%s" else 500)'
                                       % expected) % "[path('', page)]", settings="DEBUG = False\nALLOWED_HOSTS = %s\n" % allowed)
        with site(at) as app:
            assert app.ready(probe=UNASKED).proof["probe"]["status"] == 418, (allowed, expected)


def a_host_that_django_refuses_is_named_with_the_key_to_set(at):
    project(at, urls=VIEWS % "[path('', page)]", settings=PRODUCTION)
    for asked in (True, False):
        with site(at) as app:
            message = app.spawn(probe=dict(UNASKED, host="other.example.com", asked=asked)).hear("failed")["message"]
            assert message == ("the probe of / answered 400 Bad Request: Django's ALLOWED_HOSTS does not have the Host "
                               "other.example.com: set `host` in [probe] to one that it has, such as shop.example.com"), message
    project(at, urls=VIEWS % "[path('', page)]", settings="DEBUG = False\n")
    with site(at) as app:
        message = app.spawn(probe=UNASKED).hear("failed")["message"]
        assert "ALLOWED_HOSTS is empty" in message and "site1.settings" in message, message


def a_redirect_to_https_is_followed_once_on_the_same_host(at):
    secure = PRODUCTION + "SECURE_SSL_REDIRECT = True\n"
    project(at, urls=VIEWS % "[path('', broken)]", settings=secure)
    for kind, module in kinds(at):
        with site(at, kind, module) as app:
            message = app.spawn(probe=UNASKED).hear("failed")
            assert message["message"] == "the probe of / answered 500 Internal Server Error", (kind, message)
    project(at, urls=VIEWS % "[path('', page)]", settings=secure)
    for kind, module in kinds(at):
        with site(at, kind, module) as app:
            assert app.ready(probe=UNASKED).proof["probe"]["status"] == 200, kind
    project(at, urls=VIEWS % "[path('de/', broken)]", settings=PRODUCTION, site1__wsgi=SENDS % "https://shop.example.com/de/")
    with site(at) as app:
        message = app.spawn(probe=dict(UNASKED, asked=True)).hear("failed")["message"]
        assert message == "the probe of /, sent on to /de/, answered 500 Internal Server Error", message
        assert app.ready(probe=BORNE).proof["probe"]["path"] == "/", "what ostlerd has asked for"


def a_first_page_that_leads_elsewhere_on_the_site_is_followed_if_nobody_asked_for_it(at):
    for to in ("/login/?next=/", "http://shop.example.com/login/?next=/", "login/?next=/"):
        for kind, module in kinds(at):
            leads = {"site1__" + module: (SENDS if module == "wsgi" else SENDS_ASGI) % to}
            project(at, urls=VIEWS % "[path('login/', broken)]", settings=PRODUCTION, **leads)
            with site(at, kind, module) as app:
                message = app.spawn(probe=UNASKED).hear("failed")
                assert message["message"] == (
                    "the probe of /, sent on to /login/?next=/, answered 500 Internal Server Error"), (kind, to, message)
                assert "a view that is broken" in message["traceback"], message
                assert app.ready(probe=dict(UNASKED, asked=True)).proof["probe"]["status"] == 302, (kind, to)
            project(at, urls=VIEWS % "[path('login/', page)]", settings=PRODUCTION, **leads)
            with site(at, kind, module) as app:
                assert app.ready(probe=UNASKED).proof["probe"]["status"] == 200, (kind, to)


def a_redirect_that_leads_away_or_round_in_circles_is_an_answer(at):
    for to in ("https://elsewhere.example.com/", "//elsewhere.example.com/", "http://shop.example.com:81/", "https://[", "/",
               "/a b", "/\\u00e9", "", "mailto:x"):
        project(at, urls=VIEWS % "[]", settings=PRODUCTION, site1__wsgi=SENDS % to)
        with site(at) as app:
            assert app.ready(probe=UNASKED).proof["probe"]["status"] == 302, to


def an_app_of_the_other_kind_is_named_with_the_class_to_take(at):
    project(at)
    for kind in WSGI:
        with site(at, kind, "asgi") as app:
            message = app.spawn().hear("failed")["message"]
            assert message.startswith("the worker class %s runs WSGI apps, and site1.asgi:application is an ASGI app" % kind), message
    for kind in ("uvicorn_worker.UvicornWorker", "asgi") if at.major >= 27 else ("uvicorn_worker.UvicornWorker",):
        with site(at, kind, "wsgi") as app:
            message = app.spawn().hear("failed")["message"]
            assert "runs ASGI apps, and site1.wsgi:application is a WSGI app" in message, message


def a_probe_leaves_the_process_as_it_found_it(at):
    alarmed = ("import signal\nsignal.signal(signal.SIGALRM, lambda *_: None)\n"
               "signal.setitimer(signal.ITIMER_REAL, 1000, 7)\n"
               "from site1.wsgi import application as inner\n"
               "def application(environ, start_response):\n"
               "    start_response('200 OK', [])\n"
               "    from django.core.signals import got_request_exception as it\n"
               "    return [('%s %d' % (signal.getitimer(signal.ITIMER_REAL), len(it.receivers))).encode()]\n")
    project(at, site1__alarmed=alarmed)
    with Shop(at.venv, at.directory, entry="site1.alarmed:application",
              env={"PYTHONPATH": os.path.join(at.directory, "project")}) as app:
        app.ready(probe=UNASKED)
        client = app.connect()
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: client.recv(4096), b"")).partition(b"\r\n\r\n")[2].decode()
        client.close()
        left, again, receivers = text.strip("(").replace(",", "").replace(")", "").split()
        assert 900 < float(left) < 1000 and float(again) == 7 and receivers == "0", text


def a_late_answer_is_borne_with_where_the_orders_say_so(at):
    sleeps = VIEWS.replace('return HttpResponse("ok")', "import time; time.sleep(3600)") % "[path('', page)]"
    project(at, urls=sleeps, settings=PRODUCTION)
    for kind, module in kinds(at):
        if module == "asgi":
            continue  # a view that blocks its thread cannot be given up there
        with site(at, kind, module) as app:
            message = app.spawn(probe=dict(UNASKED, timeout_seconds=0.5)).hear("failed")
            assert message["message"] == "the probe of / did not answer in 0.5 s" and "in page" in message["traceback"], message
            answer = app.ready(probe=dict(BORNE, timeout_seconds=0.5)).proof["probe"]
            assert answer["late"] and not answer["good"], answer


LAWS = [a_new_project_is_proven_by_its_urls_and_its_first_page,
        what_the_models_use_of_the_database_is_told_once_it_serves,
        urls_that_do_not_import_are_a_failed_boot,
        a_view_that_raises_is_told_with_its_own_traceback]
ONCE = [urls_are_loaded_all_the_way_down,
        urls_that_end_the_program_are_a_failed_boot,
        a_worker_told_to_go_while_it_loads_its_urls_leaves_quietly,
        template_tags_that_do_not_import_are_a_failed_boot,
        what_is_borne_with_is_told_and_serves,
        below_500_is_good_if_nobody_asked_for_more,
        the_host_is_one_that_django_accepts,
        a_host_that_django_refuses_is_named_with_the_key_to_set,
        a_redirect_to_https_is_followed_once_on_the_same_host,
        a_first_page_that_leads_elsewhere_on_the_site_is_followed_if_nobody_asked_for_it,
        a_redirect_that_leads_away_or_round_in_circles_is_an_answer,
        what_a_first_page_needs_is_loaded_before_the_fork,
        an_app_of_the_other_kind_is_named_with_the_class_to_take,
        a_probe_leaves_the_process_as_it_found_it,
        a_late_answer_is_borne_with_where_the_orders_say_so]
